import type { Sentence } from '../text/document.ts';
import { findingText, isAsked, type RuleContext, ruleText } from './ruleSentence.ts';

export interface Decision {
  /** Verbatim, without a label such as `Decision:`. */
  readonly text: string;
  /** 0 to 1. */
  readonly confidence: number;
  readonly messageId: string;
  /** The participant named as deciding, else the sender. */
  readonly madeBy: string;
}

const label = /^(?:\*\*|__)?(?:final )?decisions?(?: made)?(?:\*\*|__)? ?[:–—] ?(?:\*\*|__)? ?/i;
const cues: readonly (readonly [RegExp, number])[] = [
  [/\b(?:we|I|we've|I've|we have|I have) (?:now |finally |just |all )?decided (?:to|on|that|against)\b/i, 0.95],
  [/\b(?:it (?:is|was|has been)|was|were|is) (?:hereby )?decided (?:to|that)\b/i, 0.95],
  [/\b(?:the|our|my) (?:final )?decision (?:is|was)\b/i, 0.95],
  [/\b(?:we|we've|we have|everyone|all) (?:have |has |all |now )?agreed (?:to|on|that|upon)\b/i, 0.93],
  [/\b(?:we|I)(?:'ve| have) (?:chosen|settled on|approved|rejected)\b/i, 0.92],
  [/\b(?:let's|we will|we'll|we are going to|we're going to|I'll|I will) (?:go|stick) with\b/i, 0.9],
  [/^(?:approved|lgtm|rejected|request (?:approved|denied))\b/i, 0.9],
  [/\b(?:I|we) (?:hereby )?(?:approve|reject)\b/i, 0.9],
  [/\b(?:we|I) (?:chose|picked|selected|opted for|opted to)\b/i, 0.75],
  [/\b(?:let's|we will|we'll|I'll|I will) proceed with\b/i, 0.75],
  [/\b(?:final answer|conclusion) is\b/i, 0.7],
];
const mayHoldDecision =
  /deci|agree|chose|chosen|settled|approv|reject|lgtm|denied|(?:go|stick|proceed)\s+with|picked|selected|opted|final|conclusion/i;
const open = /\b(?:not|never|if|unless|whether|until|once|before|might|may|could|should|would|yet to)\b|n't\b/i;
const namedDecision = /^([\p{L}][\p{L}\p{N}_.-]{1,40}) (?:has |have )?(?:decided|chose|approved|rejected|agreed)\b/iu;

/**
 * Finds decisions by English cues with a confidence each (ours): a label or "decided" 0.95, agreement 0.93, "let's go
 * with" and approval 0.9, weaker wordings below. A negation or condition before the cue, or a question mark, halves
 * it. A message of type DECISION decides by its first sentence, with confidence 1.
 */
export function findDecisions(sentences: readonly Sentence[], context: RuleContext): Decision[] {
  const decisions: Decision[] = [];
  const stated = context.message.type === 'DECISION';
  for (const [index, sentence] of sentences.entries()) {
    const certain = stated && index === 0;
    if (!certain && !mayHoldDecision.test(sentence.prose)) continue;
    const text = ruleText(sentence);
    const labelled = label.exec(text);
    const confidence = certain
      ? 1
      : labelled !== null && text.length > labelled[0].length
        ? 0.95
        : confidenceOf(text, context);
    if (confidence < context.threshold) continue;
    const decision = findingText(sentence.text.slice(labelled?.[0].length ?? 0));
    if (decision === '') continue;
    decisions.push({
      text: decision,
      confidence,
      messageId: context.message.messageId,
      madeBy: deciderOf(text, context),
    });
  }
  return decisions;
}

function confidenceOf(text: string, { knownNames }: RuleContext): number {
  let best = 0;
  const named = namedDecision.exec(text)?.[1]?.toLowerCase();
  if (named !== undefined && knownNames.has(named) && !isAsked(text)) best = 0.92;
  for (const [pattern, confidence] of cues) {
    if (confidence <= best) continue;
    const match = pattern.exec(text);
    if (match === null) continue;
    const doubtful = isAsked(text) || open.test(text.slice(0, match.index));
    best = Math.max(best, doubtful ? confidence / 2 : confidence);
  }
  return best;
}

function deciderOf(text: string, { message, knownNames }: RuleContext): string {
  const name = namedDecision.exec(text)?.[1];
  return name !== undefined && knownNames.has(name.toLowerCase()) ? name : message.senderId;
}

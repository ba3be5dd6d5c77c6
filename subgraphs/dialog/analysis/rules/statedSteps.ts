import type { Sentence } from '../text/document.ts';
import { findingText, isAsked, type RuleContext, ruleText } from './ruleSentence.ts';

/** A sentence in which a participant says what comes next. */
export interface StatedStep {
  /** Verbatim. */
  readonly text: string;
  readonly confidence: number;
  readonly messageId: string;
}

const announced =
  /^(?:\*\*|__)?(?:(?:the |our |my |as a )?next steps?(?: is| are| will be| would be| ?[:–—,])|next,? (?:we|I|let's|I'll|we'll)\b|from here,? (?:we|I)\b|up next\b)/i;

/** Announcements of the next step by English cues, confidence 0.8 (ours). */
export function findStatedSteps(sentences: readonly Sentence[], context: RuleContext): StatedStep[] {
  const steps: StatedStep[] = [];
  for (const sentence of sentences) {
    if (!/next|from here/i.test(sentence.prose)) continue;
    const text = ruleText(sentence);
    // A bare heading says nothing: three words must follow.
    if (isAsked(text) || sentence.words.length < 5 || !announced.test(text)) continue;
    if (0.8 >= context.threshold)
      steps.push({ text: findingText(sentence.text), confidence: 0.8, messageId: context.message.messageId });
  }
  return steps;
}

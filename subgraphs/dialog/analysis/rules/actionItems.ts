import { extractMentions } from '../entities.ts';
import type { Sentence } from '../text/document.ts';
import { extractDates, findDueDate } from './dates.ts';
import { findingText, isAsked, type RuleContext, ruleText } from './ruleSentence.ts';

export type ActionPriority = 'LOW' | 'NORMAL' | 'HIGH' | 'URGENT';

export interface ActionItem {
  /** Verbatim, without a label such as `TODO:`. */
  readonly action: string;
  /** The name mentioned or addressed, or the sender's id where the sender commits; null where nobody is named. */
  readonly assignedTo: string | null;
  /** ISO 8601 in UTC. */
  readonly dueDate: string | null;
  readonly priority: ActionPriority;
  readonly status: 'OPEN' | 'DONE';
  /** 0 to 1. */
  readonly confidence: number;
  readonly messageId: string;
}

interface Cue {
  readonly confidence: number;
  readonly assignedTo: string | null;
  readonly done: boolean;
  /** Characters of label before the action. */
  readonly skip: number;
}

const label = /^(?:\*\*|__)?(?:action items?|action|to-?do|follow[- ]?up)(?:\*\*|__)? ?[:–—] ?(?:\*\*|__)? ?/i;
const checkbox = /^\[([ xX]?)\] /;
const commitment =
  /\b(?:I will|I'll|I shall|I am going to|I'm going to|I can take|I'll take care of)(?: (?:now|also|then|first|just))? (?!be\b|not\b|never\b|have\b|probably\b|assume\b|say\b|admit\b|need\b|always\b)[a-z]/;
const request =
  /(?:^|[,:;.] |\b(?:so|and|then) )(?:please|kindly) (?!note|see|find|refer|feel|let|be\b|remember|wait|do not|don't|keep in)[a-z]/i;
const asked = /\b(?:could|can|would|will) you (?:please )?(?!be\b|tell me if|imagine|not\b)[a-z]/i;
const obligation =
  /^(?:so |then |also |next |first |and )?,? ?we (?:(?:all )?(?:still )?(?:need to|have to|must|should)|ought to) (?!not\b|be\b)[a-z]/i;
const personWill =
  /^@?([\p{L}][\p{L}\p{N}_.-]{1,40}),? (?:will|to|should|needs to|must|has to|is going to|(?:please|could you|can you)) (?!not\b|be\b|have\b)[a-z]/u;
const mayHoldAction =
  /\[[ xX]?\] |action|to-?do|follow|will|'ll|shall|going to|can take|please|kindly|could you|can you|would you|need|have to|must|should|ought/i;

const priorities: readonly (readonly [ActionPriority, RegExp])[] = [
  ['URGENT', /\b(?:urgent(?:ly)?|asap|immediately|right away|critical|blocker|p0)\b/i],
  ['LOW', /\b(?:low priority|nice to have|when you have (?:time|a moment)|no rush|not urgent|eventually|p3)\b/i],
  ['HIGH', /\b(?:high priority|important|top priority|must|p1)\b/i],
];

/**
 * Finds what somebody is to do, by English cues with a confidence each (ours): labels and open check boxes 0.95, a
 * message of type ACTION_ITEM 1, a commitment ("I will ...") 0.8, a request 0.75, a named person's duty 0.9 where the
 * name is a participant or mentioned and 0.6 otherwise, a duty of all ("we need to ...") 0.6. A due date adds 0.15, a
 * mention 0.1; a condition takes 0.15 away.
 */
export function findActionItems(sentences: readonly Sentence[], context: RuleContext): ActionItem[] {
  const items: ActionItem[] = [];
  const stated = context.message.type === 'ACTION_ITEM';
  for (const [index, sentence] of sentences.entries()) {
    if (!(stated && index === 0) && !mayHoldAction.test(sentence.prose)) continue;
    const text = ruleText(sentence);
    const cue =
      findCue(text, context) ??
      (stated && index === 0 ? { confidence: 1, assignedTo: null, done: false, skip: 0 } : null);
    if (cue === null) continue;
    const mention = extractMentions(text)[0] ?? null;
    const dueDate = findDueDate(extractDates(text, context.message.sentAt), context.message.sentAt);
    const raised =
      cue.confidence +
      (dueDate === null ? 0 : 0.15) +
      (mention === null ? 0 : 0.1) -
      (/^(?:if|when|unless)\b/i.test(text) ? 0.15 : 0);
    const confidence = stated && index === 0 ? 1 : Math.min(0.99, Math.round(raised * 100) / 100);
    if (confidence < context.threshold) continue;
    const action = findingText(sentence.text.slice(cue.skip));
    if (action === '') continue;
    items.push({
      action,
      assignedTo: cue.assignedTo ?? mention,
      dueDate,
      priority: priorityOf(text),
      status: cue.done ? 'DONE' : 'OPEN',
      confidence,
      messageId: context.message.messageId,
    });
  }
  return items;
}

function findCue(text: string, { message, knownNames }: RuleContext): Cue | null {
  const box = checkbox.exec(text);
  if (box !== null)
    return { confidence: 0.95, assignedTo: null, done: box[1]?.toLowerCase() === 'x', skip: box[0].length };
  const labelled = label.exec(text);
  if (labelled !== null)
    return {
      confidence: 0.95,
      assignedTo: addressed(text.slice(labelled[0].length), knownNames),
      done: false,
      skip: labelled[0].length,
    };
  if (commitment.test(text) && !isAsked(text))
    return { confidence: 0.8, assignedTo: message.senderId, done: false, skip: 0 };
  const person = personWill.exec(text);
  const name = person?.[1];
  if (name !== undefined && (text.startsWith('@') || knownNames.has(name.toLowerCase())))
    return { confidence: 0.9, assignedTo: name, done: false, skip: 0 };
  if (request.test(text) || asked.test(text))
    return { confidence: 0.75, assignedTo: addressed(text, knownNames), done: false, skip: 0 };
  if (obligation.test(text) && !isAsked(text)) return { confidence: 0.6, assignedTo: null, done: false, skip: 0 };
  // "Try to ..." is no name: an unknown one needs a verb of duty.
  if (name !== undefined && /^\p{Lu}\p{Ll}/u.test(name) && !notNames.has(name) && !bareInfinitive.test(text))
    return { confidence: 0.6, assignedTo: name, done: false, skip: 0 };
  return null;
}

const bareInfinitive = /^\S{2,42} to /;
const notNames = new Set(
  'The This That These Those It There Here We You They He She What Which Who How Why When Where If In On At To Next Then Also Everyone Someone Anyone Nobody All Each Both Users User Code Output Results Result Step And But So Or For As An One My Our Your Their Its No Yes Please Let Need'.split(
    ' ',
  ),
);

const address = /^@?([\p{L}][\p{L}\p{N}_.-]{1,40})[,:]? /u;

/** The participant whose name begins the text. */
function addressed(text: string, knownNames: ReadonlySet<string>): string | null {
  const name = address.exec(text)?.[1]?.replace(/[.,:-]+$/, '');
  return name !== undefined && (text.startsWith('@') || knownNames.has(name.toLowerCase())) ? name : null;
}

function priorityOf(text: string): ActionPriority {
  // LOW before HIGH and "not urgent" before "urgent".
  if (/\bnot urgent\b/i.test(text)) return 'LOW';
  return priorities.find(([, pattern]) => pattern.test(text))?.[0] ?? 'NORMAL';
}

import type { AnalysableMessage } from '../provider.ts';
import type { Sentence } from '../text/document.ts';

/** Rules read this much of a sentence: their cues stand at its beginning. */
const ruleChars = 1_000;
/** Longest text that a finding repeats. */
const findingChars = 500;

export interface RuleContext {
  readonly message: AnalysableMessage;
  /** Lower-case ids of participants as far as known: a name in it is surely a person. */
  readonly knownNames: ReadonlySet<string>;
  /** Findings below this confidence are left out. */
  readonly threshold: number;
}

/** The prose the rules match: bounded, white space collapsed, straight apostrophes. */
export function ruleText(sentence: Sentence): string {
  return sentence.prose.slice(0, ruleChars).replace(/\s+/g, ' ').replaceAll('’', "'").trim();
}

/** Verbatim, cut at 500 characters but never inside a surrogate pair. */
export function findingText(text: string): string {
  const cut = text.slice(0, findingChars);
  const last = cut.charCodeAt(cut.length - 1);
  return (text.length > findingChars && last >= 0xd800 && last <= 0xdbff ? cut.slice(0, -1) : cut).trim();
}

const questionEnd = /[?？]["')\]*_”’»]{0,5}$/;

export function isAsked(text: string): boolean {
  return questionEnd.test(text.trimEnd().slice(-6));
}

import { extractMentions } from '../entities.ts';
import { codeRanges } from '../text/codeRanges.ts';
import type { ContentFilter, FilterReason, FilterReasonCode } from './contentFilter.ts';

export interface SpamLimits {
  /** One letter or symbol in a row, outside code; rules of `-=_*#~.` and white space are free. @default 200 */
  readonly maxCharacterRun: number;
  /** Share of one word among the words, where there are at least `minRepetitionWords`. @default 0.6 */
  readonly maxWordShare: number;
  /** @default 40 */
  readonly minRepetitionWords: number;
  /** Links in a message that is mostly links. @default 20 */
  readonly maxUrls: number;
  /** Share of the visible characters that are links from which `maxUrls` applies. @default 0.7 */
  readonly maxUrlShare: number;
  /** Distinct mentions. @default 50 */
  readonly maxMentions: number;
  /** How many of the sender's recent texts may be equal to this one. @default 3 */
  readonly maxRepeats: number;
}

export const defaultSpamLimits: SpamLimits = {
  maxCharacterRun: 200,
  maxWordShare: 0.6,
  minRepetitionWords: 40,
  maxUrls: 20,
  maxUrlShare: 0.7,
  maxMentions: 50,
  maxRepeats: 3,
};

const wordChars = 40_000;

/**
 * Spam by form, not by subject: floods of one character, word, link or mention, and the same text over and over. The
 * limits leave logs, tables and lists of search results alone.
 */
export function createSpamFilter(limits: Partial<SpamLimits> = {}): ContentFilter {
  const rules = { ...defaultSpamLimits, ...limits };
  return {
    name: 'spam',
    check: ({ text, recentTexts = [] }) => {
      const reasons: FilterReason[] = [];
      const refuse = (code: FilterReasonCode, detail: string): void => {
        reasons.push({ filter: 'spam', code, action: 'REJECT', detail });
      };
      const prose = withoutCode(text);
      const run = longestRun(prose);
      if (run > rules.maxCharacterRun)
        refuse('CHARACTER_FLOOD', `One character ${run} times in a row; at most ${rules.maxCharacterRun}.`);
      const { share, words } = mostFrequentWord(prose);
      if (words >= rules.minRepetitionWords && share > rules.maxWordShare) {
        refuse(
          'WORD_REPETITION',
          `One word is ${Math.round(share * 100)} % of ${words}; at most ${Math.round(rules.maxWordShare * 100)} %.`,
        );
      }
      const links = measureLinks(text);
      if (links.count > rules.maxUrls && links.share > rules.maxUrlShare) {
        refuse('URL_FLOOD', `${links.count} links and little else; at most ${rules.maxUrls}.`);
      }
      const mentions = extractMentions(text).length;
      if (mentions > rules.maxMentions) refuse('MENTION_FLOOD', `${mentions} mentions; at most ${rules.maxMentions}.`);
      const repeats = countEqual(text, recentTexts);
      if (repeats >= rules.maxRepeats)
        refuse('REPEATED_MESSAGE', `The same text ${repeats} times before; at most ${rules.maxRepeats - 1}.`);
      return reasons;
    },
  };
}

function withoutCode(text: string): string {
  let prose = '';
  let start = 0;
  for (const range of codeRanges(text)) {
    prose += `${text.slice(start, range.start)} `;
    start = range.end;
  }
  return start === 0 ? text : prose + text.slice(start);
}

const rulers = '-=_*#~.+─━═│┃•· \t\n\r';

function longestRun(text: string): number {
  let longest = 0;
  let run = 0;
  let previous = -1;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    // The halves of a surrogate pair are compared with the halves before them.
    const same =
      code === previous || (code >= 0xd800 && code <= 0xdfff && index > 1 && code === text.charCodeAt(index - 2));
    run = same ? run + 1 : 1;
    previous = code;
    if (run > longest && !rulers.includes(text.charAt(index))) longest = run;
  }
  return longest;
}

function mostFrequentWord(text: string): { share: number; words: number } {
  const counts = new Map<string, number>();
  let words = 0;
  let most = 0;
  for (const [word] of text.slice(0, wordChars).matchAll(/[\p{L}\p{N}]+/gu)) {
    words++;
    const key = word.slice(0, 64).toLowerCase();
    const count = (counts.get(key) ?? 0) + 1;
    counts.set(key, count);
    // Columns of numbers repeat by nature.
    if (count > most && !/^\d/.test(key)) most = count;
  }
  return { share: words === 0 ? 0 : most / words, words };
}

function measureLinks(text: string): { count: number; share: number } {
  if (!text.includes('://')) return { count: 0, share: 0 };
  let count = 0;
  let chars = 0;
  for (const [link] of text.matchAll(/https?:\/\/[^\s<>"'`]+/g)) {
    count++;
    chars += link.length;
  }
  return { count, share: chars / Math.max(1, text.replace(/\s/g, '').length) };
}

/** Equal up to case and white space. */
function countEqual(text: string, recentTexts: readonly string[]): number {
  if (recentTexts.length === 0) return 0;
  const canonical = (value: string): string => value.trim().replace(/\s+/g, ' ').toLowerCase();
  const wanted = canonical(text);
  if (wanted === '') return 0;
  return recentTexts.filter(
    (other) => Math.abs(other.length - text.length) <= text.length && canonical(other) === wanted,
  ).length;
}

import type { Sentence } from '../text/document.ts';

export interface Keyword {
  /** Lower-case words joined by single spaces. */
  readonly phrase: string;
  /** Sum of degree/frequency of its words; comparable within one text only. */
  readonly score: number;
  readonly frequency: number;
}

/** Longer runs are lists or titles rather than phrases; they count for degrees but are no keyword (ours). */
const maxPhraseWords = 4;
/**
 * RAKE (Rose, Engel, Cramer & Cowley 2010): a word scores degree / frequency, where its degree is the summed length of
 * the candidate phrases it stands in; a phrase scores the sum of its words. Ties in alphabetical order.
 */
export function extractKeywords(sentences: readonly Sentence[], maxKeywords: number): Keyword[] {
  const phrases = sentences.flatMap((sentence) => sentence.phrases);
  const frequency = new Map<string, number>();
  const degree = new Map<string, number>();
  const occurrences = new Map<string, { words: readonly string[]; count: number }>();
  for (const words of phrases) {
    for (const word of words) {
      frequency.set(word, (frequency.get(word) ?? 0) + 1);
      degree.set(word, (degree.get(word) ?? 0) + words.length);
    }
    if (words.length > maxPhraseWords) continue;
    const phrase = words.join(' ');
    const seen = occurrences.get(phrase);
    if (seen === undefined) occurrences.set(phrase, { words, count: 1 });
    else seen.count++;
  }
  const keywords: Keyword[] = [];
  for (const [phrase, { words, count }] of occurrences) {
    let score = 0;
    for (const word of words) score += (degree.get(word) ?? 0) / (frequency.get(word) ?? 1);
    keywords.push({ phrase, score, frequency: count });
  }
  return keywords.sort(byScore).slice(0, Math.max(0, maxKeywords));
}

function byScore(left: Keyword, right: Keyword): number {
  return right.score - left.score || right.frequency - left.frequency || (left.phrase < right.phrase ? -1 : 1);
}

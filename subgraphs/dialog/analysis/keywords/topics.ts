import type { Sentence } from '../text/document.ts';
import { countTerms, type TermCounts, type TermWeights } from './tfidf.ts';

export interface Topic {
  readonly topic: string;
  /** 0 to 1, relative to the strongest topic. */
  readonly score: number;
  /** In how many messages it is named. */
  readonly messageCount: number;
}

const maxPhraseWords = 3;
/** Distinct terms read of one message; bounds the cost of a pasted word list. */
const maxTermsPerMessage = 1_000;

/** The terms of a message: its content words and its phrases of two or three of them. */
export function topicTerms(sentences: readonly Sentence[]): TermCounts {
  const terms: string[] = [];
  for (const { phrases } of sentences) {
    for (const phrase of phrases) {
      for (const word of phrase) if (word.length > 2) terms.push(word);
      if (phrase.length > 1 && phrase.length <= maxPhraseWords) terms.push(phrase.join(' '));
    }
    if (terms.length >= maxTermsPerMessage) break;
  }
  return countTerms(terms.slice(0, maxTermsPerMessage));
}

/**
 * The strongest terms by summed TF-IDF, phrases preferred by 1 + log2 of their length (after the C-value of Frantzi,
 * Ananiadou & Mima 2000), chosen greedily so that no two share a word. A phrase must occur in two messages, unless
 * there are fewer than four. Ties in alphabetical order.
 */
export function rankTopics(
  { total, documentFrequency }: TermWeights,
  documentCount: number,
  maxTopics: number,
): Topic[] {
  const minDocuments = documentCount < 4 ? 1 : 2;
  const ranked: { term: string; words: string[]; score: number }[] = [];
  for (const [term, weight] of total) {
    const words = term.split(' ');
    if (words.length > 1 && (documentFrequency.get(term) ?? 0) < minDocuments) continue;
    ranked.push({ term, words, score: weight * (1 + Math.log2(words.length)) });
  }
  ranked.sort((left, right) => right.score - left.score || (left.term < right.term ? -1 : 1));
  const best = ranked[0]?.score ?? 1;
  const topics: Topic[] = [];
  const used = new Set<string>();
  for (const { term, words, score } of ranked) {
    if (topics.length >= maxTopics) break;
    if (words.some((word) => used.has(stem(word)))) continue;
    for (const word of words) used.add(stem(word));
    topics.push({
      topic: term,
      score: Math.round((score / best) * 10_000) / 10_000,
      messageCount: documentFrequency.get(term) ?? 0,
    });
  }
  return topics;
}

/** Joins singular and plural, no more: `film` and `films` are one topic. */
function stem(word: string): string {
  return word.length > 3 && word.endsWith('s') && !word.endsWith('ss') ? word.slice(0, -1) : word;
}

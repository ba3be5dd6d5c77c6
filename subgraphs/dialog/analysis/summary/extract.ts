import { type Candidate, readingOrder } from './candidates.ts';
import { rankSentences } from './textRank.ts';

export interface SummarySentence {
  /** Verbatim from the message. */
  readonly text: string;
  readonly messageId: string;
  readonly sequence: number;
  readonly senderId: string;
  /** TextRank score. */
  readonly score: number;
}

/** Two sentences that share more than this of their words (Jaccard 1901) say the same; the better one stays (ours). */
const redundancyLimit = 0.5;

/** The best sentences by TextRank over content words, without near repetitions, in reading order. */
export function extractSentences(candidates: readonly Candidate[], maxSentences: number): SummarySentence[] {
  const { scores } = rankSentences(candidates.map(({ sentence }) => sentence.contentWords));
  const ranked = candidates
    .map((candidate, index) => ({
      candidate,
      score: scores[index] ?? 0,
      words: new Set(candidate.sentence.contentWords),
    }))
    .sort((left, right) => right.score - left.score || readingOrder(left.candidate, right.candidate));
  const chosen: typeof ranked = [];
  for (const entry of ranked) {
    if (chosen.length >= maxSentences) break;
    if (chosen.every(({ words }) => jaccard(words, entry.words) <= redundancyLimit)) chosen.push(entry);
  }
  return chosen
    .sort((left, right) => readingOrder(left.candidate, right.candidate))
    .map(({ candidate: { message, sentence }, score }) => ({
      text: sentence.text,
      messageId: message.messageId,
      sequence: message.sequence,
      senderId: message.senderId,
      score,
    }));
}

function jaccard(left: ReadonlySet<string>, right: ReadonlySet<string>): number {
  let common = 0;
  for (const word of left) if (right.has(word)) common++;
  const union = left.size + right.size - common;
  return union === 0 ? 0 : common / union;
}

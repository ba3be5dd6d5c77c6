import type { AnalysableMessage } from '../provider.ts';
import type { Sentence } from '../text/document.ts';

/** A sentence of a message that may stand in a summary. */
export interface EligibleSentence {
  /** Verbatim. */
  readonly text: string;
  /** Where it begins, for the reading order within the message. */
  readonly start: number;
  readonly contentWords: readonly string[];
  readonly wordCount: number;
  /** A remark too short to stand for a subject; taken only where the dialog holds nothing longer. */
  readonly short: boolean;
}

export interface Candidate {
  readonly message: AnalysableMessage;
  /** Position of the message among those summarised. */
  readonly messageIndex: number;
  readonly sentence: EligibleSentence;
}

const minContentWords = 4;
const minChars = 20;
const maxChars = 400;
/** Candidates taken from each stretch of the dialog. */
const perBucket = 5;

/** Sentences of at most 400 characters; `short` below 20 characters or 4 content words. None of a SYSTEM sender. */
export function eligibleSentences(message: AnalysableMessage, sentences: readonly Sentence[]): EligibleSentence[] {
  if (message.senderType === 'SYSTEM') return [];
  return sentences
    .filter(({ text }) => text.length <= maxChars)
    .map(({ text, start, contentWords, words }) => ({
      text,
      start,
      contentWords,
      wordCount: words.length,
      short: text.length < minChars || contentWords.length < minContentWords,
    }));
}

/**
 * Chooses at most `maxCandidates` sentences for TextRank, whose cost is quadratic, without repetitions and short
 * remarks. If more are left, the messages are cut into maxCandidates / 5 stretches of equal length and each gives its
 * 5 sentences of greatest mean TF-IDF weight (the centroid value of Radev et al. 2004), so that no part of a long
 * dialog is left out; what short stretches leave free goes to the best of the rest. In reading order.
 */
export function chooseCandidates(
  messages: readonly AnalysableMessage[],
  eligible: readonly (readonly EligibleSentence[])[],
  options: { readonly weights: ReadonlyMap<string, number>; readonly maxCandidates: number },
): Candidate[] {
  const distinct = distinctSentences(messages, eligible);
  if (distinct.length <= options.maxCandidates) return distinct;
  const stretches = Math.max(1, Math.floor(options.maxCandidates / perBucket));
  const rated = distinct.map((candidate) => ({ candidate, value: meanWeight(candidate.sentence, options.weights) }));
  const buckets = Map.groupBy(rated, ({ candidate }) =>
    Math.floor((candidate.messageIndex * stretches) / messages.length),
  );
  const byValue = (left: (typeof rated)[number], right: (typeof rated)[number]): number =>
    right.value - left.value || readingOrder(left.candidate, right.candidate);
  const chosen: Candidate[] = [];
  const rest: typeof rated = [];
  for (const bucket of buckets.values()) {
    bucket.sort(byValue);
    for (const [rank, entry] of bucket.entries()) {
      if (rank < perBucket) chosen.push(entry.candidate);
      else if (rank < options.maxCandidates) rest.push(entry);
    }
  }
  const free = Math.max(0, options.maxCandidates - chosen.length);
  if (free > 0) for (const { candidate } of rest.sort(byValue).slice(0, free)) chosen.push(candidate);
  return chosen.slice(0, options.maxCandidates).sort(readingOrder);
}

export function readingOrder(left: Candidate, right: Candidate): number {
  return left.messageIndex - right.messageIndex || left.sentence.start - right.sentence.start;
}

/** Said for the first time; a dialog of nothing but short remarks is still summarised, by its remarks. */
function distinctSentences(
  messages: readonly AnalysableMessage[],
  eligible: readonly (readonly EligibleSentence[])[],
): Candidate[] {
  const onlyShort = eligible.every((sentences) => sentences.every(({ short }) => short));
  const distinct: Candidate[] = [];
  const seen = new Set<string>();
  for (const [messageIndex, sentences] of eligible.entries()) {
    const message = messages[messageIndex];
    if (message === undefined) continue;
    for (const sentence of sentences) {
      if (sentence.short !== onlyShort || seen.has(sentence.text)) continue;
      seen.add(sentence.text);
      distinct.push({ message, messageIndex, sentence });
    }
  }
  return distinct;
}

function meanWeight({ contentWords, wordCount }: EligibleSentence, weights: ReadonlyMap<string, number>): number {
  let sum = 0;
  for (const [index, word] of contentWords.entries())
    if (contentWords.indexOf(word) === index) sum += weights.get(word) ?? 0;
  return wordCount === 0 ? 0 : sum / wordCount;
}

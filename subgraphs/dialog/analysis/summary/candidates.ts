import type { AnalysableMessage } from '../provider.ts';
import type { Sentence, TextDocument } from '../text/document.ts';

export interface Candidate {
  readonly message: AnalysableMessage;
  /** Position of the message among those summarised. */
  readonly messageIndex: number;
  readonly sentence: Sentence;
}

const minContentWords = 4;
const minChars = 20;
const maxChars = 400;
/** Candidates taken from each stretch of the dialog. */
const perBucket = 5;

/**
 * Chooses at most `maxCandidates` sentences for TextRank, whose cost is quadratic. Eligible: 20 to 400 characters, at
 * least 4 content words, not of a SYSTEM sender, not said before. If more are eligible, the messages are cut into
 * maxCandidates / 5 stretches of equal length and each gives its 5 sentences of greatest mean TF-IDF weight (the
 * centroid value of Radev et al. 2004), so that no part of a long dialog is left out; what short stretches leave free
 * goes to the best of the rest. In reading order.
 */
export function chooseCandidates(
  messages: readonly AnalysableMessage[],
  documents: readonly TextDocument[],
  options: { readonly weights: ReadonlyMap<string, number>; readonly maxCandidates: number },
): Candidate[] {
  const eligible = eligibleSentences(messages, documents, options.maxCandidates);
  if (eligible.length <= options.maxCandidates) return eligible;
  const stretches = Math.max(1, Math.floor(options.maxCandidates / perBucket));
  const value = new Map(eligible.map((candidate) => [candidate, meanWeight(candidate.sentence, options.weights)]));
  const buckets = Map.groupBy(eligible, ({ messageIndex }) => Math.floor((messageIndex * stretches) / messages.length));
  const byValue = (left: Candidate, right: Candidate): number =>
    (value.get(right) ?? 0) - (value.get(left) ?? 0) || readingOrder(left, right);
  const chosen: Candidate[] = [];
  const rest: Candidate[] = [];
  for (const bucket of buckets.values()) {
    bucket.sort(byValue);
    chosen.push(...bucket.slice(0, perBucket));
    for (const candidate of bucket.slice(perBucket)) rest.push(candidate);
  }
  rest.sort(byValue);
  chosen.push(...rest.slice(0, Math.max(0, options.maxCandidates - chosen.length)));
  return chosen.slice(0, options.maxCandidates).sort(readingOrder);
}

export function readingOrder(left: Candidate, right: Candidate): number {
  return left.messageIndex - right.messageIndex || left.sentence.start - right.sentence.start;
}

function eligibleSentences(
  messages: readonly AnalysableMessage[],
  documents: readonly TextDocument[],
  wanted: number,
): Candidate[] {
  const strict: Candidate[] = [];
  const lenient: Candidate[] = [];
  const seen = new Set<string>();
  for (const [messageIndex, document] of documents.entries()) {
    const message = messages[messageIndex];
    if (message === undefined || message.senderType === 'SYSTEM') continue;
    for (const sentence of document.sentences) {
      const { text, contentWords, words } = sentence;
      if (text.length > maxChars) continue;
      const short = text.length < minChars || contentWords.length < minContentWords;
      if (short && lenient.length >= wanted) continue;
      const key = words.join(' ');
      if (seen.has(key)) continue;
      seen.add(key);
      if (short) lenient.push({ message, messageIndex, sentence });
      else strict.push({ message, messageIndex, sentence });
    }
  }
  // A dialog of nothing but short remarks is still summarised, by its remarks.
  return strict.length > 0 ? strict : lenient;
}

function meanWeight(sentence: Sentence, weights: ReadonlyMap<string, number>): number {
  let sum = 0;
  for (const word of new Set(sentence.contentWords)) sum += weights.get(word) ?? 0;
  return sentence.words.length === 0 ? 0 : sum / sentence.words.length;
}

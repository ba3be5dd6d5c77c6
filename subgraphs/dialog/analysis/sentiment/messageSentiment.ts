import type { Sentence } from '../text/document.ts';
import type { Polarity } from './vader.ts';

export type SentimentLabel = 'POSITIVE' | 'NEUTRAL' | 'NEGATIVE';

export interface Sentiment {
  /** -1 to 1: the mean of the sentences' compounds. */
  readonly compound: number;
  readonly positive: number;
  readonly neutral: number;
  readonly negative: number;
  /** POSITIVE from 0.05, NEGATIVE from -0.05 (the thresholds of Hutto & Gilbert 2014). */
  readonly label: SentimentLabel;
  /** 0 to 1. */
  readonly confidence: number;
  /** Whether the confidence reaches the configured threshold. */
  readonly assured: boolean;
}

export interface SentimentOptions {
  /** 0 to 1. */
  readonly threshold: number;
  /** The text is in a language the lexicon does not know: the confidence is 0. */
  readonly foreign: boolean;
}

/**
 * Aggregates VADER over sentences by their mean, as its authors do for longer texts. The confidence is ours: for a
 * polar label the share of compounds that point its way, times 1 - 2^-n for n opinion words (one word is weak
 * evidence); for a neutral one 1 less the mean strength of the sentences' compounds.
 */
export function scoreSentiment(
  sentences: readonly Sentence[],
  vader: (sentence: string) => Polarity,
  options: SentimentOptions,
): Sentiment {
  let compound = 0;
  let positive = 0;
  let neutral = 0;
  let negative = 0;
  let hits = 0;
  let upward = 0;
  let downward = 0;
  for (const { prose } of sentences) {
    const polarity = vader(prose);
    compound += polarity.compound;
    positive += polarity.positive;
    neutral += polarity.neutral;
    negative += polarity.negative;
    hits += polarity.hits;
    if (polarity.compound > 0) upward += polarity.compound;
    else downward -= polarity.compound;
  }
  const count = Math.max(sentences.length, 1);
  const mean = compound / count;
  const label: SentimentLabel = mean >= 0.05 ? 'POSITIVE' : mean <= -0.05 ? 'NEGATIVE' : 'NEUTRAL';
  const strength = upward + downward;
  const evidence =
    label === 'NEUTRAL'
      ? 1 - strength / count
      : ((label === 'POSITIVE' ? upward : downward) / strength) * (1 - 2 ** -hits);
  const confidence = options.foreign || sentences.length === 0 ? 0 : evidence;
  return {
    compound: round4(mean),
    positive: round4(positive / count),
    neutral: round4(neutral / count),
    negative: round4(negative / count),
    label,
    confidence: round4(confidence),
    assured: confidence >= options.threshold,
  };
}

function round4(value: number): number {
  return Math.round(value * 10_000) / 10_000 + 0;
}

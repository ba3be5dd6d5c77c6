import type { AnalysableMessage } from '../provider.ts';

export interface SentimentBucket {
  readonly fromSequence: number;
  readonly toSequence: number;
  readonly fromSentAt: string;
  readonly toSentAt: string;
  readonly messageCount: number;
  /** -1 to 1. */
  readonly meanCompound: number;
}

export interface SentimentProgression {
  readonly overall: number;
  readonly trend: 'IMPROVING' | 'STABLE' | 'DECLINING';
  readonly buckets: readonly SentimentBucket[];
}

/** A change of the mean between the halves of a dialog below this is noise: twice VADER's neutral band (ours). */
const trendThreshold = 0.1;

/**
 * Mean compound per bucket of equally many messages in sequence order; the trend compares the means of the first and
 * second half of the messages. `compounds` runs parallel to `messages`.
 */
export function progressSentiment(
  messages: readonly AnalysableMessage[],
  compounds: readonly number[],
  maxBuckets: number,
): SentimentProgression {
  const count = Math.min(Math.max(1, Math.floor(maxBuckets)), messages.length);
  const buckets: SentimentBucket[] = [];
  for (let bucket = 0; bucket < count; bucket++) {
    const from = Math.floor((bucket * messages.length) / count);
    const to = Math.floor(((bucket + 1) * messages.length) / count);
    const first = messages[from];
    const last = messages[to - 1];
    if (first === undefined || last === undefined) continue;
    buckets.push({
      fromSequence: first.sequence,
      toSequence: last.sequence,
      fromSentAt: first.sentAt,
      toSentAt: last.sentAt,
      messageCount: to - from,
      meanCompound: round4(mean(compounds.slice(from, to))),
    });
  }
  const half = Math.floor(compounds.length / 2);
  const change = half === 0 ? 0 : mean(compounds.slice(half)) - mean(compounds.slice(0, half));
  const trend = change >= trendThreshold ? 'IMPROVING' : change <= -trendThreshold ? 'DECLINING' : 'STABLE';
  return { overall: round4(mean(compounds)), trend, buckets };
}

function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;
}

function round4(value: number): number {
  return Math.round(value * 10_000) / 10_000 + 0;
}

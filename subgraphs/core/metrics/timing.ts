/** How long something took, out of what was recorded of it. */
export interface Timing {
  readonly samples: number;
  readonly medianMs: number;
  /** Between these the median lies, with `confidence`. */
  readonly lowMs: number;
  readonly highMs: number;
  /** 0 to 1. */
  readonly confidence: number;
}

export interface Bucket {
  readonly bucket: number;
  readonly count: number;
}

/** Each bucket reaches a twentieth further than the one before it (DDSketch; Masson, Rim and Lee, VLDB 2019). */
const growth = 1.05;
const logGrowth = Math.log(growth);
/** Of so many the interval by ranks has its confidence. */
const enough = 6;

export const bucketOf = (ms: number): number => (ms <= 1 ? 0 : Math.ceil(Math.log(ms) / logGrowth));

/** What all of a bucket counts as: at most 2.5 % off. */
const middleOf = (bucket: number): number => (bucket === 0 ? 1 : (2 * growth ** bucket) / (growth + 1));

/**
 * The median, which a few that hung do not move, and the interval that holds it whatever the distribution is: between two
 * ranks, by the binomial of how many lie below (95 %); of fewer than six the least and the greatest.
 * @returns null of nothing
 */
export function timingOf(buckets: readonly Bucket[]): Timing | null {
  const sorted = buckets.toSorted((one, other) => one.bucket - other.bucket);
  const samples = sorted.reduce((sum, { count }) => sum + count, 0);
  if (samples === 0) return null;
  /** @param rank from 1 */
  const at = (rank: number): number => {
    let passed = 0;
    for (const { bucket, count } of sorted) {
      passed += count;
      if (passed >= rank) return middleOf(bucket);
    }
    return middleOf(sorted.at(-1)!.bucket);
  };
  const medianMs = (at(Math.floor((samples + 1) / 2)) + at(Math.ceil((samples + 1) / 2))) / 2;
  if (samples < enough)
    return { samples, medianMs, lowMs: at(1), highMs: at(samples), confidence: 1 - 2 ** (1 - samples) };
  const reach = (1.96 * Math.sqrt(samples)) / 2;
  return {
    ...{ samples, medianMs, confidence: 0.95 },
    lowMs: at(Math.max(1, Math.floor(samples / 2 - reach))),
    highMs: at(Math.min(samples, Math.ceil(samples / 2 + 1 + reach))),
  };
}

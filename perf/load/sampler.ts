import type { Random } from './random.ts';

/** Draws indexes 0 .. size - 1. */
export interface Sampler {
  readonly size: number;
  sample(random: Random): number;
}

/**
 * Draws index i with a probability proportional to weights[i], in constant time: Walker's alias method (1974), tables
 * built as by Vose (1991).
 */
export function createWeightedSampler(weights: ArrayLike<number>): Sampler {
  const size = weights.length;
  let total = 0;
  for (let i = 0; i < size; i += 1) {
    const weight = weights[i]!;
    if (!(weight >= 0)) throw new Error(`expected weights >= 0, got ${weight} at ${i}`);
    total += weight;
  }
  if (!(total > 0)) throw new Error('expected weights with a positive sum');
  const probability = new Float64Array(size);
  const alias = new Uint32Array(size);
  const small: number[] = [];
  const large: number[] = [];
  for (let i = 0; i < size; i += 1) {
    probability[i] = (weights[i]! * size) / total;
    (probability[i]! < 1 ? small : large).push(i);
  }
  while (small.length > 0 && large.length > 0) {
    const low = small.pop()!;
    const high = large[large.length - 1]!;
    alias[low] = high;
    probability[high] = probability[high]! + probability[low]! - 1;
    if (probability[high]! < 1) small.push(large.pop()!);
  }
  // What is left is 1 up to rounding.
  for (const rest of [...small, ...large]) probability[rest] = 1;
  return {
    size,
    sample(random) {
      const column = random.integer(size);
      return random.next() < probability[column]! ? column : alias[column]!;
    },
  };
}

/** Zipf's law over ranks 0 .. size - 1: P(rank) proportional to 1 / (rank + 1)^exponent. */
export function createZipf(size: number, exponent = 1): Sampler {
  return createWeightedSampler(Float64Array.from({ length: size }, (_, rank) => (rank + 1) ** -exponent));
}

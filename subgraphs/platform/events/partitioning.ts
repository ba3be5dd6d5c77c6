import { createHash } from 'node:crypto';

const jump = 1n << 31n;
const mask = (1n << 64n) - 1n;

/**
 * The partition of a key among `count` (Lamping & Veach, A Fast, Minimal Memory, Consistent Hash Algorithm, 2014): of a
 * count that grows by one only the keys move that go to the new partition.
 */
export function partitionOf(key: string, count: number): number {
  let state = createHash('sha256').update(key).digest().readBigUInt64BE();
  let [bucket, next] = [-1, 0];
  while (next < count) {
    bucket = next;
    state = (state * 2862933555777941757n + 1n) & mask;
    next = Math.floor((bucket + 1) * (Number(jump) / (Number(state >> 33n) + 1)));
  }
  return bucket;
}

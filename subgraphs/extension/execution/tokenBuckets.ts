import { PlatformError } from '#shared/errors.ts';
import { createLru } from '#shared/lru.ts';

interface Bucket {
  tokens: number;
  atMs: number;
}

const maxBuckets = 50_000;

/** A token bucket for each key: a minute's worth at once, filled evenly (Turner 1986). */
export function createTokenBuckets(perMinute: number) {
  const buckets = createLru<Bucket>(maxBuckets);
  const perMs = perMinute / 60_000;
  return {
    /** @throws {RATE_LIMITED} saying when there is one again */
    take(key: string, nowMs = performance.now()): void {
      const bucket = buckets.get(key) ?? { tokens: perMinute, atMs: nowMs };
      bucket.tokens = Math.min(perMinute, bucket.tokens + (nowMs - bucket.atMs) * perMs);
      bucket.atMs = nowMs;
      buckets.set(key, bucket);
      if (bucket.tokens < 1)
        throw new PlatformError('RATE_LIMITED', `more than ${perMinute} calls of a capability in a minute`, {
          retryAfterMs: Math.ceil((1 - bucket.tokens) / perMs),
        });
      bucket.tokens -= 1;
    },
  };
}

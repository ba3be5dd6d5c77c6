import type { Redis } from 'ioredis';
import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible';
import { createLru } from '#shared/lru.ts';

/** What a key may still spend, as the `x-ratelimit-*` headers say it. */
export interface Standing {
  readonly allowed: boolean;
  readonly limit: number;
  readonly remaining: number;
  /** Time until the window ends, ms. */
  readonly resetMs: number;
}

export interface RateLimiterOptions {
  /** Names the bucket among others in the same Redis. */
  readonly name: string;
  /** Units a key may spend in each window; looked at whenever some are taken. */
  readonly limit: number | (() => number);
  readonly windowMs: number;
  /** Shares the count between instances; without it, and while it does not answer, each counts for itself. */
  readonly redis?: Redis | undefined;
}

export interface RateLimiter {
  /**
   * Answers at once while a lease covers the cost. A cost over the limit counts as the limit. A cost of 0 takes nothing:
   * it is refused where nothing is left as far as is known here.
   */
  take(key: string, cost: number): Standing | Promise<Standing>;
}

interface Lease {
  left: number;
  /** Left in the shared count when the lease was made. */
  shared: number;
  endsAtMs: number;
  refused: boolean;
  pending: Promise<void> | null;
}

/** Parts of a window that are leased at a time: so much of a limit may lie unspent with each instance. */
const leasesPerWindow = 50;
const maxKeys = 50_000;

/**
 * Fixed windows over keys, counted by rate-limiter-flexible in Redis or in the process. What is counted is leased in
 * batches and spent here, so that few requests wait for a round trip.
 */
export function createRateLimiter(options: RateLimiterOptions): RateLimiter {
  const { windowMs, name, redis } = options;
  const limitNow = () => (typeof options.limit === 'function' ? options.limit() : options.limit);
  const counts = { points: limitNow(), duration: windowMs / 1000, keyPrefix: `mplp:rate:${name}` };
  const inProcess = new RateLimiterMemory(counts);
  const counter =
    redis === undefined
      ? inProcess
      : new RateLimiterRedis({
          ...counts,
          storeClient: redis,
          insuranceLimiter: inProcess,
          rejectIfRedisNotReady: true,
        });
  const leases = createLru<Lease>(maxKeys);

  const leaseOf = (key: string): Lease => {
    const known = leases.get(key);
    if (known && (known.pending !== null || known.endsAtMs > performance.now())) return known;
    const fresh: Lease = {
      left: 0,
      shared: limitNow(),
      endsAtMs: performance.now() + windowMs,
      refused: false,
      pending: null,
    };
    leases.set(key, fresh);
    return fresh;
  };

  const covers = ({ left, refused }: Lease, cost: number) => left >= cost && (cost > 0 || left >= 1 || !refused);

  const standing = (lease: Lease, allowed: boolean): Standing => ({
    allowed,
    limit: limitNow(),
    remaining: Math.max(0, Math.floor(lease.left + lease.shared)),
    resetMs: Math.max(0, Math.ceil(lease.endsAtMs - performance.now())),
  });

  /** What has been asked for is counted even when it is refused, so a refusal takes what was left before it. */
  async function renew(key: string, lease: Lease, cost: number): Promise<void> {
    const limit = limitNow();
    if (counter.points !== limit) {
      counter.points = limit;
      inProcess.points = limit;
    }
    const asked = Math.max(1, Math.floor(limit / leasesPerWindow), cost - lease.left);
    const counted = await counter.consume(key, asked).catch((refusal: unknown) => {
      if (refusal instanceof RateLimiterRes) return refusal;
      throw refusal;
    });
    const free = limit - (counted.consumedPoints - asked);
    lease.left += Math.max(0, Math.min(asked, free));
    lease.shared = Math.max(0, limit - counted.consumedPoints);
    lease.endsAtMs = performance.now() + counted.msBeforeNext;
    lease.refused = free < asked;
  }

  async function takeRenewed(key: string, cost: number): Promise<Standing> {
    for (;;) {
      const lease = leaseOf(key);
      if (covers(lease, cost)) {
        lease.left -= cost;
        return standing(lease, true);
      }
      if (lease.refused && lease.pending === null) return standing(lease, false);
      lease.pending ??= renew(key, lease, cost).finally(() => {
        lease.pending = null;
      });
      await lease.pending;
    }
  }

  return {
    take(key, wanted) {
      const cost = Math.min(wanted, limitNow());
      const lease = leaseOf(key);
      if (lease.pending === null) {
        if (covers(lease, cost)) {
          lease.left -= cost;
          return standing(lease, true);
        }
        if (lease.refused) return standing(lease, false);
      }
      return takeRenewed(key, cost);
    },
  };
}

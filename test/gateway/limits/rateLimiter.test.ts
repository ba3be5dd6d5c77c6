import { Redis } from 'ioredis';
import { describe, expect, inject, it } from 'vitest';
import { createRateLimiter, type RateLimiterOptions } from '../../../gateway/limits/rateLimiter.ts';

const unused = () => `test-${crypto.randomUUID()}`;
const windowMs = 60_000;

async function spend(limiter: ReturnType<typeof createRateLimiter>, key: string, costs: readonly number[]) {
  let allowed = 0;
  for (const cost of costs) if ((await limiter.take(key, cost)).allowed) allowed += cost;
  return allowed;
}

describe.each(['in the process', 'in Redis'])('rates counted %s', (where) => {
  async function withRedis<T>(work: (options: Pick<RateLimiterOptions, 'redis'>) => Promise<T>): Promise<T> {
    if (where === 'in the process') return work({});
    const redis = new Redis(inject('redisUrl'));
    await redis.ping();
    return work({ redis }).finally(() => redis.disconnect());
  }

  it('let through exactly the limit of each key, however it is cut', async () => {
    await withRedis(async (options) => {
      for (const costs of [Array(150).fill(1), Array(40).fill(7), [99, 1, 1], [60, 60, 40]]) {
        const limiter = createRateLimiter({ ...options, name: unused(), limit: 100, windowMs });
        const sum = costs.reduce((total: number, cost: number) => total + cost, 0);
        const allowed = await spend(limiter, 'a', costs);
        expect(allowed).toBeLessThanOrEqual(100);
        // What is refused may leave less than one cost unspent.
        expect(allowed).toBeGreaterThan(Math.min(sum, 100) - Math.max(...costs));
        expect((await limiter.take('b', 1)).allowed).toBe(true);
      }
    });
  });

  it('take those who ask at the same time one after the other', async () => {
    await withRedis(async (options) => {
      const limiter = createRateLimiter({ ...options, name: unused(), limit: 100, windowMs });
      const answers = await Promise.all(Array.from({ length: 300 }, () => limiter.take('a', 1)));
      expect(answers.filter((answer) => answer.allowed)).toHaveLength(100);
    });
  });

  it('say what is left and when it comes back', async () => {
    await withRedis(async (options) => {
      const limiter = createRateLimiter({ ...options, name: unused(), limit: 10, windowMs });
      expect(await limiter.take('a', 4)).toMatchObject({ allowed: true, limit: 10, remaining: 6 });
      const refused = await limiter.take('a', 7);
      expect(refused).toMatchObject({ allowed: false, limit: 10 });
      expect(refused.resetMs).toBeGreaterThan(0);
      expect(refused.resetMs).toBeLessThanOrEqual(windowMs);
    });
  });

  it('begin anew with the next window', async () => {
    await withRedis(async (options) => {
      const limiter = createRateLimiter({ ...options, name: unused(), limit: 5, windowMs: 1_000 });
      expect(await spend(limiter, 'a', Array(9).fill(1))).toBe(5);
      const { resetMs } = await limiter.take('a', 1);
      await new Promise((resolve) => setTimeout(resolve, resetMs + 50));
      expect((await limiter.take('a', 1)).allowed).toBe(true);
    });
  });
});

describe('rates of several instances', () => {
  it('are one rate: together they let through the limit', async () => {
    const redis = [new Redis(inject('redisUrl')), new Redis(inject('redisUrl'))];
    await Promise.all(redis.map((one) => one.ping()));
    const name = unused();
    const instances = redis.map((one) => createRateLimiter({ redis: one, name, limit: 1_000, windowMs }));
    const allowed = await Promise.all(instances.map((limiter) => spend(limiter, 'a', Array(900).fill(1))));
    expect(allowed[0]! + allowed[1]!).toBe(1_000);
    for (const one of redis) one.disconnect();
  });

  it('are counted by each for itself while Redis is gone', async () => {
    const redis = new Redis('redis://127.0.0.1:1', {
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      retryStrategy: () => null,
    });
    redis.on('error', () => {});
    const limiter = createRateLimiter({ redis, name: unused(), limit: 10, windowMs });
    expect(await spend(limiter, 'a', Array(20).fill(1))).toBe(10);
    redis.disconnect();
  });
});

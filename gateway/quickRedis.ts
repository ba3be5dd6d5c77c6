import type { Redis, RedisOptions } from 'ioredis';
import type { Config } from '#shared/config.ts';
import type { Logger } from '#shared/telemetry.ts';

/** Time Redis has for what a request waits for, ms. */
const timeoutMs = 200;

/** A connection to Redis, whose client is loaded only where there is one. */
export async function openRedis(url: string, options: Omit<RedisOptions, 'replyMapping'>): Promise<Redis> {
  const { Redis } = await import('ioredis');
  return new Redis(url, options);
}

/** A connection for what can be done without Redis: a command fails at once where it is gone or slow. */
export async function openQuickRedis({ REDIS_URL }: Config, logger: Logger): Promise<Redis | null> {
  if (!REDIS_URL) return null;
  const redis = await openRedis(REDIS_URL, {
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    commandTimeout: timeoutMs,
  });
  redis.on('error', (error) => logger.debug({ error: String(error) }, 'Redis does not answer'));
  return redis;
}

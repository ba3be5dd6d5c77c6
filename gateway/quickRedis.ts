import { Redis } from 'ioredis';
import type { Config } from '#shared/config.ts';
import type { Logger } from '#shared/telemetry.ts';

/** Time Redis has for what a request waits for, ms. */
const timeoutMs = 200;

/** A connection for what can be done without Redis: a command fails at once where it is gone or slow. */
export function openQuickRedis({ REDIS_URL }: Config, logger: Logger): Redis | null {
  if (!REDIS_URL) return null;
  const redis = new Redis(REDIS_URL, { enableOfflineQueue: false, maxRetriesPerRequest: 0, commandTimeout: timeoutMs });
  redis.on('error', (error) => logger.debug({ error: String(error) }, 'Redis does not answer'));
  return redis;
}

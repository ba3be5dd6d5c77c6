import type { GraphQLSchema } from 'graphql';
import { Redis } from 'ioredis';
import type { Config } from '#shared/config.ts';
import type { Logger } from '#shared/telemetry.ts';
import { type Admission, createAdmission } from './admission.ts';
import { createRateLimiter } from './rateLimiter.ts';

/** Time Redis has to count; after it each instance counts for itself. */
const redisTimeoutMs = 200;

/** The admission of this instance as its configuration says. */
export function createLimits(
  config: Config,
  schema: GraphQLSchema,
  logger: Logger,
): { readonly admission: Admission; close(): void } {
  const maxCost = config.MAX_QUERY_COST;
  if (!config.RATE_LIMIT) return { admission: createAdmission({ schema, maxCost, limiters: null }), close() {} };
  const redis = config.REDIS_URL
    ? new Redis(config.REDIS_URL, {
        enableOfflineQueue: false,
        maxRetriesPerRequest: 0,
        commandTimeout: redisTimeoutMs,
      })
    : undefined;
  redis?.on('error', (error) => logger.debug({ error: String(error) }, 'rates are counted in the process'));
  const shared = { windowMs: config.RATE_LIMIT_WINDOW_MS, redis };
  const limiters = {
    subject: createRateLimiter({ ...shared, name: 'subject', limit: config.RATE_LIMIT_SUBJECT }),
    address: createRateLimiter({ ...shared, name: 'address', limit: config.RATE_LIMIT_ADDRESS }),
  };
  return { admission: createAdmission({ schema, maxCost, limiters }), close: () => redis?.disconnect() };
}

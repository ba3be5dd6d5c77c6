import type { GraphQLSchema } from 'graphql';
import type { Redis } from 'ioredis';
import type { Config } from '#shared/config.ts';
import { type Admission, createAdmission } from './admission.ts';
import { createRateLimiter } from './rateLimiter.ts';

/** The admission of this instance as its configuration says. */
export function createLimits(config: Config, schema: GraphQLSchema, redis: Redis | null): Admission {
  // Limits are looked at when they are needed: they change while the instance runs.
  const cost = {
    schema,
    get maxCost() {
      return config.MAX_QUERY_COST;
    },
  };
  if (!config.RATE_LIMIT) return createAdmission(cost, null);
  const shared = { windowMs: config.RATE_LIMIT_WINDOW_MS, redis: redis ?? undefined };
  return createAdmission(cost, {
    subject: createRateLimiter({
      ...shared,
      name: 'subject',
      limit: () => config.RATE_LIMIT_SUBJECT,
    }),
    address: createRateLimiter({
      ...shared,
      name: 'address',
      limit: () => config.RATE_LIMIT_ADDRESS,
    }),
  });
}

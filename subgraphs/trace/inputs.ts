import { z } from 'zod';
import { id, idempotencyKey, text } from '#shared/validation.ts';

export const createTrace = z.object({
  contextId: id,
  planId: id.nullish(),
  name: text({ min: 1, max: 255 }),
  traceparent: text({ max: 200 }).nullish(),
});
export type CreateTrace = z.output<typeof createTrace>;

export const traceId = id;
export const idempotency = idempotencyKey;

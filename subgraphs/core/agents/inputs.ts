import { z } from 'zod';
import { idempotencyKey, jsonObject, text } from '#shared/validation.ts';

export const agentId = text({ min: 1, max: 255 });
const capabilities = z.array(text({ min: 1, max: 100 })).max(100);

export const register = z.object({
  agentId: agentId.nullish(),
  name: text({ min: 1, max: 255 }),
  capabilities: capabilities.nullish().transform((value) => [...new Set(value ?? [])].sort()),
  endpoint: text({ min: 1, max: 2_048 }).nullish(),
  attributes: jsonObject({ maxBytes: 16_384 }).nullish(),
  capacity: z.number().int().min(1).max(10_000),
  ttlMs: z.number().int().min(1_000).max(86_400_000),
  idempotencyKey: idempotencyKey.nullish(),
});

export const heartbeat = z.object({
  agentId: agentId.nullish(),
  load: z.number().min(0).max(1).nullish(),
  activeTasks: z.number().int().min(0).max(10_000).nullish(),
  draining: z.boolean().nullish(),
});

export const first = z.number().int().min(1).max(100);

export const statuses = ['ONLINE', 'DRAINING', 'LOST'] as const;

export const query = z.object({
  capabilities: capabilities.nullish().transform((value) => [...new Set(value ?? [])]),
  free: z.number().int().min(1).max(10_000),
});

export const filter = z.object({
  status: z.array(z.enum(statuses)).max(statuses.length).nullish(),
  capability: text({ min: 1, max: 100 }).nullish(),
  namePattern: text({ min: 1, max: 255 }).nullish(),
});

import { z } from 'zod';
import { id, idempotencyKey, text } from '#shared/validation.ts';

const amount = z.number().min(0).max(1e12).nullish();
const amounts = z.object({
  cpuCores: amount,
  memoryMb: amount,
  storageMb: amount,
  bandwidthMbps: amount,
  agents: amount,
});
const labels = z
  .array(z.object({ name: text({ min: 1, max: 63 }), value: text({ max: 253 }) }))
  .max(64)
  .refine((list) => new Set(list.map(({ name }) => name)).size === list.length, 'a label stands twice')
  .nullish()
  .transform(
    (list): Readonly<Record<string, string>> =>
      Object.fromEntries((list ?? []).map(({ name, value }) => [name, value])),
  );
const capabilities = z
  .array(text({ min: 1, max: 128 }))
  .max(50)
  .nullish()
  .transform((value) => [...new Set(value ?? [])]);
const owner = text({ min: 1, max: 255 });

export const node = z.object({
  name: text({ min: 1, max: 255 }),
  pool: text({ min: 1, max: 255 })
    .nullish()
    .transform((value) => value ?? 'default'),
  labels,
  capabilities,
  capacity: amounts,
  overcommit: z
    .number()
    .min(1)
    .max(10)
    .nullish()
    .transform((value) => value ?? 1),
  healthy: z
    .boolean()
    .nullish()
    .transform((value) => value ?? true),
  idempotencyKey: idempotencyKey.nullish(),
});

export const quota = z.object({
  owner,
  hard: amounts.nullish(),
  soft: amounts.nullish(),
  weight: z
    .number()
    .min(0.01)
    .max(1_000)
    .nullish()
    .transform((value) => value ?? 1),
  idempotencyKey: idempotencyKey.nullish(),
});

export const allocate = z.object({
  owner: owner.nullish(),
  contextId: id.nullish(),
  type: z
    .enum(['COMPUTE', 'NETWORK', 'STORAGE', 'AGENT'])
    .nullish()
    .transform((value) => (value ?? 'COMPUTE').toLowerCase()),
  requirements: amounts.refine(
    (given) => Object.values(given).some((value) => (value ?? 0) > 0),
    'expected more than nothing',
  ),
  capabilities,
  affinity: labels,
  priority: z
    .enum(['CRITICAL', 'HIGH', 'MEDIUM', 'LOW'])
    .nullish()
    .transform((value) => value ?? 'MEDIUM'),
  preemptible: z
    .boolean()
    .nullish()
    .transform((value) => value ?? true),
  durationMs: z
    .number()
    .int()
    .min(1_000)
    .max(86_400_000)
    .nullish()
    .transform((value) => value ?? 300_000),
  purpose: text({ max: 1_024 }).nullish(),
  queueIfFull: z
    .boolean()
    .nullish()
    .transform((value) => value ?? true),
  idempotencyKey: idempotencyKey.nullish(),
});

export const gang = allocate
  .omit({ requirements: true, capabilities: true, affinity: true, queueIfFull: true })
  .extend({
    members: z
      .array(allocate.pick({ requirements: true, capabilities: true, affinity: true }))
      .min(2)
      .max(50),
  });

/** What a step holds while it is carried out. */
export const held = allocate.pick({ type: true, requirements: true, capabilities: true, affinity: true }).extend({
  preemptible: z
    .boolean()
    .nullish()
    .transform((value) => value ?? false),
});

/** What a holder uses. */
export const used = amounts.nullish();

export const usage = z.object({
  allocationId: text({ min: 1, max: 64 }),
  epoch: z.number().int().min(0),
  usage: amounts,
  idempotencyKey: idempotencyKey.nullish(),
});

export const filter = z.object({
  owner: owner.nullish(),
  executionId: id.nullish(),
  status: z
    .array(z.enum(['QUEUED', 'ACTIVE', 'RELEASED', 'EXPIRED', 'PREEMPTED', 'FAILED']))
    .min(1)
    .max(6)
    .nullish(),
  contextId: id.nullish(),
});
export const duration = z.number().int().min(1_000).max(86_400_000).nullish();

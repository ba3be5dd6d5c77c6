import { z } from 'zod';
import { id, idempotencyKey, text } from '#shared/validation.ts';
import { governanceOverride } from './governance.ts';
import { notificationsInput } from './notificationPreferences.ts';

const label = text({ min: 1, max: 255 });

export const addInput = z.object({
  contextId: id,
  agentId: label,
  type: z.string().nullish(),
  displayName: label.nullish(),
  roles: z.array(label).max(10).nullish(),
  capabilities: z.array(label).max(50).nullish(),
  maxConcurrentTasks: z.number().int().min(1).max(1_000).nullish(),
  timeoutMs: z.number().int().min(1_000).max(86_400_000).nullish(),
  notifications: notificationsInput.nullish(),
  override: governanceOverride.nullish(),
  idempotencyKey: idempotencyKey.nullish(),
});

export const patchInput = z.object({
  displayName: label.nullish(),
  status: z.enum(['JOINING', 'ACTIVE', 'INACTIVE', 'LEAVING', 'LEFT']).optional(),
  roles: z.array(label).max(10).nullish(),
  capabilities: z.array(label).max(50).nullish(),
  maxConcurrentTasks: z.number().int().min(1).max(1_000).optional(),
  timeoutMs: z.number().int().min(1_000).max(86_400_000).optional(),
  notifications: notificationsInput.nullish(),
});

export const joinInput = z.object({
  joinToken: text({ max: 200 }).nullish(),
  displayName: label.nullish(),
  capabilities: z.array(label).max(50).nullish(),
});

export type ParticipantPatch = z.output<typeof patchInput>;

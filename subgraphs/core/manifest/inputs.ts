import { z } from 'zod';
import { approverFields, approverRules, toApprovers } from '#shared/approvers.ts';
import { idempotencyKey, text } from '#shared/validation.ts';
import { protocolModules } from '../../../schema/protocol/index.ts';

const version = text({ min: 1, max: 64 });
const module = z
  .object({
    moduleId: z.enum(protocolModules.map((name) => name.toUpperCase()) as [string, ...string[]]),
    version,
    status: z
      .enum(['ENABLED', 'DISABLED', 'EXPERIMENTAL', 'DEPRECATED'])
      .nullish()
      .transform((value) => value ?? 'ENABLED'),
    required: z.boolean().nullish(),
    description: text({ max: 1_000 }).nullish(),
  })
  .transform(({ moduleId, status, required, description, ...rest }) => ({
    module_id: moduleId.toLowerCase(),
    ...rest,
    status: status.toLowerCase(),
    ...(required == null ? {} : { required }),
    ...(description == null ? {} : { description }),
  }));

const approval = z
  .object(approverFields)
  .refine(approverRules[0].holds, approverRules[0].expected)
  .refine(approverRules[1].holds, approverRules[1].expected)
  .transform(toApprovers);

export const createManifest = z.object({
  protocolVersion: version.nullish().transform((value) => value ?? '1.0.0'),
  modules: z
    .array(module)
    .min(1)
    .max(10)
    .refine(
      (list) => new Set(list.map(({ module_id }) => module_id)).size === list.length,
      'expected each module once',
    ),
  approval: approval.nullish().transform((value) => value ?? null),
  idempotencyKey: idempotencyKey.nullish(),
});

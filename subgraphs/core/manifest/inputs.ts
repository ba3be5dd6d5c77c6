import { z } from 'zod';
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

const label = text({ min: 1, max: 255 });
const approval = z
  .object({
    approverRoles: z.array(label).max(100).nullish(),
    approvers: z.array(label).max(1_000).nullish(),
    quorum: z.enum(['SINGLE', 'AT_LEAST', 'MAJORITY', 'UNANIMOUS']).nullish(),
    required: z.number().int().min(1).max(1_000).nullish(),
  })
  .refine(
    ({ quorum, required }) => required == null || quorum === 'AT_LEAST',
    'expected `required` with the quorum AT_LEAST alone',
  )
  .refine(
    ({ approverRoles, approvers }) => (approverRoles?.length ?? 0) + (approvers?.length ?? 0) > 0,
    'expected somebody who is asked',
  )
  .transform(({ approverRoles, approvers, quorum, required }) => ({
    approverRoles: approverRoles ?? [],
    approvers: approvers ?? [],
    quorum: { kind: (quorum ?? 'SINGLE').toLowerCase(), ...(required == null ? {} : { required }) },
  }));

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

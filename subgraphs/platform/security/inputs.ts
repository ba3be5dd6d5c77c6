import { z } from 'zod';
import { text } from '#shared/validation.ts';

const dayMs = 86_400_000;
/** Longer than any token of an issuer lives; what is revoked is kept as long. */
export const longestTokenMs = 400 * dayMs;

const scope = z
  .string()
  .regex(/^(?:\*|(?:\*|[A-Za-z0-9._-]{1,64}):(?:\*|[A-Za-z0-9._-]{1,64}))$/, 'expected resource:action or *');

/** As the gateway takes them from tokens. */
export const subject = z
  .string()
  .regex(/^[A-Za-z0-9._:@-]{1,128}$/, 'expected 1 to 128 characters of A-Z a-z 0-9 . _ : @ -');

export const reason = text({ min: 1, max: 1_000 }).nullish();

export const issueInput = z.object({
  name: text({ min: 1, max: 100 }),
  scopes: z
    .array(scope)
    .min(1)
    .max(50)
    .transform((all) => [...new Set(all)].sort()),
  subject: subject.nullish(),
  subjectType: z.enum(['AGENT', 'HUMAN', 'SERVICE']).nullish(),
  lifeDays: z
    .number()
    .int()
    .min(1)
    .max(366)
    .nullish()
    .transform((days) => days ?? 90),
});

export const revocationKind = z.enum(['TOKEN', 'SUBJECT']);

export const revokeInput = z
  .object({
    kind: revocationKind,
    key: text({ min: 1, maxBytes: 255 }),
    reason,
    expiresAt: z
      .date()
      .refine(
        (at) => at.getTime() > Date.now() && at.getTime() <= Date.now() + longestTokenMs,
        'expected a time within the next 400 days',
      )
      .nullish(),
  })
  .superRefine(({ kind, key }, context) => {
    if (kind === 'SUBJECT' && !subject.safeParse(key).success)
      context.addIssue({ code: 'custom', path: ['key'], message: 'expected a subject' });
  });

/** 64 KiB of text. */
export const plaintext = text({ maxBytes: 65_536 });
export const ciphertext = z.string().max(100_000, 'expected what `encrypt` answered');
export const sealContext = text({ max: 255 }).nullish();

import { z } from 'zod';
import { id, text } from '#shared/validation.ts';
import { label, lower, note, options, reason, unique, word } from './common.ts';

export const resource = z.object({
  collabId: id,
  name: label,
  unit: word.nullish(),
  capacity: z.number().gt(0).max(1e12),
  ...options,
});

export const claimResource = z
  .object({
    resourceId: id,
    participantId: label.nullish(),
    amount: z.number().gt(0).max(1e12),
    start: z.date(),
    end: z.date(),
    priority: z.number().int().min(0).max(100).nullish(),
    ...options,
  })
  .refine(({ start, end }) => start < end, 'start: expected before end');

export const releaseResource = z.object({ resourceId: id, allocationId: id, ...options });
export const detect = z.object({ collabId: id, ...options });
export const raise = z.object({
  collabId: id,
  type: lower(['resource_allocation', 'task_overlap', 'objective', 'priority', 'data_write']),
  severity: lower(['low', 'medium', 'high', 'critical']).nullish(),
  description: text({ min: 1, max: 5_000 }),
  participants: z.array(label).min(1).max(100).refine(unique, 'a participant is named twice'),
  claims: z
    .array(
      z.object({
        participantId: label,
        amount: z.number().min(0).max(1e12),
        weight: z.number().gt(0).max(1_000).nullish(),
        priority: z.number().int().min(0).max(100).nullish(),
      }),
    )
    .max(100)
    .nullish(),
  ...options,
});

export const resolve = z.object({
  conflictId: id,
  strategy: lower(['fair_share', 'priority', 'time_slicing', 'bargaining', 'arbitration']),
  capacity: z.number().gt(0).max(1e12).nullish(),
  start: z.date().nullish(),
  end: z.date().nullish(),
  proposals: z
    .array(
      z.object({
        id: word,
        description: note.nullish(),
        utilities: z.array(z.object({ participantId: label, utility: z.number() })).max(100),
      }),
    )
    .max(50)
    .nullish(),
  disagreement: z
    .array(z.object({ participantId: label, utility: z.number() }))
    .max(100)
    .nullish(),
  ruling: note.nullish(),
  compensation: note.nullish(),
  ...options,
});

export const accept = z.object({ conflictId: id, accept: z.boolean(), ...options });
export const conflictRef = z.object({ conflictId: id, reason, ...options });

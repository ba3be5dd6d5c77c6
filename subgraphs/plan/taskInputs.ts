import { z } from 'zod';
import { text } from '#shared/validation.ts';

const reserved = new Set(['__proto__', 'constructor', 'prototype']);

/** A name that expressions can read. */
export const identifier = z
  .string()
  .regex(/^[A-Za-z_][A-Za-z0-9_]{0,63}$/, 'expected a letter or underscore, then letters, digits or underscores')
  .refine((name) => !reserved.has(name), 'expected a name that is not reserved');

export const taskName = z
  .string()
  .regex(
    /^[A-Za-z_][A-Za-z0-9_.-]{0,127}$/,
    'expected a letter or underscore, then letters, digits, underscores, dots or hyphens',
  );

export const scalar = z.union(
  [text({ max: 10_000 }), z.number(), z.boolean()],
  'expected a text, a number or a truth value',
);

/** Arguments of a task by name. */
export const taskArguments = z
  .record(identifier, scalar)
  .refine((given) => Object.keys(given).length <= 50, 'expected at most 50 arguments');

import { z } from 'zod';
import { idempotencyKey, jsonObject, text } from '#shared/validation.ts';

/** Enum values of GraphQL as they are stored. */
export const lower = <const Values extends readonly string[]>(values: Values) =>
  z
    .string()
    .transform((value) => value.toLowerCase())
    .pipe(z.enum(values as unknown as [Values[number], ...Values[number][]]));

export const label = text({ min: 1, max: 255 });
export const note = text({ max: 5_000 });
export const word = text({ min: 1, max: 100 });
export const part = z.number().min(0).max(1);
const dayMs = 86_400_000;
export const unique = (list: readonly string[]) => new Set(list).size === list.length;
export const words = (most: number) => z.array(word).max(most).refine(unique, 'an entry stands twice');
export const options = { expectedVersion: z.number().int().nullish(), idempotencyKey: idempotencyKey.nullish() };
export const reason = text({ min: 1, max: 5_000 }).nullish();
export const callOptions = z.object({ reason, failed: z.boolean().nullish(), ...options });
export const timeoutMs = z
  .number()
  .int()
  .min(1_000, 'expected at least 1 second')
  .max(30 * dayMs, 'expected at most 30 days');

export const payload = jsonObject({ maxBytes: 65_536 });
export const range = z.object({ from: z.date().nullish(), to: z.date().nullish() }).nullish();
export const lowered = z
  .array(word.transform((value) => value.toLowerCase()))
  .max(20)
  .nullish();

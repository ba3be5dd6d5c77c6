import { z } from 'zod';
import { jsonObject, text } from '#shared/validation.ts';
import type { Json } from './rows.ts';

const names = ['type', 'id', 'amount', 'currency'] as const;
const label = text({ min: 1, max: 255 });

/** What is to be approved, as it is stored: conditions read all of it by name, whoever chose the name. */
export const subject = z
  .object({
    type: label.nullish(),
    id: label.nullish(),
    amount: z.number().nullish(),
    currency: z
      .string()
      .regex(/^[A-Z]{3}$/, 'expected a currency of ISO 4217')
      .nullish(),
    attributes: jsonObject({ maxBytes: 65_536 })
      .refine(
        (given) => names.every((name) => !Object.hasOwn(given, name)),
        'expected attributes without type, id, amount and currency, which have fields of their own',
      )
      .nullish(),
  })
  .transform(
    ({ attributes, ...named }): Json => ({
      ...attributes,
      ...Object.fromEntries(Object.entries(named).filter(([, value]) => value != null)),
    }),
  );

/** What a module asked with may name these otherwise: then they stand among the attributes. */
export function subjectPayload(row: Json | null) {
  if (row === null) return null;
  const textOf = (name: string) => (typeof row[name] === 'string' ? (row[name] as string) : null);
  const named = {
    ...{ type: textOf('type'), id: textOf('id'), currency: textOf('currency') },
    amount: typeof row['amount'] === 'number' ? row['amount'] : null,
  };
  const isNamed = (name: string) => names.some((one) => one === name && named[one] !== null);
  return { ...named, attributes: Object.fromEntries(Object.entries(row).filter(([name]) => !isNamed(name))) };
}

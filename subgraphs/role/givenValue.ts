import { z } from 'zod';

/** GraphQL leaves out what is not given and says null for what is taken away. */
export const absent = <Schema extends z.ZodType>(schema: Schema) =>
  schema.nullish().transform((value) => value ?? undefined) as unknown as z.ZodOptional<Schema>;

/** A GraphQL enum value as it is stored. */
export const lower = <const Value extends string>(values: readonly Value[]) =>
  z
    .string()
    .transform((value) => value.toLowerCase() as Value)
    .refine((value) => values.includes(value));

/** Without what is undefined or null, so that what was not given is not stored. */
export function defined<Given extends object>(value: Given): Given {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined && item !== null)) as Given;
}

import type { z } from 'zod';
import type * as shapes from './inputs.ts';

/** Inputs as they are read, by name. */
export type inputs = {
  readonly [Name in keyof typeof shapes]: (typeof shapes)[Name] extends z.ZodType
    ? z.output<(typeof shapes)[Name]>
    : never;
};

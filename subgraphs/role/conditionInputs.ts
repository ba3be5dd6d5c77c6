import { z } from 'zod';
import { PlatformError } from '#shared/errors.ts';
import { id, text } from '#shared/validation.ts';
import {
  type AttributeExpectations,
  ConditionError,
  type Conditions,
  type Constraints,
  clearances,
  compileConditions,
  compileConstraints,
  compileExpression,
  operators,
  type Scalar,
} from './conditions/index.ts';
import { absent, defined, lower } from './givenValue.ts';

const names = (max: number, length = 200) => z.array(text({ min: 1, max: length })).max(max);
const ids = z.array(id).max(1_000);

const scalar = z.union([text({ max: 1_000 }), z.number(), z.boolean()], 'expected a text, a number or a boolean');
const expectation = z.union(
  [scalar, z.array(scalar).max(100)],
  'expected a text, a number, a boolean or a list of them',
);
const attribute = text({ min: 1, max: 200 });
export const clearance = lower(clearances);

const once = <Item extends { readonly attribute: string }>(items: readonly Item[]) =>
  new Set(items.map((item) => item.attribute)).size === items.length;

/** Attributes by name; null is whatever is there. */
const expectations = z
  .array(z.strictObject({ attribute, value: absent(expectation) }))
  .max(100)
  .refine(once, 'expected each attribute once')
  .transform(
    (given): AttributeExpectations =>
      Object.fromEntries(given.map(({ attribute, value = null }) => [attribute, value])),
  );

const operatorNames = new Map(operators.map((operator) => [operator.replace('W', '_W').toUpperCase(), operator]));
const operator = z.enum([...operatorNames.keys()]).transform((name) => operatorNames.get(name)!);

/** Conditions as clients write them, to what is stored. */
export const conditions = z
  .strictObject({
    timeBased: absent(
      z
        .strictObject({
          start: absent(text({ max: 40 })),
          end: absent(text({ max: 40 })),
          timezone: text({ max: 64 }),
          daysOfWeek: absent(z.array(z.number().int().min(0).max(6)).max(7)),
        })
        .transform(defined),
    ),
    locationBased: absent(
      z
        .strictObject({
          allowedIpRanges: absent(names(100, 64)),
          geo: absent(
            z
              .strictObject({
                countries: absent(names(250, 2)),
                within: absent(z.strictObject({ latitude: z.number(), longitude: z.number(), radiusKm: z.number() })),
              })
              .transform(defined),
          ),
        })
        .transform(defined),
    ),
    contextBased: absent(
      z
        .strictObject({ requiredAttributes: absent(expectations), forbiddenAttributes: absent(expectations) })
        .transform(defined),
    ),
    attributes: absent(
      z.array(z.strictObject({ attribute, operator, value: absent(expectation) }).transform(defined)).max(50),
    ),
    minClearance: absent(clearance),
    expression: absent(text({ min: 1, max: 2_000 })),
  })
  .transform((given) => defined(given) as Conditions);

export const constraints = z
  .strictObject({
    resourceTypes: absent(names(100)),
    resourceIds: absent(names(1_000)),
    actions: absent(names(100)),
    contextIds: absent(ids),
    planIds: absent(ids),
    limits: absent(
      z
        .array(z.strictObject({ attribute, max: z.number() }))
        .max(100)
        .refine(once, 'expected each attribute once')
        .transform(
          (given): Record<string, number> => Object.fromEntries(given.map(({ attribute, max }) => [attribute, max])),
        ),
    ),
    conditions: absent(conditions),
  })
  .transform((given) => defined(given) as Constraints);

export const permissionScope = z
  .strictObject({
    contextIds: absent(ids),
    planIds: absent(ids),
    relation: absent(lower(['own', 'assigned', 'department'])),
  })
  .transform(defined);

export const approvalRule = z
  .strictObject({
    forActions: absent(names(50, 64)),
    threshold: z.number().int().min(1).max(100),
    approverRoles: absent(names(50)),
  })
  .transform(defined);

/** @throws {INVALID_PERMISSION} when a condition makes no sense: it is compiled here, and what calls code is no expression. */
export function requireConditions(given: Conditions | undefined, path: readonly (string | number)[]): void {
  if (given !== undefined) compiled(() => compileConditions(given), [...path, 'conditions']);
}

export function requireConstraints(given: Constraints | null | undefined, path: readonly (string | number)[]): void {
  if (given != null) compiled(() => compileConstraints(given), [...path, 'constraints']);
}

export function requireExpression(given: string | undefined, path: readonly (string | number)[]): void {
  if (given !== undefined) compiled(() => compileExpression(given), [...path, 'condition']);
}

function compiled(compile: () => unknown, path: readonly (string | number)[]): void {
  try {
    compile();
  } catch (error) {
    if (!(error instanceof ConditionError)) throw error;
    throw new PlatformError('INVALID_PERMISSION', `${path.join('.')}: ${error.message}`, {
      path,
      ...(error.position === undefined ? {} : { details: { position: error.position } }),
    });
  }
}

/** An expectation of stored conditions, which may be names alone. */
export function listExpectations(
  given: AttributeExpectations | undefined,
): readonly { readonly attribute: string; readonly value: Scalar | readonly Scalar[] | null }[] {
  if (given === undefined) return [];
  if (Array.isArray(given)) return (given as readonly string[]).map((attribute) => ({ attribute, value: null }));
  return Object.entries(given).map(([attribute, value]) => ({ attribute, value }));
}

import { z } from 'zod';
import { id, json, jsonObject, parseInput, text } from '#shared/validation.ts';

export const maxValueBytes = 65_536;
export const maxKeys = 500;
const maxTags = 20;
const maxInvalidatedTags = 100;
const maxWarmed = 200;

const keyPattern = /^[A-Za-z0-9][A-Za-z0-9.:_/-]*$/;
const patternPattern = /^[A-Za-z0-9.:_/*?-]+$/;

// A consistency token names no tag of more than 256 characters: a key and what stands before it in its tag fit.
const key = text({ min: 1, max: 200 }).refine(
  (value) => keyPattern.test(value),
  'expected letters, digits and . : _ / -, beginning with a letter or digit',
);
const tags = (max: number) => z.array(key).max(max, `expected at most ${max} tags`);

const entryInput = z.object({
  key,
  value: json({ maxBytes: maxValueBytes, maxDepth: 16 }).refine(
    (value) => value !== null && value !== undefined,
    'expected a value',
  ),
  ttlSeconds: z.number().int().min(1).max(604_800),
  tags: tags(maxTags).nullish(),
});

export interface EntryInput {
  readonly key: string;
  readonly value: unknown;
  readonly ttlSeconds: number;
  /** Sorted, each once. */
  readonly tags: readonly string[];
}

/** @throws {VALIDATION_FAILED} */
export function readEntry(given: unknown): EntryInput {
  const { tags: named, ...entry } = parseInput(entryInput, given);
  return { ...entry, tags: sorted(named) };
}

/** @throws {VALIDATION_FAILED} */
export function readKey(given: unknown): string {
  return parseInput(key, given, ['key']);
}

const prefixInput = text({ max: 200 });

/** @throws {VALIDATION_FAILED} */
export function readPrefix(given: unknown): string {
  return parseInput(prefixInput, given, ['prefix']);
}

const invalidationInput = z
  .object({
    keys: z.array(key).max(maxKeys, `expected at most ${maxKeys} keys`).nullish(),
    pattern: text({ min: 1, max: 200 })
      .refine((value) => patternPattern.test(value), 'expected letters, digits and . : _ / - * ?')
      .nullish(),
    tags: tags(maxInvalidatedTags).nullish(),
  })
  .refine(
    ({ keys, pattern, tags: named }) => (keys?.length ?? 0) + (named?.length ?? 0) > 0 || pattern != null,
    'expected keys, a pattern or tags',
  );

export interface Invalidation {
  readonly keys: readonly string[];
  readonly pattern: string | null;
  readonly tags: readonly string[];
}

/** @throws {VALIDATION_FAILED} */
export function readInvalidation(given: unknown): Invalidation {
  const input = parseInput(invalidationInput, given);
  return { keys: sorted(input.keys), pattern: input.pattern ?? null, tags: sorted(input.tags) };
}

const warmInput = z
  .object({
    document: text({ min: 1, max: 255 }),
    variables: z.array(jsonObject({ maxBytes: maxValueBytes, maxDepth: 16 })).nullish(),
    ids: z.array(id).nullish(),
    idVariable: text({ min: 1, max: 100 }),
  })
  .refine(
    ({ variables, ids }) => (variables?.length ?? 0) + (ids?.length ?? 0) <= maxWarmed,
    `expected at most ${maxWarmed} sets of variables and ids`,
  );

export interface Warming {
  readonly document: string;
  readonly sets: readonly Readonly<Record<string, unknown>>[];
}

/** @throws {VALIDATION_FAILED} */
export function readWarming(given: unknown): Warming {
  const { document, variables, ids, idVariable } = parseInput(warmInput, given);
  const sets = [...(variables ?? []), ...(ids ?? []).map((value) => ({ [idVariable]: value }))];
  return { document, sets: variables == null && ids == null ? [{}] : sets };
}

function sorted(values: readonly string[] | null | undefined): readonly string[] {
  return [...new Set(values ?? [])].toSorted();
}

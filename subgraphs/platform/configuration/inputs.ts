import { z } from 'zod';
import { isLiveVariable } from '#shared/config.ts';
import { PlatformError } from '#shared/errors.ts';
import { parseLive } from '#shared/liveConfig.ts';
import { json, parseInput, text } from '#shared/validation.ts';
import { isSubgraphName } from '../../names.ts';

export type ConfigScope = 'global' | 'tenant' | 'module' | 'environment';

export const maxValueBytes = 65_536;

/** Where a value stands. Those of global and environment hold for all tenants. */
export interface ConfigPlace {
  readonly key: string;
  readonly scope: ConfigScope;
  /** Module or environment; empty for the other scopes. */
  readonly target: string;
}

const keyPattern = /^[A-Za-z][A-Za-z0-9]*([._-][A-Za-z0-9]+)*$/;

const place = z
  .object({
    key: text({ min: 1, max: 255 }).refine((key) => keyPattern.test(key), 'expected words joined by . _ or -'),
    scope: z.enum(['GLOBAL', 'TENANT', 'MODULE', 'ENVIRONMENT']),
    target: text({ min: 1, max: 64 }).nullish(),
  })
  .superRefine(({ key, scope, target }, context) => {
    const issue = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message });
    const needsTarget = scope === 'MODULE' || scope === 'ENVIRONMENT';
    if (needsTarget && target == null) issue('target', `expected the name of the ${scope.toLowerCase()}`);
    if (!needsTarget && target != null) issue('target', `expected none with ${scope}`);
    if (scope === 'MODULE' && target != null && !isSubgraphName(target)) issue('target', 'expected a module');
    if (isLiveVariable(key) && (scope === 'TENANT' || scope === 'MODULE'))
      issue('scope', 'expected GLOBAL or ENVIRONMENT: it holds for whole instances');
  });

export interface GivenPlace {
  readonly key: string;
  readonly scope: 'GLOBAL' | 'TENANT' | 'MODULE' | 'ENVIRONMENT';
  readonly target?: string | null | undefined;
}

/** @throws {VALIDATION_FAILED} */
export function readPlace({ key, scope, target }: GivenPlace, path: readonly string[] = []): ConfigPlace {
  const read = parseInput(place, { key, scope, target }, path);
  return { key: read.key, scope: read.scope.toLowerCase() as ConfigScope, target: read.target ?? '' };
}

const storable = json({ maxBytes: maxValueBytes, maxDepth: 16 });

/** What is wrong with a value for its key; null where nothing is. */
export function findValueProblem(key: string, value: unknown): string | null {
  if (value === null || value === undefined) return 'expected a value';
  const result = storable.safeParse(value);
  if (!result.success) return result.error.issues[0]!.message;
  if (!isLiveVariable(key)) return null;
  try {
    parseLive(key, value);
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

/** @throws {VALIDATION_FAILED} */
export function requireValue(key: string, value: unknown): void {
  const problem = findValueProblem(key, value);
  if (problem !== null)
    throw new PlatformError('VALIDATION_FAILED', `input.value: ${problem}`, { path: ['input', 'value'] });
}

const entries = z
  .array(z.object({ key: text({ min: 1, max: 255 }), value: z.unknown(), schemaRef: text({ max: 300 }).nullish() }))
  .min(1)
  .max(500);

export interface ConfigProblem {
  readonly key: string;
  readonly message: string;
}

/** A document of values as it is read, and its problems by key. @throws {VALIDATION_FAILED} when it is none. */
export function findProblems(given: unknown) {
  const values = parseInput(entries, given, ['values']);
  const problems = values.flatMap(({ key, value }): readonly ConfigProblem[] => {
    const problem = keyPattern.test(key) ? findValueProblem(key, value) : 'expected words joined by . _ or - as a key';
    return problem === null ? [] : [{ key, message: problem }];
  });
  return { values, problems };
}

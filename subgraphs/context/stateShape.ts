import { z } from 'zod';
import { PlatformError } from '#shared/errors.ts';
import { parseInput, text } from '#shared/validation.ts';
import type {
  ContextDependencyStatus,
  ContextDependencyType,
  ContextGoalStatus,
  ContextPriority,
  ContextResourceStatus,
  ContextSharedState,
} from './resolvers.generated.ts';

const label = text({ min: 1, max: 255 });
const note = text({ max: 10_000 });
const amount = z.number().finite();

const allocated = z.strictObject({
  type: label.optional(),
  amount: amount.min(0).optional(),
  unit: label.optional(),
  status: z.enum(['available', 'allocated', 'exhausted']).optional(),
});

const requirement = z
  .strictObject({
    minimum: amount.min(0),
    optimal: amount.min(0).optional(),
    maximum: amount.min(0).optional(),
    unit: label,
  })
  .refine(
    ({ minimum, optimal = minimum, maximum = optimal }) => minimum <= optimal && optimal <= maximum,
    'expected minimum <= optimal <= maximum',
  );

const dependency = z.strictObject({
  id: label,
  type: z.enum(['context', 'plan', 'external']).optional(),
  name: label.optional(),
  version: label.optional(),
  status: z.enum(['pending', 'resolved', 'failed']).optional(),
});

const criterion = z.strictObject({
  metric: label,
  operator: z.enum(['eq', 'ne', 'gt', 'gte', 'lt', 'lte']),
  value: z.union([amount, text({ max: 1_000 }), z.boolean()]),
  unit: label.optional(),
});

const goal = z.strictObject({
  id: label,
  name: label.optional(),
  description: note.optional(),
  priority: z.enum(['low', 'normal', 'high', 'critical']).optional(),
  status: z.enum(['defined', 'active', 'achieved', 'abandoned']).optional(),
  successCriteria: z.array(criterion).max(100).optional(),
});

/** What an entry of each section has to look like; variables are anything. */
const sections = [
  ['resources.allocated.', allocated],
  ['resources.requirements.', requirement],
  ['dependencies.', dependency],
  ['goals.', goal],
] as const;

/**
 * Checks the value of an entry against what its section holds.
 * @throws {VALIDATION_FAILED} naming what is wrong with it, also an id that is another one than its key's.
 */
export function requireSharedValue(key: string, value: unknown, path: readonly (string | number)[]): void {
  const section = sections.find(([prefix]) => key.startsWith(prefix));
  if (section === undefined) return;
  const [prefix, shape] = section;
  const entry: { readonly id?: string } = parseInput(shape as z.ZodType<{ readonly id?: string }>, value, path);
  const id = key.slice(prefix.length);
  if (entry.id !== undefined && entry.id !== id)
    throw new PlatformError(
      'VALIDATION_FAILED',
      `${path.join('.')}.id: expected ${JSON.stringify(id.slice(0, 60))}, as in its key`,
      { path: [...path, 'id'] },
    );
}

/** A shared state as it is stored: sections as maps and lists, words in lower case. */
export interface StoredState {
  readonly variables: Readonly<Record<string, unknown>>;
  readonly resources: {
    readonly allocated: Readonly<Record<string, unknown>>;
    readonly requirements: Readonly<Record<string, unknown>>;
  };
  readonly dependencies: readonly unknown[];
  readonly goals: readonly unknown[];
}

type Shown = Pick<ContextSharedState, 'resources' | 'dependencies' | 'goals'>;

const upper = (word: string | undefined): string | null => word?.toUpperCase() ?? null;
const named = (map: Readonly<Record<string, unknown>>) => Object.entries(map) as [string, unknown][];

/** The typed sections of a state as the graph shows them. */
export function showState({ resources, dependencies, goals }: StoredState): Shown {
  return {
    resources: {
      allocated: named(resources.allocated).map(([name, value]) => {
        const { type = null, amount: held = null, unit = null, status } = value as z.output<typeof allocated>;
        return { name, type, amount: held, unit, status: upper(status) as ContextResourceStatus | null };
      }),
      requirements: named(resources.requirements).map(([name, value]) => {
        const { minimum, optimal = null, maximum = null, unit } = value as z.output<typeof requirement>;
        return { name, minimum, optimal, maximum, unit };
      }),
    },
    dependencies: (dependencies as readonly z.output<typeof dependency>[]).map(
      ({ id, type, name = null, version = null, status }) => ({
        id,
        type: upper(type) as ContextDependencyType | null,
        name,
        version,
        status: upper(status) as ContextDependencyStatus | null,
      }),
    ),
    goals: (goals as readonly z.output<typeof goal>[]).map(
      ({ id, name = null, description = null, priority, status, successCriteria = [] }) => ({
        id,
        name,
        description,
        priority: upper(priority) as ContextPriority | null,
        status: upper(status) as ContextGoalStatus | null,
        successCriteria: successCriteria.map(({ metric, operator, value, unit = null }) => ({
          metric,
          operator: operator.toUpperCase() as 'EQ' | 'NE' | 'GT' | 'GTE' | 'LT' | 'LTE',
          value,
          unit,
        })),
      }),
    ),
  };
}

import { PlatformError } from '#shared/errors.ts';
import { type Draft, list } from './draft.ts';
import type { CollabRow } from './rows.ts';
import { assigneesOf, type TaskRow } from './workRows.ts';

export const executionPatterns = ['sequential', 'parallel', 'hybrid', 'pipeline', 'mesh'] as const;
export type ExecutionPattern = (typeof executionPatterns)[number];

/** How tasks of a session follow each other; sessions of before have none. */
export const patternOf = ({ executionPattern }: Pick<CollabRow, 'executionPattern'>): ExecutionPattern =>
  executionPattern ?? 'parallel';

/** Of what a task takes hold so that no other one of the session is done at the same time, beside its dependencies. */
export function exclusivesOf(pattern: ExecutionPattern, { type }: Pick<TaskRow, 'type'>): readonly string[] {
  switch (pattern) {
    case 'sequential':
      return ['session'];
    case 'pipeline':
      return [`stage ${type ?? ''}`];
    // One at a time is what each participant is planned for anyway.
    case 'hybrid':
    case 'parallel':
    case 'mesh':
      return [];
    default:
      return pattern satisfies never;
  }
}

/** Tasks under way that keep this one, done by these, from being begun by the session's pattern. */
export function holding(draft: Draft, task: TaskRow, crew: readonly string[] = assigneesOf(task)): readonly TaskRow[] {
  const pattern = patternOf(draft.collab);
  const own = new Set(exclusivesOf(pattern, task));
  return list(draft, 'task').filter(
    (other) =>
      other.id !== task.id &&
      other.status === 'in_progress' &&
      (exclusivesOf(pattern, other).some((one) => own.has(one)) ||
        (pattern === 'hybrid' && assigneesOf(other).some((id) => crew.includes(id)))),
  );
}

/** @throws {INVALID_STATE} where the session's pattern has it wait for others */
export function requireFree(draft: Draft, task: TaskRow): void {
  const held = holding(draft, task);
  if (held.length > 0)
    throw new PlatformError(
      'INVALID_STATE',
      `tasks are done ${patternOf(draft.collab).toUpperCase()}: others are under way`,
      {
        details: { waitsFor: held.map(({ id }) => id) },
      },
    );
}

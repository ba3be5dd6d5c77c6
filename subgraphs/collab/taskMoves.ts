import { PlatformError } from '#shared/errors.ts';
import type { AssignableTask } from './assignment/index.ts';
import { count, type Draft, find, put, tell } from './draft.ts';
import type { ParticipantRow } from './rows.ts';
import type { TaskRow, TaskStatusValue } from './workRows.ts';

const hourMs = 3_600_000;

/** A task as the assignment sees it, from now on. */
export function toAssignable(task: TaskRow, nowMs: number): AssignableTask {
  return {
    id: task.id,
    effortHours: task.effortHours * (1 - task.progress),
    requiredSkills: task.requiredSkills,
    skillWeights: task.skillWeights,
    deadlineHours: task.deadline === null ? null : Math.max(0.01, (Date.parse(task.deadline) - nowMs) / hourMs),
    dependsOn: task.dependsOn,
    priority: task.priority,
    teamSize: task.teamSize ?? null,
  };
}

/** Whether all that it waits for is done; needs all tasks. */
export const isReady = (draft: Draft, { dependsOn }: TaskRow): boolean =>
  dependsOn.every((id) => find(draft, 'task', id)?.status === 'completed');

const moves: Readonly<Record<TaskStatusValue, readonly TaskStatusValue[]>> = {
  pending: ['assigned', 'cancelled'],
  assigned: ['in_progress', 'pending', 'assigned', 'failed', 'cancelled'],
  in_progress: ['blocked', 'completed', 'failed', 'assigned', 'pending', 'cancelled'],
  blocked: ['in_progress', 'failed', 'assigned', 'pending', 'cancelled'],
  failed: ['assigned', 'pending', 'cancelled'],
  completed: [],
  cancelled: [],
};

/** @throws {INVALID_STATE_TRANSITION} */
export function requireMove(task: TaskRow, to: TaskStatusValue): void {
  if (moves[task.status].includes(to)) return;
  throw new PlatformError(
    'INVALID_STATE_TRANSITION',
    `a task goes from ${task.status.toUpperCase()} to ${moves[task.status].map((status) => status.toUpperCase()).join(', ') || 'nowhere'}, not to ${to.toUpperCase()}`,
    {
      details: { from: task.status.toUpperCase(), to: to.toUpperCase() },
    },
  );
}

const kept = (task: TaskRow, patch: Partial<TaskRow>): TaskRow => ({ ...task, ...patch, version: task.version + 1 });

export function startTask(draft: Draft, task: TaskRow): TaskRow {
  const started = put(draft, 'task', kept(task, { status: 'in_progress', startedAt: task.startedAt ?? draft.at }));
  tell(draft, 'collab.task.started', { task: started });
  return started;
}

export function completeTask(draft: Draft, task: TaskRow, note: string | null): TaskRow {
  requireMove(task, 'completed');
  const done = put(
    draft,
    'task',
    kept(task, { status: 'completed', progress: 1, finishedAt: draft.at, note: note ?? task.note }),
  );
  const isLate = task.deadline !== null && Date.parse(task.deadline) < draft.atMs;
  count(draft, { tasksCompleted: 1, ...(isLate ? { tasksLate: 1 } : {}) });
  tell(draft, 'collab.task.completed', { task: done });
  return done;
}

export function moveTask(
  draft: Draft,
  task: TaskRow,
  to: 'blocked' | 'failed' | 'cancelled',
  note: string | null,
): TaskRow {
  requireMove(task, to);
  const isOver = to !== 'blocked';
  const moved = put(
    draft,
    'task',
    kept(task, { status: to, note: note ?? task.note, ...(isOver ? { finishedAt: draft.at } : {}) }),
  );
  if (to === 'failed') count(draft, { tasksFailed: 1 });
  tell(draft, `collab.task.${to}`, { task: moved });
  return moved;
}

/** Gives the task to somebody else, or to somebody at all; to several of whom the first leads. */
export function assignTask(
  draft: Draft,
  task: TaskRow,
  to: string | readonly [lead: string, ...helpers: string[]],
  plan: Partial<TaskRow> = {},
): TaskRow {
  requireMove(task, 'assigned');
  const [assignedTo, ...helpers] = typeof to === 'string' ? [to] : to;
  const assigned = put(
    draft,
    'task',
    kept(task, { status: 'assigned', assignedTo, helpers, finishedAt: null, ...plan }),
  );
  tell(draft, 'collab.task.assigned', { task: assigned, from: task.assignedTo });
  return assigned;
}

/** Others than before do the task together with who leads it. */
export function changeHelpers(draft: Draft, task: TaskRow, helpers: readonly string[]): TaskRow {
  const changed = put(draft, 'task', kept(task, { helpers }));
  tell(draft, 'collab.task.helpers.changed', { task: changed, from: task.helpers });
  return changed;
}

/** What those who do it can do together has to suffice. @throws {INSUFFICIENT_CAPABILITIES} */
export function requireSkills(task: TaskRow, to: readonly ParticipantRow[], path: readonly (string | number)[]): void {
  const missing = task.requiredSkills.filter(
    (skill) => (task.skillWeights[skill] ?? 1) >= 1 && !to.some(({ capabilities }) => capabilities.includes(skill)),
  );
  const names = to.map(({ participantId }) => participantId).join(', ');
  if (missing.length > 0)
    throw new PlatformError('INSUFFICIENT_CAPABILITIES', `${names} lacks what the task needs`, {
      path,
      details: { missing },
    });
}

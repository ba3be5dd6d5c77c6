import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { newId } from '#shared/ids.ts';
import { parseInput } from '#shared/validation.ts';
import { topologicalOrder } from './assignment/index.ts';
import type { Calls } from './calls.ts';
import type { Answer } from './commands.ts';
import { count, type Draft, find, list, put, tell } from './draft.ts';
import { patternOf, requireFree } from './executionPattern.ts';
import * as inputs from './inputs.ts';
import { coordinates, requireActive, requireCoordinator, requireStatus } from './rights.ts';
import {
  assignTask,
  changeHelpers,
  completeTask,
  isReady,
  moveTask,
  requireMove,
  requireSkills,
  startTask,
} from './taskMoves.ts';
import { assigneesOf, type TaskRow } from './workRows.ts';

/** Tasks of one collaboration at most. */
const maxTasks = 1_000;

/** @throws {NOT_FOUND} */
function requireTask(draft: Draft, taskId: string): TaskRow {
  const task = find(draft, 'task', taskId);
  if (task === undefined) throw new PlatformError('NOT_FOUND', 'no such task', { path: ['input', 'taskId'] });
  return task;
}

/** @throws {PERMISSION_DENIED} unless it is the assignee's own, or the caller coordinates. */
function requireAssignee(draft: Draft, task: TaskRow, principal: RequestScope['principal']): void {
  const agents = assigneesOf(task).map((id) => find(draft, 'participant', id)?.agentId);
  if (agents.includes(principal.subject) || coordinates(draft, principal)) return;
  throw new PlatformError('PERMISSION_DENIED', 'only who has the task, or the coordinator, may do this');
}

/** @throws {PARTICIPANT_NOT_FOUND} {INSUFFICIENT_CAPABILITIES} {INVALID_STATE_TRANSITION} */
function give(draft: Draft, task: TaskRow, to: readonly string[], path: readonly (string | number)[]): void {
  const [lead, ...helpers] = to.map((id) => requireActive(draft, id, path));
  requireSkills(task, [lead!, ...helpers], path);
  assignTask(draft, task, [lead!.participantId, ...helpers.map(({ participantId }) => participantId)], {
    ...{ plannedStart: null, plannedFinish: null },
  });
}

/** @throws {INVALID_STATE} where nobody leads it or it is over {PARTICIPANT_NOT_FOUND} {INSUFFICIENT_CAPABILITIES} */
function help(draft: Draft, task: TaskRow, helpers: readonly string[], path: readonly string[]): TaskRow {
  const { assignedTo: lead, status } = task;
  if (lead === null || !['assigned', 'in_progress', 'blocked'].includes(status))
    throw new PlatformError('INVALID_STATE', 'expected a task that somebody leads', { path });
  if (helpers.includes(lead)) throw new PlatformError('VALIDATION_FAILED', `${lead} leads the task`, { path });
  const rows = [lead, ...helpers].map((id) => requireActive(draft, id, path));
  requireSkills(task, rows, path);
  return changeHelpers(draft, task, helpers);
}

/** What is to be done, and how far it is. */
export function createTasks({ calls }: { readonly calls: Calls }) {
  return {
    /** @throws {CYCLIC_DEPENDENCY} {NOT_FOUND} {LIMIT_EXCEEDED} {PERMISSION_DENIED} {COLLAB_NOT_ACTIVE} */
    async create(scope: RequestScope, raw: unknown): Promise<Answer> {
      const { idempotencyKey, expectedVersion, ...input } = parseInput(inputs.createTasks, raw);
      return calls.run(
        scope,
        input.collabId,
        {
          operation: 'createCollabTasks',
          input,
          idempotencyKey,
          expectedVersion,
          needs: { participant: 'all', task: 'all' },
        },
        (draft) => {
          requireCoordinator(draft, scope.principal, 'assign_tasks');
          requireStatus(draft, 'draft', 'active', 'suspended');
          const { tenantId, id: collabId } = draft.collab;
          const known = list(draft, 'task').length;
          if (known + input.tasks.length > maxTasks)
            throw new PlatformError('LIMIT_EXCEEDED', `expected at most ${maxTasks} tasks`, {
              details: { limit: maxTasks },
            });
          const rows = input.tasks.map(
            (given, at): TaskRow => ({
              tenantId,
              id: given.id ?? newId(),
              collabId,
              name: given.name,
              description: given.description ?? null,
              type: given.type ?? null,
              priority: given.priority ?? 'medium',
              effortHours: given.estimatedEffortHours,
              requiredSkills: given.requiredSkills ?? [],
              skillWeights: Object.fromEntries((given.skillWeights ?? []).map(({ skill, weight }) => [skill, weight])),
              dependsOn: given.dependencies ?? [],
              deliverables: given.deliverables ?? [],
              risks: given.riskAssessment ?? [],
              assignedTo: null,
              helpers: [],
              teamSize: given.teamSize ?? null,
              status: 'pending',
              progress: 0,
              note: null,
              position: known + at,
              deadline: given.deadline?.toISOString() ?? null,
              plannedStart: null,
              plannedFinish: null,
              startedAt: null,
              finishedAt: null,
              version: 1,
              createdAt: draft.at,
              createdBy: scope.principal.subject,
            }),
          );
          for (const [at, row] of rows.entries()) {
            if (find(draft, 'task', row.id) !== undefined || rows.findIndex(({ id }) => id === row.id) !== at)
              throw new PlatformError('CONFLICT', 'a task of this id is there already', {
                path: ['input', 'tasks', at, 'id'],
              });
          }
          const all = [...list(draft, 'task'), ...rows];
          const ids = new Set(all.map(({ id }) => id));
          for (const [at, { dependsOn }] of rows.entries())
            for (const on of dependsOn)
              if (!ids.has(on))
                throw new PlatformError('NOT_FOUND', `no such task ${on}`, {
                  path: ['input', 'tasks', at, 'dependencies'],
                });
          if (topologicalOrder(all) === null)
            throw new PlatformError('CYCLIC_DEPENDENCY', 'the dependencies of the tasks close a cycle', {
              path: ['input', 'tasks'],
            });
          for (const row of rows) put(draft, 'task', row);
          count(draft, { tasksCreated: rows.length });
          tell(draft, 'collab.tasks.created', { tasks: rows });
          for (const [at, { assignees }] of input.tasks.entries())
            if (assignees != null) give(draft, rows[at]!, assignees, ['input', 'tasks', at, 'assignees']);
          return { collabId, taskIds: rows.map(({ id }) => id) };
        },
      );
    },

    /** The assignee begins, blocks or gives up; the coordinator may too, and cancels. @throws {INVALID_STATE_TRANSITION} {PERMISSION_DENIED} {NOT_FOUND} */
    async update(scope: RequestScope, raw: unknown): Promise<Answer> {
      const { idempotencyKey, expectedVersion, ...input } = parseInput(inputs.updateTask, raw);
      const collabId = await calls.ownerOf(scope, 'task', input.taskId);
      return calls.run(
        scope,
        collabId,
        {
          operation: 'updateCollabTask',
          input,
          idempotencyKey,
          expectedVersion,
          needs: { participant: 'all', task: 'all' },
        },
        (draft) => {
          requireStatus(draft, 'active');
          let task = requireTask(draft, input.taskId);
          if (input.helpers != null) {
            requireCoordinator(draft, scope.principal, 'assign_tasks');
            task = help(draft, task, input.helpers, ['input', 'helpers']);
            if (input.status == null && input.progress == null && input.note == null)
              return { collabId, taskId: input.taskId };
          }
          if (input.status === 'cancelled') requireCoordinator(draft, scope.principal, 'assign_tasks');
          else requireAssignee(draft, task, scope.principal);
          if (input.status === 'in_progress') {
            requireMove(task, 'in_progress');
            if (!isReady(draft, task))
              throw new PlatformError('INVALID_STATE', 'a task that it depends on is not completed', {
                details: { waitsFor: task.dependsOn.filter((id) => find(draft, 'task', id)?.status !== 'completed') },
              });
            requireFree(draft, task);
            task = startTask(draft, task);
          } else if (input.status != null) task = moveTask(draft, task, input.status, input.note ?? null);
          if (input.progress != null || (input.note != null && input.status == null)) {
            if (task.status !== 'in_progress' && task.status !== 'blocked')
              throw new PlatformError('INVALID_STATE', `a task that is ${task.status.toUpperCase()} makes no progress`);
            const moved = put(draft, 'task', {
              ...task,
              progress: input.progress ?? task.progress,
              note: input.note ?? task.note,
              version: task.version + 1,
            });
            tell(draft, 'collab.task.progressed', { task: moved });
          }
          return { collabId, taskId: input.taskId };
        },
      );
    },

    /** @throws {INVALID_STATE_TRANSITION} {PERMISSION_DENIED} {NOT_FOUND} */
    async complete(scope: RequestScope, raw: unknown): Promise<Answer> {
      const { idempotencyKey, expectedVersion, ...input } = parseInput(inputs.completeTask, raw);
      const collabId = await calls.ownerOf(scope, 'task', input.taskId);
      return calls.run(
        scope,
        collabId,
        {
          operation: 'completeTask',
          input,
          idempotencyKey,
          expectedVersion,
          needs: { participant: 'all', task: [input.taskId] },
        },
        (draft) => {
          requireStatus(draft, 'active');
          const task = requireTask(draft, input.taskId);
          requireAssignee(draft, task, scope.principal);
          completeTask(draft, task, input.note ?? null);
          return { collabId, taskId: task.id };
        },
      );
    },

    /** @throws {INVALID_STATE_TRANSITION} {PARTICIPANT_NOT_FOUND} {INSUFFICIENT_CAPABILITIES} {PERMISSION_DENIED} */
    async reassign(scope: RequestScope, raw: unknown): Promise<Answer> {
      const { idempotencyKey, expectedVersion, ...input } = parseInput(inputs.reassignTask, raw);
      const collabId = await calls.ownerOf(scope, 'task', input.taskId);
      return calls.run(
        scope,
        collabId,
        {
          operation: 'reassignCollabTask',
          input,
          idempotencyKey,
          expectedVersion,
          needs: { participant: 'all', task: [input.taskId] },
        },
        (draft) => {
          requireStatus(draft, 'draft', 'active', 'suspended');
          const task = requireTask(draft, input.taskId);
          // In a mesh whoever has a task hands it on.
          if (patternOf(draft.collab) === 'mesh') requireAssignee(draft, task, scope.principal);
          else requireCoordinator(draft, scope.principal, 'assign_tasks');
          const { toParticipantId, helpers = null } = input;
          if (helpers?.includes(toParticipantId) === true)
            throw new PlatformError('VALIDATION_FAILED', `${toParticipantId} leads the task`, {
              path: ['input', 'helpers'],
            });
          const path = ['input', helpers === null ? 'toParticipantId' : 'helpers'];
          give(draft, task, [toParticipantId, ...(helpers ?? [])], path);
          return { collabId, taskId: task.id };
        },
      );
    },
  };
}

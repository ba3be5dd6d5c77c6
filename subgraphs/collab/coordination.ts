import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { findIdempotentResponse } from '#shared/idempotency.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput } from '#shared/validation.ts';
import { requireVisible } from './access.ts';
import type { Agent, Coordination, CoordinationProblem } from './assignment/index.ts';
import type { Calls } from './calls.ts';
import { type Answer, unknownCollab } from './commands.ts';
import type { Contexts } from './contexts.ts';
import { count, find } from './draft.ts';
import { exclusivesOf, patternOf } from './executionPattern.ts';
import * as inputs from './inputs.ts';
import { readPart } from './parts.ts';
import type { References } from './references.ts';
import { requireActive, requireCoordinator, requireStatus } from './rights.ts';
import type { ParticipantRow } from './rows.ts';
import { findCollabs } from './store.ts';
import { assignTask, toAssignable } from './taskMoves.ts';
import { assigneesOf, type TaskRow } from './workRows.ts';

const thread = new URL('./coordinateThread.ts', import.meta.url);
const hourMs = 3_600_000;
const timeoutMs = 20_000;
/** Tasks that one participant holds at the same time. */
export const slotsPerAgent = 10;
/** Who do one task together at most, as where they are named. */
const maxTeam = 20;

/** Those who take part as the assignment sees them; what they have already takes room. */
export function toAgents(participants: readonly ParticipantRow[], tasks: readonly TaskRow[]): readonly Agent[] {
  const held = Map.groupBy(
    tasks
      .filter(({ status }) => status === 'assigned' || status === 'in_progress' || status === 'blocked')
      .flatMap((task) => assigneesOf(task)),
    (participantId) => participantId,
  );
  return participants
    .filter(({ status }) => status === 'active')
    .map(({ participantId, capabilities, workload, priority }) => ({
      id: participantId,
      capabilities,
      workload,
      priority,
      slots: Math.max(0, slotsPerAgent - (held.get(participantId)?.length ?? 0)),
    }));
}

/** Assigns what is open, in a thread of its own, and stores it where nothing has changed meanwhile. */
export function createCoordination(
  { sql, compute }: Pick<ModuleRuntime, 'sql' | 'compute'>,
  {
    calls,
    contexts,
    references,
  }: { readonly calls: Calls; readonly contexts: Contexts; readonly references: References },
) {
  return {
    /**
     * Who does which of the pending tasks, alone or in teams, and when. Who fails in the session's network is given only what
     * nobody else can do. With `dryRun` nothing is stored.
     * @throws {NOT_FOUND} {INSUFFICIENT_DATA} without tasks or participants {VERSION_CONFLICT} where tasks changed meanwhile
     * {PERMISSION_DENIED} {CYCLIC_DEPENDENCY}
     */
    async coordinate(scope: RequestScope, raw: unknown): Promise<Answer> {
      const { idempotencyKey, expectedVersion, ...input } = parseInput(inputs.coordinateTasks, raw);
      const { principal } = scope;
      const { tenantId, subject } = principal;
      const operation = 'coordinateTaskAssignment';
      const known = await findIdempotentResponse(
        sql,
        'collab',
        idempotencyKey == null
          ? null
          : { tenantId, subject, key: idempotencyKey, operation, input: { ...input, expectedVersion } },
      );
      if (known) return known.response as Answer;
      await requireVisible(sql, principal, input.collabId, contexts.learn);
      const key = { tenantId, collabId: input.collabId };
      const [[collab], participants, tasks] = await Promise.all([
        findCollabs(sql, tenantId, [input.collabId]),
        readPart(sql, 'participant', 'open', [key]),
        readPart(sql, 'task', 'open', [key]),
      ]);
      if (collab === undefined) throw unknownCollab(input.collabId);
      const pending = tasks.filter(
        ({ id, status }) => status === 'pending' && (input.taskIds == null || input.taskIds.includes(id)),
      );
      if (pending.length === 0 || participants.length === 0)
        throw new PlatformError('INSUFFICIENT_DATA', 'expected a pending task and an active participant', {
          details: { tasks: pending.length, participants: participants.length },
        });
      const failing =
        collab.networkId === null ? new Set<string>() : await references.failingAgents(principal, collab.networkId);
      const avoided = participants.flatMap(({ participantId, agentId, status }) =>
        agentId !== null && status === 'active' && failing.has(agentId) ? [participantId] : [],
      );
      const now = Date.now();
      const problem: CoordinationProblem = {
        agents: toAgents(participants, tasks).map((agent) => ({ ...agent, isAvoided: avoided.includes(agent.id) })),
        tasks: pending.map((task) => ({
          ...toAssignable(task, now),
          exclusives: exclusivesOf(patternOf(collab), task),
        })),
        method: input.method ?? 'optimal',
        maxTries: input.maxTries ?? 200,
        seed: input.seed ?? 1,
        maxTeam,
        ...(input.timeBudgetMs == null ? {} : { timeBudgetMs: input.timeBudgetMs }),
      };
      const found = await compute.run<Coordination | null>(thread, 'coordinateTasks', problem, {
        lane: 'interactive',
        signal: scope.signal,
        timeoutMs,
      });
      if (found === null) throw new PlatformError('CYCLIC_DEPENDENCY', 'the dependencies of the tasks close a cycle');
      const versions = new Map(pending.map(({ id, version }) => [id, version]));
      return calls.run(
        scope,
        input.collabId,
        {
          operation,
          input,
          idempotencyKey,
          expectedVersion,
          needs: { participant: 'all', task: found.assignments.map(({ taskId }) => taskId) },
        },
        (draft) => {
          requireCoordinator(draft, principal, 'assign_tasks');
          requireStatus(draft, 'draft', 'active', 'suspended');
          if (input.dryRun !== true) {
            for (const { taskId, agentId, helperIds, startHours, finishHours } of found.assignments) {
              const task = find(draft, 'task', taskId);
              if (task?.version !== versions.get(taskId))
                throw new PlatformError('VERSION_CONFLICT', 'a task changed while it was assigned: try again', {
                  details: { taskId },
                });
              for (const id of [agentId, ...helperIds]) requireActive(draft, id, []);
              assignTask(draft, task!, [agentId, ...helperIds], {
                plannedStart: new Date(now + startHours * hourMs).toISOString(),
                plannedFinish: new Date(now + finishHours * hourMs).toISOString(),
              });
            }
            // The plan of the whole is another one: who read it before is told.
            if (found.assignments.length > 0) count(draft, {});
          }
          return { collabId: input.collabId, applied: input.dryRun !== true, coordination: found as unknown, avoided };
        },
      );
    },
  };
}

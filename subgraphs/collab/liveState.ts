import { slotsPerAgent } from './coordination.ts';
import type { LiveState } from './recommend/candidates.ts';
import { type PlannedTask, type WorkPlan, workPlan } from './recommend/workPlan.ts';
import type { CollabRow, ConflictRow, ParticipantRow, ResourceRow, TaskRow, TurnRow } from './rows.ts';
import { toAssignable } from './taskMoves.ts';

export interface LiveRows {
  readonly collab: CollabRow;
  readonly participants: readonly ParticipantRow[];
  readonly tasks: readonly TaskRow[];
  readonly turns: readonly TurnRow[];
  readonly conflicts: readonly ConflictRow[];
  readonly resources: readonly ResourceRow[];
}

const toPlanned = (tasks: readonly TaskRow[], nowMs: number): readonly PlannedTask[] => {
  const open = tasks.filter(({ status }) => !['completed', 'cancelled', 'failed'].includes(status));
  const ids = new Set(open.map(({ id }) => id));
  return open.map((task) => ({
    ...toAssignable(task, nowMs),
    dependsOn: task.dependsOn.filter((id) => ids.has(id)),
    assignedTo: task.assignedTo,
    isBegun: task.status === 'in_progress' || task.status === 'blocked',
  }));
};

const toAgents = (participants: readonly ParticipantRow[]) =>
  participants
    .filter(({ status }) => status === 'active')
    .map(({ participantId, capabilities, workload, priority }) => ({
      ...{ id: participantId, capabilities, workload, priority },
      slots: slotsPerAgent,
    }));

/** Figures of the plan as it stands. */
export function planOf(participants: readonly ParticipantRow[], tasks: readonly TaskRow[], nowMs: number): WorkPlan {
  return workPlan(toAgents(participants), toPlanned(tasks, nowMs));
}

/** What recommendations are made of; null where there is nothing to be judged. */
export function liveStateOf(rows: LiveRows, nowMs: number): LiveState | null {
  const { collab, participants, tasks, turns, conflicts, resources } = rows;
  const { stats } = collab;
  const byId = new Map(resources.map((resource) => [resource.id, resource]));
  const disputes = conflicts.flatMap((conflict) => {
    const resource = byId.get(conflict.subject.split(':')[1] ?? '');
    if (conflict.type !== 'resource_allocation' || resource === undefined) return [];
    const held = new Map<string, number>();
    for (const { participantId, granted, id } of resource.allocations)
      if (conflict.claims.some(({ reference }) => reference?.includes(id) === true))
        held.set(participantId, (held.get(participantId) ?? 0) + granted);
    return [
      {
        conflictId: conflict.id,
        resource: resource.name,
        capacity: resource.capacity,
        claims: conflict.claims.map(({ participantId, amount, weight, priority }) => ({
          id: participantId,
          amount,
          weight,
          priority,
        })),
        held: Object.fromEntries(held),
      },
    ];
  });
  const planned = toPlanned(tasks, nowMs);
  if (planned.length + turns.length + disputes.length === 0) return null;
  return {
    agents: toAgents(participants),
    tasks: planned,
    turns: turns.map(({ id, participantId, dispatchedAt, dueAt }) => ({
      id,
      participantId,
      ranMs: nowMs - Date.parse(dispatchedAt),
      leftMs: Date.parse(dueAt) - nowMs,
    })),
    meanTurnMs: stats.turnsCompleted === 0 ? null : stats.turnMs / stats.turnsCompleted,
    disputes,
  };
}

import { newId } from '#shared/ids.ts';
import { contradictions, cyclicWaits, overloads } from './conflict/index.ts';
import type { ConflictClaim, ConflictRow, ResourceRow } from './conflictRows.ts';
import { count, type Draft, find, list, put, setDeadline, tell } from './draft.ts';
import { findOverloads } from './resourceRoom.ts';
import { active } from './rights.ts';
import { assigneesOf } from './workRows.ts';

/** Time of each level, ms: mediation, an expert, people. */
export const levelMs = [15 * 60_000, 30 * 60_000, 60 * 60_000] as const;
export const maxLevel = levelMs.length;

export type FoundConflict = Pick<
  ConflictRow,
  'type' | 'severity' | 'description' | 'subject' | 'participants' | 'claims'
>;

/** A conflict that begins at the first level; its time there runs. */
export function addConflict(draft: Draft, found: FoundConflict, raisedBy: string): ConflictRow {
  const { tenantId, id: collabId } = draft.collab;
  const conflict = put(draft, 'conflict', {
    ...found,
    tenantId,
    id: newId(),
    collabId,
    level: 1,
    status: 'detected',
    resolution: null,
    agreements: [],
    raisedBy,
    levelDueAt: new Date(draft.atMs + levelMs[0]).toISOString(),
    resolvedAt: null,
    version: 1,
    createdAt: draft.at,
  });
  setDeadline(draft, `conflict:${conflict.id}`, conflict.levelDueAt);
  count(draft, { conflictsDetected: 1 });
  tell(draft, 'collab.conflict.detected', { conflict, targetRoles: rolesOf(draft, conflict.participants) });
  return conflict;
}

export const rolesOf = (draft: Draft, participantIds: readonly string[]): readonly string[] =>
  participantIds.flatMap((id) => find(draft, 'participant', id)?.roleId ?? []);

function severityOf(ratio: number): ConflictRow['severity'] {
  return ratio > 2 ? 'critical' : ratio > 1.5 ? 'high' : ratio > 1.1 ? 'medium' : 'low';
}

/** What a participant asks for of a resource within a conflict, with all its allocations there. */
function claimsOn(draft: Draft, resource: ResourceRow, ids: readonly string[]): readonly ConflictClaim[] {
  const asked = Map.groupBy(
    resource.allocations.filter(({ id }) => ids.includes(id)),
    ({ participantId }) => participantId,
  );
  return [...asked].map(([participantId, allocations]) => ({
    participantId,
    amount: allocations.reduce((sum, { amount }) => sum + amount, 0),
    weight: find(draft, 'participant', participantId)?.weight || 1e-6,
    priority: Math.max(...allocations.map(({ priority }) => priority)),
    reference: allocations.map(({ id }) => id).join(' '),
  }));
}

function onResource(draft: Draft, resource: ResourceRow): readonly FoundConflict[] {
  return findOverloads(resource).map(({ start, end, peak, ids }) => {
    const claims = claimsOn(draft, resource, ids);
    return {
      type: 'resource_allocation',
      severity: severityOf(peak / resource.capacity),
      description: `${resource.name}: ${peak} of ${resource.capacity} asked for from ${new Date(start).toISOString()} to ${new Date(end).toISOString()}`,
      subject: `resource:${resource.id}:${[...ids].sort().join(',')}`,
      participants: claims.map(({ participantId }) => participantId),
      claims,
    };
  });
}

/** Tasks that one participant is to do at the same time. */
function onTasks(draft: Draft): readonly FoundConflict[] {
  const planned = list(draft, 'task').filter(
    ({ assignedTo, plannedStart, plannedFinish, status }) =>
      assignedTo !== null &&
      plannedStart !== null &&
      plannedFinish !== null &&
      status !== 'completed' &&
      status !== 'cancelled',
  );
  const held = planned.flatMap((task) => assigneesOf(task).map((participantId) => ({ ...task, participantId })));
  return [...Map.groupBy(held, ({ participantId }) => participantId)].flatMap(([participantId, tasks]) =>
    overloads(
      tasks.map(({ id, plannedStart, plannedFinish }) => ({
        id,
        start: Date.parse(plannedStart!),
        end: Date.parse(plannedFinish!),
        amount: 1,
      })),
      1,
    ).map(
      ({ ids, peak }): FoundConflict => ({
        type: 'task_overlap',
        severity: severityOf(peak),
        description: `${participantId} is to do ${peak} tasks at once`,
        subject: `tasks:${participantId}:${ids.join(',')}`,
        participants: [participantId],
        claims: ids.map((id) => ({ participantId, amount: 1, weight: 1, priority: 50, reference: id })),
      }),
    ),
  );
}

/** Who waits for whom: for tasks of others that are not done, and for what others hold of a resource. */
function waitsOf(draft: Draft): readonly { readonly from: string; readonly to: string }[] {
  const open = list(draft, 'task').filter(({ status }) => status !== 'completed' && status !== 'cancelled');
  const byId = new Map(open.map((task) => [task.id, task]));
  const forTasks = open.flatMap(({ assignedTo, dependsOn, status }) =>
    assignedTo === null || status !== 'blocked'
      ? []
      : dependsOn.flatMap((id) => {
          const other = byId.get(id)?.assignedTo;
          return other == null || other === assignedTo ? [] : [{ from: assignedTo, to: other }];
        }),
  );
  const forResources = list(draft, 'resource').flatMap(({ allocations }) =>
    allocations
      .filter(({ status }) => status === 'waiting')
      .flatMap((waiting) =>
        allocations
          .filter(
            (held) =>
              held.status === 'granted' &&
              held.participantId !== waiting.participantId &&
              held.start < waiting.end &&
              waiting.start < held.end,
          )
          .map((held) => ({ from: waiting.participantId, to: held.participantId })),
      ),
  );
  return [...forTasks, ...forResources];
}

function onWaits(draft: Draft): readonly FoundConflict[] {
  return cyclicWaits(waitsOf(draft)).map((participants) => ({
    type: 'cyclic_wait',
    severity: 'high',
    description: `${participants.join(', ')} wait for each other`,
    subject: `waits:${participants.join(',')}`,
    participants,
    claims: [],
  }));
}

function onObjectives(draft: Draft): readonly FoundConflict[] {
  const metrics = draft.collab.objectives.flatMap(({ metrics: given }, objective) =>
    given.map(({ name, target, direction }) => ({ objective, name, target, direction })),
  );
  return contradictions(metrics).map(({ metric, objectives, atLeast, atMost }) => ({
    type: 'objective',
    severity: 'medium',
    description: `${metric}: one objective asks for at least ${atLeast}, another for at most ${atMost}`,
    subject: `objective:${metric}:${objectives.join(',')}`,
    participants: active(draft).map(({ participantId }) => participantId),
    claims: [],
  }));
}

/** Everything that is in conflict now and not yet told; needs participants, tasks, resources and open conflicts. */
export function detect(draft: Draft): readonly FoundConflict[] {
  const known = new Set(
    list(draft, 'conflict')
      .filter(isOpen)
      .map(({ subject }) => subject),
  );
  return [
    ...list(draft, 'resource').flatMap((resource) => onResource(draft, resource)),
    ...onTasks(draft),
    ...onWaits(draft),
    ...onObjectives(draft),
  ].filter(({ subject }) => !known.has(subject));
}

export const isOpen = ({ status }: ConflictRow): boolean => status === 'detected' || status === 'proposed';

/** Up one level, with a time of its own; at the last one it stays until people settle it. */
export function escalate(draft: Draft, conflict: ConflictRow, reason: string): ConflictRow {
  const level = Math.min(maxLevel, conflict.level + 1);
  const levelDueAt = conflict.level < maxLevel ? new Date(draft.atMs + levelMs[level - 1]!).toISOString() : null;
  const moved = put(draft, 'conflict', {
    ...conflict,
    level,
    levelDueAt,
    status: 'detected',
    agreements: [],
    version: conflict.version + 1,
  });
  setDeadline(draft, `conflict:${conflict.id}`, levelDueAt);
  tell(draft, 'collab.conflict.escalated', { conflict: moved, reason });
  return moved;
}

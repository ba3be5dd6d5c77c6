import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { parseInput } from '#shared/validation.ts';
import type { Calls } from './calls.ts';
import type { Answer } from './commands.ts';
import { change, type Draft, find, list, put, tell } from './draft.ts';
import * as inputs from './inputs.ts';
import { letGo, renormalise, requireLeaving, sendAway } from './participantMoves.ts';
import { matchScore, requireSession, requireWithin, toAuthority, toParticipant } from './participantRows.ts';
import type { References } from './references.ts';
import { active, coordinates, partOf, requireCoordinator, requireStatus } from './rights.ts';
import type { ParticipantRow } from './rows.ts';
import { timeOut } from './turnMoves.ts';
import { assigneesOf } from './workRows.ts';

/** @throws {NOT_JOINABLE} {COLLAB_FULL} {ALREADY_JOINED} {LIMIT_EXCEEDED} {ROLE_MISSING} */
function addPart(draft: Draft, given: inputs.ParticipantInput): ParticipantRow {
  const { collab } = draft;
  if (collab.status !== 'draft' && collab.status !== 'active')
    throw new PlatformError('NOT_JOINABLE', `the collaboration is ${collab.status.toUpperCase()}`, {
      details: { status: collab.status.toUpperCase() },
    });
  const known = list(draft, 'participant');
  const agentId = given.agentId ?? given.participantId;
  if (known.some((row) => row.participantId === given.participantId))
    throw new PlatformError('ALREADY_JOINED', `${given.participantId} takes part already, or did`, {
      path: ['input', 'participant', 'participantId'],
    });
  if (active(draft).some((row) => row.agentId === agentId))
    throw new PlatformError('ALREADY_JOINED', 'its agent takes part already', {
      path: ['input', 'participant', 'agentId'],
    });
  const count = active(draft).length + 1;
  if (count > collab.maxParticipants)
    throw new PlatformError('COLLAB_FULL', `expected at most ${collab.maxParticipants} participants`, {
      details: { limit: collab.maxParticipants },
    });
  requireWithin(collab.type, count);
  const position = Math.max(-1, ...known.map((row) => row.position)) + 1;
  const mean = 1 / Math.max(1, active(draft).length);
  const row = toParticipant(given, { tenantId: collab.tenantId, collabId: collab.id, position, at: draft.at });
  if (collab.status === 'active') requireSession('orchestrated', [row]);
  // A weight is given in relation to those who have a sum of 1; without one it is the mean.
  return put(draft, 'participant', { ...row, weight: given.weight ?? mean });
}

const needs = { participant: 'all', turn: 'open', task: 'open' } as const;

/** Who takes part. */
export function createParticipants({ calls, references }: { readonly calls: Calls; readonly references: References }) {
  return {
    /**
     * Takes part oneself, or has another one take part (coordinator).
     * @throws {NOT_JOINABLE} {COLLAB_FULL} {ALREADY_JOINED} {ROLE_MISSING} {ROLE_NOT_FOUND} {LIMIT_EXCEEDED} {PERMISSION_DENIED}
     */
    async join(scope: RequestScope, raw: unknown): Promise<Answer> {
      const { idempotencyKey, expectedVersion, ...input } = parseInput(inputs.join, raw);
      const { participant } = input;
      await references.requireRoles(scope.principal, [participant.roleId]);
      return calls.run(
        scope,
        input.collabId,
        { operation: 'joinCollaboration', input, idempotencyKey, expectedVersion, needs: { participant: 'all' } },
        (draft) => {
          const isOwn = (participant.agentId ?? participant.participantId) === scope.principal.subject;
          if (!isOwn) requireCoordinator(draft, scope.principal);
          // Whoever joins by itself brings no rights with it.
          const given =
            isOwn && !coordinates(draft, scope.principal) ? { ...participant, permissions: null } : participant;
          const row = addPart(draft, given);
          renormalise(draft);
          const joined = find(draft, 'participant', row.participantId)!;
          tell(draft, 'collab.participant.joined', { participant: joined });
          if (draft.collab.status === 'active')
            tell(draft, 'collab.roles.assigned', {
              targetRoles: [joined.roleId],
              assignments: [{ participantId: joined.participantId, roleId: joined.roleId }],
            });
          return {
            collabId: input.collabId,
            participantId: row.participantId,
            matchScore: matchScore(draft.collab.objectives, row.capabilities),
          };
        },
      );
    },

    /** Leaves oneself, or sends another one away (coordinator). @throws {PARTICIPANT_NOT_FOUND} {PERMISSION_DENIED} {INVARIANT_VIOLATED} */
    async leave(scope: RequestScope, raw: unknown): Promise<Answer> {
      const { idempotencyKey, expectedVersion, ...input } = parseInput(inputs.leave, raw);
      return calls.run(
        scope,
        input.collabId,
        { operation: 'leaveCollaboration', input, idempotencyKey, expectedVersion, needs },
        (draft) => {
          requireStatus(draft, 'draft', 'active', 'suspended');
          const own = partOf(draft, scope.principal);
          const row = input.participantId == null ? own : (find(draft, 'participant', input.participantId) ?? null);
          if (row === null || row.status !== 'active')
            throw new PlatformError('PARTICIPANT_NOT_FOUND', 'no such active participant', {
              path: ['input', 'participantId'],
            });
          if (row.participantId !== own?.participantId) requireCoordinator(draft, scope.principal);
          requireLeaving(draft, row);
          sendAway(draft, row, input.reason ?? null);
          return { collabId: input.collabId, participantId: row.participantId };
        },
      );
    },

    /**
     * Another one in the place of one: it takes over place, weight, tasks and, where it was that, the coordination. Turns
     * under way end; votes that were cast stand, and open electorates stay as they were.
     * @throws {PARTICIPANT_NOT_FOUND} {ALREADY_JOINED} {ROLE_NOT_FOUND} {PERMISSION_DENIED} {NOT_JOINABLE}
     */
    async replace(scope: RequestScope, raw: unknown): Promise<Answer> {
      const { idempotencyKey, expectedVersion, ...input } = parseInput(inputs.replace, raw);
      await references.requireRoles(scope.principal, [input.replacement.roleId]);
      return calls.run(
        scope,
        input.collabId,
        { operation: 'replaceCollabParticipant', input, idempotencyKey, expectedVersion, needs },
        (draft) => {
          requireCoordinator(draft, scope.principal);
          const out = find(draft, 'participant', input.participantId);
          if (out?.status !== 'active')
            throw new PlatformError('PARTICIPANT_NOT_FOUND', 'no such active participant', {
              path: ['input', 'participantId'],
            });
          const left = put(draft, 'participant', {
            ...out,
            status: 'inactive',
            leftAt: draft.at,
            replacedBy: input.replacement.participantId,
          });
          const row = addPart(draft, { ...input.replacement, roleId: input.replacement.roleId ?? out.roleId });
          const taken = put(draft, 'participant', { ...row, position: out.position, weight: out.weight });
          for (const turn of list(draft, 'turn'))
            if (turn.participantId === out.participantId && turn.status === 'dispatched')
              timeOut(draft, turn, { status: 'cancelled', error: 'its participant was replaced' });
          for (const task of list(draft, 'task'))
            if (assigneesOf(task).includes(out.participantId)) {
              const inPlace = (id: string) => (id === out.participantId ? taken.participantId : id);
              put(draft, 'task', {
                ...task,
                assignedTo: inPlace(task.assignedTo!),
                helpers: task.helpers.map(inPlace),
                version: task.version + 1,
              });
            }
          const { coordination } = draft.collab;
          if (coordination.coordinatorId === out.participantId)
            change(draft, { coordination: { ...coordination, coordinatorId: taken.participantId } });
          renormalise(draft);
          tell(draft, 'collab.participant.replaced', {
            participant: taken,
            replaced: left,
            reason: input.reason ?? null,
          });
          return { collabId: input.collabId, participantId: taken.participantId };
        },
      );
    },

    /** The coordinator changes role, weight and rights; a participant its own workload and whether it is there. */
    async update(scope: RequestScope, raw: unknown): Promise<Answer> {
      const { idempotencyKey, expectedVersion, ...input } = parseInput(inputs.participantPatch, raw);
      await references.requireRoles(scope.principal, [input.roleId]);
      return calls.run(
        scope,
        input.collabId,
        { operation: 'updateCollabParticipant', input, idempotencyKey, expectedVersion, needs },
        (draft) => {
          requireStatus(draft, 'draft', 'active', 'suspended');
          const row = find(draft, 'participant', input.participantId);
          if (row === undefined || row.leftAt !== null)
            throw new PlatformError('PARTICIPANT_NOT_FOUND', 'no such participant', {
              path: ['input', 'participantId'],
            });
          const isOwnMatter =
            row.agentId === scope.principal.subject &&
            [input.roleId, input.weight, input.permissions, input.priority, input.authority].every(
              (value) => value == null,
            );
          if (!isOwnMatter) requireCoordinator(draft, scope.principal);
          if (
            input.status === 'active' &&
            row.status !== 'active' &&
            active(draft).some(({ agentId }) => agentId === row.agentId)
          )
            throw new PlatformError('ALREADY_JOINED', 'its agent takes part already');
          const updated = put(draft, 'participant', {
            ...row,
            roleId: input.roleId ?? row.roleId,
            displayName: input.displayName ?? row.displayName,
            capabilities: input.capabilities ?? row.capabilities,
            permissions: input.permissions ?? row.permissions,
            priority: input.priority ?? row.priority,
            weight: input.weight ?? row.weight,
            workload: input.workload ?? row.workload,
            status: input.status ?? row.status,
            authority: toAuthority(input.authority, row.authority),
          });
          if (updated.status === 'inactive' && row.status === 'active') letGo(draft, row, 'its participant is away');
          if (updated.weight !== row.weight || updated.status !== row.status) renormalise(draft);
          tell(draft, 'collab.participant.changed', { participant: find(draft, 'participant', row.participantId) });
          if (updated.roleId !== row.roleId && draft.collab.status === 'active')
            tell(draft, 'collab.roles.assigned', {
              targetRoles: [updated.roleId],
              assignments: [{ participantId: row.participantId, roleId: updated.roleId }],
            });
          return { collabId: input.collabId, participantId: row.participantId };
        },
      );
    },
  };
}

export type Participants = ReturnType<typeof createParticipants>;

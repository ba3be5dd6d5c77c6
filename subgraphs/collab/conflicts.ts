import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { parseInput } from '#shared/validation.ts';
import type { Calls } from './calls.ts';
import type { Answer } from './commands.ts';
import { addConflict, detect, escalate, isOpen, maxLevel } from './conflictFinding.ts';
import { missingAgreements, resolutionOf, settle } from './conflictResolving.ts';
import type { ConflictRow } from './conflictRows.ts';
import { type Draft, find, put, setDeadline, tell } from './draft.ts';
import * as inputs from './inputs.ts';
import { administers, coordinates, partOf, requireActive, requirePart, requireStatus } from './rights.ts';

const needs = { participant: 'all', task: 'open', resource: 'all', conflict: 'open' } as const;

/** @throws {NOT_FOUND} {INVALID_STATE} */
function requireOpen(draft: Draft, conflictId: string): ConflictRow {
  const conflict = find(draft, 'conflict', conflictId);
  if (conflict === undefined)
    throw new PlatformError('NOT_FOUND', 'no such conflict', { path: ['input', 'conflictId'] });
  if (!isOpen(conflict))
    throw new PlatformError('INVALID_STATE', `the conflict is ${conflict.status.toUpperCase()}`, {
      details: { status: conflict.status.toUpperCase() },
    });
  return conflict;
}

/** Level 1 is mediated by the coordinator, level 2 arbitrated by an overseer, level 3 by a human one. @throws {PERMISSION_DENIED} */
function requireResolver(draft: Draft, conflict: ConflictRow, principal: RequestScope['principal']): void {
  if (administers(principal, draft.collab)) return;
  const part = partOf(draft, principal);
  const oversees = part?.permissions.includes('oversee') === true;
  const may =
    conflict.level === 1
      ? coordinates(draft, principal) || oversees
      : conflict.level === 2
        ? oversees
        : oversees && part?.kind === 'human';
  if (!may)
    throw new PlatformError(
      'PERMISSION_DENIED',
      `conflicts at level ${conflict.level} are settled by ${
        conflict.level === 1 ? 'the coordinator' : conflict.level === 2 ? 'an overseer' : 'a human overseer'
      }`,
    );
}

/** What stands against each other, and how it is settled. */
export function createConflicts({ calls }: { readonly calls: Calls }) {
  return {
    /** Looks for conflicts anew; those that are open already are not told twice. @throws {NOT_A_PARTICIPANT} {COLLAB_NOT_ACTIVE} */
    async detect(scope: RequestScope, raw: unknown): Promise<Answer> {
      const { idempotencyKey, expectedVersion, ...input } = parseInput(inputs.detect, raw);
      return calls.run(
        scope,
        input.collabId,
        { operation: 'detectConflicts', input, idempotencyKey, expectedVersion, needs },
        (draft) => {
          if (!coordinates(draft, scope.principal)) requirePart(draft, scope.principal);
          requireStatus(draft, 'active', 'suspended');
          const found = detect(draft).map((one) => addConflict(draft, one, 'system'));
          return { collabId: input.collabId, conflictIds: found.map(({ id }) => id) };
        },
      );
    },

    /** Any participant that is affected. @throws {NOT_A_PARTICIPANT} {PARTICIPANT_NOT_FOUND} {COLLAB_NOT_ACTIVE} */
    async raise(scope: RequestScope, raw: unknown): Promise<Answer> {
      const { idempotencyKey, expectedVersion, ...input } = parseInput(inputs.raise, raw);
      return calls.run(
        scope,
        input.collabId,
        { operation: 'raiseConflict', input, idempotencyKey, expectedVersion, needs: { participant: 'all' } },
        (draft) => {
          requireStatus(draft, 'active', 'suspended');
          const part = partOf(draft, scope.principal);
          if (
            !coordinates(draft, scope.principal) &&
            (part === null || !input.participants.includes(part.participantId))
          )
            throw new PlatformError('NOT_A_PARTICIPANT', 'a conflict is raised by one of those it affects');
          for (const [at, id] of input.participants.entries())
            requireActive(draft, id, ['input', 'participants', String(at)]);
          const stray = (input.claims ?? []).findIndex(
            ({ participantId }) => !input.participants.includes(participantId),
          );
          if (stray >= 0)
            throw new PlatformError('VALIDATION_FAILED', 'claims: expected those of the participants it affects', {
              path: ['input', 'claims', stray],
            });
          const conflict = addConflict(
            draft,
            {
              type: input.type,
              severity: input.severity ?? 'medium',
              description: input.description,
              subject: `raised:${draft.collab.version}:${draft.at}`,
              participants: input.participants,
              claims: (input.claims ?? []).map(({ participantId, amount, weight, priority }) => ({
                participantId,
                amount,
                weight: weight ?? 1,
                priority: priority ?? 50,
                reference: null,
              })),
            },
            part?.participantId ?? scope.principal.subject,
          );
          return { collabId: input.collabId, conflictIds: [conflict.id] };
        },
      );
    },

    /**
     * Computes how it is settled and asks those affected; at the last level it is settled with that.
     * @throws {NOT_FOUND} {INVALID_STATE} {PERMISSION_DENIED} {INSUFFICIENT_DATA} {RATIONALE_REQUIRED} {VALIDATION_FAILED}
     */
    async resolve(scope: RequestScope, raw: unknown): Promise<Answer> {
      const { idempotencyKey, expectedVersion, ...input } = parseInput(inputs.resolve, raw);
      const collabId = await calls.ownerOf(scope, 'conflict', input.conflictId);
      return calls.run(
        scope,
        collabId,
        { operation: 'resolveConflict', input, idempotencyKey, needs: { ...needs, conflict: [input.conflictId] } },
        (draft) => {
          requireStatus(draft, 'active', 'suspended');
          const conflict = requireOpen(draft, input.conflictId);
          requireConflictVersion(conflict, expectedVersion);
          requireResolver(draft, conflict, scope.principal);
          const resolution = resolutionOf(draft, conflict, input, scope.principal.subject);
          const proposed = put(draft, 'conflict', {
            ...conflict,
            resolution,
            status: 'proposed',
            agreements: [],
            version: conflict.version + 1,
          });
          tell(draft, 'collab.conflict.proposed', { conflict: proposed });
          if (conflict.level === maxLevel || missingAgreements(draft, proposed).length === 0) settle(draft, proposed);
          return { collabId, conflictId: conflict.id };
        },
      );
    },

    /** One of those affected agrees, or does not: then it goes one level up. @throws {NOT_FOUND} {INVALID_STATE} {NOT_A_PARTICIPANT} */
    async accept(scope: RequestScope, raw: unknown): Promise<Answer> {
      const { idempotencyKey, expectedVersion, ...input } = parseInput(inputs.accept, raw);
      const collabId = await calls.ownerOf(scope, 'conflict', input.conflictId);
      return calls.run(
        scope,
        collabId,
        { operation: 'acceptResolution', input, idempotencyKey, needs: { ...needs, conflict: [input.conflictId] } },
        (draft) => {
          requireStatus(draft, 'active', 'suspended');
          const conflict = requireOpen(draft, input.conflictId);
          requireConflictVersion(conflict, expectedVersion);
          if (conflict.status !== 'proposed')
            throw new PlatformError('INVALID_STATE', 'there is no resolution to be accepted');
          const part = requirePart(draft, scope.principal);
          if (!conflict.participants.includes(part.participantId))
            throw new PlatformError('NOT_A_PARTICIPANT', 'the conflict does not affect the caller');
          if (!input.accept) {
            escalate(draft, conflict, `${part.participantId} does not agree`);
            return { collabId, conflictId: conflict.id };
          }
          if (conflict.agreements.includes(part.participantId)) return { collabId, conflictId: conflict.id };
          const agreed = put(draft, 'conflict', {
            ...conflict,
            agreements: [...conflict.agreements, part.participantId],
            version: conflict.version + 1,
          });
          tell(draft, 'collab.conflict.accepted', { conflict: agreed, participantId: part.participantId });
          if (missingAgreements(draft, agreed).length === 0) settle(draft, agreed);
          return { collabId, conflictId: conflict.id };
        },
      );
    },

    /** One of those affected, or who settles it, hands it up. @throws {NOT_FOUND} {INVALID_STATE} {PERMISSION_DENIED} */
    async escalate(scope: RequestScope, raw: unknown): Promise<Answer> {
      const { idempotencyKey, expectedVersion, ...input } = parseInput(inputs.conflictRef, raw);
      const collabId = await calls.ownerOf(scope, 'conflict', input.conflictId);
      return calls.run(
        scope,
        collabId,
        {
          operation: 'escalateConflict',
          input,
          idempotencyKey,
          needs: { participant: 'all', conflict: [input.conflictId] },
        },
        (draft) => {
          const conflict = requireOpen(draft, input.conflictId);
          requireConflictVersion(conflict, expectedVersion);
          const part = partOf(draft, scope.principal);
          if (part === null || !conflict.participants.includes(part.participantId))
            requireResolver(draft, conflict, scope.principal);
          if (conflict.level === maxLevel)
            throw new PlatformError('INVALID_STATE', 'the conflict is at its last level');
          escalate(draft, conflict, input.reason ?? 'escalated');
          return { collabId, conflictId: conflict.id };
        },
      );
    },

    /** Who settles conflicts of its level says that it is none. @throws {NOT_FOUND} {INVALID_STATE} {PERMISSION_DENIED} */
    async dismiss(scope: RequestScope, raw: unknown): Promise<Answer> {
      const { idempotencyKey, expectedVersion, ...input } = parseInput(inputs.conflictRef, raw);
      const collabId = await calls.ownerOf(scope, 'conflict', input.conflictId);
      return calls.run(
        scope,
        collabId,
        {
          operation: 'dismissConflict',
          input,
          idempotencyKey,
          needs: { participant: 'all', conflict: [input.conflictId] },
        },
        (draft) => {
          const conflict = requireOpen(draft, input.conflictId);
          requireConflictVersion(conflict, expectedVersion);
          requireResolver(draft, conflict, scope.principal);
          const dismissed = put(draft, 'conflict', {
            ...conflict,
            status: 'dismissed',
            levelDueAt: null,
            resolvedAt: draft.at,
            version: conflict.version + 1,
          });
          setDeadline(draft, `conflict:${conflict.id}`, null);
          tell(draft, 'collab.conflict.dismissed', { conflict: dismissed, reason: input.reason ?? null });
          return { collabId, conflictId: conflict.id };
        },
      );
    },
  };
}

/** @throws {VERSION_CONFLICT} */
function requireConflictVersion({ version }: ConflictRow, expected: number | null | undefined): void {
  if (expected != null && expected !== version)
    throw new PlatformError('VERSION_CONFLICT', `expected version ${expected}, the stored one is ${version}`, {
      path: ['input', 'expectedVersion'],
      details: { expectedVersion: expected, actualVersion: version },
    });
}

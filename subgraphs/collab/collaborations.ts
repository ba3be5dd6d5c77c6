import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput } from '#shared/validation.ts';
import type { Calls } from './calls.ts';
import type { Answer } from './commands.ts';
import { toObjectives, toTargets } from './creation.ts';
import { requireCounter } from './customTally.ts';
import { change, list, tell } from './draft.ts';
import * as inputs from './inputs.ts';
import { begin, end, endOf, resume, setEnd, suspend } from './moves.ts';
import { coordinates, partOf, requireCoordinator, requireStatus } from './rights.ts';
import { toRules } from './rules.ts';

/** What ends with a session. */
export const ending = {
  participant: 'all',
  turn: 'open',
  broadcast: 'open',
  decision: 'open',
  council: 'open',
} as const;

/** Collaborations and their states, once they are made. */
export function createCollaborations({ graph }: Pick<ModuleRuntime, 'graph'>, { calls }: { readonly calls: Calls }) {
  return {
    /** @throws {NOT_FOUND} {PERMISSION_DENIED} {VERSION_CONFLICT} {COLLAB_NOT_ACTIVE} */
    async update(scope: RequestScope, collabId: string, rawPatch: unknown, raw: unknown): Promise<Answer> {
      const patch = parseInput(inputs.patch, rawPatch, ['patch']);
      const options = parseInput(inputs.callOptions, raw, []);
      return calls.run(
        scope,
        collabId,
        {
          operation: 'updateCollaboration',
          input: { collabId, patch },
          needs: { participant: 'all' },
          before: () =>
            requireCounter(graph, scope.principal, { rules: patch.decisionConfig, path: ['patch', 'decisionConfig'] }),
          ...pick(options),
        },
        (draft) => {
          requireCoordinator(draft, scope.principal);
          requireStatus(draft, 'draft', 'active', 'suspended');
          const { collab } = draft;
          const decisionConfig = toRules(patch.decisionConfig, collab.decisionConfig);
          if (patch.maxParticipants != null && patch.maxParticipants < collab.participantCount)
            throw new PlatformError('VALIDATION_FAILED', `maxParticipants: ${collab.participantCount} take part`, {
              path: ['patch', 'maxParticipants'],
            });
          change(draft, {
            title: patch.title ?? collab.title,
            purpose: patch.purpose ?? collab.purpose,
            objectives: patch.objectives == null ? collab.objectives : toObjectives(patch.objectives),
            performanceTargets:
              patch.performanceTargets == null ? collab.performanceTargets : toTargets(patch.performanceTargets),
            decisionConfig,
            maxParticipants: patch.maxParticipants ?? collab.maxParticipants,
            maxDurationMs: patch.maxDurationMs ?? collab.maxDurationMs,
            executionPattern: patch.executionPattern ?? collab.executionPattern,
            turnTaking: {
              timeoutMs: patch.turnTaking?.timeoutMs ?? collab.turnTaking.timeoutMs,
              autoAdvance: patch.turnTaking?.autoAdvance ?? collab.turnTaking.autoAdvance,
            },
          });
          if (patch.maxDurationMs != null) {
            const endsAt = endOf(draft.collab);
            if (endsAt !== null && Date.parse(endsAt) <= draft.atMs)
              throw new PlatformError('VALIDATION_FAILED', 'maxDurationMs: the session has lasted longer already', {
                path: ['patch', 'maxDurationMs'],
                details: { startedAt: collab.startedAt },
              });
            setEnd(draft);
          }
          tell(draft, 'collab.updated');
          return { collabId };
        },
      );
    },

    /** draft -> active. @throws {ROLE_MISSING} {INVARIANT_VIOLATED} {COLLAB_NOT_ACTIVE} {CONTEXT_NOT_ACTIVE} {PERMISSION_DENIED} */
    async activate(scope: RequestScope, collabId: string, raw: unknown): Promise<Answer> {
      const options = parseInput(inputs.callOptions, raw, []);
      return calls.run(
        scope,
        collabId,
        { operation: 'activateCollaboration', input: { collabId }, needs: { participant: 'all' }, ...pick(options) },
        (draft) => {
          requireCoordinator(draft, scope.principal);
          requireStatus(draft, 'draft');
          begin(draft);
          return { collabId };
        },
      );
    },

    /** active -> suspended. @throws {COLLAB_NOT_ACTIVE} {PERMISSION_DENIED} */
    async suspend(scope: RequestScope, collabId: string, raw: unknown): Promise<Answer> {
      const options = parseInput(inputs.callOptions, raw, []);
      return calls.run(
        scope,
        collabId,
        {
          operation: 'suspendCollaboration',
          input: { collabId, reason: options.reason },
          needs: ending,
          ...pick(options),
        },
        (draft) => {
          requireCoordinator(draft, scope.principal, 'oversee');
          requireStatus(draft, 'active');
          suspend(draft, 'user', options.reason ?? null);
          return { collabId };
        },
      );
    },

    /** suspended -> active. @throws {COLLAB_NOT_ACTIVE} {CONTEXT_NOT_ACTIVE} {PERMISSION_DENIED} */
    async resume(scope: RequestScope, collabId: string, raw: unknown): Promise<Answer> {
      const options = parseInput(inputs.callOptions, raw, []);
      return calls.run(
        scope,
        collabId,
        {
          operation: 'resumeCollaboration',
          input: { collabId },
          needs: { participant: 'all', decision: 'open', conflict: 'open' },
          ...pick(options),
        },
        (draft) => {
          requireCoordinator(draft, scope.principal, 'oversee');
          requireStatus(draft, 'suspended');
          resume(draft);
          return { collabId };
        },
      );
    },

    /** @throws {COLLAB_NOT_ACTIVE} {TURN_OPEN} {VOTING_OPEN} {PERMISSION_DENIED} */
    async complete(scope: RequestScope, collabId: string, raw: unknown): Promise<Answer> {
      const options = parseInput(inputs.callOptions, raw, []);
      return calls.run(
        scope,
        collabId,
        {
          operation: 'completeCollaboration',
          input: { collabId, reason: options.reason },
          needs: ending,
          ...pick(options),
        },
        (draft) => {
          requireCoordinator(draft, scope.principal);
          requireStatus(draft, 'active', 'suspended');
          if (list(draft, 'turn').length > 0)
            throw new PlatformError('TURN_OPEN', 'a turn is under way: complete or cancel it first');
          const open = list(draft, 'decision').filter(({ status }) => status === 'voting');
          if (open.length > 0)
            throw new PlatformError('VOTING_OPEN', 'a voting is open: finalise or withdraw it first', {
              details: { decisionIds: open.map(({ id }) => id) },
            });
          end(draft, 'completed', { reason: options.reason ?? null, isFailed: false });
          return { collabId };
        },
      );
    },

    /** @throws {COLLAB_NOT_ACTIVE} {PERMISSION_DENIED} */
    async cancel(scope: RequestScope, collabId: string, raw: unknown): Promise<Answer> {
      const options = parseInput(inputs.callOptions, raw, []);
      return calls.run(
        scope,
        collabId,
        {
          operation: 'cancelCollaboration',
          input: { collabId, reason: options.reason, failed: options.failed },
          needs: { ...ending, conflict: 'open' },
          ...pick(options),
        },
        (draft) => {
          if (!coordinates(draft, scope.principal) && partOf(draft, scope.principal) !== null)
            throw new PlatformError(
              'PERMISSION_DENIED',
              'only who created it or administers it cancels a collaboration',
            );
          requireCoordinator(draft, scope.principal);
          requireStatus(draft, 'draft', 'active', 'suspended');
          end(draft, 'cancelled', { reason: options.reason ?? null, isFailed: options.failed ?? false });
          return { collabId };
        },
      );
    },
  };
}

export type Collaborations = ReturnType<typeof createCollaborations>;

const pick = ({
  expectedVersion,
  idempotencyKey,
}: {
  expectedVersion?: number | null | undefined;
  idempotencyKey?: string | null | undefined;
}) => ({
  expectedVersion,
  idempotencyKey,
});

import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { findIdempotentResponse } from '#shared/idempotency.ts';
import { newId } from '#shared/ids.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput } from '#shared/validation.ts';
import { formTeam } from './assignment/index.ts';
import type { Calls } from './calls.ts';
import type { Answer, CommandRunner } from './commands.ts';
import type { Contexts } from './contexts.ts';
import { change, createNewDraft, list, put, setDeadline, tell } from './draft.ts';
import * as inputs from './inputs.ts';
import { begin, end, resume, suspend } from './moves.ts';
import {
  gapsOf,
  normalised,
  requireCoordinatorAmong,
  requireSession,
  requireWithin,
  toParticipant,
} from './participantRows.ts';
import type { References } from './references.ts';
import { coordinates, partOf, requireCoordinator, requireStatus } from './rights.ts';
import { type CollabRow, emptyStats, type Objective } from './rows.ts';
import { requireReachable, toRules } from './rules.ts';

const defaultTurnTimeoutMs = 60_000;

export interface CollaborationsDeps {
  readonly commands: CommandRunner;
  readonly calls: Calls;
  readonly contexts: Contexts;
  readonly references: References;
}

function toObjectives(given: inputs.CreateInput['objectives']): readonly Objective[] {
  return (given ?? []).map(({ description, priority, metrics, requiredCapabilities }) => ({
    description,
    priority: priority ?? 50,
    metrics: (metrics ?? []).map(({ name, target, weight, direction }) => ({
      name,
      target,
      weight: weight ?? 1,
      direction: direction ?? 'at_least',
    })),
    requiredCapabilities: requiredCapabilities ?? [],
  }));
}

const toTargets = (given: inputs.CreateInput['performanceTargets']) =>
  Object.fromEntries((given ?? []).map(({ name, target }) => [name, target]));

/** Collaborations from their making to their end. */
export function createCollaborations(runtime: ModuleRuntime, deps: CollaborationsDeps) {
  const { commands, calls, contexts, references } = deps;

  return {
    /**
     * Opens a collaboration as a draft, or at once. With `teamSize` the candidates that cover the objectives best take part.
     * @throws {NOT_FOUND} {CONTEXT_NOT_ACTIVE} {ROLE_NOT_FOUND} {ROLE_MISSING} {INVARIANT_VIOLATED} {COORDINATOR_INVALID}
     * {QUORUM_UNREACHABLE} {LIMIT_EXCEEDED} {RULE_MISCONFIGURED} {VALIDATION_FAILED}
     */
    async create(scope: RequestScope, raw: unknown): Promise<Answer> {
      const { idempotencyKey, ...input } = parseInput(inputs.create, raw);
      const { principal } = scope;
      const { tenantId, subject } = principal;
      const idempotent =
        idempotencyKey == null
          ? null
          : { tenantId, subject, key: idempotencyKey, operation: 'createCollaboration', input };
      const known = await findIdempotentResponse(runtime.sql, 'collab', idempotent);
      if (known) return known.response as Answer;
      await contexts.requireOpen(principal, input.contextId);
      if (input.activate === true) await contexts.requireActive(principal, input.contextId);
      await Promise.all([
        references.requireRoles(
          principal,
          input.participants.map(({ roleId }) => roleId),
        ),
        references.requireIn(principal, input.contextId, input),
      ]);
      const id = newId();
      const atMs = Date.now();
      const at = new Date(atMs).toISOString();
      const objectives = toObjectives(input.objectives);
      const chosen = chooseTeam(input, objectives);
      const rows = normalised(
        chosen.map((given, position) => toParticipant(given, { tenantId, collabId: id, position, at })),
      );
      const coordination = {
        type: input.coordination?.type ?? ('peer_to_peer' as const),
        coordinatorId: input.coordination?.coordinatorId ?? null,
      };
      requireWithin(input.type ?? null, rows.length);
      requireCoordinatorAmong(coordination, rows);
      if (input.mode === 'pair' && rows.length > 2) requireSession('pair', rows);
      const decisionConfig = toRules(input.decisionConfig);
      if (input.decisionConfig != null) requireReachable(decisionConfig, rows.length);
      const maxParticipants = input.mode === 'pair' ? 2 : (input.maxParticipants ?? 100);
      if (rows.length > maxParticipants)
        throw new PlatformError('COLLAB_FULL', `expected at most ${maxParticipants} participants, got ${rows.length}`, {
          path: ['input', 'participants'],
        });
      const collab: CollabRow = {
        tenantId,
        id,
        contextId: input.contextId,
        planId: input.planId ?? null,
        dialogId: input.dialogId ?? null,
        confirmId: input.confirmId ?? null,
        title: input.title,
        purpose: input.purpose,
        mode: input.mode,
        type: input.type ?? null,
        status: 'draft',
        statusReason: null,
        suspendedBy: null,
        isFailed: false,
        coordination,
        decisionConfig,
        objectives,
        performanceTargets: toTargets(input.performanceTargets),
        turnTaking: {
          timeoutMs: input.turnTaking?.timeoutMs ?? defaultTurnTimeoutMs,
          autoAdvance: input.turnTaking?.autoAdvance ?? true,
        },
        turnState: { number: 0, lastParticipantId: null, missed: 0 },
        maxParticipants,
        participantCount: rows.length,
        deadlines: {},
        stats: emptyStats,
        experience: {},
        governance: input.governance == null ? null : withoutNulls(input.governance),
        protocol: null,
        nextDeadlineAt: null,
        startedAt: null,
        endedAt: null,
        version: 1,
        createdAt: at,
        createdBy: subject,
        updatedAt: at,
        updatedBy: subject,
      };
      return commands.run({
        scope,
        principal,
        collabId: id,
        idempotent,
        action: 'collab.createCollaboration',
        needs: {},
        create: () => createNewDraft(collab, atMs),
        decide(draft) {
          for (const row of rows) put(draft, 'participant', row);
          tell(draft, 'collab.created', { participants: rows });
          if (input.activate === true) begin(draft);
          return {
            collabId: id,
            capabilityGaps: gapsOf(objectives, rows),
            weights: rows.map(({ participantId, weight }) => ({ participantId, weight })),
          };
        },
      });
    },

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
            turnTaking: {
              timeoutMs: patch.turnTaking?.timeoutMs ?? collab.turnTaking.timeoutMs,
              autoAdvance: patch.turnTaking?.autoAdvance ?? collab.turnTaking.autoAdvance,
            },
          });
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
          needs: { participant: 'all', turn: 'open', broadcast: 'open' },
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
          needs: { participant: 'all', turn: 'open', broadcast: 'open', decision: 'open' },
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
          needs: { participant: 'all', turn: 'open', broadcast: 'open', decision: 'open', conflict: 'open' },
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
          setDeadline(draft, 'session', null);
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

function withoutNulls<T extends object>(given: T): { readonly [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value != null)) as never;
}

/** With a team size the best covering of the candidates, the coordinator among them; else all. */
function chooseTeam({ teamSize, participants, coordination }: inputs.CreateInput, objectives: readonly Objective[]) {
  if (teamSize == null || teamSize >= participants.length) return participants;
  const fixed = participants.filter(({ participantId }) => participantId === coordination?.coordinatorId);
  const required = objectives.flatMap(({ requiredCapabilities }) => requiredCapabilities);
  const have = new Set(fixed.flatMap(({ capabilities }) => capabilities ?? []));
  const others = participants.filter((one) => !fixed.includes(one));
  const { team } = formTeam(
    others.map(({ participantId, capabilities }) => ({ id: participantId, capabilities: capabilities ?? [] })),
    required.filter((capability) => !have.has(capability)),
    teamSize - fixed.length,
  );
  const chosen = new Set(team);
  // Places that add no capability go to who stands first.
  for (const { participantId } of others) if (chosen.size < teamSize - fixed.length) chosen.add(participantId);
  return participants.filter((one) => fixed.includes(one) || chosen.has(one.participantId));
}

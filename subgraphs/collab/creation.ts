import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { findIdempotentResponse } from '#shared/idempotency.ts';
import { newId } from '#shared/ids.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput } from '#shared/validation.ts';
import { formTeam } from './assignment/index.ts';
import type { Answer, CommandRunner } from './commands.ts';
import type { Contexts } from './contexts.ts';
import { requireCounter } from './customTally.ts';
import { createNewDraft, put, tell } from './draft.ts';
import * as inputs from './inputs.ts';
import { begin } from './moves.ts';
import {
  gapsOf,
  normalised,
  requireCoordinatorAmong,
  requireSession,
  requireWithin,
  toParticipant,
} from './participantRows.ts';
import type { References } from './references.ts';
import { type CollabRow, emptyStats, type Objective } from './rows.ts';
import { requireReachable, toRules } from './rules.ts';

const defaultTurnTimeoutMs = 60_000;

/** Of sessions that name no other, as the guide's: 480 minutes. */
const defaultDurationMs = 28_800_000;

export interface CreationDeps {
  readonly commands: CommandRunner;
  readonly contexts: Contexts;
  readonly references: References;
}

export function toObjectives(given: inputs.CreateInput['objectives']): readonly Objective[] {
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

export const toTargets = (given: inputs.CreateInput['performanceTargets']) =>
  Object.fromEntries((given ?? []).map(({ name, target }) => [name, target]));

/** Makes collaborations. */
export function createCreation(runtime: ModuleRuntime, { commands, contexts, references }: CreationDeps) {
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
        requireCounter(runtime.graph, principal, { rules: input.decisionConfig, path: ['input', 'decisionConfig'] }),
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
        networkId: input.networkId ?? null,
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
        maxDurationMs: input.maxDurationMs ?? defaultDurationMs,
        executionPattern: input.executionPattern ?? null,
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
  };
}

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

import { isDeepStrictEqual } from 'node:util';
import type { BeforeHooks } from '#shared/beforeHooks.ts';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { newId, requireId } from '#shared/ids.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput, requireVersion, text } from '#shared/validation.ts';
import { isOwnerOrAdmin, isPrivate } from './access.ts';
import { findChildren, participantList } from './children.ts';
import type { WriteOptions } from './contextChanges.ts';
import { participantEvent } from './events.ts';
import { readOverride } from './governance.ts';
import { createGroupCommit } from './groupCommit.ts';
import { untilHeard } from './heard.ts';
import { opensByToken } from './joinTokens.ts';
import {
  decideParticipants,
  type Members,
  type ParticipantChange,
  type ParticipantCommand,
  type ParticipantOutcome,
} from './participantGroup.ts';
import { addInput, joinInput, type ParticipantPatch, patchInput } from './participantInput.ts';
import { permissionsOf, requireAdmissible, requireParticipantTransition } from './participantRules.ts';
import type { ContextParticipantRow, ContextRow } from './rows.ts';
import { callOf, nowText, requireOwnerOr } from './rules.ts';
import { findContexts } from './store.ts';
import { requireOpen } from './transaction.ts';

type NewParticipant = Pick<
  ContextParticipantRow,
  'agentId' | 'type' | 'displayName' | 'roles' | 'capabilities' | 'maxConcurrentTasks' | 'timeoutMs' | 'notifications'
>;

type Call = Omit<WriteOptions, 'expectedVersion'>;

/** What an extension that is asked has no say in. */
const notOfTheirs = { contextId: true, override: true, idempotencyKey: true } as const;

/** Where extensions are asked before somebody joins. */
const joinedPoint = 'context.participant_joined';

/** What every mutation of participants has: the context, its name as an operation, and the input that makes it one. */
interface Asked {
  readonly contextId: string;
  readonly operation: string;
  readonly input: Readonly<Record<string, unknown>>;
}

/** Who takes part in a context: joining, changing, leaving. */
export function createParticipants(runtime: ModuleRuntime, hooks: BeforeHooks) {
  const { config, sql } = runtime;
  const group = createGroupCommit<ParticipantCommand, ParticipantChange>(runtime, {
    decide: decideParticipants,
    recall: (response) => ({ ...(response as { participantId: string }), after: null }),
  });

  async function run(
    scope: RequestScope,
    { contextId, operation, input }: Asked,
    { override: given, idempotencyKey }: Call,
    command: Pick<ParticipantCommand, 'about' | 'admits' | 'decide'>,
    hear?: () => Promise<void>,
  ): Promise<ParticipantChange> {
    // Whatever is asked passes here, so that what comes first is decided first where nobody listens.
    const isHeard = await hooks.isHeard(scope.principal.tenantId, joinedPoint);
    if (isHeard && hear !== undefined) await hear();
    const override = await readOverride(runtime, scope.principal, contextId, given);
    const hashed = { ...input, contextId, override: override?.override ?? null };
    const idempotent = callOf(scope.principal, idempotencyKey, operation, hashed);
    let closes = false;
    const change = await group.add({
      ...command,
      ...{ scope, contextId, override, idempotent },
      decide(context, members) {
        const outcome = command.decide(context, members);
        closes = isPrivate(context) && outcome.told !== null && outcome.participant.status === 'LEFT';
        return outcome;
      },
    });
    if (closes) await untilHeard(sql, { tenantId: scope.principal.tenantId, contextId });
    return change;
  }

  /** What extensions that are asked before somebody joins make of it; who joins and what opens the door stay. */
  async function heard<Input extends object>(
    scope: RequestScope,
    contextId: string,
    {
      agentId,
      input,
      read,
    }: { readonly agentId: string; readonly input: Input; readonly read: (raw: object) => Input },
  ): Promise<Input> {
    const { tenantId, subject } = scope.principal;
    const [context] = await findContexts(sql, tenantId, [contextId]);
    // What is unknown is refused further on.
    if (context === undefined) return input;
    const changed = await hooks.ask(scope, {
      point: joinedPoint,
      contextId,
      payload: { ...input, agentId, by: subject },
      read: (payload) => read(payload as object),
      // Who comes by a token sees a private context once it is in.
      ...(isPrivate(context) ? { inNameOf: context.ownerId } : {}),
    });
    return changed ?? input;
  }

  function admit(
    scope: RequestScope,
    context: ContextRow,
    members: Members,
    input: NewParticipant,
  ): ParticipantOutcome {
    const present = members.presentAs(input.agentId);
    const limit = Math.min(context.configuration.maxParticipants, config.QUOTA_PARTICIPANTS_PER_CONTEXT);
    requireAdmissible(context, input, { present, limit });
    const at = nowText();
    const participant: ContextParticipantRow = {
      ...input,
      tenantId: context.tenantId,
      id: newId(),
      contextId: context.id,
      status: 'ACTIVE',
      permissions: permissionsOf(context, input.agentId, input.roles),
      joinedAt: at,
      leftAt: null,
      lastActivityAt: at,
      version: 1,
    };
    const event = participantEvent('context.participant.joined', participant);
    const detail = { agentId: input.agentId, by: scope.principal.subject };
    return { participant, told: { event, audit: auditOf('add', participant, detail) } };
  }

  return {
    /** A participant as its own mutation answers it: also one that has just lost sight of the context. */
    async find(scope: RequestScope, participantId: string): Promise<ContextParticipantRow | null> {
      return (await findChildren(sql, scope.principal.tenantId, participantList, [participantId]))[0] ?? null;
    },

    drain: () => group.drain(),

    /**
     * Adds an agent; where a context is not open to all, only its owner or an administrator does.
     * @throws {CONTEXT_FULL} {PARTICIPANT_ALREADY_EXISTS} {VALIDATION_FAILED} {INVALID_STATE} {NOT_FOUND} {PERMISSION_DENIED}
     *   {HOOK_VETOED}
     */
    async add(scope: RequestScope, raw: unknown): Promise<ParticipantChange> {
      const { idempotencyKey, override, contextId, ...said } = parseInput(addInput, raw);
      const { agentId } = said;
      let input = said;
      const hear = async () => {
        input = await heard(scope, contextId, {
          agentId,
          input: said,
          read: (changed) => parseInput(addInput.omit(notOfTheirs), { ...changed, contextId, agentId }),
        });
      };
      return run(
        scope,
        { contextId, operation: 'addParticipant', input: said },
        { override, idempotencyKey },
        {
          about: { agentId },
          decide(context, members) {
            if (context.accessControl.joinPolicy !== 'OPEN') requireOwnerOr(context, scope.principal, 'context:admin');
            requireMayGrant(scope, context, agentId, input.roles ?? []);
            return admit(scope, context, members, {
              agentId,
              type: input.type ?? 'AGENT',
              displayName: input.displayName ?? null,
              roles: input.roles ?? [],
              capabilities: input.capabilities ?? [],
              maxConcurrentTasks: input.maxConcurrentTasks ?? 5,
              timeoutMs: input.timeoutMs ?? 300_000,
              notifications: input.notifications ?? {},
            });
          },
        },
        hear,
      );
    },

    /** The caller joins by itself. @throws {PERMISSION_DENIED} when the join policy asks for an invitation. {HOOK_VETOED} */
    async join(scope: RequestScope, contextId: string, raw: unknown, call: Call): Promise<ParticipantChange> {
      const { joinToken, ...said } = parseInput(joinInput, raw, []);
      const { principal } = scope;
      requireId(contextId, ['contextId']);
      let input = said;
      const hear = async () => {
        input = await heard(scope, contextId, {
          agentId: principal.subject,
          input: said,
          read: (changed) => parseInput(joinInput.omit({ joinToken: true }), changed),
        });
      };
      const bearsToken = (context: ContextRow) => opensByToken(context, joinToken);
      return run(
        scope,
        { contextId, operation: 'joinContext', input: { joinToken, ...said } },
        call,
        {
          about: {},
          admits: bearsToken,
          decide(context, members) {
            const policy = context.accessControl.joinPolicy;
            if (policy !== 'OPEN' && !isOwnerOrAdmin(context, principal) && !bearsToken(context))
              throw new PlatformError(
                'PERMISSION_DENIED',
                `the context is joined ${policy === 'APPROVAL' ? 'after approval by its owner' : 'by invitation'}`,
              );
            return admit(scope, context, members, {
              agentId: principal.subject,
              type:
                principal.subjectType === 'human' ? 'HUMAN' : principal.subjectType === 'service' ? 'SERVICE' : 'AGENT',
              displayName: input.displayName ?? principal.displayName ?? null,
              roles: principal.roles.slice(0, 10),
              capabilities: input.capabilities ?? [],
              maxConcurrentTasks: 5,
              timeoutMs: 300_000,
              notifications: {},
            });
          },
        },
        hear,
      );
    },

    /** A patch that changes nothing leaves no trace. @throws {PARTICIPANT_NOT_FOUND} {INVALID_STATE_TRANSITION} {INVALID_STATE} {VERSION_CONFLICT} */
    async update(
      scope: RequestScope,
      contextId: string,
      participantId: string,
      { patch: raw, expectedVersion, ...call }: WriteOptions & { readonly patch: unknown },
    ): Promise<ParticipantChange> {
      requireId(contextId, ['contextId']);
      requireId(participantId, ['participantId']);
      const patch = parseInput(patchInput, raw, ['patch']);
      const input = { participantId, patch, expectedVersion: expectedVersion ?? null };
      return run(scope, { contextId, operation: 'updateParticipant', input }, call, {
        about: { participantId },
        decide(context, members) {
          requireOpen(context);
          const before = requireParticipant(members, participantId);
          requireVersion(expectedVersion, before.version);
          const moves = patch.status !== undefined && patch.status !== before.status;
          if (moves) requireParticipantTransition(before.status, patch.status!);
          else if (before.status === 'LEFT')
            throw new PlatformError('INVALID_STATE', 'the participant has left', { path: ['participantId'] });
          if (moves && patch.status === 'LEFT') return depart(scope, before, null);
          if (patch.roles)
            requireMayGrant(
              scope,
              context,
              before.agentId,
              patch.roles.filter((role) => !before.roles.includes(role)),
            );
          return patchParticipant(scope, context, before, patch);
        },
      });
    },

    /**
     * Removing who has left already changes nothing. What lies in a private context is hidden from who leaves it once
     * this is answered.
     * @throws {PARTICIPANT_NOT_FOUND}
     */
    async remove(
      scope: RequestScope,
      contextId: string,
      participantId: string,
      { reason, ...call }: Call & { readonly reason?: string | null | undefined },
    ): Promise<ParticipantChange> {
      requireId(contextId, ['contextId']);
      requireId(participantId, ['participantId']);
      const note = reason == null ? null : parseInput(text({ max: 2_000 }), reason, ['reason']);
      const input = { participantId, reason: note };
      return run(scope, { contextId, operation: 'removeParticipant', input }, call, {
        about: { participantId },
        decide: (_context, members) => depart(scope, requireParticipant(members, participantId), note),
      });
    },

    /** @throws {PARTICIPANT_NOT_FOUND} when the caller takes no part. */
    async leave(scope: RequestScope, contextId: string, call: Call): Promise<ParticipantChange> {
      return run(scope, { contextId, operation: 'leaveContext', input: {} }, call, {
        about: {},
        decide(_context, members) {
          const own = members.presentAs(scope.principal.subject);
          if (!own) throw new PlatformError('PARTICIPANT_NOT_FOUND', 'the caller takes no part in this context');
          return depart(scope, own, null);
        },
      });
    },
  };
}

/**
 * Roles open what a context requires them for, so nobody hands them out but its owner and administrators; an agent
 * brings those of its own token.
 * @throws {PERMISSION_DENIED}
 */
function requireMayGrant(
  { principal }: RequestScope,
  context: ContextRow,
  agentId: string,
  roles: readonly string[],
): void {
  if (agentId === principal.subject && roles.every((role) => principal.roles.includes(role))) return;
  if (roles.length > 0) requireOwnerOr(context, principal, 'context:admin');
}

function requireParticipant(members: Members, participantId: string): ContextParticipantRow {
  const participant = members.byId(participantId);
  if (!participant)
    throw new PlatformError('PARTICIPANT_NOT_FOUND', 'no such participant in this context', {
      path: ['participantId'],
    });
  return participant;
}

function depart(scope: RequestScope, before: ContextParticipantRow, reason: string | null): ParticipantOutcome {
  if (before.status === 'LEFT') return { participant: before, told: null };
  const at = nowText();
  const participant: ContextParticipantRow = {
    ...before,
    status: 'LEFT',
    leftAt: at,
    lastActivityAt: before.agentId === scope.principal.subject ? at : before.lastActivityAt,
    version: before.version + 1,
  };
  const event = participantEvent('context.participant.left', participant, reason);
  return { participant, told: { event, audit: auditOf('remove', participant, { reason }) } };
}

function patchParticipant(
  scope: RequestScope,
  context: ContextRow,
  before: ContextParticipantRow,
  patch: ParticipantPatch,
): ParticipantOutcome {
  const roles = patch.roles === undefined ? before.roles : (patch.roles ?? []);
  const patched: ContextParticipantRow = {
    ...before,
    displayName: patch.displayName === undefined ? before.displayName : patch.displayName,
    status: patch.status ?? before.status,
    roles,
    permissions: patch.roles === undefined ? before.permissions : permissionsOf(context, before.agentId, roles),
    capabilities: patch.capabilities === undefined ? before.capabilities : (patch.capabilities ?? []),
    maxConcurrentTasks: patch.maxConcurrentTasks ?? before.maxConcurrentTasks,
    timeoutMs: patch.timeoutMs ?? before.timeoutMs,
    notifications: patch.notifications === undefined ? before.notifications : (patch.notifications ?? {}),
  };
  const changed = (Object.keys(patched) as (keyof ContextParticipantRow)[]).filter(
    (field) => !isDeepStrictEqual(patched[field], before[field]),
  );
  if (changed.length === 0) return { participant: before, told: null };
  const participant: ContextParticipantRow = {
    ...patched,
    lastActivityAt: before.agentId === scope.principal.subject ? nowText() : before.lastActivityAt,
    version: before.version + 1,
  };
  const event = participantEvent('context.participant.updated', participant);
  return { participant, told: { event, audit: auditOf('update', participant, { changed }) } };
}

function auditOf(what: string, { id, contextId }: ContextParticipantRow, detail: Readonly<Record<string, unknown>>) {
  return {
    action: `context.participant.${what}`,
    resource: 'ContextParticipant',
    resourceId: id,
    detail: { contextId, ...detail },
  };
}

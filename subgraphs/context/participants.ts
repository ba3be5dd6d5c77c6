import type { BeforeHooks } from '#shared/beforeHooks.ts';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { requireId } from '#shared/ids.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput, requireVersion, text } from '#shared/validation.ts';
import { isPrivate } from './access.ts';
import type { LimitOf } from './admission.ts';
import { findChildren, participantList } from './children.ts';
import type { WriteOptions } from './contextChanges.ts';
import { readOverride } from './governance.ts';
import { createGroupCommit } from './groupCommit.ts';
import { untilHeard } from './heard.ts';
import { opensByToken } from './joinTokens.ts';
import { changeNotifications } from './notificationPreferences.ts';
import { decideParticipants, type ParticipantChange, type ParticipantCommand } from './participantGroup.ts';
import { addInput, joinInput, patchInput } from './participantInput.ts';
import { mayAdmit, requireMayAdmit, requireParticipantTransition } from './participantRules.ts';
import {
  admit,
  approve,
  approveOrKeep,
  depart,
  patchParticipant,
  requestToJoin,
  requireMayGrant,
  requireParticipant,
} from './participantSteps.ts';
import type { ContextParticipantRow, ContextRow } from './rows.ts';
import { callOf } from './rules.ts';
import { findContexts } from './store.ts';
import { requireOpen } from './transaction.ts';

type Call = Omit<WriteOptions, 'expectedVersion'>;

export type JoinDecision = 'APPROVE' | 'REFUSE';

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

export type Participants = ReturnType<typeof createParticipants>;

/** Who takes part in a context: joining, changing, leaving. */
export function createParticipants(runtime: ModuleRuntime, hooks: BeforeHooks) {
  const { config, sql } = runtime;
  const limitOf: LimitOf = ({ configuration }) =>
    Math.min(configuration.maxParticipants, config.QUOTA_PARTICIPANTS_PER_CONTEXT);
  const group = createGroupCommit<ParticipantCommand, ParticipantChange>(runtime, {
    decide: (tx, commands) => decideParticipants(tx, commands, limitOf),
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

  const acting = (scope: RequestScope, context: ContextRow) => ({
    ...{ scope, context },
    limit: limitOf(context),
  });

  return {
    /** A participant as its own mutation answers it: also one that has just lost sight of the context. */
    async find(scope: RequestScope, participantId: string): Promise<ContextParticipantRow | null> {
      return (await findChildren(sql, scope.principal.tenantId, participantList, [participantId]))[0] ?? null;
    },

    drain: () => group.drain(),
    limitOf,

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
            if (context.accessControl.joinPolicy !== 'OPEN') requireMayAdmit(context, scope.principal);
            requireMayGrant(scope, context, agentId, input.roles ?? []);
            return admit(acting(scope, context), members, {
              agentId,
              type: input.type ?? 'AGENT',
              displayName: input.displayName ?? null,
              roles: input.roles ?? [],
              capabilities: input.capabilities ?? [],
              maxConcurrentTasks: input.maxConcurrentTasks ?? 5,
              timeoutMs: input.timeoutMs ?? 300_000,
              notifications: changeNotifications(null, input.notifications),
            });
          },
        },
        hear,
      );
    },

    /**
     * The caller joins by itself; where the policy asks for approval it asks to join, and asking twice changes nothing.
     * @throws {PERMISSION_DENIED} when the join policy asks for an invitation. {QUOTA_EXCEEDED} when too many ask. {HOOK_VETOED}
     */
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
            const isIn = policy === 'OPEN' || mayAdmit(context, principal) || bearsToken(context);
            if (!isIn && policy !== 'APPROVAL')
              throw new PlatformError('PERMISSION_DENIED', 'the context is joined by invitation');
            const act = { ...acting(scope, context), requestLimit: config.QUOTA_JOIN_REQUESTS_PER_CONTEXT };
            return (isIn ? admit : requestToJoin)(act, members, {
              agentId: principal.subject,
              type:
                principal.subjectType === 'human' ? 'HUMAN' : principal.subjectType === 'service' ? 'SERVICE' : 'AGENT',
              displayName: input.displayName ?? principal.displayName ?? null,
              roles: principal.roles.slice(0, 10),
              capabilities: input.capabilities ?? [],
              maxConcurrentTasks: 5,
              timeoutMs: 300_000,
              notifications: changeNotifications(null, null),
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
          if (moves && patch.status === 'LEFT') return depart(scope, context, { before, reason: null });
          // Letting in and what else is patched are two things: the roles that were asked for are those let in.
          if (moves && before.status === 'JOINING') return approve(acting(scope, context), before);
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
        decide: (context, members) =>
          depart(scope, context, { before: requireParticipant(members, participantId), reason: note }),
      });
    },

    /**
     * Lets in, or refuses, who asks to join. With `waits`, one for whom there is no place is kept until there is one.
     * @throws {PARTICIPANT_NOT_FOUND} {PERMISSION_DENIED} {CONTEXT_FULL} {INVALID_STATE} {VERSION_CONFLICT} {VALIDATION_FAILED}
     */
    async decide(
      scope: RequestScope,
      contextId: string,
      participantId: string,
      {
        decision,
        reason,
        expectedVersion,
        waits = false,
        ...call
      }: WriteOptions & {
        readonly decision: JoinDecision;
        readonly reason?: string | null | undefined;
        readonly waits?: boolean;
      },
    ): Promise<ParticipantChange> {
      requireId(contextId, ['contextId']);
      requireId(participantId, ['participantId']);
      const note = reason == null ? null : parseInput(text({ max: 2_000 }), reason, ['reason']);
      const input = { participantId, decision, reason: note, expectedVersion: expectedVersion ?? null };
      return run(scope, { contextId, operation: 'decideJoinRequest', input }, call, {
        about: { participantId },
        decide(context, members) {
          requireMayAdmit(context, scope.principal);
          const before = requireParticipant(members, participantId);
          requireVersion(expectedVersion, before.version);
          if (before.status !== 'JOINING')
            throw new PlatformError('INVALID_STATE', `the participant is ${before.status}; this needs it JOINING`, {
              path: ['participantId'],
            });
          return decision === 'APPROVE'
            ? (waits ? approveOrKeep : approve)(acting(scope, context), before)
            : depart(scope, context, { before, reason: note });
        },
      });
    },

    /** Who has only asked to join asks no longer. @throws {PARTICIPANT_NOT_FOUND} when the caller takes no part. */
    async leave(scope: RequestScope, contextId: string, call: Call): Promise<ParticipantChange> {
      return run(scope, { contextId, operation: 'leaveContext', input: {} }, call, {
        about: {},
        decide(context, members) {
          const own = members.presentAs(scope.principal.subject);
          if (!own) throw new PlatformError('PARTICIPANT_NOT_FOUND', 'the caller takes no part in this context');
          return depart(scope, context, { before: own, reason: null });
        },
      });
    },
  };
}

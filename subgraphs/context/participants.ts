import { z } from 'zod';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { newId, requireId } from '#shared/ids.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { id, idempotencyKey, json, parseInput, requireVersion, text } from '#shared/validation.ts';
import type { ContextParticipant, Prisma } from '../../prisma/generated/client.ts';
import { isOwnerOrAdmin } from './access.ts';
import { findChildren, participantList, sessionColumns } from './children.ts';
import { participantEvent, sessionEvent } from './events.ts';
import { governanceOverride, readOverride } from './governance.ts';
import { opensByToken } from './joinTokens.ts';
import type { ContextParticipantRow, ContextRow, ContextSessionRow } from './rows.ts';
import { callOf, requireOwnerOr } from './rules.ts';
import { inContext, requireOpen } from './transaction.ts';

const label = text({ min: 1, max: 255 });

const addInput = z.object({
  contextId: id,
  agentId: label,
  type: z.string().nullish(),
  displayName: label.nullish(),
  roles: z.array(label).max(10).nullish(),
  capabilities: z.array(label).max(50).nullish(),
  maxConcurrentTasks: z.number().int().min(1).max(1_000).nullish(),
  timeoutMs: z.number().int().min(1_000).max(86_400_000).nullish(),
  notifications: json({ maxBytes: 16_384 }).nullish(),
  override: governanceOverride.nullish(),
  idempotencyKey: idempotencyKey.nullish(),
});

const patchInput = z.object({
  displayName: label.nullish(),
  status: z.enum(['JOINING', 'ACTIVE', 'INACTIVE', 'LEAVING', 'LEFT']).optional(),
  roles: z.array(label).max(10).nullish(),
  capabilities: z.array(label).max(50).nullish(),
  maxConcurrentTasks: z.number().int().min(1).max(1_000).optional(),
  timeoutMs: z.number().int().min(1_000).max(86_400_000).optional(),
  notifications: json({ maxBytes: 16_384 }).nullish(),
});

const joinInput = z.object({
  joinToken: text({ max: 200 }).nullish(),
  displayName: label.nullish(),
  capabilities: z.array(label).max(50).nullish(),
});

/** joining -> active <-> inactive -> leaving -> left; left is for good, the agent may join anew. */
const transitions: Readonly<Record<string, readonly string[]>> = {
  JOINING: ['ACTIVE', 'LEAVING', 'LEFT'],
  ACTIVE: ['INACTIVE', 'LEAVING', 'LEFT'],
  INACTIVE: ['ACTIVE', 'LEAVING', 'LEFT'],
  LEAVING: ['LEFT'],
  LEFT: [],
};

interface ChangeOptions {
  readonly override?: unknown;
  readonly idempotencyKey?: string | null | undefined;
}

export interface ParticipantChange {
  readonly participantId: string;
}

interface NewParticipant {
  readonly agentId: string;
  readonly type: string;
  readonly displayName: string | null;
  readonly roles: readonly string[];
  readonly capabilities: readonly string[];
  readonly maxConcurrentTasks: number;
  readonly timeoutMs: number;
  readonly notifications: unknown;
}

export function toParticipantRow(row: ContextParticipant): ContextParticipantRow {
  return {
    ...row,
    timeoutMs: Number(row.timeoutMs),
    joinedAt: row.joinedAt.toISOString(),
    leftAt: row.leftAt?.toISOString() ?? null,
    lastActivityAt: row.lastActivityAt.toISOString(),
  };
}

/** Who takes part in a context: joining, changing, leaving. */
export function createParticipants(runtime: ModuleRuntime) {
  const { config, authorizer } = runtime;

  async function join(tx: Prisma.TransactionClient, context: ContextRow, scope: RequestScope, input: NewParticipant) {
    requireOpen(context);
    const limit = Math.min(context.configuration.maxParticipants, config.QUOTA_PARTICIPANTS_PER_CONTEXT);
    if (context.participantCount >= limit)
      throw new PlatformError(
        'CONTEXT_FULL',
        `the context holds ${context.participantCount} participants of at most ${limit}`,
      );
    const present = await tx.contextParticipant.findFirst({
      where: { tenantId: context.tenantId, contextId: context.id, agentId: input.agentId, status: { not: 'LEFT' } },
      select: { id: true },
    });
    if (present)
      throw new PlatformError('PARTICIPANT_ALREADY_EXISTS', `the agent ${input.agentId} takes part already`, {
        path: ['agentId'],
        details: { participantId: present.id },
      });
    requireMatch('capabilities', context.accessControl.requiredCapabilities, input.capabilities);
    requireMatch('roles', context.accessControl.requiredRoles, input.roles);
    const stored = await tx.contextParticipant.create({
      data: {
        tenantId: context.tenantId,
        id: newId(),
        contextId: context.id,
        agentId: input.agentId,
        type: input.type,
        displayName: input.displayName,
        status: 'ACTIVE',
        roles: [...input.roles],
        capabilities: [...input.capabilities],
        permissions: permissionsOf(context, input.agentId, input.roles),
        maxConcurrentTasks: input.maxConcurrentTasks,
        timeoutMs: BigInt(input.timeoutMs),
        notifications: (input.notifications ?? {}) as Prisma.InputJsonValue,
      },
    });
    await countParticipants(tx, context, 1);
    const participant = toParticipantRow(stored);
    return {
      response: { participantId: participant.id },
      events: [participantEvent('context.participant.joined', participant)],
      audit: [
        {
          action: 'context.participant.add',
          resource: 'ContextParticipant',
          resourceId: participant.id,
          detail: { contextId: context.id, agentId: input.agentId, by: scope.principal.subject },
        },
      ],
    };
  }

  async function requireParticipant(
    tx: Prisma.TransactionClient,
    context: ContextRow,
    participantId: string,
  ): Promise<ContextParticipant> {
    const participant = await tx.contextParticipant.findUnique({
      where: { tenantId_id: { tenantId: context.tenantId, id: participantId } },
    });
    if (!participant || participant.contextId !== context.id)
      throw new PlatformError('PARTICIPANT_NOT_FOUND', 'no such participant in this context', {
        path: ['participantId'],
      });
    return participant;
  }

  async function leave(
    tx: Prisma.TransactionClient,
    context: ContextRow,
    participant: ContextParticipant,
    { reason, by }: { readonly reason: string | null; readonly by: string },
  ) {
    if (participant.status === 'LEFT') return { response: { participantId: participant.id }, events: [], audit: [] };
    const at = new Date();
    const stored = await tx.contextParticipant.update({
      where: { tenantId_id: { tenantId: context.tenantId, id: participant.id } },
      data: {
        status: 'LEFT',
        leftAt: at,
        ...(by === participant.agentId ? { lastActivityAt: at } : {}),
        version: { increment: 1 },
      },
    });
    const sessions = await tx.$queryRawUnsafe<{ session: ContextSessionRow }[]>(
      `WITH p AS (
         UPDATE context.session SET active_participant_ids = array_remove(active_participant_ids, $3::uuid), version = version + 1
         WHERE tenant_id = $1 AND context_id = $2::uuid AND $3::uuid = ANY(active_participant_ids) RETURNING *
       ) SELECT (SELECT row_to_json(r) FROM (SELECT ${sessionColumns}) r) AS session FROM p`,
      context.tenantId,
      context.id,
      participant.id,
    );
    await countParticipants(tx, context, -1);
    return {
      response: { participantId: participant.id },
      events: [
        participantEvent('context.participant.left', toParticipantRow(stored), reason),
        ...sessions.map(({ session }) => sessionEvent('context.session.updated', session)),
      ],
      audit: [
        {
          action: 'context.participant.remove',
          resource: 'ContextParticipant',
          resourceId: participant.id,
          detail: { contextId: context.id, reason },
        },
      ],
    };
  }

  return {
    /** A participant as its own mutation answers it: also one that has just lost sight of the context. */
    async find(scope: RequestScope, participantId: string): Promise<ContextParticipantRow | null> {
      return (await findChildren(runtime.sql, scope.principal.tenantId, participantList, [participantId]))[0] ?? null;
    },

    /**
     * Adds an agent; where a context is not open to all, only its owner or an administrator does.
     * @throws {CONTEXT_FULL} {PARTICIPANT_ALREADY_EXISTS} {VALIDATION_FAILED} {INVALID_STATE} {NOT_FOUND} {PERMISSION_DENIED}
     */
    async add(scope: RequestScope, raw: unknown): Promise<ParticipantChange> {
      const { idempotencyKey: key, ...input } = parseInput(addInput, raw);
      const { contextId } = input;
      const override = await readOverride(authorizer, scope.principal, contextId, input.override);
      return inContext(
        runtime,
        { scope, contextId, override, idempotent: callOf(scope.principal, key, 'addParticipant', input) },
        (tx, context) => {
          if (context.accessControl.joinPolicy !== 'OPEN') requireOwnerOr(context, scope.principal, 'context:admin');
          return join(tx, context, scope, {
            agentId: input.agentId,
            type: input.type ?? 'AGENT',
            displayName: input.displayName ?? null,
            roles: input.roles ?? [],
            capabilities: input.capabilities ?? [],
            maxConcurrentTasks: input.maxConcurrentTasks ?? 5,
            timeoutMs: input.timeoutMs ?? 300_000,
            notifications: input.notifications ?? {},
          });
        },
      );
    },

    /** The caller joins by itself. @throws {PERMISSION_DENIED} when the join policy asks for an invitation. */
    async join(
      scope: RequestScope,
      contextId: string,
      raw: unknown,
      options: ChangeOptions,
    ): Promise<ParticipantChange> {
      const override = await readOverride(authorizer, scope.principal, contextId, options.override);
      const input = parseInput(joinInput, raw, []);
      const { principal } = scope;
      const bearsToken = (context: ContextRow) => opensByToken(context, input.joinToken);
      return inContext(
        runtime,
        {
          scope,
          contextId,
          override,
          idempotent: callOf(principal, options.idempotencyKey, 'joinContext', {
            contextId,
            ...input,
            override: override?.override ?? null,
          }),
          admits: bearsToken,
        },
        (tx, context) => {
          const policy = context.accessControl.joinPolicy;
          const invited = policy === 'OPEN' || isOwnerOrAdmin(context, principal) || bearsToken(context);
          if (!invited)
            throw new PlatformError(
              'PERMISSION_DENIED',
              `the context is joined ${policy === 'APPROVAL' ? 'after approval by its owner' : 'by invitation'}`,
            );
          return join(tx, context, scope, {
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
      );
    },

    /** @throws {PARTICIPANT_NOT_FOUND} {INVALID_STATE_TRANSITION} {VERSION_CONFLICT} */
    async update(
      scope: RequestScope,
      contextId: string,
      participantId: string,
      {
        patch: raw,
        ...options
      }: ChangeOptions & {
        readonly patch: unknown;
        readonly expectedVersion?: number | null | undefined;
      },
    ): Promise<ParticipantChange> {
      const override = await readOverride(authorizer, scope.principal, contextId, options.override);
      requireId(participantId, ['participantId']);
      const patch = parseInput(patchInput, raw, ['patch']);
      return inContext(
        runtime,
        {
          scope,
          contextId,
          override,
          idempotent: callOf(scope.principal, options.idempotencyKey, 'updateParticipant', {
            contextId,
            participantId,
            patch,
            expectedVersion: options.expectedVersion ?? null,
            override: override?.override ?? null,
          }),
        },
        async (tx, context) => {
          requireOpen(context);
          const before = await requireParticipant(tx, context, participantId);
          requireVersion(options.expectedVersion, before.version);
          if (patch.status !== undefined && patch.status !== before.status) {
            if (!transitions[before.status]!.includes(patch.status)) {
              throw new PlatformError(
                'INVALID_STATE_TRANSITION',
                `a participant that is ${before.status} cannot become ${patch.status}`,
                { path: ['patch', 'status'] },
              );
            }
            if (patch.status === 'LEFT')
              return leave(tx, context, before, { reason: null, by: scope.principal.subject });
          } else if (before.status === 'LEFT')
            throw new PlatformError('INVALID_STATE', 'the participant has left', { path: ['participantId'] });
          const roles = patch.roles === undefined ? before.roles : (patch.roles ?? []);
          const stored = await tx.contextParticipant.update({
            where: { tenantId_id: { tenantId: context.tenantId, id: participantId } },
            data: {
              ...(patch.displayName === undefined ? {} : { displayName: patch.displayName }),
              ...(patch.status === undefined ? {} : { status: patch.status }),
              ...(patch.roles === undefined
                ? {}
                : { roles, permissions: permissionsOf(context, before.agentId, roles) }),
              ...(patch.capabilities === undefined ? {} : { capabilities: patch.capabilities ?? [] }),
              ...(patch.maxConcurrentTasks === undefined ? {} : { maxConcurrentTasks: patch.maxConcurrentTasks }),
              ...(patch.timeoutMs === undefined ? {} : { timeoutMs: BigInt(patch.timeoutMs) }),
              ...(patch.notifications === undefined
                ? {}
                : { notifications: (patch.notifications ?? {}) as Prisma.InputJsonValue }),
              ...(before.agentId === scope.principal.subject ? { lastActivityAt: new Date() } : {}),
              version: { increment: 1 },
            },
          });
          const participant = toParticipantRow(stored);
          return {
            response: { participantId },
            events: [participantEvent('context.participant.updated', participant)],
            audit: [
              {
                action: 'context.participant.update',
                resource: 'ContextParticipant',
                resourceId: participantId,
                detail: { contextId, changed: Object.keys(patch) },
              },
            ],
          };
        },
      );
    },

    /** Removing who has left already changes nothing. @throws {PARTICIPANT_NOT_FOUND} */
    async remove(
      scope: RequestScope,
      contextId: string,
      participantId: string,
      { reason, ...options }: ChangeOptions & { readonly reason?: string | null | undefined },
    ): Promise<ParticipantChange> {
      const override = await readOverride(authorizer, scope.principal, contextId, options.override);
      requireId(participantId, ['participantId']);
      const note = reason == null ? null : parseInput(text({ max: 2_000 }), reason, ['reason']);
      return inContext(
        runtime,
        {
          scope,
          contextId,
          override,
          idempotent: callOf(scope.principal, options.idempotencyKey, 'removeParticipant', {
            contextId,
            participantId,
            reason: note,
            override: override?.override ?? null,
          }),
        },
        async (tx, context) =>
          leave(tx, context, await requireParticipant(tx, context, participantId), {
            reason: note,
            by: scope.principal.subject,
          }),
      );
    },

    /** @throws {PARTICIPANT_NOT_FOUND} when the caller takes no part. */
    async leave(scope: RequestScope, contextId: string, options: ChangeOptions): Promise<ParticipantChange> {
      const override = await readOverride(authorizer, scope.principal, contextId, options.override);
      const input = { contextId, override: override?.override ?? null };
      return inContext(
        runtime,
        {
          scope,
          contextId,
          override,
          idempotent: callOf(scope.principal, options.idempotencyKey, 'leaveContext', input),
        },
        async (tx, context) => {
          const own = await tx.contextParticipant.findFirst({
            where: { tenantId: context.tenantId, contextId, agentId: scope.principal.subject, status: { not: 'LEFT' } },
          });
          if (!own) throw new PlatformError('PARTICIPANT_NOT_FOUND', 'the caller takes no part in this context');
          return leave(tx, context, own, { reason: null, by: scope.principal.subject });
        },
      );
    },
  };
}

async function countParticipants(tx: Prisma.TransactionClient, context: ContextRow, delta: number): Promise<void> {
  await tx.context.update({
    where: { tenantId_id: { tenantId: context.tenantId, id: context.id } },
    data: { participantCount: { increment: delta }, lastActivityAt: new Date() },
    select: { id: true },
  });
}

function requireMatch(name: 'capabilities' | 'roles', required: readonly string[], held: readonly string[]): void {
  const missing = required.filter((entry) => !held.includes(entry));
  if (missing.length > 0)
    throw new PlatformError('VALIDATION_FAILED', `${name}: the context requires ${missing.join(', ')}`, {
      path: [name],
      details: { missing },
    });
}

interface AccessPermission {
  readonly principal: string;
  readonly principalType: string;
  readonly resource: string;
  readonly actions: readonly string[];
}

/** What the context's own access list grants an agent directly or by one of its roles. */
function permissionsOf(context: ContextRow, agentId: string, roles: readonly string[]): string[] {
  const granted = new Set<string>();
  for (const entry of context.accessControl.permissions as readonly AccessPermission[]) {
    const applies = entry.principalType === 'role' ? roles.includes(entry.principal) : entry.principal === agentId;
    if (applies) for (const action of entry.actions) granted.add(`${entry.resource}:${action}`);
  }
  return [...granted].sort();
}

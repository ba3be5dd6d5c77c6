import { z } from 'zod';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { newId, requireId } from '#shared/ids.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { id, idempotencyKey, parseInput, requireVersion, text } from '#shared/validation.ts';
import type { ContextSession, Prisma } from '../../prisma/generated/client.ts';
import { findChildren, sessionList } from './children.ts';
import { sessionEvent } from './events.ts';
import { governanceOverride, readOverride } from './governance.ts';
import { isolationLevel } from './inputs.ts';
import type { ContextRow, ContextSessionRow } from './rows.ts';
import { callOf } from './rules.ts';
import { inContext, requireActive, requireOpen } from './transaction.ts';

const label = text({ min: 1, max: 255 });

const createInput = z.object({
  contextId: id,
  name: label,
  type: label.nullish(),
  participantIds: z.array(id).max(1_000).nullish(),
  maxDurationMs: z.number().int().min(1_000).max(86_400_000).nullish(),
  persistState: z
    .boolean()
    .refine((value) => value, 'expected true: the state of a context is stored with each change')
    .nullish(),
  isolationLevel: isolationLevel.nullish(),
  autoSave: z
    .boolean()
    .refine((value) => value, 'expected true: each change is stored before it is answered')
    .nullish(),
  compression: z
    .boolean()
    .refine((value) => !value, 'expected false: what is said in a session is stored as it came')
    .nullish(),
  activate: z.boolean().nullish(),
  override: governanceOverride.nullish(),
  idempotencyKey: idempotencyKey.nullish(),
});

export type SessionStatus = 'INITIALIZING' | 'ACTIVE' | 'PAUSED' | 'COMPLETED' | 'FAILED';

/** initializing -> active <-> paused -> completed or failed; both of these are for good. */
const transitions: Readonly<Record<SessionStatus, readonly SessionStatus[]>> = {
  INITIALIZING: ['ACTIVE', 'FAILED'],
  ACTIVE: ['PAUSED', 'COMPLETED', 'FAILED'],
  PAUSED: ['ACTIVE', 'COMPLETED', 'FAILED'],
  COMPLETED: [],
  FAILED: [],
};

export function isEnded(status: string): boolean {
  return status === 'COMPLETED' || status === 'FAILED';
}

export interface SessionChange {
  readonly sessionId: string;
}

interface ChangeOptions {
  readonly expectedVersion?: number | null | undefined;
  readonly override?: unknown;
  readonly idempotencyKey?: string | null | undefined;
}

function toSessionRow(row: ContextSession): ContextSessionRow {
  return {
    ...row,
    maxDurationMs: Number(row.maxDurationMs),
    startedAt: row.startedAt.toISOString(),
    endedAt: row.endedAt?.toISOString() ?? null,
  };
}

/** Sessions within a context: a name for a stretch of work some of its participants do together. */
export function createSessions(runtime: ModuleRuntime) {
  async function change(
    tx: Prisma.TransactionClient,
    context: ContextRow,
    sessionId: string,
    { to, expectedVersion }: { readonly to: SessionStatus; readonly expectedVersion?: number | null | undefined },
  ) {
    const before = await tx.contextSession.findUnique({
      where: { tenantId_id: { tenantId: context.tenantId, id: sessionId } },
    });
    if (!before || before.contextId !== context.id)
      throw new PlatformError('NOT_FOUND', 'no such session in this context', { path: ['sessionId'] });
    requireVersion(expectedVersion, before.version);
    const from = before.status as SessionStatus;
    if (from === to && isEnded(to)) return { response: { sessionId }, events: [], audit: [] };
    if (!transitions[from].includes(to)) {
      throw new PlatformError(
        'INVALID_STATE_TRANSITION',
        `a session that is ${from} cannot become ${to}; allowed: ${transitions[from].join(', ') || 'none'}`,
        { path: ['status'], details: { from, to } },
      );
    }
    // Work begins again only where the context lets it; ending it is always possible.
    if (to === 'ACTIVE') requireActive(context);
    const stored = await tx.contextSession.update({
      where: { tenantId_id: { tenantId: context.tenantId, id: sessionId } },
      data: {
        status: to,
        ...(isEnded(to) ? { endedAt: new Date(), activeParticipantIds: [] } : {}),
        version: { increment: 1 },
      },
    });
    await countSessions(tx, context, isEnded(to) ? -1 : 0);
    return {
      response: { sessionId },
      events: [sessionEvent(isEnded(to) ? 'context.session.ended' : 'context.session.updated', toSessionRow(stored))],
      audit: [
        {
          action: 'context.session.status',
          resource: 'ContextSession',
          resourceId: sessionId,
          detail: { contextId: context.id, from, to },
        },
      ],
    };
  }

  return {
    async find(scope: RequestScope, sessionId: string): Promise<ContextSessionRow | null> {
      return (await findChildren(runtime.sql, scope.principal.tenantId, sessionList, [sessionId]))[0] ?? null;
    },

    /** @throws {SESSION_LIMIT_REACHED} {CONTEXT_NOT_ACTIVE} {PARTICIPANT_NOT_FOUND} {VALIDATION_FAILED} {NOT_FOUND} */
    async create(scope: RequestScope, raw: unknown): Promise<SessionChange> {
      const { idempotencyKey: key, ...input } = parseInput(createInput, raw);
      const { contextId } = input;
      const override = await readOverride(runtime, scope.principal, contextId, input.override);
      return inContext(
        runtime,
        {
          scope,
          contextId,
          resource: 'session',
          override,
          idempotent: callOf(scope.principal, key, 'createSession', input),
        },
        async (tx, context) => {
          requireActive(context);
          const limit = context.configuration.maxSessions;
          if (context.sessionCount >= limit)
            throw new PlatformError(
              'SESSION_LIMIT_REACHED',
              `the context holds ${context.sessionCount} open sessions of at most ${limit}`,
              { details: { limit, used: context.sessionCount } },
            );
          const participantIds = [...new Set(input.participantIds ?? [])];
          await requirePresent(tx, context, participantIds);
          const startedAt = new Date();
          const maxDurationMs = input.maxDurationMs ?? 7_200_000;
          const stored = await tx.contextSession.create({
            data: {
              tenantId: context.tenantId,
              id: newId(),
              contextId: context.id,
              name: input.name,
              type: input.type ?? 'work',
              status: input.activate === false ? 'INITIALIZING' : 'ACTIVE',
              participantIds,
              activeParticipantIds: participantIds,
              maxDurationMs: BigInt(maxDurationMs),
              persistState: input.persistState ?? true,
              isolationLevel: input.isolationLevel ?? context.configuration.isolationLevel,
              autoSave: input.autoSave ?? true,
              compression: input.compression ?? false,
              startedAt,
            },
          });
          await countSessions(tx, context, 1);
          const session = toSessionRow(stored);
          return {
            response: { sessionId: session.id },
            events: [sessionEvent('context.session.started', session)],
            audit: [
              {
                action: 'context.session.create',
                resource: 'ContextSession',
                resourceId: session.id,
                detail: { contextId: context.id },
              },
            ],
            jobs: [
              {
                task: 'context.endSession',
                payload: { tenantId: context.tenantId, contextId: context.id, sessionId: session.id },
                runAt: new Date(startedAt.getTime() + maxDurationMs),
                key: `context.endSession:${session.id}`,
              },
            ],
          };
        },
      );
    },

    /** @throws {INVALID_STATE_TRANSITION} {CONTEXT_NOT_ACTIVE} {VERSION_CONFLICT} {NOT_FOUND} */
    async changeStatus(
      scope: RequestScope,
      contextId: string,
      sessionId: string,
      { status: to, ...options }: ChangeOptions & { readonly status: SessionStatus },
    ): Promise<SessionChange> {
      const override = await readOverride(runtime, scope.principal, contextId, options.override);
      requireId(sessionId, ['sessionId']);
      const idempotent = callOf(scope.principal, options.idempotencyKey, 'changeSessionStatus', {
        contextId,
        sessionId,
        status: to,
        expectedVersion: options.expectedVersion ?? null,
        override: override?.override ?? null,
      });
      return inContext(runtime, { scope, contextId, resource: 'session', override, idempotent }, (tx, context) => {
        requireOpen(context);
        return change(tx, context, sessionId, { to, expectedVersion: options.expectedVersion });
      });
    },

    /** Ending what has ended the same way changes nothing. @throws {INVALID_STATE_TRANSITION} {NOT_FOUND} */
    async end(
      scope: RequestScope,
      contextId: string,
      sessionId: string,
      { failed, ...options }: Omit<ChangeOptions, 'expectedVersion'> & { readonly failed: boolean },
    ): Promise<SessionChange> {
      const override = await readOverride(runtime, scope.principal, contextId, options.override);
      requireId(sessionId, ['sessionId']);
      const idempotent = callOf(scope.principal, options.idempotencyKey, 'endSession', {
        contextId,
        sessionId,
        failed,
        override: override?.override ?? null,
      });
      return inContext(runtime, { scope, contextId, resource: 'session', override, idempotent }, (tx, context) =>
        change(tx, context, sessionId, { to: failed ? 'FAILED' : 'COMPLETED' }),
      );
    },
  };
}

async function countSessions(tx: Prisma.TransactionClient, context: ContextRow, delta: number): Promise<void> {
  await tx.context.update({
    where: { tenantId_id: { tenantId: context.tenantId, id: context.id } },
    data: { sessionCount: { increment: delta }, lastActivityAt: new Date() },
    select: { id: true },
  });
}

async function requirePresent(
  tx: Prisma.TransactionClient,
  context: ContextRow,
  participantIds: readonly string[],
): Promise<void> {
  if (participantIds.length === 0) return;
  const present = await tx.contextParticipant.findMany({
    where: {
      tenantId: context.tenantId,
      contextId: context.id,
      id: { in: [...participantIds] },
      status: { notIn: ['JOINING', 'LEFT'] },
    },
    select: { id: true },
  });
  const known = new Set(present.map((row) => row.id));
  const index = participantIds.findIndex((participantId) => !known.has(participantId));
  if (index >= 0)
    throw new PlatformError('PARTICIPANT_NOT_FOUND', `no such participant in this context: ${participantIds[index]}`, {
      path: ['input', 'participantIds', index],
    });
}

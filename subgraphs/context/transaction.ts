import type { RequestScope } from '#shared/context.ts';
import { participates } from '#shared/contextAudience.ts';
import { PlatformError } from '#shared/errors.ts';
import type { EventRow } from '#shared/events.ts';
import {
  findIdempotentResponse,
  type IdempotentCall,
  idempotencyRecord,
  isIdempotencyRace,
} from '#shared/idempotency.ts';
import { requireId } from '#shared/ids.ts';
import { appendChange, type NewAudit, type NewEvent, type NewJob } from '#shared/outbox.ts';
import { transactionRetry } from '#shared/retry.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import type { Prisma } from '../../prisma/generated/client.ts';
import { isListed, isOwnerOrAdmin, isPrivate, requireListedTo } from './access.ts';
import { requirePolicies } from './accessRights.ts';
import { participantColumns } from './children.ts';
import { participantEvent } from './events.ts';
import { citeConfirm, type OverrideClaim, requireUnlocked, storeCitations } from './governance.ts';
import type { ContextParticipantRow, ContextRow } from './rows.ts';
import { unknownContext } from './rules.ts';
import { contextColumns } from './store.ts';

/** What the work inside the transaction leaves beside its own rows. */
export interface TransactionResult<Response> {
  /** Small enough to be kept with the idempotency key. */
  readonly response: Response;
  readonly events: readonly NewEvent[];
  readonly audit: readonly NewAudit[];
  readonly jobs?: readonly NewJob[];
}

export interface ContextTransactionOptions {
  readonly scope: RequestScope;
  readonly contextId: string;
  /** What is written, as policies of the context name it. */
  readonly resource: 'session' | 'metadata';
  readonly idempotent: IdempotentCall | null;
  readonly override: OverrideClaim | null;
}

/**
 * Runs an ordinary mutation of what belongs to one context: its row is locked and checked first, so that counters and
 * states seen inside hold until the commit.
 * @throws {NOT_FOUND} when the context is unknown, foreign, deleted or hidden from the caller.
 * @throws {GOVERNANCE_LOCKED} {INVALID_STATE} when it is locked, without an override, or archived.
 * @throws {PERMISSION_DENIED} when the override is not the caller's to use, or a policy of the context denies it.
 */
export async function inContext<Response>(
  runtime: ModuleRuntime,
  { scope, contextId, resource, idempotent, override }: ContextTransactionOptions,
  work: (tx: Prisma.TransactionClient, context: ContextRow) => Promise<TransactionResult<Response>>,
): Promise<Response> {
  requireId(contextId, ['contextId']);
  const { tenantId, subject } = scope.principal;
  const attempt = async (): Promise<Response> => {
    const known = await findIdempotentResponse(runtime.sql, 'context', idempotent);
    if (known) return known.response as Response;
    let events: readonly EventRow[] = [];
    const response = await runtime.prisma.$transaction(async (tx) => {
      const [context] = await tx.$queryRawUnsafe<ContextRow[]>(
        `SELECT ${contextColumns('c')} FROM context.context c WHERE c.tenant_id = $1 AND c.id = $2::uuid AND c.deleted_at IS NULL FOR UPDATE`,
        tenantId,
        contextId,
      );
      if (!context) throw unknownContext(contextId);
      const active = await noteActivity(tx, context, subject);
      const { principal } = scope;
      if (isPrivate(context) && active === null && !isOwnerOrAdmin(context, principal) && !isListed(context, principal))
        throw unknownContext(contextId);
      requireListedTo(context, principal, { isMember: active !== null });
      if (context.status === 'archived') throw new PlatformError('INVALID_STATE', 'an archived context is read-only');
      requirePolicies(context, scope.principal, resource, 'write');
      const reference = requireUnlocked(context, override);
      const result = await work(tx, context);
      const citation =
        reference === null || result.events.length === 0 ? null : citeConfirm(context, reference, scope.principal);
      if (citation !== null) await storeCitations(tx, [citation]);
      events = await appendChange(tx, 'context', [
        {
          tenantId,
          actor: subject,
          traceparent: scope.traceparent,
          events: [...(active ?? []), ...(citation === null ? [] : [citation.event]), ...result.events],
          audit: result.audit,
          idempotency: idempotencyRecord(idempotent, result.response),
          ...(result.jobs === undefined ? {} : { jobs: result.jobs }),
        },
      ]);
      return result.response;
    });
    await runtime.publisher.published(events, scope);
    return response;
  };
  try {
    return await transactionRetry.execute(attempt);
  } catch (error) {
    if (isIdempotencyRace(error)) return attempt();
    throw error;
  }
}

/** @throws {CONTEXT_NOT_ACTIVE} unless the context is active. */
export function requireActive(context: ContextRow): void {
  if (context.status !== 'active')
    throw new PlatformError(
      'CONTEXT_NOT_ACTIVE',
      `the context is ${context.status.toUpperCase()}; this needs it ACTIVE`,
    );
}

/** @throws {INVALID_STATE} when the context is closed or archived. */
export function requireOpen(context: ContextRow): void {
  if (context.status === 'closed' || context.status === 'archived')
    throw new PlatformError('INVALID_STATE', `the context is ${context.status.toUpperCase()} and takes no changes`);
}

/**
 * Who writes to a context it takes part in is active there: noted once a minute, at once for one that was idle.
 * Answers the events of that, null when the subject takes no part.
 */
async function noteActivity(
  tx: Prisma.TransactionClient,
  context: ContextRow,
  subject: string,
): Promise<readonly NewEvent[] | null> {
  const [present] = await tx.$queryRawUnsafe<{ id: string; stale: boolean }[]>(
    `SELECT id, status = 'INACTIVE' OR (status = 'ACTIVE' AND last_activity_at < now() - interval '1 minute') AS stale
     FROM context.participant WHERE tenant_id = $1 AND context_id = $2::uuid AND agent_id = $3 AND ${participates('status')}`,
    context.tenantId,
    context.id,
    subject,
  );
  if (!present) return null;
  if (!present.stale) return [];
  const [changed] = await tx.$queryRawUnsafe<{ woken: boolean; participant: ContextParticipantRow }[]>(
    `WITH old AS (SELECT id, status FROM context.participant WHERE tenant_id = $1 AND id = $2::uuid),
     p AS (
       UPDATE context.participant u SET last_activity_at = now(), status = 'ACTIVE'
       FROM old WHERE u.tenant_id = $1 AND u.id = old.id RETURNING u.*, old.status = 'INACTIVE' AS woken
     )
     SELECT p.woken, (SELECT row_to_json(r) FROM (SELECT ${participantColumns}) r) AS participant FROM p`,
    context.tenantId,
    present.id,
  );
  return changed?.woken ? [participantEvent('context.participant.updated', changed.participant)] : [];
}

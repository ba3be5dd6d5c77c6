import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { OverrideClaim } from '#shared/governanceOverride.ts';
import type { IdempotentCall } from '#shared/idempotency.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import { requireVersion } from '#shared/validation.ts';
import { requireVisible } from './access.ts';
import { openLock } from './governance.ts';
import type { PatchTrace } from './inputs.ts';
import type { ChangeTrace } from './lifecycle.ts';
import { noSuchTrace } from './noSuchTrace.ts';
import type { TraceRow } from './rows.ts';
import { arrayText, lockTrace, traceColumns } from './store/traces.ts';

export interface TraceTarget {
  readonly traceId: string;
  readonly expectedVersion: number | null;
  /** What is to open its lock, where it has one. @default none */
  readonly claim?: OverrideClaim | null;
}

/** The trace, locked. @throws {NOT_FOUND} {VERSION_CONFLICT} */
export async function requireTrace(
  tx: SqlTransaction,
  scope: RequestScope,
  { traceId, expectedVersion }: TraceTarget,
): Promise<TraceRow> {
  const trace = await lockTrace(tx, scope.principal.tenantId, traceId);
  if (!trace) throw noSuchTrace();
  await requireVisible(tx, scope.principal, [traceId]);
  requireVersion(expectedVersion, trace.revision);
  return trace;
}

/** Changes of a trace itself, not of what is in it. */
export function createTraceChanges(change: ChangeTrace) {
  return {
    /** @throws {GOVERNANCE_LOCKED} {INVALID_STATE} unless it has ended, {INVALID_STATE_TRANSITION} where it is that already. */
    archive(
      scope: RequestScope,
      target: TraceTarget,
      archived: boolean,
      call: IdempotentCall | null,
    ): Promise<TraceRow> {
      return change(scope, call, archived ? 'trace.archived' : 'trace.unarchived', async (tx) => {
        const trace = await openLock(tx, await requireTrace(tx, scope, target), target.claim ?? null);
        if (trace.finishedAt === null)
          throw new PlatformError(
            'INVALID_STATE',
            `expected a trace that has ended, got ${trace.status.toUpperCase()}`,
            {
              path: ['traceId'],
            },
          );
        if ((trace.archivedAt !== null) === archived)
          throw new PlatformError('INVALID_STATE_TRANSITION', `the trace is ${archived ? '' : 'not '}archived`, {
            path: ['traceId'],
          });
        const [row] = (await tx.unsafe(
          `UPDATE trace.trace SET archived_at = CASE WHEN $3::boolean THEN now() END, updated_at = now(), revision = revision + 1
           WHERE tenant_id = $1 AND id = $2 RETURNING ${traceColumns}`,
          [trace.tenantId, trace.id, archived],
          { prepare: true },
        )) as unknown as TraceRow[];
        return row!;
      });
    },

    /** @throws {VALIDATION_FAILED} for a patch without a value, {INVALID_STATE} where it is archived. */
    update(
      scope: RequestScope,
      target: TraceTarget,
      patch: PatchTrace,
      call: IdempotentCall | null,
    ): Promise<TraceRow> {
      if (Object.values(patch).every((value) => value == null))
        throw new PlatformError('VALIDATION_FAILED', 'patch: expected a value to change, got none', {
          path: ['patch'],
        });
      return change(scope, call, 'trace.updated', async (tx) => {
        const trace = await openLock(tx, await requireTrace(tx, scope, target), target.claim ?? null);
        if (trace.archivedAt !== null)
          throw new PlatformError('INVALID_STATE', 'the trace is archived', { path: ['traceId'] });
        const [row] = (await tx.unsafe(
          `UPDATE trace.trace SET name = coalesce($3, name), severity = coalesce($4, severity), correlation_id = coalesce($5, correlation_id),
             service_name = coalesce($6, service_name), tags = coalesce($7::text::text[], tags), baggage = coalesce($8, baggage),
             updated_at = now(), revision = revision + 1
           WHERE tenant_id = $1 AND id = $2 RETURNING ${traceColumns}`,
          [
            trace.tenantId,
            trace.id,
            patch.name ?? null,
            patch.severity ?? null,
            patch.correlationId ?? null,
            patch.serviceName ?? null,
            patch.tags == null ? null : arrayText(patch.tags),
            patch.baggage ?? null,
          ],
          { prepare: true },
        )) as unknown as TraceRow[];
        return row!;
      });
    },
  };
}

import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { OverrideClaim } from '#shared/governanceOverride.ts';
import type { IdempotentCall } from '#shared/idempotency.ts';
import type { Once } from '#shared/once.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { requireVersion } from '#shared/validation.ts';
import { requireVisible } from './access.ts';
import { openLock, requireUnlocked } from './governance.ts';
import type { Noted } from './live/figures.ts';
import type { Live } from './live/live.ts';
import { noSuchTrace } from './noSuchTrace.ts';
import type { TraceRow } from './rows.ts';
import { findTraces, lockTrace, tagsOf, traceColumns } from './store/traces.ts';

/** How long after its end a trace still takes what comes, ms. */
export const graceMs = 60_000;

/** @throws {GOVERNANCE_LOCKED} {INVALID_STATE} where it is archived. */
export function requireKept(trace: TraceRow): void {
  requireUnlocked(trace);
  if (trace.archivedAt !== null)
    throw new PlatformError('INVALID_STATE', 'the trace is archived', { path: ['traceId'] });
}

/** @throws {GOVERNANCE_LOCKED} {INVALID_STATE} where it ended more than a minute ago, or is archived. */
export function requireTaking(trace: TraceRow): void {
  const { status, finishedAt } = trace;
  requireKept(trace);
  if (finishedAt !== null && Date.now() - finishedAt.getTime() > graceMs)
    throw new PlatformError('INVALID_STATE', `the trace is ${status.toUpperCase()}`, { path: ['traceId'] });
}

export type Outcome = 'completed' | 'failed' | 'cancelled';

/** A trace that was changed, and what its event says beside it. */
interface Told {
  readonly trace: TraceRow;
  readonly told: Readonly<Record<string, unknown>>;
  /** Whether the change has ended the trace, which is told as well. @default false */
  readonly isEnd?: boolean;
  /** What live metrics are to count of it. */
  readonly noted?: Noted;
}

/** What happens to a trace that is open. */
export function createLifecycle({ sql }: ModuleRuntime, once: Once, live: Live) {
  async function change(
    scope: RequestScope,
    call: IdempotentCall | null,
    type: string,
    write: (tx: SqlTransaction) => Promise<TraceRow | Told>,
  ): Promise<TraceRow> {
    let noted: Noted | undefined;
    const changed = await once<TraceRow>(scope, {
      call,
      async write(tx) {
        const result = await write(tx);
        const told: Told = 'told' in result ? result : { trace: result, told: {} };
        const { trace: row } = told;
        noted = told.noted;
        const tags = tagsOf(row);
        const events = [
          { streamId: row.id, type, data: { trace: row, ...told.told }, tags },
          ...(told.isEnd === true ? [{ streamId: row.id, type: 'trace.ended', data: { trace: row }, tags }] : []),
        ];
        const audit = [{ action: type, resource: 'Trace', resourceId: row.id }];
        return { row, response: { traceId: row.id }, changes: [{ events, audit }] };
      },
      async repeat(response) {
        const [row] = await findTraces(sql, scope.principal.tenantId, [(response as { traceId: string }).traceId]);
        if (!row) throw noSuchTrace();
        return row;
      },
    });
    if (noted !== undefined) live.note(changed, noted);
    return changed;
  }

  return {
    change,

    /** @throws {NOT_FOUND} {VERSION_CONFLICT} {GOVERNANCE_LOCKED} {INVALID_STATE_TRANSITION} {INVALID_STATE} */
    async end(
      scope: RequestScope,
      {
        traceId,
        outcome,
        expectedVersion,
        claim,
      }: { traceId: string; outcome: Outcome; expectedVersion: number | null; claim: OverrideClaim | null },
      call: IdempotentCall | null,
    ): Promise<TraceRow> {
      return change(scope, call, 'trace.status.changed', async (tx) => {
        const current = await lockTrace(tx, scope.principal.tenantId, traceId);
        if (!current) throw noSuchTrace();
        await requireVisible(tx, scope.principal, [traceId]);
        requireVersion(expectedVersion, current.revision);
        await openLock(tx, current, claim);
        if (current.finishedAt !== null)
          throw new PlatformError('INVALID_STATE_TRANSITION', `the trace is ${current.status.toUpperCase()} already`, {
            path: ['traceId'],
          });
        if (current.status === 'pending' && outcome !== 'cancelled')
          throw new PlatformError(
            'INVALID_STATE_TRANSITION',
            `expected CANCELLED for a trace that has not begun, got ${outcome.toUpperCase()}`,
            { path: ['outcome'] },
          );
        if (outcome === 'completed' && current.spanCount === 0 && !(await hasEvent(tx, current)))
          throw new PlatformError('INVALID_STATE', 'expected a trace with a span or an event to complete, got none', {
            path: ['outcome'],
          });
        const [row] = (await tx.unsafe(
          `UPDATE trace.trace SET status = $3, finished_at = now(), updated_at = now(), revision = revision + 1
           WHERE tenant_id = $1 AND id = $2 RETURNING ${traceColumns}`,
          [scope.principal.tenantId, traceId, outcome],
          { prepare: true },
        )) as unknown as TraceRow[];
        return { trace: row!, told: {}, noted: { ended: true } };
      });
    },
  };
}

async function hasEvent(tx: SqlTransaction, { tenantId, id }: TraceRow): Promise<boolean> {
  const found = await tx.unsafe(
    'SELECT 1 FROM trace.history WHERE tenant_id = $1 AND trace_id = $2 LIMIT 1',
    [tenantId, id],
    { prepare: true },
  );
  return found.length > 0;
}

export type ChangeTrace = ReturnType<typeof createLifecycle>['change'];

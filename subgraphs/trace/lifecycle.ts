import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { EventRow } from '#shared/events.ts';
import {
  findIdempotentResponse,
  type IdempotentCall,
  idempotencyRecord,
  isIdempotencyRace,
} from '#shared/idempotency.ts';
import { appendChange } from '#shared/outbox.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { requireVersion } from '#shared/validation.ts';
import { requireVisible } from './access.ts';
import { noSuchTrace } from './noSuchTrace.ts';
import type { TraceRow } from './rows.ts';
import { findTraces, lockTrace, tagsOf, traceColumns } from './store/traces.ts';

export type Outcome = 'completed' | 'failed' | 'cancelled';

/** A trace that was changed, and what its event says beside it. */
interface Told {
  readonly trace: TraceRow;
  readonly told: Readonly<Record<string, unknown>>;
}

/** What happens to a trace that is open. */
export function createLifecycle(runtime: ModuleRuntime) {
  const { sql, publisher } = runtime;

  async function change(
    scope: RequestScope,
    call: IdempotentCall | null,
    type: string,
    write: (tx: SqlTransaction) => Promise<TraceRow | Told>,
  ): Promise<TraceRow> {
    const { tenantId, subject } = scope.principal;
    const repeat = async () => {
      const earlier = await findIdempotentResponse(sql, 'trace', call);
      if (!earlier) return null;
      const [row] = await findTraces(sql, tenantId, [(earlier.response as { traceId: string }).traceId]);
      if (!row) throw noSuchTrace();
      return row;
    };
    const known = await repeat();
    if (known) return known;
    let events: readonly EventRow[] = [];
    try {
      const row = await sql.begin(async (tx) => {
        const result = await write(tx);
        const { trace: written, told } = 'told' in result ? result : { trace: result, told: {} };
        events = await appendChange(tx, 'trace', [
          {
            tenantId,
            actor: subject,
            traceparent: scope.traceparent,
            events: [{ streamId: written.id, type, data: { trace: written, ...told }, tags: tagsOf(written) }],
            audit: [{ action: type, resource: 'Trace', resourceId: written.id }],
            idempotency: idempotencyRecord(call, { traceId: written.id }),
          },
        ]);
        return written;
      });
      await publisher.published(events, scope);
      return row;
    } catch (error) {
      const first = isIdempotencyRace(error) ? await repeat() : null;
      if (first) return first;
      throw error;
    }
  }

  return {
    change,

    /** @throws {NOT_FOUND} {VERSION_CONFLICT} {INVALID_STATE_TRANSITION} {INVALID_STATE} */
    async end(
      scope: RequestScope,
      { traceId, outcome, expectedVersion }: { traceId: string; outcome: Outcome; expectedVersion: number | null },
      call: IdempotentCall | null,
    ): Promise<TraceRow> {
      return change(scope, call, 'trace.status.changed', async (tx) => {
        const current = await lockTrace(tx, scope.principal.tenantId, traceId);
        if (!current) throw noSuchTrace();
        await requireVisible(tx, scope.principal, [traceId]);
        requireVersion(expectedVersion, current.revision);
        if (current.finishedAt !== null)
          throw new PlatformError('INVALID_STATE_TRANSITION', `the trace is ${current.status.toUpperCase()} already`, {
            path: ['traceId'],
          });
        if (outcome === 'completed' && current.spanCount === 0)
          throw new PlatformError('INVALID_STATE', 'expected a trace with a span to complete, got none', {
            path: ['outcome'],
          });
        const [row] = (await tx.unsafe(
          `UPDATE trace.trace SET status = $3, finished_at = now(), updated_at = now(), revision = revision + 1
           WHERE tenant_id = $1 AND id = $2 RETURNING ${traceColumns}`,
          [scope.principal.tenantId, traceId, outcome],
        )) as unknown as TraceRow[];
        return row!;
      });
    },
  };
}

export type ChangeTrace = ReturnType<typeof createLifecycle>['change'];

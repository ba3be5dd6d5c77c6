import type { RequestScope } from '#shared/context.ts';
import type { EventRow } from '#shared/events.ts';
import {
  findIdempotentResponse,
  type IdempotentCall,
  idempotencyRecord,
  isIdempotencyRace,
} from '#shared/idempotency.ts';
import { appendChange, type Change } from '#shared/outbox.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { requireVersion } from '#shared/validation.ts';
import { requireVisible } from './access.ts';
import { noSuchTrace } from './noSuchTrace.ts';
import type { TraceRow } from './rows.ts';
import { tagsOf, traceColumns } from './store/traces.ts';

/** Deletes traces with their spans, all of them or none. @throws {NOT_FOUND} {VERSION_CONFLICT} */
export function createRemoval({ sql, publisher }: ModuleRuntime) {
  return async (
    scope: RequestScope,
    traceIds: readonly string[],
    expectedVersion: number | null,
    call: IdempotentCall | null,
  ): Promise<readonly string[]> => {
    const { tenantId, subject } = scope.principal;
    const ids = [...new Set(traceIds)];
    const repeat = async () => (await findIdempotentResponse(sql, 'trace', call))?.response as string[] | undefined;
    const known = await repeat();
    if (known) return known;
    let events: readonly EventRow[] = [];
    try {
      await sql.begin(async (tx) => {
        const rows = (await tx.unsafe(
          `SELECT ${traceColumns} FROM trace.trace WHERE tenant_id = $1 AND id = ANY($2::uuid[]) ORDER BY id FOR UPDATE`,
          [tenantId, ids],
        )) as unknown as TraceRow[];
        const there = new Set(rows.map(({ id }) => id));
        const missing = traceIds.findIndex((id) => !there.has(id));
        if (missing >= 0) throw noSuchTrace(['traceIds', missing]);
        await requireVisible(tx, scope.principal, traceIds);
        if (expectedVersion !== null) for (const row of rows) requireVersion(expectedVersion, row.revision);
        await tx.unsafe(
          `DELETE FROM trace.span s USING unnest($2::uuid[], $3::text[]::timestamptz[]) AS a(id, at)
           WHERE s.tenant_id = $1 AND s.trace_id = a.id AND s.traced_at = a.at`,
          [tenantId, rows.map(({ id }) => id), rows.map(({ createdAt }) => createdAt.toISOString())],
        );
        await tx.unsafe('DELETE FROM trace.metric WHERE tenant_id = $1 AND trace_id = ANY($2::uuid[])', [
          tenantId,
          ids,
        ]);
        await tx.unsafe('DELETE FROM trace.trace WHERE tenant_id = $1 AND id = ANY($2::uuid[])', [tenantId, ids]);
        events = await appendChange(
          tx,
          'trace',
          rows.map(
            (row, at): Change => ({
              tenantId,
              actor: subject,
              traceparent: scope.traceparent,
              events: [{ streamId: row.id, type: 'trace.deleted', data: { trace: row }, tags: tagsOf(row) }],
              audit: [{ action: 'trace.deleted', resource: 'Trace', resourceId: row.id }],
              idempotency: at === 0 ? idempotencyRecord(call, ids) : undefined,
            }),
          ),
        );
      });
    } catch (error) {
      const first = isIdempotencyRace(error) ? await repeat() : undefined;
      if (first) return first;
      throw error;
    }
    await publisher.published(events, scope);
    return ids;
  };
}

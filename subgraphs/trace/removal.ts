import type { RequestScope } from '#shared/context.ts';
import type { OverrideClaim } from '#shared/governanceOverride.ts';
import type { IdempotentCall } from '#shared/idempotency.ts';
import type { Once } from '#shared/once.ts';
import { requireVersion } from '#shared/validation.ts';
import { requireVisible } from './access.ts';
import { alertTag } from './alerts/rows.ts';
import { openLock } from './governance.ts';
import { noSuchTrace } from './noSuchTrace.ts';
import type { TraceRow } from './rows.ts';
import { tagsOf, traceColumns } from './store/traces.ts';

/** Deletes traces with all that is known of them, all of them or none. @throws {NOT_FOUND} {VERSION_CONFLICT} {GOVERNANCE_LOCKED} */
export function createRemoval(once: Once) {
  return (
    scope: RequestScope,
    traceIds: readonly string[],
    { expectedVersion, claim }: { readonly expectedVersion: number | null; readonly claim: OverrideClaim | null },
    call: IdempotentCall | null,
  ): Promise<readonly string[]> => {
    const { tenantId } = scope.principal;
    const ids = [...new Set(traceIds)];
    return once<readonly string[]>(scope, {
      call,
      repeat: async (response) => response as readonly string[],
      async write(tx) {
        const rows = (await tx.unsafe(
          `SELECT ${traceColumns} FROM trace.trace WHERE tenant_id = $1 AND id = ANY($2::uuid[]) ORDER BY id FOR UPDATE`,
          [tenantId, ids],
          { prepare: true },
        )) as unknown as TraceRow[];
        const there = new Set(rows.map(({ id }) => id));
        const missing = traceIds.findIndex((id) => !there.has(id));
        if (missing >= 0) throw noSuchTrace(['traceIds', missing]);
        await requireVisible(tx, scope.principal, traceIds);
        if (expectedVersion !== null) for (const row of rows) requireVersion(expectedVersion, row.revision);
        for (const row of rows) await openLock(tx, row, claim);
        await tx.unsafe(
          `DELETE FROM trace.span s USING unnest($2::uuid[], $3::text[]::timestamptz[]) AS a(id, at)
           WHERE s.tenant_id = $1 AND s.trace_id = a.id AND s.traced_at = a.at`,
          [tenantId, rows.map(({ id }) => id), rows.map(({ createdAt }) => createdAt.toISOString())],
          { prepare: true },
        );
        for (const table of ['metric', 'metric_rollup', 'history', 'snapshot', 'alert'])
          await tx.unsafe(`DELETE FROM trace.${table} WHERE tenant_id = $1 AND trace_id = ANY($2::uuid[])`, [
            tenantId,
            ids,
          ]);
        await tx.unsafe('DELETE FROM trace.trace WHERE tenant_id = $1 AND id = ANY($2::uuid[])', [tenantId, ids], {
          prepare: true,
        });
        return {
          row: ids,
          response: ids,
          changes: rows.map((row) => ({
            events: [
              { streamId: row.id, type: 'trace.deleted', data: { trace: row }, tags: [...tagsOf(row), alertTag] },
            ],
            audit: [{ action: 'trace.deleted', resource: 'Trace', resourceId: row.id }],
          })),
        };
      },
    });
  };
}

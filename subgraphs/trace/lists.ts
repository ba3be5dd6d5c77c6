import { type Connection, createConnection, readPage } from '#shared/connection.ts';
import type { Sql } from '#shared/sql.ts';
import type { TraceRow } from './rows.ts';
import { traceColumns, traceKey } from './store/traces.ts';

/** A page of the traces of a context or of a plan: one of the two is named. */
export interface TracesKey {
  readonly contextId: string | null;
  readonly planId: string | null;
  readonly first: number | null;
  readonly after: string | null;
}

/** The pages of all parents in one statement, each newest first. @throws {CURSOR_INVALID} {VALIDATION_FAILED} */
export async function listTracesOf(
  sql: Sql,
  tenantId: string,
  keys: readonly TracesKey[],
): Promise<readonly Connection<TraceRow>[]> {
  const pages = keys.map(({ first, after }) => readPage('traces', 2, { first, after }));
  const wanted = keys.map(({ contextId, planId }, ord) => {
    const { from, limit } = pages[ord]!;
    return { ord, context_of: contextId, plan_of: planId, at: from?.[0] ?? null, behind: from?.[1] ?? null, limit };
  });
  const rows = (await sql.unsafe(
    `SELECT w.ord, found.* FROM json_to_recordset($2::text::json) AS w(ord int, context_of uuid, plan_of uuid,
       at timestamptz, behind uuid, "limit" int)
     CROSS JOIN LATERAL (
       SELECT ${traceColumns} FROM trace.trace
       WHERE tenant_id = $1 AND (w.context_of IS NULL OR context_id = w.context_of)
         AND (w.plan_of IS NULL OR plan_id = w.plan_of) AND (w.at IS NULL OR (created_at, id) < (w.at, w.behind))
       ORDER BY created_at DESC, id DESC LIMIT w."limit" + 1
     ) AS found ORDER BY w.ord, found."createdAt" DESC, found.id DESC`,
    [tenantId, JSON.stringify(wanted)],
    { prepare: true },
  )) as unknown as (TraceRow & { ord: number })[];
  const byKey = Map.groupBy(rows, ({ ord }) => ord);
  return pages.map((page, ord) =>
    createConnection<TraceRow>('traces', page, byKey.get(ord) ?? [], traceKey('created_at')),
  );
}

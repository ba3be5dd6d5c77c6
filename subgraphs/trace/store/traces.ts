import type { CursorValue, Page } from '#shared/connection.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';
import type { TraceRow, TraceStatusValue } from '../rows.ts';

export const traceColumns = `tenant_id AS "tenantId", id, w3c_id AS "w3cId", context_id AS "contextId", plan_id AS "planId",
  name, status, start_ns::text AS "startNs", end_ns::text AS "endNs", span_count AS "spanCount",
  error_count AS "errorCount", revision, created_at AS "createdAt", created_by AS "createdBy",
  updated_at AS "updatedAt", finished_at AS "finishedAt", type`;

export async function findTraces(
  sql: Sql | SqlTransaction,
  tenantId: string,
  ids: readonly string[],
): Promise<readonly TraceRow[]> {
  return (await sql.unsafe(`SELECT ${traceColumns} FROM trace.trace WHERE tenant_id = $1 AND id = ANY($2::uuid[])`, [
    tenantId,
    [...ids],
  ])) as unknown as readonly TraceRow[];
}

export async function lockTrace(tx: SqlTransaction, tenantId: string, id: string): Promise<TraceRow | null> {
  const [row] = (await tx.unsafe(
    `SELECT ${traceColumns} FROM trace.trace WHERE tenant_id = $1 AND id = $2 FOR UPDATE`,
    [tenantId, id],
  )) as unknown as TraceRow[];
  return row ?? null;
}

export interface TraceListFilter {
  readonly contextId: string | null;
  readonly planId: string | null;
  readonly status: readonly TraceStatusValue[] | null;
  readonly hasErrors: boolean | null;
  readonly from: Date;
  readonly to: Date | null;
}

/** Up to one row more than the page holds, in the page's direction. */
export async function listTraces(
  sql: Sql,
  tenantId: string,
  filter: TraceListFilter,
  page: Page,
): Promise<readonly TraceRow[]> {
  const [comparison, order] = page.direction === 'forward' ? ['<', 'DESC'] : ['>', 'ASC'];
  const [at, id] = page.from ?? [null, null];
  return (await sql.unsafe(
    `SELECT ${traceColumns} FROM trace.trace
     WHERE tenant_id = $1 AND created_at >= $2::text::timestamptz
       AND ($3::text IS NULL OR created_at < $3::text::timestamptz)
       AND ($4::uuid IS NULL OR context_id = $4::uuid) AND ($10::uuid IS NULL OR plan_id = $10::uuid) AND ($5::text[] IS NULL OR status = ANY($5::text[]))
       AND ($6::boolean IS NULL OR (error_count > 0) = $6::boolean)
       AND ($7::text IS NULL OR (created_at, id) ${comparison} ($7::text::timestamptz, $8::uuid))
     ORDER BY created_at ${order}, id ${order} LIMIT $9`,
    [
      tenantId,
      filter.from.toISOString(),
      filter.to?.toISOString() ?? null,
      filter.contextId,
      filter.status === null ? null : [...filter.status],
      filter.hasErrors,
      at as string | null,
      id as string | null,
      page.limit + 1,
      filter.planId,
    ],
  )) as unknown as readonly TraceRow[];
}

export function traceKey(row: TraceRow): readonly CursorValue[] {
  return [row.createdAt.toISOString(), row.id];
}

/** Cache tags of a trace and of the lists it stands in. */
export function tagsOf({ id, contextId, planId }: TraceRow): string[] {
  return [
    `Trace:${id}`,
    'traces',
    ...(contextId === null ? [] : [`Context:${contextId}:traces`]),
    ...(planId === null ? [] : [`Plan:${planId}:traces`]),
  ];
}

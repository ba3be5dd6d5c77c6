import type { CursorValue, Page } from '#shared/connection.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';
import { type Viewer, visibleCondition } from '../access.ts';
import { keeper } from '../keeper.ts';
import type {
  TraceEventCategoryValue,
  TraceRow,
  TraceSeverityValue,
  TraceStatusValue,
  TraceTypeValue,
} from '../rows.ts';
import { eventCategory, tellsDecision } from './history.ts';

/** What was given, else what the spans say. */
export function traceSeverity(row = ''): string {
  return `coalesce(${row}severity, CASE WHEN ${row}error_count > 0 THEN 'error' ELSE 'info' END)`;
}

export const traceColumns = `tenant_id AS "tenantId", id, w3c_id AS "w3cId", context_id AS "contextId", plan_id AS "planId",
  task_id AS "taskId", name, status, correlation_id AS "correlationId", tracestate, baggage, start_ns::text AS "startNs", end_ns::text AS "endNs", span_count AS "spanCount",
  error_count AS "errorCount", revision, created_at AS "createdAt", created_by AS "createdBy",
  updated_at AS "updatedAt", finished_at AS "finishedAt", type, ${traceSeverity()} AS severity,
  service_name AS "serviceName", tags, sampling_rate AS "samplingRate", archived_at AS "archivedAt", governance,
  undecided, lost_spans AS "lostSpans"`;

export async function findTraces(
  sql: Sql | SqlTransaction,
  tenantId: string,
  ids: readonly string[],
): Promise<readonly TraceRow[]> {
  return (await sql.unsafe(
    `SELECT ${traceColumns} FROM trace.trace WHERE tenant_id = $1 AND id = ANY($2::uuid[])`,
    [tenantId, [...ids]],
    { prepare: true },
  )) as unknown as readonly TraceRow[];
}

export async function lockTrace(tx: SqlTransaction, tenantId: string, id: string): Promise<TraceRow | null> {
  const [row] = (await tx.unsafe(
    `SELECT ${traceColumns} FROM trace.trace WHERE tenant_id = $1 AND id = $2 FOR UPDATE`,
    [tenantId, id],
    { prepare: true },
  )) as unknown as TraceRow[];
  return row ?? null;
}

export type TraceSortValue = 'created_at' | 'start' | 'duration';

export interface TraceListFilter {
  readonly tenantId: string;
  /** Whose view it is; null sees private contexts too. */
  readonly viewer: Viewer | null;
  readonly contextId: string | null;
  readonly planId: string | null;
  readonly correlationId: string | null;
  readonly service: string | null;
  readonly operation: string | null;
  readonly attribute: { readonly key: string; readonly value: unknown } | null;
  readonly minDurationMs: number | null;
  readonly maxDurationMs: number | null;
  readonly text: string | null;
  readonly status: readonly TraceStatusValue[] | null;
  readonly hasErrors: boolean | null;
  readonly taskId: string | null;
  readonly type: readonly TraceTypeValue[] | null;
  readonly severity: readonly TraceSeverityValue[] | null;
  readonly eventCategory: readonly TraceEventCategoryValue[] | null;
  readonly hasDecisions: boolean | null;
  /** A trace has to have all of them. */
  readonly tags: readonly string[] | null;
  readonly archived: boolean;
  readonly from: Date;
  readonly to: Date | null;
}

type Parameter = string | number | boolean | null | readonly string[];

/** What a trace has to meet; only conditions that are asked for stand there, so that each list gets its own plan. */
export function whereTraces({ tenantId, viewer, ...filter }: TraceListFilter): {
  where: string;
  parameters: Parameter[];
  parameter(value: Parameter): string;
} {
  const parameters: Parameter[] = [];
  const parameter = (value: Parameter): string => `$${parameters.push(value)}`;
  const conditions = [
    `t.tenant_id = ${parameter(tenantId)}`,
    `t.created_at >= ${parameter(filter.from.toISOString())}::text::timestamptz`,
    `t.archived_at IS ${filter.archived ? 'NOT ' : ''}NULL`,
  ];
  const given = (value: Parameter, condition: (place: string) => string) => {
    if (value !== null) conditions.push(condition(parameter(value)));
  };
  given(viewer, (place) => visibleCondition('t', place));
  given(filter.to?.toISOString() ?? null, (to) => `t.created_at < ${to}::text::timestamptz`);
  given(filter.contextId, (id) => `t.context_id = ${id}::uuid`);
  given(filter.planId, (id) => `t.plan_id = ${id}::uuid`);
  given(filter.correlationId, (id) => `t.correlation_id = ${id}`);
  given(filter.status, (status) => `t.status = ANY(${status}::text[])`);
  given(filter.type, (types) => `t.type = ANY(${types}::text[])`);
  given(filter.severity, (severities) => `${traceSeverity('t.')} = ANY(${severities}::text[])`);
  // The second condition is what the index is for.
  given(filter.tags, (tags) => `t.tags @> ${tags}::text[] AND t.tags <> '{}'`);
  const happened = (condition: string) =>
    `EXISTS (SELECT FROM trace.history h WHERE h.tenant_id = t.tenant_id AND h.trace_id = t.id AND ${condition})`;
  given(filter.eventCategory, (categories) => happened(`${eventCategory} = ANY(${categories}::text[])`));
  given(filter.hasDecisions, (has) => `${happened(tellsDecision)} = ${has}::boolean`);
  given(filter.hasErrors, (has) => `(t.error_count > 0) = ${has}::boolean`);
  given(filter.minDurationMs, (ms) => `t.end_ns - t.start_ns >= ${ms}::float8 * 1e6`);
  given(filter.maxDurationMs, (ms) => `t.end_ns - t.start_ns <= ${ms}::float8 * 1e6`);
  given(filter.text, (part) => `position(lower(${part}) in lower(t.name)) > 0`);
  const inTrace = ['s.tenant_id = t.tenant_id', 's.trace_id = t.id', 's.traced_at = t.created_at'];
  if (filter.taskId !== null) {
    const ofTask = `s.detail @> ${parameter(JSON.stringify({ attributes: { stepId: filter.taskId } }))}::text::jsonb`;
    const worked = `EXISTS (SELECT FROM trace.span s WHERE ${[...inTrace, ofTask].join(' AND ')})`;
    conditions.push(`(t.task_id = ${parameter(filter.taskId)}::uuid OR ${worked})`);
  }
  if (filter.service !== null || filter.operation !== null || filter.attribute !== null) {
    const ofSpan = [...inTrace];
    if (filter.service !== null) ofSpan.push(`s.service = ${parameter(filter.service)}`);
    if (filter.operation !== null) ofSpan.push(`s.name = ${parameter(filter.operation)}`);
    if (filter.attribute !== null) {
      const wanted = JSON.stringify({ attributes: { [filter.attribute.key]: filter.attribute.value } });
      ofSpan.push(`s.detail @> ${parameter(wanted)}::text::jsonb`);
    }
    conditions.push(`EXISTS (SELECT FROM trace.span s WHERE ${ofSpan.join(' AND ')})`);
  }
  return { where: conditions.join(' AND '), parameters, parameter };
}

const sortKeys = {
  created_at: {
    column: 'created_at',
    type: 'text::timestamptz',
    keyOf: (row: TraceRow) => row.createdAt.toISOString(),
  },
  start: { column: 'coalesce(start_ns, 0)', type: 'bigint', keyOf: (row: TraceRow) => row.startNs ?? '0' },
  duration: {
    column: 'coalesce(end_ns - start_ns, 0)',
    type: 'bigint',
    keyOf: (row: TraceRow) => String(BigInt(row.endNs ?? 0) - BigInt(row.endNs === null ? 0 : (row.startNs ?? 0))),
  },
} as const;

/** Up to one row more than the page holds, in the page's direction. */
export async function listTraces(
  sql: Sql,
  filter: TraceListFilter,
  sort: TraceSortValue,
  page: Page,
): Promise<readonly TraceRow[]> {
  const { column, type } = sortKeys[sort];
  const [comparison, order] = page.direction === 'forward' ? ['<', 'DESC'] : ['>', 'ASC'];
  const { where, parameters, parameter } = whereTraces(filter);
  let behind = '';
  if (page.from) {
    const [key, id] = page.from as readonly [string, string];
    behind = ` AND (${column}, id) ${comparison} (${parameter(key)}::${type}, ${parameter(id)}::uuid)`;
  }
  return (await sql.unsafe(
    `SELECT ${traceColumns} FROM trace.trace t WHERE ${where}${behind}
     ORDER BY ${column} ${order}, id ${order} LIMIT ${parameter(page.limit + 1)}`,
    parameters as never[],
    { prepare: true },
  )) as unknown as readonly TraceRow[];
}

export function traceKey(sort: TraceSortValue): (row: TraceRow) => readonly CursorValue[] {
  return (row) => [sortKeys[sort].keyOf(row), row.id];
}

/** Set of an update by which something is reported of a trace: one that had not begun has begun now. */
export const begun = `CASE WHEN status = 'pending' AND created_by <> '${keeper}' THEN 'running' ELSE status END`;

/** Cache tags of a trace and of the lists it stands in. */
export function tagsOf({ id, contextId, planId }: Pick<TraceRow, 'id' | 'contextId' | 'planId'>): string[] {
  return [
    `Trace:${id}`,
    'traces',
    ...(contextId === null ? [] : [`Context:${contextId}:traces`]),
    ...(planId === null ? [] : [`Plan:${planId}:traces`]),
  ];
}

/** Texts as the literal of an array: unnest takes an array of arrays apart. */
export function arrayText(texts: readonly string[]): string {
  return `{${texts.map((one) => `"${one.replace(/["\\]/g, '\\$&')}"`).join(',')}}`;
}

import type { Sql, SqlTransaction } from '#shared/sql.ts';
import { subgraphNames } from '../../names.ts';
import type { TraceEventRow, TraceRow } from '../rows.ts';

/** Category of an event, from who told it and who did it. */
export const eventCategory = `CASE WHEN source <> ALL (ARRAY[${subgraphNames.map((name) => `'${name}'`).join(', ')}]) THEN 'external'
  WHEN source IN ('platform', 'core') THEN 'system'
  WHEN actor = 'system' OR actor LIKE 'system:%' THEN 'automatic' ELSE 'user' END`;

/** Condition on an event's type: something was decided. */
export const tellsDecision = `type ~ '(^|[.])(decided|decision)([.]|$)'`;

export const historyColumns = `tenant_id AS "tenantId", trace_id AS "traceId", event_id AS "eventId", type, source, ${eventCategory} AS category, actor,
  occurred_at AS "occurredAt", position::text AS position, detail`;

export interface NewTraceEvent extends Omit<TraceEventRow, 'category' | 'occurredAt' | 'position'> {
  readonly occurredAt: string;
  readonly recordedAt: string;
}

/** Adds what is not there yet, in the order given, and answers the ids of the traces that got something. */
export async function insertHistory(
  tx: Sql | SqlTransaction,
  events: readonly NewTraceEvent[],
): Promise<readonly { tenantId: string; traceId: string; eventId: string }[]> {
  if (events.length === 0) return [];
  const rows = events.map((event, place) => ({ ...event, place }));
  return (await tx.unsafe(
    `INSERT INTO trace.history (tenant_id, trace_id, event_id, recorded_at, type, source, actor, occurred_at, detail)
     SELECT "tenantId", "traceId", "eventId", "recordedAt", type, source, actor, "occurredAt", detail
     FROM json_to_recordset($1::text::json) AS e(place int, "tenantId" text, "traceId" uuid, "eventId" uuid,
       "recordedAt" timestamptz, type text, source text, actor text, "occurredAt" timestamptz, detail jsonb)
     ORDER BY place
     ON CONFLICT DO NOTHING
     RETURNING tenant_id AS "tenantId", trace_id AS "traceId", event_id AS "eventId"`,
    [JSON.stringify(rows)],
    { prepare: true },
  )) as unknown as { tenantId: string; traceId: string; eventId: string }[];
}

/** All events of the traces, oldest first. */
export async function findHistory(
  sql: Sql | SqlTransaction,
  tenantId: string,
  traceIds: readonly string[],
): Promise<readonly TraceEventRow[]> {
  return (await sql.unsafe(
    `SELECT ${historyColumns} FROM trace.history WHERE tenant_id = $1 AND trace_id = ANY($2::uuid[])
     ORDER BY occurred_at, position`,
    [tenantId, [...traceIds]],
    { prepare: true },
  )) as unknown as TraceEventRow[];
}

/** Those of the ids that a trace has, in their order. */
export async function findEvents(
  sql: Sql | SqlTransaction,
  tenantId: string,
  traceId: string,
  ids: readonly string[],
): Promise<readonly TraceEventRow[]> {
  const rows = (await sql.unsafe(
    `SELECT ${historyColumns} FROM trace.history WHERE tenant_id = $1 AND trace_id = $2 AND event_id = ANY($3::uuid[])`,
    [tenantId, traceId, [...ids]],
    { prepare: true },
  )) as unknown as TraceEventRow[];
  const byId = new Map(rows.map((row) => [row.eventId, row]));
  return ids.flatMap((id) => byId.get(id) ?? []);
}

/** Events by `traceId/eventId`. */
export async function findEventsOf(
  sql: Sql | SqlTransaction,
  tenantId: string,
  keys: readonly string[],
): Promise<ReadonlyMap<string, TraceEventRow>> {
  const pairs = keys.map((key) => key.split('/') as [string, string]);
  const rows = (await sql.unsafe(
    `SELECT ${historyColumns} FROM trace.history WHERE tenant_id = $1
       AND (trace_id, event_id) IN (SELECT * FROM unnest($2::uuid[], $3::uuid[]))`,
    [tenantId, pairs.map(([traceId]) => traceId), pairs.map(([, eventId]) => eventId)],
    { prepare: true },
  )) as unknown as TraceEventRow[];
  return new Map(rows.map((row) => [`${row.traceId}/${row.eventId}`, row]));
}

const maxFirst = 2_000;

/** The oldest events of a trace, oldest first. */
export async function findFirstEvents(sql: Sql, { tenantId, id }: TraceRow): Promise<readonly TraceEventRow[]> {
  return (await sql.unsafe(
    `SELECT ${historyColumns} FROM trace.history WHERE tenant_id = $1 AND trace_id = $2
     ORDER BY occurred_at, position LIMIT ${maxFirst}`,
    [tenantId, id],
    { prepare: true },
  )) as unknown as TraceEventRow[];
}

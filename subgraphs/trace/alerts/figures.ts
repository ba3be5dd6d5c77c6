import type { SqlTransaction } from '#shared/sql.ts';
import type { AlertRuleRow } from './rows.ts';

/** What an event says became known: metrics by the ordinals of one report, or the end of the trace. */
export interface Reported {
  readonly tenantId: string;
  readonly traceId: string;
  readonly first: string | null;
  readonly last: string | null;
  readonly seenAt: string;
}

/** A value that a rule has to be held against. */
export interface RuleValue {
  readonly ruleId: string;
  readonly tenantId: string;
  readonly traceId: string;
  readonly contextId: string | null;
  readonly metric: string;
  readonly unit: string | null;
  readonly value: number;
  readonly at: Date;
  readonly seenAt: Date;
}

const toRows = (rules: readonly AlertRuleRow[]) =>
  JSON.stringify(
    rules.map(({ tenantId, id, figure, metric, service, operation }) => ({
      tenant_id: tenantId,
      id,
      figure,
      metric,
      service,
      operation,
    })),
  );

const ruleRows =
  'json_to_recordset($1::text::json) AS r(tenant_id text, id uuid, figure text, metric text, service text, operation text)';
const reportRows =
  'json_to_recordset($2::text::json) WITH ORDINALITY AS e("tenantId" text, "traceId" uuid, first bigint, last bigint, "seenAt" timestamptz, place)';
const ofDimensions = `(r.service IS NULL OR m.dimensions->>'service' = r.service) AND (r.operation IS NULL OR m.dimensions->>'operation' = r.operation)`;

/** Metrics of the reports that rules look at, as they were reported. */
export async function findMetricValues(
  tx: SqlTransaction,
  rules: readonly AlertRuleRow[],
  reports: readonly Reported[],
): Promise<readonly RuleValue[]> {
  if (rules.length === 0 || reports.length === 0) return [];
  return (await tx.unsafe(
    `SELECT r.id AS "ruleId", m.tenant_id AS "tenantId", m.trace_id AS "traceId", t.context_id AS "contextId", m.name AS metric, m.unit,
       m.value, m.at, e."seenAt" FROM ${reportRows}
     JOIN trace.metric m ON m.tenant_id = e."tenantId" AND m.trace_id = e."traceId" AND m.ordinal BETWEEN e.first AND e.last
     JOIN trace.trace t ON t.tenant_id = m.tenant_id AND t.id = m.trace_id
     JOIN ${ruleRows} ON r.tenant_id = m.tenant_id AND r.metric = m.name AND ${ofDimensions}
     ORDER BY e.place, m.ordinal`,
    [toRows(rules), JSON.stringify(reports)],
  )) as unknown as RuleValue[];
}

/** Durations and failed spans of traces that ended; none of a trace without spans of the rule's service and operation. */
export async function findTraceValues(
  tx: SqlTransaction,
  rules: readonly AlertRuleRow[],
  reports: readonly Reported[],
): Promise<readonly RuleValue[]> {
  if (rules.length === 0 || reports.length === 0) return [];
  return (await tx.unsafe(
    `SELECT r.id AS "ruleId", t.tenant_id AS "tenantId", t.id AS "traceId", t.context_id AS "contextId", 'trace.' || r.figure AS metric,
       CASE r.figure WHEN 'duration' THEN 'ms' END AS unit, v.value, t.finished_at AS at, e."seenAt" FROM ${reportRows}
     JOIN trace.trace t ON t.tenant_id = e."tenantId" AND t.id = e."traceId"
     JOIN ${ruleRows} ON r.tenant_id = t.tenant_id
     CROSS JOIN LATERAL (
       SELECT CASE r.figure WHEN 'errors' THEN t.error_count ELSE (t.end_ns - t.start_ns) / 1e6 END::float8 AS value
         WHERE r.service IS NULL AND r.operation IS NULL AND t.span_count > 0
       UNION ALL
       SELECT CASE r.figure WHEN 'errors' THEN count(*) FILTER (WHERE s.status = 'error') ELSE max(s.end_ns - s.start_ns) / 1e6 END::float8
         FROM trace.span s WHERE NOT (r.service IS NULL AND r.operation IS NULL)
           AND s.tenant_id = t.tenant_id AND s.trace_id = t.id AND s.traced_at = t.created_at
           AND (r.service IS NULL OR s.service = r.service) AND (r.operation IS NULL OR s.name = r.operation)
         HAVING count(*) > 0
     ) AS v WHERE v.value IS NOT NULL
     ORDER BY e.place`,
    [toRows(rules), JSON.stringify(reports)],
  )) as unknown as RuleValue[];
}

const maxBaseline = 1_000;

/** What the same figure was in the hours before a value: at most 1000 numbers. */
export async function findValuesBefore(
  tx: SqlTransaction,
  rule: AlertRuleRow,
  { traceId, unit, at }: RuleValue,
  hours: number,
): Promise<readonly number[]> {
  const since = `> $3::text::timestamptz - ${Math.trunc(hours)} * interval '1 hour'`;
  const query =
    rule.figure === 'metric'
      ? `SELECT m.value FROM trace.metric m, (SELECT $4::text AS service, $5::text AS operation) AS r
         WHERE m.tenant_id = $1 AND m.name = $2 AND m.at < $3::text::timestamptz AND m.at ${since} AND ${ofDimensions}
           AND m.unit IS NOT DISTINCT FROM $6::text ORDER BY m.at DESC LIMIT ${maxBaseline}`
      : rule.service === null && rule.operation === null
        ? `SELECT ((t.end_ns - t.start_ns) / 1e6)::float8 AS value FROM trace.trace t
           WHERE t.tenant_id = $1 AND t.id <> $2::uuid AND t.name = (SELECT name FROM trace.trace WHERE tenant_id = $1 AND id = $2::uuid)
             AND t.finished_at < $3::text::timestamptz AND t.created_at ${since} AND t.end_ns IS NOT NULL
           ORDER BY t.created_at DESC LIMIT ${maxBaseline}`
        : `SELECT ((s.end_ns - s.start_ns) / 1e6)::float8 AS value FROM trace.span s
           WHERE s.tenant_id = $1 AND s.trace_id <> $2::uuid AND s.traced_at < $3::text::timestamptz AND s.traced_at ${since}
             AND ($4::text IS NULL OR s.service = $4) AND ($5::text IS NULL OR s.name = $5) AND s.end_ns IS NOT NULL
           ORDER BY s.traced_at DESC LIMIT ${maxBaseline}`;
  const byMetric = rule.figure === 'metric';
  const byTrace = !byMetric && rule.service === null && rule.operation === null;
  const parameters = [
    rule.tenantId,
    byMetric ? rule.metric : traceId,
    at.toISOString(),
    ...(byTrace ? [] : [rule.service, rule.operation]),
    ...(byMetric ? [unit] : []),
  ];
  const rows = (await tx.unsafe(query, parameters as never[])) as unknown as { value: number }[];
  return rows.map(({ value }) => value);
}

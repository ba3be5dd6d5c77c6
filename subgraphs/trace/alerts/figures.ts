import type { SqlTransaction } from '#shared/sql.ts';
import type { MetricPlace } from '../store/metrics.ts';
import type { AlertRuleRow } from './rows.ts';

/** What an event says became known: the end of a trace, or metrics of it. */
export interface Reported {
  readonly tenantId: string;
  readonly traceId: string;
  readonly seenAt: string;
  readonly metrics: MetricPlace | null;
}

/** A value that breaks a rule, or that has to be held against its baseline to tell. */
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
  /** What is compared with the same of the time before: a report's metrics of one unit, ended traces of one name. */
  readonly kin: string;
}

function toRows(rules: readonly AlertRuleRow[]): string {
  return JSON.stringify(
    rules.map(({ tenantId, id, figure, metric, comparison, threshold, service, operation, updatedAt }) => ({
      tenant_id: tenantId,
      id,
      figure,
      metric,
      comparison,
      threshold,
      service,
      operation,
      since: updatedAt,
    })),
  );
}

const ruleRows = `json_to_recordset($1::text::json) AS r(tenant_id text, id uuid, figure text, metric text, comparison text,
  threshold float8, service text, operation text, since timestamptz)`;
const ofDimensions = (metric: string, rule: string) =>
  `(${rule}.service IS NULL OR ${metric}.dimensions->>'service' = ${rule}.service)
   AND (${rule}.operation IS NULL OR ${metric}.dimensions->>'operation' = ${rule}.operation)`;
/** A rule holds for what comes after it. What only a baseline can tell is left to the caller. */
const tells = (value: string) =>
  `e."seenAt" >= r.since AND CASE r.comparison WHEN 'above' THEN ${value} > r.threshold WHEN 'below' THEN ${value} < r.threshold ELSE true END`;

/** Metrics of the reports that break rules or may, as they were reported. */
export async function findMetricValues(
  tx: SqlTransaction,
  rules: readonly AlertRuleRow[],
  reports: readonly Reported[],
): Promise<readonly RuleValue[]> {
  if (rules.length === 0 || reports.length === 0) return [];
  return (await tx.unsafe(
    `SELECT r.id AS "ruleId", m.tenant_id AS "tenantId", m.trace_id AS "traceId", t.context_id AS "contextId", m.name AS metric, m.unit,
       m.value, m.at, e."seenAt", e.place || '/' || coalesce(m.unit, '') AS kin
     FROM json_to_recordset($2::text::json) AS e(place int, "tenantId" text, "traceId" uuid, "seenAt" timestamptz, first bigint, last bigint,
       "from" timestamptz, "to" timestamptz)
     JOIN trace.metric m ON m.tenant_id = e."tenantId" AND m.trace_id = e."traceId" AND m.at BETWEEN e."from" AND e."to"
       AND m.ordinal BETWEEN e.first AND e.last
     JOIN trace.trace t ON t.tenant_id = m.tenant_id AND t.id = m.trace_id
     JOIN ${ruleRows} ON r.tenant_id = m.tenant_id AND r.metric = m.name AND ${ofDimensions('m', 'r')} AND ${tells('m.value')}
     ORDER BY e.place, m.ordinal`,
    [toRows(rules), JSON.stringify(reports.map(({ metrics, ...report }, place) => ({ ...report, ...metrics, place })))],
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
       CASE r.figure WHEN 'duration' THEN 'ms' END AS unit, v.value, t.finished_at AS at, e."seenAt", t.name AS kin
     FROM json_to_recordset($2::text::json) AS e(place int, "tenantId" text, "traceId" uuid, "seenAt" timestamptz)
     JOIN trace.trace t ON t.tenant_id = e."tenantId" AND t.id = e."traceId" AND t.finished_at IS NOT NULL
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
     ) AS v WHERE v.value IS NOT NULL AND ${tells('v.value')}
     ORDER BY e.place`,
    [toRows(rules), JSON.stringify(reports.map(({ metrics: _none, ...report }, place) => ({ ...report, place })))],
  )) as unknown as RuleValue[];
}

/** Values of one rule that share a baseline: what the same figure was in the hours before the first of them. */
export interface Kin {
  readonly rule: AlertRuleRow;
  readonly values: readonly RuleValue[];
}

const maxBaseline = 1_000;

const earlier = {
  metric: `SELECT m.value FROM trace.metric m
    WHERE m.tenant_id = k.tenant_id AND m.name = k.metric AND m.at < k.before AND m.at > k.after AND ${ofDimensions('m', 'k')}
      AND m.unit IS NOT DISTINCT FROM k.unit ORDER BY m.at DESC LIMIT ${maxBaseline}`,
  trace: `SELECT ((t.end_ns - t.start_ns) / 1e6)::float8 AS value FROM trace.trace t
    WHERE t.tenant_id = k.tenant_id AND t.name = k.name AND t.created_at < k.before AND t.created_at > k.after
      AND t.finished_at < k.before AND t.end_ns IS NOT NULL AND t.id <> ALL(k.own) ORDER BY t.created_at DESC LIMIT ${maxBaseline}`,
  span: `SELECT ((s.end_ns - s.start_ns) / 1e6)::float8 AS value FROM trace.span s
    WHERE s.tenant_id = k.tenant_id AND s.traced_at < k.before AND s.traced_at > k.after AND s.end_ns IS NOT NULL
      AND (k.service IS NULL OR s.service = k.service) AND (k.operation IS NULL OR s.name = k.operation) AND s.trace_id <> ALL(k.own)
    ORDER BY s.traced_at DESC LIMIT ${maxBaseline}`,
} as const;

function sourceOf({ figure, service, operation }: AlertRuleRow): keyof typeof earlier {
  if (figure === 'metric') return 'metric';
  return service === null && operation === null ? 'trace' : 'span';
}

/** At most 1000 numbers for each, in the order given. */
export async function findValuesBefore(
  tx: SqlTransaction,
  kins: readonly Kin[],
  hours: number,
): Promise<readonly (readonly number[])[]> {
  const found = kins.map((): readonly number[] => []);
  const places = Map.groupBy(kins.keys(), (at) => sourceOf(kins[at]!.rule));
  for (const [source, list] of places) {
    const rows = list.map((at) => {
      const { rule, values } = kins[at]!;
      const before = Math.min(...values.map((value) => value.at.getTime()));
      return {
        place: at,
        tenant_id: rule.tenantId,
        metric: rule.metric,
        service: rule.service,
        operation: rule.operation,
        unit: values[0]!.unit,
        name: values[0]!.kin,
        before: new Date(before),
        after: new Date(before - hours * 3_600_000),
        own: [...new Set(values.map(({ traceId }) => traceId))],
      };
    });
    const answers = (await tx.unsafe(
      `SELECT k.place, array_agg(v.value) AS values FROM json_to_recordset($1::text::json) AS k(place int, tenant_id text, metric text,
         service text, operation text, unit text, name text, before timestamptz, after timestamptz, own uuid[])
       CROSS JOIN LATERAL (${earlier[source]}) AS v GROUP BY 1`,
      [JSON.stringify(rows)],
    )) as unknown as { place: number; values: number[] }[];
    for (const { place, values } of answers) found[place] = values;
  }
  return found;
}

import type { Sql } from '#shared/sql.ts';
import { type Viewer, visibleCondition } from './access.ts';
import type { AnomalySeverity } from './analysis/anomaly.ts';
import { errorOf } from './records/classify.ts';
import { storedError } from './records/inputs.ts';
import { recordTypes } from './records/kinds.ts';
import type { TraceSpanRow } from './rows.ts';
import { readDetail, type StoredDetail } from './store/spanDetail.ts';

export const denialsMetric = 'permission.denied';
export const failuresMetric = 'security.failures';
export const repeatedDenials = 'permission.denied.repeatedly';

const maxTraces = 1_000;
const maxRead = 5_000;

export interface SecuritySearch {
  readonly tenantId: string;
  readonly viewer: Viewer | null;
  readonly traceId: string | null;
  readonly from: Date;
  readonly to: Date;
}

export interface SecurityAnomaly {
  readonly traceId: string;
  readonly metric: typeof denialsMetric | typeof failuresMetric;
  readonly value: number;
  readonly at: Date;
  readonly severity: AnomalySeverity;
  readonly confidence: number;
  readonly rootCause: string;
  readonly recommendations: readonly string[];
}

interface Told {
  readonly traceId: string;
  readonly type: string;
  readonly at: Date;
  readonly detail: Readonly<Record<string, unknown>>;
}

type FailedSpan = Pick<TraceSpanRow, 'spanId' | 'name' | 'statusMessage'> &
  Pick<Told, 'traceId' | 'at'> & { readonly detail: StoredDetail };

/** Denials that the role module told of, and failures of the security type in traces: recorded ones, and what failed spans tell. */
export async function findSecurityAnomalies(sql: Sql, search: SecuritySearch): Promise<readonly SecurityAnomaly[]> {
  const [told, spans] = await Promise.all([findTold(sql, search), findFailedSpans(sql, search)]);
  const denials = told.filter(({ type }) => type === repeatedDenials);
  const recorded = told.flatMap(({ traceId, at, detail, type }) => {
    if (type !== recordTypes.error) return [];
    const { success, data } = storedError.safeParse(detail);
    return success && data.type === 'security' ? [{ traceId, at, code: data.code, spanId: data.spanId ?? null }] : [];
  });
  const known = new Set(recorded.map(({ traceId, spanId }) => `${traceId}/${spanId}`));
  const failed = spans.flatMap(({ traceId, at, spanId, detail, ...span }) => {
    const { type, code } = errorOf({ ...span, ...readDetail(detail) });
    return type === 'security' && !known.has(`${traceId}/${spanId}`) ? [{ traceId, at, code, spanId }] : [];
  });
  return [
    ...denials.map(anomalyOfDenials),
    ...[...Map.groupBy([...recorded, ...failed], ({ traceId }) => traceId)].map(([traceId, failures]) =>
      anomalyOfFailures(
        traceId,
        failures,
        recorded.some((one) => one.traceId === traceId),
      ),
    ),
  ];
}

function severityOf(count: number): AnomalySeverity {
  if (count >= 10) return 'CRITICAL';
  if (count >= 5) return 'HIGH';
  return count >= 2 ? 'MEDIUM' : 'LOW';
}

function anomalyOfDenials({ traceId, at, detail }: Told): SecurityAnomaly {
  const denials = typeof detail['denials'] === 'number' ? detail['denials'] : 1;
  return {
    traceId,
    metric: denialsMetric,
    value: denials,
    at,
    severity: severityOf(denials),
    // Counted, not inferred.
    confidence: 1,
    rootCause: `one subject was denied ${denials} times within five minutes`,
    recommendations: [
      'look in permissionAuditLog for who asked for what',
      'revoke its assignments if it is not who it should be',
    ],
  };
}

function anomalyOfFailures(
  traceId: string,
  failures: readonly { readonly at: Date; readonly code: string }[],
  isRecorded: boolean,
): SecurityAnomaly {
  const count = failures.length;
  const codes = [...new Set(failures.map(({ code }) => code))].slice(0, 5);
  return {
    traceId,
    metric: failuresMetric,
    value: count,
    at: new Date(Math.max(...failures.map(({ at }) => at.getTime()))),
    severity: severityOf(count),
    // What spans say is read by their words: each is one more that speaks for it.
    confidence: isRecorded ? 1 : 1 - 0.5 ** count,
    rootCause: `${count} ${count === 1 ? 'failure' : 'failures'} of the security type: ${codes.join(', ')}`,
    recommendations: ['look at the errors of the trace', 'check the credentials and rights of who ran it'],
  };
}

async function findTold(sql: Sql, { tenantId, viewer, traceId, from, to }: SecuritySearch): Promise<readonly Told[]> {
  return (await sql.unsafe(
    `SELECT h.trace_id AS "traceId", h.type, h.occurred_at AS at, h.detail FROM trace.history h
     JOIN trace.trace t ON t.tenant_id = h.tenant_id AND t.id = h.trace_id
     WHERE h.tenant_id = $1 AND h.type IN ('${recordTypes.error}', '${repeatedDenials}')
       AND h.occurred_at >= $2::text::timestamptz AND h.occurred_at < $3::text::timestamptz
       AND ($4::uuid IS NULL OR h.trace_id = $4) AND ($5::text[] IS NULL OR ${visibleCondition('t', '$5')})
       AND (h.source = 'trace' OR h.source = 'role')
     ORDER BY h.occurred_at DESC LIMIT ${maxRead}`,
    [tenantId, from.toISOString(), to.toISOString(), traceId, viewer as readonly string[] as string[] | null],
    { prepare: true },
  )) as unknown as Told[];
}

/** Of the newest traces with failures that were made up to a day before. */
async function findFailedSpans(
  sql: Sql,
  { tenantId, viewer, traceId, from, to }: SecuritySearch,
): Promise<readonly FailedSpan[]> {
  return (await sql.unsafe(
    `WITH chosen AS MATERIALIZED (
       SELECT t.id, t.created_at FROM trace.trace t WHERE t.tenant_id = $1 AND t.error_count > 0 AND ($4::uuid IS NULL OR t.id = $4)
         AND t.created_at >= $2::text::timestamptz - interval '1 day' AND t.created_at < $3::text::timestamptz + interval '1 minute'
         AND ($5::text[] IS NULL OR ${visibleCondition('t', '$5')})
       ORDER BY t.created_at DESC LIMIT ${maxTraces}
     )
     SELECT s.trace_id AS "traceId", s.span_id AS "spanId", s.name, s.status_message AS "statusMessage", s.detail,
       to_timestamp(coalesce(s.end_ns, s.start_ns) / 1e9) AS at
     FROM chosen c JOIN trace.span s ON s.tenant_id = $1 AND s.trace_id = c.id AND s.traced_at = c.created_at
     WHERE s.status = 'error' AND coalesce(s.end_ns, s.start_ns) >= $6::bigint AND coalesce(s.end_ns, s.start_ns) < $7::bigint LIMIT ${maxRead}`,
    [
      tenantId,
      from.toISOString(),
      to.toISOString(),
      traceId,
      viewer as readonly string[] as string[] | null,
      `${from.getTime()}000000`,
      `${to.getTime()}000000`,
    ],
    { prepare: true },
  )) as unknown as FailedSpan[];
}

import { plainArray, textArray } from '#shared/arrayLiteral.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import type { ReportedSpan } from '../otlp/span.ts';
import type { TraceRow } from '../rows.ts';
import { begun, traceColumns } from './traces.ts';

export interface SpanToWrite {
  readonly trace: TraceRow;
  readonly span: ReportedSpan;
  /** As `writeDetail` has it. */
  readonly detail: string;
  readonly late: boolean;
}

/** Ids of the spans asked about that stand already. Their traces are locked: nobody else adds any meanwhile. */
export async function findKnownSpans(
  tx: SqlTransaction,
  spans: readonly SpanToWrite[],
): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  const known = new Map<string, Set<string>>();
  if (spans.length === 0) return known;
  const rows = (await tx.unsafe(
    `SELECT s.tenant_id || '/' || s.trace_id AS key, s.span_id AS id
     FROM unnest($1::text::text[], $2::text::uuid[], $3::text::text[], $4::text::timestamptz[]) AS a(tenant_id, trace_id, span_id, traced_at)
     JOIN trace.span s USING (tenant_id, trace_id, span_id, traced_at)`,
    [
      textArray(spans.map(({ trace }) => trace.tenantId)),
      plainArray(spans.map(({ trace }) => trace.id)),
      plainArray(spans.map(({ span }) => span.spanId)),
      plainArray(spans.map(({ trace }) => `"${trace.createdAt.toISOString()}"`)),
    ],
    { prepare: true },
  )) as unknown as { key: string; id: string }[];
  for (const { key, id } of rows) {
    const ids = known.get(key);
    if (ids) ids.add(id);
    else known.set(key, new Set([id]));
  }
  return known;
}

/** What one statement takes. The server writes one lot while the next is put together; jsonb holds 256 MB. */
const perStatement = { spans: 500, characters: 16_000_000 } as const;

/**
 * Columns side by side: PostgreSQL takes them apart for less than a set of JSON records. What spans of a trace have in
 * common goes along once a trace, and the details are one JSON document, so that nothing in them is quoted a second time.
 */
export async function insertSpans(tx: SqlTransaction, spans: readonly SpanToWrite[]): Promise<void> {
  const written: Promise<void>[] = [];
  for (const chunk of chunksOf(spans)) {
    if (written.length > 0) await handOver();
    const inserted = insertChunk(tx, chunk);
    // Heard below, with the others: until then it is nobody's.
    inserted.catch(() => {});
    written.push(inserted);
  }
  await Promise.all(written);
}

function chunksOf(spans: readonly SpanToWrite[]): readonly (readonly SpanToWrite[])[] {
  const chunks: SpanToWrite[][] = [];
  let length: number = perStatement.characters;
  for (const span of spans) {
    length += span.detail.length;
    const last = chunks.at(-1);
    if (last === undefined || length > perStatement.characters || last.length >= perStatement.spans) {
      chunks.push([span]);
      length = span.detail.length;
    } else last.push(span);
  }
  return chunks;
}

async function insertChunk(tx: SqlTransaction, spans: readonly SpanToWrite[]): Promise<void> {
  const places = new Map<TraceRow, number>();
  const ofSpans = spans.map(({ trace }) => {
    const known = places.get(trace);
    if (known !== undefined) return known;
    places.set(trace, places.size + 1);
    return places.size;
  });
  const traces = [...places.keys()];
  await tx.unsafe(
    `INSERT INTO trace.span (tenant_id, trace_id, span_id, traced_at, parent_span_id, name, kind, service, start_ns,
       end_ns, status, status_message, late, detail)
     SELECT t.a, t.b, s.c, t.d, s.e, s.f, s.g, s.h, s.i, s.j, s.k, s.l, s.m, s.n
     FROM ROWS FROM (unnest($4::int[]), unnest($5::text[]), unnest($6::text[]), unnest($7::text[]), unnest($8::text[]),
       unnest($9::text[]), unnest($10::bigint[]), unnest($11::bigint[]), unnest($12::text[]), unnest($13::text[]),
       unnest($14::text::boolean[]), jsonb_array_elements($15::text::jsonb)) AS s(t, c, e, f, g, h, i, j, k, l, m, n)
     JOIN ROWS FROM (unnest($1::text[]), unnest($2::uuid[]), unnest($3::text::timestamptz[])) WITH ORDINALITY AS t(a, b, d, at)
       ON t.at = s.t`,
    [
      textArray(traces.map(({ tenantId }) => tenantId)),
      plainArray(traces.map(({ id }) => id)),
      plainArray(traces.map(({ createdAt }) => `"${createdAt.toISOString()}"`)),
      plainArray(ofSpans),
      plainArray(spans.map(({ span }) => span.spanId)),
      plainArray(spans.map(({ span }) => span.parentSpanId)),
      textArray(spans.map(({ span }) => span.name)),
      plainArray(spans.map(({ span }) => span.kind)),
      textArray(spans.map(({ span }) => span.service)),
      plainArray(spans.map(({ span }) => span.startNs)),
      plainArray(spans.map(({ span }) => span.endNs)),
      plainArray(spans.map(({ span }) => span.status)),
      textArray(spans.map(({ span }) => span.statusMessage)),
      plainArray(spans.map(({ late }) => late)),
      `[${spans.map(({ detail }) => detail).join(',')}]`,
    ] as never[],
    { prepare: true },
  );
}

export interface TraceSum {
  readonly trace: Pick<TraceRow, 'tenantId' | 'id'>;
  readonly spans: readonly ReportedSpan[];
  /** What the trace ends with; null leaves it as it is. */
  readonly outcome: 'completed' | 'failed' | null;
}

/** Columns of what spans add up to: how many there are, how many failed, first start, last end, outcome. */
function sumsOf(sums: readonly TraceSum[]) {
  return [
    sums.map(({ spans }) => spans.length),
    sums.map(({ spans }) => spans.reduce((count, { status }) => count + (status === 'error' ? 1 : 0), 0)),
    sums.map(({ spans }) => spans.map(({ startNs }) => startNs).reduce((a, b) => (isBefore(b, a) ? b : a))),
    sums.map(({ spans }) => spans.map(lastOf).reduce((a, b) => (isBefore(a, b) ? b : a))),
    sums.map(({ outcome }) => outcome),
  ] as const;
}

export interface NewTrace extends TraceSum {
  readonly w3cId: string;
  readonly name: string;
  readonly service: string;
  readonly samplingRate: number;
  /** Whether sampling has still to decide about it. @default false */
  readonly undecided?: boolean;
  readonly by: string;
}

/** What nobody has given of a trace that an exporter makes: the defaults of its columns. */
const notGiven = {
  ...{ contextId: null, planId: null, taskId: null, correlationId: null, tracestate: null, baggage: null },
  ...{ type: 'execution', tags: [], archivedAt: null, governance: null },
} as const satisfies Partial<TraceRow>;

/**
 * Makes traces with what their spans add up to; those that stand already are left as they are and not answered. Only
 * what the server alone knows comes back: the rest of the rows would cost as much again as one index.
 */
export async function insertTraces(tx: SqlTransaction, traces: readonly NewTrace[]): Promise<readonly TraceRow[]> {
  if (traces.length === 0) return [];
  const [counts, errors, starts, ends, outcomes] = sumsOf(traces);
  const rows = (await tx.unsafe(
    `INSERT INTO trace.trace (tenant_id, id, w3c_id, name, created_by, span_count, error_count, start_ns, end_ns,
       status, finished_at, revision, service_name, sampling_rate, undecided)
     SELECT a, b, c, d, e, f, g, h, i, coalesce(j, 'running'), CASE WHEN j IS NOT NULL THEN now() END, 2, k, l, m
     FROM unnest($1::text::text[], $2::text::uuid[], $3::text::text[], $4::text::text[], $5::text::text[], $6::text::int[], $7::text::int[],
       $8::text::bigint[], $9::text::bigint[], $10::text::text[], $11::text::text[], $12::text::float8[], $13::text::boolean[])
       AS t(a, b, c, d, e, f, g, h, i, j, k, l, m)
     ON CONFLICT (tenant_id, id) DO NOTHING RETURNING tenant_id AS "tenantId", id, created_at AS "createdAt"`,
    [
      textArray(traces.map(({ trace }) => trace.tenantId)),
      plainArray(traces.map(({ trace }) => trace.id)),
      plainArray(traces.map(({ w3cId }) => w3cId)),
      textArray(traces.map(({ name }) => name)),
      textArray(traces.map(({ by }) => by)),
      ...[counts, errors, starts, ends, outcomes].map(plainArray),
      textArray(traces.map(({ service }) => service)),
      plainArray(traces.map(({ samplingRate }) => samplingRate)),
      plainArray(traces.map(({ undecided = false }) => undecided)),
    ],
    { prepare: true },
  )) as unknown as Pick<TraceRow, 'tenantId' | 'id' | 'createdAt'>[];
  const places = new Map(traces.map(({ trace }, at) => [`${trace.tenantId}/${trace.id}`, at]));
  return rows.map(({ tenantId, id, createdAt }): TraceRow => {
    const at = places.get(`${tenantId}/${id}`)!;
    const { w3cId, name, by, service, samplingRate, outcome, undecided = false } = traces[at]!;
    return {
      ...notGiven,
      tenantId,
      id,
      w3cId,
      name,
      status: outcome ?? 'running',
      startNs: starts[at]!,
      endNs: ends[at]!,
      spanCount: counts[at]!,
      errorCount: errors[at]!,
      revision: 2,
      createdAt,
      createdBy: by,
      updatedAt: createdAt,
      finishedAt: outcome === null ? null : createdAt,
      severity: errors[at]! > 0 ? 'error' : 'info',
      serviceName: service,
      samplingRate,
      undecided,
      lostSpans: 0,
    };
  });
}

/** Adds new spans to what their traces add up to. */
export async function countSpans(tx: SqlTransaction, sums: readonly TraceSum[]): Promise<readonly TraceRow[]> {
  if (sums.length === 0) return [];
  return (await tx.unsafe(
    `UPDATE trace.trace AS t SET span_count = span_count + s.spans, error_count = error_count + s.errors,
       start_ns = least(t.start_ns, s.first_ns), end_ns = greatest(t.end_ns, s.last_ns), revision = revision + 1,
       updated_at = now(), status = CASE WHEN finished_at IS NULL THEN coalesce(s.outcome, ${begun}) ELSE status END,
       finished_at = CASE WHEN finished_at IS NULL AND s.outcome IS NOT NULL THEN now() ELSE finished_at END
     FROM unnest($1::text::text[], $2::text::uuid[], $3::text::int[], $4::text::int[], $5::text::bigint[], $6::text::bigint[], $7::text::text[])
       AS s(of_tenant, of_trace, spans, errors, first_ns, last_ns, outcome)
     WHERE t.tenant_id = s.of_tenant AND t.id = s.of_trace
     RETURNING ${traceColumns}`,
    [
      textArray(sums.map(({ trace }) => trace.tenantId)),
      plainArray(sums.map(({ trace }) => trace.id)),
      ...sumsOf(sums).map(plainArray),
    ],
    { prepare: true },
  )) as unknown as TraceRow[];
}

/** Lets what has been written to sockets go out. */
export const handOver = () => new Promise<void>((resolve) => void setImmediate(resolve));

const lastOf = ({ startNs, endNs }: ReportedSpan): string => endNs ?? startNs;

/** Of two nanosecond texts without leading zeros. */
function isBefore(a: string, b: string): boolean {
  return a.length === b.length ? a < b : a.length < b.length;
}

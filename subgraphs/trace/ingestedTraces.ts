import { plainArray, textArray } from '#shared/arrayLiteral.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import type { IngestItem } from './ingest.ts';
import { limits } from './otlp/attributes.ts';
import type { ReportedSpan } from './otlp/span.ts';
import type { TraceRow } from './rows.ts';
import { isKept, type SamplingRule } from './sampling.ts';
import { findSampledOut, settleLate } from './store/sampling.ts';
import { traceColumns } from './store/traces.ts';
import { insertTraces, type NewTrace } from './store/writeSpans.ts';

export interface Placed {
  readonly item: number;
  readonly index: number;
  readonly span: ReportedSpan;
}

/** The spans of a batch that are of one trace. */
export interface Group {
  readonly key: string;
  readonly tenantId: string;
  readonly traceId: string;
  readonly spans: Placed[];
  /** Of exporters: may make the trace. */
  open: Placed | null;
}

export function outcomeOf(spans: readonly ReportedSpan[]): 'completed' | 'failed' | null {
  const root = spans.find(({ parentSpanId, endNs }) => parentSpanId === null && endNs !== null);
  return root === undefined ? null : root.status === 'error' ? 'failed' : 'completed';
}

/** Of a trace that is made now: its spans, each once and no more than it may hold. */
function spansOfNew({ spans }: Group): readonly ReportedSpan[] {
  const byId = new Map<string, ReportedSpan>();
  for (const { span } of spans) {
    if (byId.size >= limits.spansPerTrace) break;
    if (!byId.has(span.spanId)) byId.set(span.spanId, span);
  }
  return [...byId.values()];
}

interface OpenTraces {
  /** By key of the group, as they are before the batch. */
  readonly traces: ReadonlyMap<string, TraceRow>;
  /** Those the batch has made, as they are behind it: nobody else has added anything to them. */
  readonly made: ReadonlyMap<string, TraceRow>;
}

/**
 * The traces named, locked in the order of their ids; exporters' are made where they are not there, with what their spans add
 * up to. What sampling has let go comes back by a failure or a slow span alone.
 */
export async function openTraces(
  tx: SqlTransaction,
  items: readonly IngestItem[],
  groups: readonly Group[],
  { rate, slowMs }: SamplingRule,
): Promise<OpenTraces> {
  const made = new Map<string, TraceRow>();
  const traces = new Map<string, TraceRow>();
  const isSampling = rate < 1;
  let missing = [...groups].sort((a, b) => (a.key < b.key ? -1 : 1));
  while (missing.length > 0) {
    const wanted = missing.flatMap((group): NewTrace[] => {
      const { open, tenantId, traceId } = group;
      if (open === null) return [];
      const own = spansOfNew(group);
      const { principal } = items[open.item]!.scope;
      const { traceId: w3cId, name, service } = open.span;
      const trace = { tenantId, id: traceId };
      const sampling = { samplingRate: 1, undecided: isSampling };
      return [{ trace, w3cId, name, service, ...sampling, by: principal.subject, spans: own, outcome: outcomeOf(own) }];
    });
    for (const row of await insertTraces(tx, wanted)) made.set(`${row.tenantId}/${row.id}`, row);
    const others = missing.filter(({ key }) => !made.has(key));
    if (others.length === 0) break;
    const rows = (await tx.unsafe(
      `SELECT ${traceColumns} FROM trace.trace
       WHERE (tenant_id, id) IN (SELECT * FROM unnest($1::text::text[], $2::text::uuid[])) ORDER BY tenant_id, id FOR UPDATE`,
      [textArray(others.map(({ tenantId }) => tenantId)), plainArray(others.map(({ traceId }) => traceId))],
      { prepare: true },
    )) as unknown as TraceRow[];
    for (const row of rows) traces.set(`${row.tenantId}/${row.id}`, row);
    // What stood at the first look and was let go before the second is made anew.
    missing = others.filter(({ key, open }) => isSampling && open !== null && !traces.has(key));
  }
  if (isSampling) await settleMarks(tx, { groups, made, slowMs });
  for (const [key, row] of made) traces.set(key, { ...row, spanCount: 0, finishedAt: null });
  return { traces, made };
}

/** Of what was made now and has been let go before: keeps what failed or was slow, and counts the rest as late. */
async function settleMarks(
  tx: SqlTransaction,
  {
    groups,
    made,
    slowMs,
  }: { readonly groups: readonly Group[]; readonly made: Map<string, TraceRow>; readonly slowMs: number },
): Promise<void> {
  const marks = await findSampledOut(tx, [...made.values()]);
  if (marks.size === 0) return;
  const marked = groups.flatMap(({ key, spans }) => {
    const mark = marks.get(key);
    return mark ? [{ key, mark, spans: spans.length, isBack: spans.some(({ span }) => isKept(span, slowMs)) }] : [];
  });
  await settleLate(tx, {
    back: marked.flatMap(({ mark, isBack }) => (isBack ? [mark] : [])),
    late: marked.flatMap(({ mark, spans, isBack }) => (isBack ? [] : [{ ...mark, spans }])),
  });
  for (const { key, mark, isBack } of marked) {
    if (isBack) made.set(key, { ...made.get(key)!, undecided: false, lostSpans: mark.spanCount });
    else made.delete(key);
  }
}

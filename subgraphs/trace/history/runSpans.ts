import type { SqlTransaction } from '#shared/sql.ts';
import { spanIdOf } from '../ids/traceIds.ts';
import { limits } from '../otlp/attributes.ts';
import type { TraceRow } from '../rows.ts';
import type { Target } from './targets.ts';

interface SpanChange {
  readonly tenant_id: string;
  readonly trace_id: string;
  readonly span_id: string;
  readonly traced_at: Date;
  readonly parent_span_id: string | null;
  readonly name: string;
  readonly start_ns: string;
  readonly end_ns: string | null;
  readonly status: string;
  readonly status_message: string | null;
  readonly detail: Readonly<Record<string, unknown>>;
}

export function nanosecondsOf(iso: string): string {
  return String(BigInt(Date.parse(iso)) * 1_000_000n);
}

/** A span for the run, and below it one for each attempt of a step. Spans beyond a trace's limit stay events. */
export async function writeRunSpans(
  tx: SqlTransaction,
  targets: readonly Target[],
  traces: ReadonlyMap<string, TraceRow>,
): Promise<void> {
  const changes = new Map<string, SpanChange>();
  const room = new Map<string, number>();
  for (const target of targets) {
    const change = spanOf(target, traces.get(`${target.tenantId}/${target.traceId}`)!);
    if (change === null) continue;
    const trace = `${change.tenant_id}/${change.trace_id}`;
    const key = `${trace}/${change.span_id}`;
    const before = changes.get(key);
    if (before === undefined) {
      const left = room.get(trace) ?? limits.spansPerTrace - traces.get(trace)!.spanCount;
      // The end of a span that stands already takes no room.
      if (left <= 0 && change.end_ns === null) continue;
      if (change.end_ns === null) room.set(trace, left - 1);
    }
    changes.set(key, before === undefined ? change : { ...change, start_ns: before.start_ns });
  }
  if (changes.size > 0)
    await tx.unsafe(
      `INSERT INTO trace.span AS s (tenant_id, trace_id, span_id, traced_at, parent_span_id, name, kind, service,
         start_ns, end_ns, status, status_message, late, detail)
       SELECT tenant_id, trace_id, span_id, traced_at, parent_span_id, name, 'internal', 'plan', start_ns, end_ns,
         status, status_message, false, detail
       FROM json_to_recordset($1::text::json) AS c(tenant_id text, trace_id uuid, span_id text, traced_at timestamptz,
         parent_span_id text, name text, start_ns bigint, end_ns bigint, status text, status_message text, detail jsonb)
       ON CONFLICT (tenant_id, trace_id, span_id, traced_at) DO UPDATE SET end_ns = EXCLUDED.end_ns,
         status = EXCLUDED.status, status_message = EXCLUDED.status_message
         WHERE s.end_ns IS NULL AND EXCLUDED.end_ns IS NOT NULL`,
      [JSON.stringify([...changes.values()])],
      { prepare: true },
    );
  await endOpenSpans(tx, targets, traces);
}

/** What still ran when its run ended, ended with it. */
async function endOpenSpans(
  tx: SqlTransaction,
  targets: readonly Target[],
  traces: ReadonlyMap<string, TraceRow>,
): Promise<void> {
  for (const { tenantId, traceId, run, event } of targets)
    if (run?.status != null && run.status !== 'running')
      await tx.unsafe(
        `UPDATE trace.span SET end_ns = greatest(start_ns, $4::text::bigint)
         WHERE tenant_id = $1 AND trace_id = $2 AND traced_at = $3::text::timestamptz AND end_ns IS NULL`,
        [
          tenantId,
          traceId,
          traces.get(`${tenantId}/${traceId}`)!.createdAt.toISOString(),
          nanosecondsOf(event.createdAt),
        ],
        { prepare: true },
      );
}

function spanOf({ tenantId, traceId, run, event }: Target, trace: TraceRow): SpanChange | null {
  if (run === null) return null;
  const place = { tenant_id: tenantId, trace_id: traceId, traced_at: trace.createdAt };
  const rootId = spanIdOf(run.executionId);
  const detailOf = (attributes: Readonly<Record<string, unknown>>) => ({
    attributes,
    resource: { 'service.name': 'plan' },
    events: [],
    links: [],
    droppedAttributes: 0,
    droppedEvents: 0,
    droppedLinks: 0,
  });
  if (run.status !== null) {
    const ended = run.status !== 'running';
    // Pauses and progress change nothing about the span.
    if (!ended && event.type !== 'plan.execution.started') return null;
    return {
      ...place,
      span_id: rootId,
      parent_span_id: null,
      name: trace.name,
      start_ns: nanosecondsOf(run.startedAt ?? event.createdAt),
      end_ns: ended ? nanosecondsOf(event.createdAt) : null,
      status: run.status === 'failed' ? 'error' : run.status === 'completed' ? 'ok' : 'unset',
      status_message: null,
      detail: detailOf({ executionId: run.executionId, planId: run.planId }),
    };
  }
  if (run.step === null) return null;
  const { stepId, attempt, agent, startedAt, endedAt, status } = run.step;
  return {
    ...place,
    span_id: spanIdOf(`${stepId}/${attempt}`),
    parent_span_id: rootId,
    name: `step ${stepId}`,
    start_ns: nanosecondsOf(startedAt),
    end_ns: endedAt === null ? null : nanosecondsOf(endedAt),
    status,
    status_message: status === 'error' ? event.type : null,
    detail: detailOf({ stepId, attempt, ...(agent === null ? {} : { agentId: agent }) }),
  };
}

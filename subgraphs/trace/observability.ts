import type { ProtocolDocument } from '#shared/codec.ts';
import { derivedId } from '#shared/derivedId.ts';
import type { EventRow } from '#shared/events.ts';
import { type ReportedTrace, reportedTraces } from './reported.ts';
import type { TraceRow } from './rows.ts';

/** Events by which a trace ends, whoever ends it. */
const ends: ReadonlySet<string> = new Set(['trace.status.changed', 'trace.ended']);

/**
 * The frozen observability event of a trace's end (family `cost_budget`): what the undertaking came to. Spans that come late
 * count no more. Names stay out.
 */
export function observeTrace(event: EventRow): readonly ProtocolDocument[] {
  const trace = event.data['trace'] as TraceRow | undefined;
  if (trace !== undefined && ends.has(event.type) && trace.finishedAt !== null) return [summaryOf(event, trace, '')];
  return reportedTraces(event)
    .filter(({ finishedAt }) => finishedAt !== null)
    .map((reported) => summaryOf(event, reported, `/${reported.id}`));
}

/** @param part what tells summaries of one event apart. */
function summaryOf(event: EventRow, trace: ReportedTrace, part: string): ProtocolDocument {
  const { id, contextId, planId, status, startNs, endNs, spanCount, errorCount, samplingRate } = trace;
  const duration = startNs === null || endNs === null ? null : Number(BigInt(endNs) - BigInt(startNs)) / 1e6;
  return {
    event_id: derivedId(`${event.eventId}${part}/trace_cost_summary`),
    event_type: 'trace_cost_summary',
    event_family: 'cost_budget',
    timestamp: event.createdAt,
    ...(contextId === null ? {} : { project_id: contextId }),
    payload: {
      trace_id: id,
      ...(planId === null ? {} : { plan_id: planId }),
      status,
      ...(duration === null ? {} : { duration_ms: duration }),
      span_count: spanCount,
      failed_span_count: errorCount,
      sampling_rate: samplingRate,
    },
  };
}

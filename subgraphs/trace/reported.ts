import type { EventRow } from '#shared/events.ts';
import type { NewEvent } from '#shared/outbox.ts';
import type { TraceRow } from './rows.ts';

/**
 * Traces that exporters made in one batch are told by one event for up to this many, in a stream of the batch: nobody follows a trace
 * that was not there, and an event and a stream for each cost as much as its spans.
 */
const tracesPerEvent = 100;
export const reportedType = 'trace.reported';

/** What is told of a trace that was reported. */
export type ReportedTrace = Pick<
  TraceRow,
  | 'id'
  | 'contextId'
  | 'planId'
  | 'name'
  | 'serviceName'
  | 'status'
  | 'startNs'
  | 'endNs'
  | 'spanCount'
  | 'errorCount'
  | 'samplingRate'
  | 'finishedAt'
>;

export function tellReported(streamId: string, traces: readonly TraceRow[]): readonly NewEvent[] {
  const events: NewEvent[] = [];
  for (let at = 0; at < traces.length; at += tracesPerEvent) {
    const told = traces.slice(at, at + tracesPerEvent);
    events.push({
      streamId,
      type: reportedType,
      data: { traces: told.map(shownOf) },
      tags: ['traces', ...told.map(({ id }) => `Trace:${id}`)],
    });
  }
  return events;
}

function shownOf(trace: TraceRow): ReportedTrace {
  const { id, contextId, planId, name, serviceName, status, startNs, endNs, spanCount } = trace;
  const { errorCount, samplingRate, finishedAt } = trace;
  return {
    ...{ id, contextId, planId, name, serviceName, status, startNs, endNs, spanCount },
    ...{ errorCount, samplingRate, finishedAt },
  };
}

/** Traces that an event says to have been reported; none of other events. */
export function reportedTraces({ type, data }: Pick<EventRow, 'type' | 'data'>): readonly ReportedTrace[] {
  return type === reportedType ? ((data['traces'] ?? []) as readonly ReportedTrace[]) : [];
}

import type { PageInput } from '#shared/connection.ts';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { IdempotentCall } from '#shared/idempotency.ts';
import type { Once } from '#shared/once.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { id, parseInput } from '#shared/validation.ts';
import type { analyse } from '../analyse.ts';
import { pageOfTimeline, stepsOf, timelineOf } from '../execution.ts';
import type { ChangeTrace } from '../lifecycle.ts';
import { noSuchTrace } from '../noSuchTrace.ts';
import type { TraceRow, TraceSpanRow } from '../rows.ts';
import { findFirstEvents } from '../store/history.ts';
import { createCorrelating } from './correlate.ts';
import * as inputs from './inputs.ts';
import { toDecision, toError } from './read.ts';
import { createRecords } from './records.ts';
import { createSnapshots } from './snapshots.ts';

type GivenKey = string | null | undefined;

const maxEventsPerCall = 100;

export interface RecordingDeps {
  readonly change: ChangeTrace;
  readonly once: Once;
  readonly find: (scope: RequestScope, traceId: string) => Promise<TraceRow | null>;
  /** Null where the trace is unknown, or while no span of it has ended. */
  readonly analysisOf: (
    scope: RequestScope,
    traceId: string,
    options: { readonly withSimilar: boolean },
  ) => Promise<ReturnType<typeof analyse>>;
  readonly callOf: (scope: RequestScope, key: GivenKey, operation: string, input: unknown) => IdempotentCall | null;
}

/** What is told of a trace, and what it comes to. */
export function createRecording(
  { sql, graph }: ModuleRuntime,
  { change, once, find, callOf, analysisOf }: RecordingDeps,
) {
  const records = createRecords(sql, change);
  const snapshots = createSnapshots({ sql, graph }, change);
  const correlate = createCorrelating(sql, once);

  return {
    async recordEvents(scope: RequestScope, traceId: string, given: readonly unknown[], key: GivenKey) {
      parseInput(id, traceId, ['traceId']);
      if (given.length < 1 || given.length > maxEventsPerCall)
        throw new PlatformError('VALIDATION_FAILED', `events: expected 1 to ${maxEventsPerCall}, got ${given.length}`, {
          path: ['events'],
        });
      const events = given.map((event, at) => parseInput(inputs.event, event, ['events', at]));
      return records.events(scope, traceId, events, callOf(scope, key, 'recordTraceEvents', { traceId, events }));
    },

    async recordError(scope: RequestScope, traceId: string, given: unknown, key: GivenKey) {
      parseInput(id, traceId, ['traceId']);
      const input = parseInput(inputs.error, given);
      const call = callOf(scope, key, 'recordTraceError', { traceId, input });
      const { trace, events } = await records.error(scope, traceId, input, call);
      return { trace, error: events[0] === undefined ? null : toError(events[0]) };
    },

    async recordDecision(scope: RequestScope, traceId: string, given: unknown, key: GivenKey) {
      parseInput(id, traceId, ['traceId']);
      const input = parseInput(inputs.decision, given);
      const call = callOf(scope, key, 'recordTraceDecision', { traceId, input });
      const { trace, events } = await records.decision(scope, traceId, input, call);
      return { trace, decision: events[0] === undefined ? null : toDecision(events[0]) };
    },

    /** @throws {NOT_FOUND} {INVALID_STATE} while none of its spans has ended, or where it is archived. */
    async analyze(scope: RequestScope, traceId: string, key: GivenKey) {
      const analysis = await analysisOf(scope, traceId, { withSimilar: true });
      if (analysis === null) {
        if ((await find(scope, traceId)) === null) throw noSuchTrace();
        throw new PlatformError('INVALID_STATE', 'expected a trace with a span that has ended, got none', {
          path: ['traceId'],
        });
      }
      const { durationMs, score, grade, concurrency, spans, bottlenecks, suspectedOrigin, recommendations } = analysis;
      const summary = {
        ...{ durationMs, score, grade, concurrency, spans: spans.length, recommendations: recommendations.length },
        bottlenecks: bottlenecks.slice(0, 3).map(({ spanId, savingMs }) => ({ spanId, savingMs })),
        ...(suspectedOrigin === null ? {} : { suspectedOrigin: suspectedOrigin.spanId }),
      };
      const call = callOf(scope, key, 'analyzeTrace', { traceId });
      const { trace, events } = await records.analysis(scope, traceId, summary, call);
      return { analysis, trace, event: events[0] ?? null };
    },

    async captureSnapshot(scope: RequestScope, traceId: string, given: unknown, key: GivenKey) {
      const trace = await find(scope, traceId);
      if (!trace) throw noSuchTrace();
      const input = parseInput(inputs.snapshot, given ?? {});
      const call = callOf(scope, key, 'captureTraceSnapshot', { traceId, input });
      const { snapshot, ...changed } = await snapshots.capture(scope, trace, input, call);
      return { ...changed, snapshot };
    },

    async correlate(scope: RequestScope, traceId: string, given: unknown, key: GivenKey): Promise<TraceRow> {
      parseInput(id, traceId, ['traceId']);
      const input = parseInput(inputs.correlation, given);
      return correlate(scope, traceId, input, callOf(scope, key, 'correlateTraces', { traceId, input }));
    },

    /** Of a trace that the caller may see, with its spans. */
    async execution(trace: TraceRow, spansOfTrace: Promise<readonly TraceSpanRow[]>) {
      const [spans, events] = await Promise.all([spansOfTrace, findFirstEvents(sql, trace)]);
      const entries = timelineOf(spans, events);
      return { trace, steps: stepsOf(spans), timeline: (page: PageInput) => pageOfTimeline(entries, page) };
    },
  };
}

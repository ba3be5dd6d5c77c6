import DataLoader from 'dataloader';
import { createChildPageLoader } from '#shared/childPages.ts';
import type { RequestScope } from '#shared/context.ts';
import { createRowLoader } from '#shared/loaders.ts';
import { keepVisible, noteListAccess, viewerOf } from './access.ts';
import { findAlerts } from './alerts/alerts.ts';
import { type AlertRow, alertTag } from './alerts/rows.ts';
import { readDocuments } from './codec.ts';
import { eventsOfTrace, metricsOfTrace, tracesBelow } from './lists.ts';
import { findCorrelations } from './records/correlate.ts';
import { recordTypes } from './records/kinds.ts';
import { errorsOf, findRecords, toDecision } from './records/read.ts';
import { findSnapshots, withChanges } from './records/snapshots.ts';
import type { PlanStepRow, TraceEventRow, TraceRow, TraceSpanRow } from './rows.ts';
import { findStepSegments, type Segment, stepKey } from './segments.ts';
import type { TraceService } from './service.ts';
import { findEventsOf } from './store/history.ts';
import { findSpansOf } from './store/spans.ts';
import { findTraces } from './store/traces.ts';

export type TraceLoaders = ReturnType<typeof createTraceLoaders>;

/** What belongs to a trace, for many of them at once. */
function ofTraces<Value>(fetch: (traces: readonly TraceRow[]) => Promise<readonly Value[]>) {
  return new DataLoader<TraceRow, Value, string>(fetch, { cacheKeyFn: ({ id }) => id, maxBatchSize: 50 });
}

export function createTraceLoaders({ sql, keyedSql, learn }: TraceService, scope: RequestScope) {
  const { tenantId } = scope.principal;
  const spans = new DataLoader<TraceRow, readonly TraceSpanRow[], string>(
    async (traces) => {
      const byTrace = Map.groupBy(
        await findSpansOf(sql, scope.principal.tenantId, traces),
        ({ traceRowId }) => traceRowId,
      );
      return traces.map(({ id }) => byTrace.get(id) ?? []);
    },
    { cacheKeyFn: ({ id }) => id, maxBatchSize: 50 },
  );

  return {
    trace: createRowLoader<string, TraceRow>({
      scope,
      fetch: (ids) =>
        keepVisible(keyedSql, scope, ids, { read: findTraces(sql, scope.principal.tenantId, ids), learn }),
      keyOf: (row) => row.id,
      tagOf: (id) => `Trace:${id}`,
    }),
    alert: createRowLoader<string, AlertRow>({
      scope,
      async fetch(ids) {
        await noteListAccess(sql, scope);
        return findAlerts(sql, scope, ids);
      },
      keyOf: (row) => row.id,
      tagOf: () => alertTag,
    }),
    spans,
    errors: ofTraces(async (traces) => {
      const ids = traces.map(({ id }) => id);
      const [recorded, ofEach] = await Promise.all([
        findRecords(sql, tenantId, ids, recordTypes.error),
        Promise.all(traces.map((trace) => spans.load(trace))),
      ]);
      return traces.map((trace, at) => errorsOf(trace, recorded.get(trace.id) ?? [], ofEach[at]!));
    }),
    decisions: ofTraces(async (traces) => {
      const ids = traces.map(({ id }) => id);
      const recorded = await findRecords(sql, tenantId, ids, recordTypes.decision);
      return ids.map((id) => (recorded.get(id) ?? []).flatMap((event) => toDecision(event) ?? []));
    }),
    snapshots: ofTraces(async (traces) => {
      const ids = traces.map(({ id }) => id);
      const kept = await findSnapshots(sql, tenantId, ids);
      return ids.map((id) => withChanges(kept.get(id) ?? []));
    }),
    correlations: ofTraces(async (traces) => {
      await noteListAccess(sql, scope);
      return findCorrelations(sql, scope, traces);
    }),
    /** Events by the id of their trace and their own, as `traceId/id`; whoever asks has seen the trace. */
    record: new DataLoader<string, TraceEventRow | null>(async (keys) => {
      const found = await findEventsOf(sql, tenantId, keys);
      return keys.map((key) => found.get(key) ?? null);
    }),
    document: new DataLoader<TraceRow, Readonly<Record<string, unknown>> | null, string>(
      async (traces) => {
        const found = await readDocuments(sql, traces, (trace) => spans.load(trace));
        return traces.map(({ id }) => found.get(id) ?? null);
      },
      { cacheKeyFn: ({ id }) => id, maxBatchSize: 20 },
    ),
    stepSegments: new DataLoader<PlanStepRow, readonly Segment[], string>(
      async (steps) => {
        const found = await findStepSegments(sql, { tenantId, viewer: viewerOf(scope.principal) }, steps);
        return steps.map((step) => found.get(stepKey(step)) ?? []);
      },
      { cacheKeyFn: stepKey },
    ),
    contextTraces: createChildPageLoader(sql, () => tracesBelow('context_id', scope.principal)),
    planTraces: createChildPageLoader(sql, () => tracesBelow('plan_id', scope.principal)),
    events: createChildPageLoader(sql, () => eventsOfTrace(scope.principal.tenantId)),
    metrics: createChildPageLoader(sql, (name: string | null) => metricsOfTrace(scope.principal.tenantId, name)),
  };
}

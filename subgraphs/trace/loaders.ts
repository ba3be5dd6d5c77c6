import DataLoader from 'dataloader';
import { createChildPageLoader } from '#shared/childPages.ts';
import type { RequestScope } from '#shared/context.ts';
import { createRowLoader } from '#shared/loaders.ts';
import { keepVisible, noteListAccess } from './access.ts';
import { findAlerts } from './alerts/alerts.ts';
import { type AlertRow, alertTag } from './alerts/rows.ts';
import { eventsOfTrace, tracesBelow } from './lists.ts';
import type { TraceRow, TraceSpanRow } from './rows.ts';
import type { TraceService } from './service.ts';
import { findSpansOf } from './store/spans.ts';
import { findTraces } from './store/traces.ts';

export type TraceLoaders = ReturnType<typeof createTraceLoaders>;

export function createTraceLoaders({ sql, learn }: TraceService, scope: RequestScope) {
  return {
    trace: createRowLoader<string, TraceRow>({
      scope,
      fetch: (ids) => keepVisible(sql, scope, ids, { read: findTraces(sql, scope.principal.tenantId, ids), learn }),
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
    spans: new DataLoader<TraceRow, readonly TraceSpanRow[], string>(
      async (traces) => {
        const byTrace = Map.groupBy(
          await findSpansOf(sql, scope.principal.tenantId, traces),
          ({ traceRowId }) => traceRowId,
        );
        return traces.map(({ id }) => byTrace.get(id) ?? []);
      },
      { cacheKeyFn: ({ id }) => id, maxBatchSize: 50 },
    ),
    contextTraces: createChildPageLoader(sql, () => tracesBelow('context_id', scope.principal)),
    planTraces: createChildPageLoader(sql, () => tracesBelow('plan_id', scope.principal)),
    events: createChildPageLoader(sql, () => eventsOfTrace(scope.principal.tenantId)),
  };
}

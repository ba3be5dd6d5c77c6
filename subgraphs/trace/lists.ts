import type { ChildList } from '#shared/childPages.ts';
import type { Principal } from '#shared/principal.ts';
import { viewerOf, visibleCondition } from './access.ts';
import type { TraceEventRow, TraceRow } from './rows.ts';
import { historyColumns } from './store/history.ts';
import { metricColumns, type StoredMetric } from './store/metrics.ts';
import { traceColumns } from './store/traces.ts';

/** Traces of a context or of a plan, newest first. */
export function tracesBelow(parent: 'context_id' | 'plan_id', principal: Principal): ChildList<TraceRow> {
  return {
    list: 'traces',
    columns: traceColumns,
    from: () => 'trace.trace t',
    parent: { type: 'uuid', condition: `${parent} = k.parent` },
    sort: [
      { column: 'created_at', type: 'timestamptz', keyOf: ({ createdAt }) => createdAt.toISOString() },
      { column: 'id', type: 'uuid', keyOf: ({ id }) => id },
    ],
    descending: true,
    conditions(parameters) {
      const tenant = `t.tenant_id = $${parameters.push(principal.tenantId)}`;
      const viewer = `$${parameters.push(viewerOf(principal))}`;
      return [tenant, 't.archived_at IS NULL', `(${viewer}::text[] IS NULL OR ${visibleCondition('t', viewer)})`];
    },
  };
}

/** Events of a trace as they happened. */
export function eventsOfTrace(tenantId: string): ChildList<TraceEventRow> {
  return {
    list: 'trace events',
    columns: historyColumns,
    from: () => 'trace.history',
    parent: { type: 'uuid', condition: 'trace_id = k.parent' },
    sort: [
      { column: 'occurred_at', type: 'timestamptz', keyOf: ({ occurredAt }) => occurredAt.toISOString() },
      { column: 'position', type: 'bigint', keyOf: ({ position }) => position },
    ],
    conditions: (parameters) => [`tenant_id = $${parameters.push(tenantId)}`],
  };
}

/** Figures of a trace as they were recorded, those of one name or all, the latest first. */
export function metricsOfTrace(tenantId: string, name: string | null): ChildList<StoredMetric> {
  return {
    list: 'trace metrics',
    columns: metricColumns,
    from: () => 'trace.metric',
    parent: { type: 'uuid', condition: 'trace_id = k.parent' },
    sort: [
      { column: 'at', type: 'timestamptz', keyOf: ({ at }) => at.toISOString() },
      { column: 'ordinal', type: 'bigint', keyOf: ({ ordinal }) => ordinal },
    ],
    descending: true,
    conditions: (parameters) => [
      `tenant_id = $${parameters.push(tenantId)}`,
      ...(name === null ? [] : [`name = $${parameters.push(name)}`]),
    ],
  };
}

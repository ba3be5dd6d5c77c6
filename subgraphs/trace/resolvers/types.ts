import { noteListAccess } from '../access.ts';
import { alertState } from '../alerts/rows.ts';
import { parseBaggage } from '../ids/baggage.ts';
import { phaseOf } from '../records/kinds.ts';
import type {
  Resolvers,
  TraceAlertComparison,
  TraceAlertFigure,
  TraceEventCategory,
  TraceEventPhase,
  TraceSeverity,
  TraceSpanKind,
  TraceSpanStatus,
  TraceStatus,
  TraceType,
} from '../resolvers.generated.ts';
import type { TraceEventRow } from '../rows.ts';

/** What a baggage header says, without the properties of its members. */
function readBaggage(header: string | null): Readonly<Record<string, string>> | null {
  const entries = header === null ? null : parseBaggage(header);
  return entries && Object.fromEntries(entries.map(({ key, value }) => [key, value]));
}

/** As it was given; of other events who told it. */
function originOf({ source, detail }: TraceEventRow) {
  const given = (detail['origin'] ?? {}) as Readonly<Record<string, unknown>>;
  const text = (value: unknown) => (typeof value === 'string' ? value : null);
  return {
    component: text(given['component']) ?? source,
    module: text(given['module']),
    function: text(given['function']),
  };
}

export const types: Omit<Resolvers, 'Query' | 'Mutation'> = {
  Trace: {
    __resolveReference: ({ id }, { loaders }) => loaders.trace.load(id),
    context: ({ contextId }) => (contextId === null ? null : { id: contextId }),
    status: ({ status }) => status.toUpperCase() as TraceStatus,
    startTimeUnixNano: ({ startNs }) => startNs,
    endTimeUnixNano: ({ endNs }) => endNs,
    version: ({ revision }) => revision,
    type: ({ type }) => type.toUpperCase() as TraceType,
    severity: ({ severity }) => severity.toUpperCase() as TraceSeverity,
    tags: ({ tags }) => [...tags],
    baggage: ({ baggage }) => readBaggage(baggage),
    archived: ({ archivedAt }) => archivedAt !== null,
    plan: ({ planId }) => (planId === null ? null : { id: planId }),
    spans: async (trace, _args, { loaders }) => [...(await loaders.spans.load(trace))],
    errors: async (trace, _args, { loaders }) => [...(await loaders.errors.load(trace))],
    decisions: async (trace, _args, { loaders }) => [...(await loaders.decisions.load(trace))],
    snapshots: async (trace, _args, { loaders }) => [...(await loaders.snapshots.load(trace))],
    correlations: async (trace, _args, { loaders }) => [...(await loaders.correlations.load(trace))] as never,
    events: (trace, page, { loaders }) => loaders.events.load(trace.id, null, page) as never,
  },
  TraceEvent: {
    id: ({ eventId }) => eventId,
    category: ({ category }) => category.toUpperCase() as TraceEventCategory,
    phase: ({ type }) => (phaseOf(type)?.toUpperCase() ?? null) as TraceEventPhase | null,
    name: ({ detail }) => (typeof detail['name'] === 'string' ? detail['name'] : null),
    origin: originOf,
    data: ({ detail }) => detail,
  },
  Context: {
    traces: async ({ id }, page, { loaders, scope, service }) => {
      scope.readTags.add(`Context:${id}:traces`);
      await noteListAccess(service.sql, scope);
      return loaders.contextTraces.load(id, null, page) as never;
    },
  },
  Plan: {
    traces: async ({ id }, page, { loaders, scope, service }) => {
      scope.readTags.add(`Plan:${id}:traces`);
      await noteListAccess(service.sql, scope);
      return loaders.planTraces.load(id, null, page) as never;
    },
  },
  TraceCorrelation: {
    relatedTrace: ({ relatedTraceId }, _args, { loaders }) => loaders.trace.load(relatedTraceId),
  },
  TraceExecution: {
    timeline: (execution, page) => execution.timeline(page) as never,
  },
  TraceAlertRule: {
    version: ({ revision }) => revision,
    figure: ({ figure }) => figure.toUpperCase() as TraceAlertFigure,
    comparison: ({ comparison }) => comparison.toUpperCase() as TraceAlertComparison,
  },
  TraceAlert: {
    __resolveReference: ({ id }, { loaders }) => loaders.alert.load(id),
    state: alertState,
    trace: ({ traceId }, _args, { loaders }) => loaders.trace.load(traceId),
  },
  TraceSpan: {
    kind: ({ kind }) => kind.toUpperCase() as TraceSpanKind,
    status: ({ status }) => status.toUpperCase() as TraceSpanStatus,
    startTimeUnixNano: ({ startNs }) => startNs,
    endTimeUnixNano: ({ endNs }) => endNs,
    events: ({ events }) => events.map(({ time, ...event }) => ({ ...event, timeUnixNano: time })),
    links: ({ links }) => [...links],
  },
};

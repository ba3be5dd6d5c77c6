import { noteListAccess } from '../access.ts';
import { alertState } from '../alerts/rows.ts';
import { parseBaggage } from '../ids/baggage.ts';
import type {
  Resolvers,
  TraceAlertComparison,
  TraceAlertFigure,
  TraceEventCategory,
  TraceSeverity,
  TraceSpanKind,
  TraceSpanStatus,
  TraceStatus,
  TraceType,
} from '../resolvers.generated.ts';

/** What a baggage header says, without the properties of its members. */
function readBaggage(header: string | null): Readonly<Record<string, string>> | null {
  const entries = header === null ? null : parseBaggage(header);
  return entries && Object.fromEntries(entries.map(({ key, value }) => [key, value]));
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
    events: (trace, page, { loaders }) => loaders.events.load(trace.id, null, page) as never,
  },
  TraceEvent: {
    id: ({ eventId }) => eventId,
    category: ({ category }) => category.toUpperCase() as TraceEventCategory,
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

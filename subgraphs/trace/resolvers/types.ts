import { PlatformError } from '#shared/errors.ts';
import { shapeGovernance } from '#shared/governance.ts';
import { isId } from '#shared/ids.ts';
import { parseInput } from '#shared/validation.ts';
import { noteListAccess } from '../access.ts';
import { alertState } from '../alerts/rows.ts';
import type { RequestContext } from '../context.ts';
import { parseBaggage } from '../ids/baggage.ts';
import { filterText } from '../inputs.ts';
import { logsOf } from '../otlp/logs.ts';
import { phaseOf, recordTypes } from '../records/kinds.ts';
import { toDecision, toError } from '../records/read.ts';
import type {
  Resolvers,
  TraceAlertComparison,
  TraceAlertFigure,
  TraceEventCategory,
  TraceEventPhase,
  TraceMetricType,
  TraceSeverity,
  TraceSpanKind,
  TraceSpanStatus,
  TraceStatus,
  TraceType,
} from '../resolvers.generated.ts';
import type { TraceEventRow } from '../rows.ts';
import { segmentOf } from '../segments.ts';

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

interface RecordKey {
  readonly traceId: string;
  readonly id: string;
}

/** The trace of a record, where the caller may see it. */
async function traceOf({ traceId, id }: RecordKey, { loaders }: RequestContext) {
  return isId(traceId) && isId(id) ? loaders.trace.load(traceId) : null;
}

/** What was recorded of a trace under an id; null where the caller does not see the trace. */
async function recordOf<Row>(
  key: RecordKey,
  context: RequestContext,
  { type, read }: { readonly type: string; read(event: TraceEventRow): Row | null },
): Promise<Row | null> {
  if (!(await traceOf(key, context))) return null;
  const event = await context.loaders.record.load(`${key.traceId}/${key.id}`);
  return event?.source === 'trace' && event.type === type ? read(event) : null;
}

const maxSegments = 100;

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
    governance: ({ governance }) => shapeGovernance(governance),
    plan: ({ planId }) => (planId === null ? null : { id: planId }),
    task: ({ planId, taskId }) => (planId === null || taskId === null ? null : { planId, id: taskId }),
    metrics: ({ id }, { name, ...page }, { loaders }) => {
      if (name != null) parseInput(filterText, name, ['name']);
      return loaders.metrics.load(id, name ?? null, page) as never;
    },
    spans: async (trace, _args, { loaders }) => [...(await loaders.spans.load(trace))],
    errors: async (trace, _args, { loaders }) => [...(await loaders.errors.load(trace))],
    decisions: async (trace, _args, { loaders }) => [...(await loaders.decisions.load(trace))],
    snapshots: async (trace, _args, { loaders }) => [...(await loaders.snapshots.load(trace))],
    correlations: async (trace, _args, { loaders }) => [...(await loaders.correlations.load(trace))] as never,
    events: (trace, page, { loaders }) => loaders.events.load(trace.id, null, page) as never,
    rootSpan: async (trace, _args, { loaders }) =>
      (await loaders.spans.load(trace)).find(({ parentSpanId }) => parentSpanId === null) ?? null,
    segments: async (trace, _args, { loaders }) =>
      (await loaders.spans.load(trace)).map((span) => segmentOf(trace.id, span)),
    document: (trace, _args, { loaders }) => loaders.document.load(trace),
  },
  TraceSegment: {
    trace: ({ traceId }, _args, { loaders }) => loaders.trace.load(traceId),
  },
  TraceDecision: {
    __resolveReference: (key, context) => recordOf(key, context, { type: recordTypes.decision, read: toDecision }),
    trace: ({ traceId }, _args, { loaders }) => loaders.trace.load(traceId),
    options: ({ options }) => [...options],
    criteria: ({ criteria }) => [...criteria],
  },
  TraceError: {
    async __resolveReference(key, context) {
      const recorded = await recordOf(key, context, { type: recordTypes.error, read: toError });
      if (recorded !== null) return recorded;
      const trace = await traceOf(key, context);
      const told = trace ? await context.loaders.errors.load(trace) : [];
      return told.find(({ id }) => id === key.id) ?? null;
    },
    trace: ({ traceId }, _args, { loaders }) => loaders.trace.load(traceId),
    recoveryActions: ({ recoveryActions }) => [...recoveryActions],
  },
  TraceSnapshot: {
    async __resolveReference(key, context) {
      const trace = await traceOf(key, context);
      const kept = trace ? await context.loaders.snapshots.load(trace) : [];
      return kept.find(({ id }) => id === key.id) ?? null;
    },
    trace: ({ traceId }, _args, { loaders }) => loaders.trace.load(traceId),
    changedKeys: ({ changedKeys }) => changedKeys && [...changedKeys],
  },
  PlanStep: {
    __resolveReference: ({ planId, id }) => (isId(planId) && isId(id) ? { planId, id } : null),
    traceSegments: async ({ planId, id }, { first }, { loaders, scope, service }) => {
      if (first < 1 || first > maxSegments)
        throw new PlatformError('VALIDATION_FAILED', `first: expected 1 to ${maxSegments}, got ${first}`, {
          path: ['first'],
        });
      scope.readTags.add(`Plan:${planId}:traces`);
      await noteListAccess(service.sql, scope);
      return (await loaders.stepSegments.load({ planId, id })).slice(0, first);
    },
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
  TraceMetric: { type: ({ type }) => type.toUpperCase() as TraceMetricType },
  TraceMetricConnection: { totalCount: (page) => (page as unknown as { count(): Promise<number> }).count() },
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
    logs: ({ events }) =>
      logsOf(events).map(({ level, message, time }) => ({
        ...{ level: level.toUpperCase() as TraceSeverity, message },
        timeUnixNano: time,
      })),
    links: ({ links }) => [...links],
    resource: ({ resource }) => resource,
  },
};

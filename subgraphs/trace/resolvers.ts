import { PlatformError, toUserError } from '#shared/errors.ts';
import { noteListAccess } from './access.ts';
import { alertState } from './alerts/rows.ts';
import { lower, readFilter, readPlain, readSpan, readSpanEvent, requireNanoseconds } from './given.ts';
import { formatB3 } from './ids/b3.ts';
import { parseBaggage } from './ids/baggage.ts';
import { formatJaeger } from './ids/jaeger.ts';
import { readPropagation } from './ids/propagation.ts';
import { isSpanIdHex } from './ids/traceIds.ts';
import { formatTraceparent } from './ids/traceparent.ts';
import { formatTracestate, parseTracestate } from './ids/tracestate.ts';
import { storable } from './otlp/attributes.ts';
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
} from './resolvers.generated.ts';

export const resolvers: Resolvers = {
  Query: {
    trace: (_parent, { traceId }, { service, scope }) => service.find(scope, traceId),
    traces: (_parent, { filter, sort, ...page }, { service, scope }) =>
      service.list(scope, readFilter(filter), lower(sort), page) as never,
    distributedTrace: (_parent, { traceId, externalTraceId, correlationId }, { service, scope }) =>
      service.distributed(scope, {
        traceId: traceId ?? null,
        externalTraceId: externalTraceId ?? null,
        correlationId: correlationId ?? null,
      }),
    tracesAnalysis: (_parent, { filter }, { service, scope }) => service.analyseMany(scope, readFilter(filter)),
    traceStatistics: async (_parent, { filter }, { service, scope }) => {
      const { byStatus, byType, bySeverity, durationHistogram, ...totals } = await service.statistics(
        scope,
        readFilter(filter),
      );
      return {
        ...totals,
        durationHistogram: [...durationHistogram],
        byType: byType.map(({ type, count }) => ({ type: type.toUpperCase() as TraceType, count })),
        bySeverity: bySeverity.map(({ severity, count }) => ({
          severity: severity.toUpperCase() as TraceSeverity,
          count,
        })),
        byStatus: byStatus.map(({ status, count }) => ({ status: status.toUpperCase() as TraceStatus, count })),
      };
    },
    async injectContext(_parent, { traceId, spanId }, { service, scope }) {
      if (!isSpanIdHex(spanId))
        throw new PlatformError('VALIDATION_FAILED', 'spanId: expected 16 hex digits, not all zero', {
          path: ['spanId'],
        });
      const trace = await service.find(scope, traceId);
      if (!trace) return null;
      const reference = { traceId: trace.w3cId, spanId, sampled: true };
      return {
        traceparent: formatTraceparent(reference),
        b3: formatB3(reference),
        b3Headers: { traceId: reference.traceId, spanId, sampled: '1' },
        uberTraceId: formatJaeger(reference),
        tracestate: trace.tracestate,
        baggage: trace.baggage,
      };
    },
    extractContext(_parent, { tracestate, baggage, ...headers }) {
      const found = readPropagation(headers);
      if (!found) return null;
      const { traceId, spanId, parentSpanId, sampled, isDebug } = found.reference;
      // It stands beside a traceparent only.
      const state = tracestate == null || found.format !== 'W3C' ? null : parseTracestate(tracestate);
      const entries = baggage == null ? null : parseBaggage(baggage);
      return {
        format: found.format,
        externalTraceId: traceId,
        spanId,
        parentSpanId,
        sampled: sampled ?? false,
        debug: isDebug,
        tracestate: state === null ? null : formatTracestate(state),
        baggage: entries === null ? null : Object.fromEntries(entries.map(({ key, value }) => [key, value])),
      };
    },
    performanceAnalytics: (_parent, { traceId, timeRange, granularity, metrics }, { service, scope }) =>
      service.performance(scope, traceId, {
        from: (timeRange?.from as Date | null | undefined) ?? null,
        to: (timeRange?.to as Date | null | undefined) ?? null,
        granularity: lower(granularity),
        metrics: metrics ?? null,
      }),
    anomalies: (_parent, { filter }, { service, scope }) =>
      service.anomalies(scope, {
        traceId: filter?.traceId ?? null,
        metric: filter?.metric ?? null,
        type: filter?.type ?? null,
        severity: filter?.severity ?? null,
        from: (filter?.from as Date | null | undefined) ?? null,
        to: (filter?.to as Date | null | undefined) ?? null,
      }),
    traceHealth: (_parent, _args, { service, scope }) => service.health(scope),
    traceAlertRules: async (_parent, _args, { service, scope }) => [...(await service.rules(scope))],
    traceAlerts: (_parent, { filter, ...page }, { service, scope }) =>
      service.alerts(
        scope,
        {
          ruleId: filter?.ruleId ?? null,
          traceId: filter?.traceId ?? null,
          state: filter?.state ?? null,
          severity: filter?.severity ?? null,
          from: (filter?.from as Date | null | undefined) ?? null,
          to: (filter?.to as Date | null | undefined) ?? null,
        },
        page,
      ) as never,
    traceAnalysis: (_parent, { traceId }, { service, scope }) => service.analysis(scope, traceId),
    exportTrace: (_parent, { traceId }, { service, scope }) => service.exportOtlp(scope, traceId),
  },
  Mutation: {
    createTrace: async (_parent, { input, idempotencyKey }, { service, scope }) => ({
      trace: await service.create(scope, input, idempotencyKey),
      userErrors: [],
    }),
    createTraces: async (_parent, { inputs, idempotencyKey }, { service, scope }) => {
      const results = await service.createMany(scope, inputs, idempotencyKey);
      return {
        results: results.map((result, index) =>
          result instanceof PlatformError
            ? { index, trace: null, userErrors: [toUserError(result)] }
            : { index, trace: result, userErrors: [] },
        ) as never,
        userErrors: [],
      };
    },
    startTrace: async (_parent, { input, rootSpan, idempotencyKey }, { service, scope }) => ({
      trace: await service.start(scope, input, readSpan(rootSpan, ['rootSpan']), idempotencyKey),
      userErrors: [],
    }),
    addSpan: async (_parent, { traceId, span, idempotencyKey }, { service, scope }) => {
      const given = [readSpan(span, ['span'])];
      const { accepted, known, rejected } = await service.addSpans(scope, traceId, given, idempotencyKey);
      return { accepted, known, rejected: [...rejected], userErrors: [] };
    },
    addSpans: async (_parent, { traceId, spans, idempotencyKey }, { service, scope }) => {
      const given = spans.map((span, index) => readSpan(span, ['spans', index]));
      const { accepted, known, rejected } = await service.addSpans(scope, traceId, given, idempotencyKey);
      return { accepted, known, rejected: [...rejected], userErrors: [] };
    },
    addEvents: async (_parent, { events, idempotencyKey, ...target }, { service, scope }) => ({
      trace: await service.changeSpan(
        scope,
        { ...target, expectedVersion: target.expectedVersion ?? null },
        { events: events.map((event, index) => readSpanEvent(event, ['events', index])) },
        'addEvents',
        idempotencyKey,
      ),
      userErrors: [],
    }),
    updateSpan: async (_parent, { input, idempotencyKey, ...target }, { service, scope }) => ({
      trace: await service.changeSpan(
        scope,
        { ...target, expectedVersion: target.expectedVersion ?? null },
        {
          status: input.status == null ? undefined : lower(input.status),
          statusMessage: input.statusMessage == null ? undefined : storable(input.statusMessage),
          attributes: input.attributes == null ? undefined : readPlain(input.attributes, ['input', 'attributes']),
        },
        'updateSpan',
        idempotencyKey,
      ),
      userErrors: [],
    }),
    endSpan: async (_parent, { endTimeUnixNano, status, idempotencyKey, ...target }, { service, scope }) => ({
      trace: await service.changeSpan(
        scope,
        { ...target, expectedVersion: target.expectedVersion ?? null },
        {
          endNs: requireNanoseconds(endTimeUnixNano, ['endTimeUnixNano']),
          status: status == null ? undefined : lower(status),
        },
        'endSpan',
        idempotencyKey,
      ),
      userErrors: [],
    }),
    recordMetrics: async (_parent, { traceId, metrics, idempotencyKey }, { service, scope }) => ({
      trace: await service.recordMetrics(scope, traceId, metrics, idempotencyKey),
      userErrors: [],
    }),
    configureAlert: async (_parent, { input, expectedVersion, idempotencyKey }, { service, scope }) => ({
      rule: await service.configureAlert(scope, input, expectedVersion ?? null, idempotencyKey),
      userErrors: [],
    }),
    deleteTraceAlertRule: async (_parent, { ruleId, expectedVersion, idempotencyKey }, { service, scope }) => ({
      deletedId: await service.removeAlertRule(scope, ruleId, expectedVersion ?? null, idempotencyKey),
      userErrors: [],
    }),
    acknowledgeTraceAlert: async (_parent, { alertId, idempotencyKey }, { service, scope }) => ({
      alert: await service.acknowledgeAlert(scope, alertId, idempotencyKey),
      userErrors: [],
    }),
    deleteTrace: async (_parent, { traceId, expectedVersion, idempotencyKey }, { service, scope }) => ({
      deletedIds: [...(await service.remove(scope, [traceId], expectedVersion ?? null, idempotencyKey))],
      userErrors: [],
    }),
    deleteTraces: async (_parent, { traceIds, idempotencyKey }, { service, scope }) => ({
      deletedIds: [...(await service.remove(scope, traceIds, null, idempotencyKey))],
      userErrors: [],
    }),
    endTrace: async (_parent, { traceId, outcome, expectedVersion, idempotencyKey }, { service, scope }) => ({
      trace: await service.end(
        scope,
        { traceId, outcome: lower(outcome), expectedVersion: expectedVersion ?? null },
        idempotencyKey,
      ),
      userErrors: [],
    }),
    ingestOtlp: async (_parent, { request, idempotencyKey }, { service, scope }) => {
      const { accepted, known, rejected } = await service.ingestOtlp(scope, request, idempotencyKey);
      return { accepted, known, rejected: [...rejected], userErrors: [] };
    },
  },
  Trace: {
    __resolveReference: ({ id }, { loaders }) => loaders.trace.load(id),
    context: ({ contextId }) => (contextId === null ? null : { id: contextId }),
    status: ({ status }) => status.toUpperCase() as TraceStatus,
    startTimeUnixNano: ({ startNs }) => startNs,
    endTimeUnixNano: ({ endNs }) => endNs,
    version: ({ revision }) => revision,
    type: ({ type }) => type.toUpperCase() as TraceType,
    severity: ({ severity }) => severity.toUpperCase() as TraceSeverity,
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

import { PlatformError, toUserError } from '#shared/errors.ts';
import { lower, readPlain, readSpan, readSpanEvent, requireNanoseconds } from '../given.ts';
import { storable } from '../otlp/attributes.ts';
import type { MutationResolvers } from '../resolvers.generated.ts';

/** What is not given stays out: calls are kept as they were made before there was an override. */
const targetOf = ({
  expectedVersion,
  override,
}: {
  readonly expectedVersion?: number | null | undefined;
  readonly override?: object | null | undefined;
}) => ({ expectedVersion: expectedVersion ?? null, ...(override == null ? {} : { override }) });

export const mutations: MutationResolvers = {
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
  recordTraceEvents: async (_parent, { traceId, events, idempotencyKey }, { service, scope }) => {
    const recorded = await service.recordEvents(scope, traceId, events, idempotencyKey);
    return { trace: recorded.trace, events: [...recorded.events], userErrors: [] };
  },
  recordTraceError: async (_parent, { traceId, input, idempotencyKey }, { service, scope }) => ({
    ...(await service.recordError(scope, traceId, input, idempotencyKey)),
    userErrors: [],
  }),
  recordTraceDecision: async (_parent, { traceId, input, idempotencyKey }, { service, scope }) => ({
    ...(await service.recordDecision(scope, traceId, input, idempotencyKey)),
    userErrors: [],
  }),
  captureTraceSnapshot: async (_parent, { traceId, input, idempotencyKey }, { service, scope, loaders }) => {
    const { trace, snapshot } = await service.captureSnapshot(scope, traceId, input, idempotencyKey);
    const kept = await loaders.snapshots.clear(trace).load(trace);
    return { trace, snapshot: kept.find(({ id }) => id === snapshot.id) ?? null, userErrors: [] };
  },
  analyzeTrace: async (_parent, { traceId, idempotencyKey }, { service, scope }) => ({
    ...(await service.analyze(scope, traceId, idempotencyKey)),
    userErrors: [],
  }),
  correlateTraces: async (_parent, { traceId, input, idempotencyKey }, { service, scope }) => ({
    trace: await service.correlate(scope, traceId, input, idempotencyKey),
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
  deleteTrace: async (_parent, { traceId, idempotencyKey, ...given }, { service, scope }) => ({
    deletedIds: [...(await service.remove(scope, [traceId], targetOf(given), idempotencyKey))],
    userErrors: [],
  }),
  deleteTraces: async (_parent, { traceIds, idempotencyKey }, { service, scope }) => ({
    deletedIds: [...(await service.remove(scope, traceIds, { expectedVersion: null }, idempotencyKey))],
    userErrors: [],
  }),
  endTrace: async (_parent, { traceId, outcome, idempotencyKey, ...given }, { service, scope }) => ({
    trace: await service.end(scope, { traceId, outcome: lower(outcome), ...targetOf(given) }, idempotencyKey),
    userErrors: [],
  }),
  updateTrace: async (_parent, { traceId, patch, idempotencyKey, ...given }, { service, scope }) => ({
    trace: await service.update(scope, { traceId, ...targetOf(given) }, patch, idempotencyKey),
    userErrors: [],
  }),
  archiveTrace: async (_parent, { traceId, idempotencyKey, ...given }, { service, scope }) => ({
    trace: await service.archive(scope, { traceId, ...targetOf(given) }, true, idempotencyKey),
    userErrors: [],
  }),
  unarchiveTrace: async (_parent, { traceId, idempotencyKey, ...given }, { service, scope }) => ({
    trace: await service.archive(scope, { traceId, ...targetOf(given) }, false, idempotencyKey),
    userErrors: [],
  }),
  ingestOtlp: async (_parent, { request, idempotencyKey }, { service, scope }) => {
    const { accepted, known, rejected } = await service.ingestOtlp(scope, request, idempotencyKey);
    return { accepted, known, rejected: [...rejected], userErrors: [] };
  },
};

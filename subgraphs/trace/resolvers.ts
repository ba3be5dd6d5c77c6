import { writeAttributes } from './otlp/attributes.ts';
import { spanKinds, spanStatuses } from './otlp/span.ts';
import type { Resolvers, TraceSpanKind, TraceSpanStatus, TraceStatus, TraceType } from './resolvers.generated.ts';
import type { TraceStatusValue } from './rows.ts';

function lower<Value extends string>(value: string): Value {
  return value.toLowerCase() as Value;
}

export const resolvers: Resolvers = {
  Query: {
    trace: (_parent, { traceId }, { service, scope }) => service.find(scope, traceId),
    traces: (_parent, { filter, ...page }, { service, scope }) =>
      service.list(
        scope,
        {
          contextId: filter?.contextId ?? null,
          planId: filter?.planId ?? null,
          status: filter?.status?.map((status) => lower<TraceStatusValue>(status)) ?? null,
          hasErrors: filter?.hasErrors ?? null,
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
    addSpans: async (_parent, { traceId, spans }, { service, scope }) => {
      const given = spans.map(({ service: name, attributes, kind, status, statusMessage, ...span }) => ({
        service: name,
        message: {
          ...span,
          kind: spanKinds.indexOf(lower(kind ?? 'INTERNAL')),
          status: { code: spanStatuses.indexOf(lower(status ?? 'UNSET')), message: statusMessage },
          attributes: writeAttributes((attributes ?? {}) as never),
        },
      }));
      const { accepted, known, rejected } = await service.addSpans(scope, traceId, given);
      return { accepted, known, rejected: [...rejected], userErrors: [] };
    },
    endTrace: async (_parent, { traceId, outcome, expectedVersion, idempotencyKey }, { service, scope }) => ({
      trace: await service.end(
        scope,
        { traceId, outcome: lower(outcome), expectedVersion: expectedVersion ?? null },
        idempotencyKey,
      ),
      userErrors: [],
    }),
    ingestOtlp: async (_parent, { request }, { service, scope }) => {
      const { accepted, known, rejected } = await service.ingestOtlp(scope, request);
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
    plan: ({ planId }) => (planId === null ? null : { id: planId }),
    spans: async (trace, _args, { loaders }) => [...(await loaders.spans.load(trace))],
    events: (trace, page, { service }) => service.events(trace, page) as never,
  },
  TraceEvent: {
    id: ({ eventId }) => eventId,
    data: ({ detail }) => detail,
  },
  Context: {
    traces: ({ id }, { first, after }, { loaders }) =>
      loaders.tracesOf.load({ contextId: id, planId: null, first: first ?? null, after: after ?? null }) as never,
  },
  Plan: {
    traces: ({ id }, { first, after }, { loaders }) =>
      loaders.tracesOf.load({ contextId: null, planId: id, first: first ?? null, after: after ?? null }) as never,
  },
  TraceSpan: {
    kind: ({ kind }) => kind.toUpperCase() as TraceSpanKind,
    status: ({ status }) => status.toUpperCase() as TraceSpanStatus,
    startTimeUnixNano: ({ startNs }) => startNs,
    endTimeUnixNano: ({ endNs }) => endNs,
  },
};

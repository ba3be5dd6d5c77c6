import { PlatformError } from '#shared/errors.ts';
import { selectedFields } from '#shared/selectedFields.ts';
import { parseInput } from '#shared/validation.ts';
import { lower, readFilter } from '../given.ts';
import { formatB3 } from '../ids/b3.ts';
import { parseBaggage } from '../ids/baggage.ts';
import { formatJaeger } from '../ids/jaeger.ts';
import { readPropagation } from '../ids/propagation.ts';
import { isSpanIdHex } from '../ids/traceIds.ts';
import { formatTraceparent } from '../ids/traceparent.ts';
import { formatTracestate, parseTracestate } from '../ids/tracestate.ts';
import * as inputs from '../inputs.ts';
import type { QueryResolvers, TraceSeverity, TraceStatus, TraceType } from '../resolvers.generated.ts';

export const queries: QueryResolvers = {
  // By the loader, so that what hangs below and leads back finds it read.
  trace: (_parent, { traceId }, { loaders }) => loaders.trace.load(parseInput(inputs.traceId, traceId, ['traceId'])),
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
  traceDecisions: (_parent, args, { service, scope }) => service.search.decisions(scope, args) as never,
  traceErrors: (_parent, args, { service, scope }) => service.search.errors(scope, args) as never,
  traceSnapshots: (_parent, { contextId, capturedBy, from, to, ...page }, { service, scope }) =>
    service.snapshotsOf(
      scope,
      {
        contextId,
        capturedBy: capturedBy ?? null,
        from: (from as Date | null | undefined) ?? null,
        to: (to as Date | null | undefined) ?? null,
      },
      page,
    ) as never,
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
  traceAnalysis: (_parent, { traceId }, { service, scope }, info) => {
    const asked = selectedFields(info, '');
    // Ten thousand spans of other runs are read for these alone.
    return service.analysis(scope, traceId, {
      withSimilar: asked.has('comparison') || asked.has('recommendations'),
    });
  },
  executionTrace: async (_parent, { traceId }, { service, loaders }) => {
    const trace = await loaders.trace.load(parseInput(inputs.traceId, traceId, ['traceId']));
    return trace && ((await service.execution(trace, loaders.spans.load(trace))) as never);
  },
  exportTrace: (_parent, { traceId }, { service, scope }) => service.exportOtlp(scope, traceId),
};

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isKept, isSampled } from '../../subgraphs/trace/sampling.ts';
import { openTraceRig, principal } from './rig.ts';

let rig: Awaited<ReturnType<typeof openTraceRig>>;
const alice = principal('alice');
const stranger = principal('mallory', 'two');

beforeAll(async () => {
  rig = await openTraceRig();
});
afterAll(async () => {
  await rig[Symbol.asyncDispose]();
});

const errors = 'userErrors { code path message }';
const create = `mutation($input: CreateTraceInput!) { createTrace(input: $input) { trace { id w3cId } ${errors} } }`;
const add = `mutation($id: ID!, $spans: [TraceSpanInput!]!, $key: String) { addSpans(traceId: $id, spans: $spans, idempotencyKey: $key) {
  accepted known rejected { reason } ${errors} } }`;
const read = `query($id: ID!) { trace(traceId: $id) { version spanCount errorCount endTimeUnixNano
  spans { spanId status statusMessage attributes endTimeUnixNano events { name attributes } links { traceId } } } }`;

const start = BigInt(Date.now() - 60_000) * 1_000_000n;
const ns = (ms: number) => String(start + BigInt(ms) * 1_000_000n);
const a = '00000000000000aa';
const b = '00000000000000bb';

function span(spanId: string, parentSpanId: string | null, from: number, to: number | null, more = {}) {
  const end = to === null ? {} : { endTimeUnixNano: ns(to) };
  return { spanId, parentSpanId, name: spanId, service: 'shop', startTimeUnixNano: ns(from), ...end, ...more };
}

async function newTrace(more = {}): Promise<string> {
  const { createTrace } = await rig.ask(alice, create, {
    input: { contextId: rig.openContext(), name: 'run', ...more },
  });
  expect(createTrace.userErrors).toEqual([]);
  return createTrace.trace.id;
}

describe('opening', () => {
  it('answers each of many by itself and asks for a context once', async () => {
    const contextId = rig.openContext();
    const inputs = [
      { contextId, name: 'one' },
      { contextId: '11111111-1111-4111-8111-111111111111', name: 'two' },
      { contextId, name: '' },
      { contextId, name: 'four' },
    ];
    const document = `mutation($inputs: [CreateTraceInput!]!, $key: String) { createTraces(inputs: $inputs, idempotencyKey: $key) {
      results { index trace { id } userErrors { code path } } ${errors} } }`;
    const { createTraces } = await rig.ask(alice, document, { inputs, key: 'many' });
    const codes = createTraces.results.map((result: { userErrors: { code: string }[] }) => result.userErrors[0]?.code);
    expect(codes).toEqual([undefined, 'NOT_FOUND', 'VALIDATION_FAILED', undefined]);
    const again = await rig.ask(alice, document, { inputs, key: 'many' });
    expect(again.createTraces.results[0]).toEqual(createTraces.results[0]);
    expect(again.createTraces.results[3]).toEqual(createTraces.results[3]);
    rig.asked.length = 0;
    await rig.ask(alice, create, { input: { contextId, name: 'five' } });
    expect(rig.asked).toEqual([]);
  });

  it('takes a plan of the same context alone', async () => {
    const contextId = rig.openContext();
    const input = { contextId, planId: rig.openPlan(contextId), name: 'planned' };
    expect((await rig.ask(alice, create, { input })).createTrace.userErrors).toEqual([]);
    const other = { ...input, contextId: rig.openContext() };
    expect((await rig.ask(alice, create, { input: other })).createTrace.userErrors[0]).toMatchObject({
      code: 'NOT_FOUND',
      path: ['input', 'planId'],
    });
  });

  it('starts with a root span, and hands on what the caller’s headers said', async () => {
    const document = `mutation($input: CreateTraceInput!, $rootSpan: TraceSpanInput!, $key: String) {
      startTrace(input: $input, rootSpan: $rootSpan, idempotencyKey: $key) { trace { id w3cId spanCount spans { spanId } } ${errors} } }`;
    const input = { contextId: rig.openContext(), name: 'led', tracestate: 'vendor=1', baggage: 'user=a%20b' };
    const variables = { input, rootSpan: span(a, null, 0, null), key: 'start' };
    const { startTrace } = await rig.ask(alice, document, variables);
    expect(startTrace.trace).toMatchObject({ spanCount: 1, spans: [{ spanId: a }] });
    expect((await rig.ask(alice, document, variables)).startTrace.trace.id).toBe(startTrace.trace.id);
    const inject =
      'query($id: ID!, $s: ID!) { injectContext(traceId: $id, spanId: $s) { traceparent tracestate baggage } }';
    const { injectContext } = await rig.ask(alice, inject, { id: startTrace.trace.id, s: a });
    expect(injectContext).toEqual({
      traceparent: `00-${startTrace.trace.w3cId}-${a}-01`,
      tracestate: 'vendor=1',
      baggage: 'user=a%20b',
    });
    const { extractContext } = await rig.ask(
      alice,
      `query($p: String!, $t: String, $b: String) { extractContext(traceparent: $p, tracestate: $t, baggage: $b) {
        externalTraceId spanId sampled tracestate baggage } }`,
      { p: injectContext.traceparent, t: injectContext.tracestate, b: injectContext.baggage },
    );
    expect(extractContext).toMatchObject({
      spanId: a,
      sampled: true,
      tracestate: 'vendor=1',
      baggage: { user: 'a b' },
    });
    expect((await rig.ask(stranger, inject, { id: startTrace.trace.id, s: a })).injectContext).toBeNull();
  });
});

describe('spans', () => {
  it('refuses what is no object, a clock that has jumped and a negative duration, and stores nothing', async () => {
    const id = await newTrace();
    const bad = [
      span(b, null, 0, 1, { attributes: [1] }),
      span(b, null, 0, 1, { attributes: 'text' }),
      span(b, null, 0, 1, { events: [{ name: 'e', timeUnixNano: 'x' }] }),
      span(b, null, 10 * 86_400_000, 10 * 86_400_000 + 1),
      span(b, null, 10, 1),
    ];
    for (const one of bad) {
      const { addSpans } = await rig.ask(alice, add, { id, spans: [span(a, null, 0, 1), one] });
      expect(addSpans.userErrors[0]).toMatchObject({ code: 'VALIDATION_FAILED' });
    }
    expect((await rig.ask(alice, read, { id })).trace.spanCount).toBe(0);
  });

  it('are changed, given events and ended, and their trace follows', async () => {
    const id = await newTrace();
    const link = { traceId: 'aaaabbbbccccddddeeeeffff00001111', spanId: b };
    const spans = [
      span(a, '00000000000000ff', 0, null, {
        events: [{ name: 'begun', timeUnixNano: ns(1) }],
        links: [link],
        attributes: { n: 1 },
      }),
    ];
    const first = await rig.ask(alice, add, { id, spans, key: 'k' });
    expect(first.addSpans.accepted).toBe(1);
    expect((await rig.ask(alice, add, { id, spans, key: 'k' })).addSpans).toEqual(first.addSpans);
    const other = await rig.ask(alice, add, { id, spans: [span(b, a, 0, 1)], key: 'k' });
    expect(other.addSpans.userErrors[0].code).toBe('IDEMPOTENCY_MISMATCH');

    const target = 'traceId: $id, spanId: $s';
    const events = `mutation($id: ID!, $s: ID!, $events: [TraceSpanEventInput!]!) { addEvents(${target}, events: $events) { trace { version } ${errors} } }`;
    const happened = [{ name: 'retried', timeUnixNano: ns(2), attributes: { token: 'x' } }];
    expect((await rig.ask(alice, events, { id, s: a, events: happened })).addEvents.userErrors).toEqual([]);
    const update = `mutation($id: ID!, $s: ID!, $input: UpdateTraceSpanInput!, $v: Int) {
      updateSpan(${target}, input: $input, expectedVersion: $v) { trace { version errorCount } ${errors} } }`;
    const input = { status: 'ERROR', statusMessage: 'broke', attributes: { m: 2 } };
    expect((await rig.ask(alice, update, { id, s: a, input, v: 99 })).updateSpan.userErrors[0].code).toBe(
      'VERSION_CONFLICT',
    );
    expect((await rig.ask(stranger, update, { id, s: a, input })).updateSpan.userErrors[0].code).toBe('NOT_FOUND');
    expect((await rig.ask(alice, update, { id, s: b, input })).updateSpan.userErrors[0].path).toEqual(['spanId']);
    expect((await rig.ask(alice, update, { id, s: a, input })).updateSpan.trace.errorCount).toBe(1);
    const endSpan = `mutation($id: ID!, $s: ID!, $end: String!) { endSpan(${target}, endTimeUnixNano: $end) { trace { version } ${errors} } }`;
    expect((await rig.ask(alice, endSpan, { id, s: a, end: ns(-5) })).endSpan.userErrors[0].code).toBe(
      'VALIDATION_FAILED',
    );
    await rig.ask(alice, endSpan, { id, s: a, end: ns(50) });
    expect((await rig.ask(alice, endSpan, { id, s: a, end: ns(60) })).endSpan.userErrors[0].code).toBe(
      'INVALID_STATE_TRANSITION',
    );
    const { trace } = await rig.ask(alice, read, { id });
    expect(trace).toMatchObject({ spanCount: 1, errorCount: 1, endTimeUnixNano: ns(50) });
    expect(trace.spans[0]).toMatchObject({
      status: 'ERROR',
      statusMessage: 'broke',
      attributes: { n: 1, m: 2 },
      links: [{ traceId: link.traceId }],
    });
    expect(trace.spans[0].events.map((event: { name: string }) => event.name)).toEqual(['begun', 'retried']);
    expect(trace.spans[0].events[1].attributes).toEqual({ token: '***' });
  });
});

describe('questions over traces', () => {
  const correlationId = 'order 7';

  it('puts a request over services together', async () => {
    const one = await newTrace({ correlationId });
    await rig.ask(alice, add, {
      id: one,
      spans: [
        span(a, null, 0, 100, { kind: 'CLIENT', service: 'web' }),
        span(b, a, 5_020, 5_080, { kind: 'SERVER', service: 'db', status: 'ERROR', attributes: { table: 'orders' } }),
        span('00000000000000cc', '00000000000000ff', 10, 20, { service: 'web' }),
      ],
    });
    const two = await newTrace({ correlationId });
    const document = `query($id: ID, $c: String) { distributedTrace(traceId: $id, correlationId: $c) { traces { id } services durationMs
      timeline { spanId depth startMs clockShiftMs } serviceMap { from to calls errors p95Ms } crossServiceCalls networkMs
      missingParents completeness related { traceId reason } } }`;
    const { distributedTrace } = await rig.ask(alice, document, { id: one });
    expect(distributedTrace).toMatchObject({
      services: ['db', 'web'],
      serviceMap: [{ from: 'web', to: 'db', calls: 1, errors: 1, p95Ms: 60 }],
      crossServiceCalls: 1,
      networkMs: 40,
      missingParents: ['00000000000000ff'],
      completeness: 0.75,
      related: [{ traceId: two, reason: 'CORRELATION' }],
    });
    expect(distributedTrace.timeline.find((item: { spanId: string }) => item.spanId === b)).toMatchObject({
      depth: 1,
      startMs: 20,
      clockShiftMs: -5_000,
    });
    expect((await rig.ask(alice, document, { c: correlationId })).distributedTrace.traces).toHaveLength(2);
    expect((await rig.ask(stranger, document, { id: one })).distributedTrace).toBeNull();
  });

  it('filters, sorts and pages without gap or repeat', async () => {
    const found = async (filter: object, sort = 'DURATION') => {
      const ids: string[] = [];
      for (let after: string | null = null; ; ) {
        const { traces } = await rig.ask(
          alice,
          `query($filter: TraceFilter, $sort: TraceSort!, $after: String) { traces(filter: $filter, sort: $sort, first: 2, after: $after) {
            nodes { id } pageInfo { hasNextPage endCursor } } }`,
          { filter, sort, after },
        );
        ids.push(...traces.nodes.map(({ id }: { id: string }) => id));
        if (!traces.pageInfo.hasNextPage) return ids;
        after = traces.pageInfo.endCursor;
      }
    };
    const [row] = await rig.sql`SELECT count(*)::int AS count FROM trace.trace WHERE tenant_id = 'one'`;
    for (const sort of ['CREATED_AT', 'START', 'DURATION']) {
      const all = await found({}, sort);
      expect(all).toHaveLength(row!['count']);
      expect(new Set(all).size).toBe(all.length);
    }
    const [hit, ...more] = await found({
      service: 'db',
      attribute: { key: 'table', value: 'orders' },
      hasErrors: true,
    });
    expect(more).toEqual([]);
    expect(await found({ correlationId, minDurationMs: 99 })).toEqual([hit]);
    expect(await found({ attribute: { key: 'table', value: 'others' } })).toEqual([]);
    expect(await found({ text: 'LED' })).toHaveLength(1);
    expect(await found({ service: 'web', operation: b })).toEqual([]);
  });

  it('adds them up by operation, and in all', async () => {
    const { tracesAnalysis, traceStatistics } = await rig.ask(
      alice,
      `query($filter: TraceFilter) { tracesAnalysis(filter: $filter) { traceCount spanCount errorRate
        operations { service operation count errorRate p50Ms p95Ms p99Ms deviation { score } } }
        traceStatistics(filter: $filter) { count spanCount failedSpans byStatus { status count } } }`,
      { filter: { correlationId } },
    );
    expect(tracesAnalysis).toMatchObject({ traceCount: 2, spanCount: 3 });
    expect(tracesAnalysis.operations.find(({ service }: { service: string }) => service === 'db')).toEqual({
      service: 'db',
      operation: b,
      count: 1,
      errorRate: 1,
      p50Ms: 60,
      p95Ms: 60,
      p99Ms: 60,
      deviation: null,
    });
    expect(traceStatistics).toMatchObject({
      count: 2,
      spanCount: 3,
      failedSpans: 1,
      byStatus: [{ status: 'RUNNING', count: 2 }],
    });
  });

  it('deletes all or none, with their spans', async () => {
    const ids = [await newTrace(), await newTrace()];
    await rig.ask(alice, add, { id: ids[0], spans: [span(a, null, 0, 1)] });
    const document = `mutation($ids: [ID!]!, $key: String) { deleteTraces(traceIds: $ids, idempotencyKey: $key) { deletedIds ${errors} } }`;
    expect((await rig.ask(stranger, document, { ids })).deleteTraces.userErrors[0].code).toBe('NOT_FOUND');
    const unknown = '11111111-1111-4111-8111-111111111111';
    expect((await rig.ask(alice, document, { ids: [...ids, unknown] })).deleteTraces.userErrors[0].code).toBe(
      'NOT_FOUND',
    );
    expect((await rig.ask(alice, read, { id: ids[0] })).trace.spanCount).toBe(1);
    expect((await rig.ask(alice, document, { ids, key: 'gone' })).deleteTraces.deletedIds).toEqual(ids);
    expect((await rig.ask(alice, document, { ids, key: 'gone' })).deleteTraces.deletedIds).toEqual(ids);
    expect((await rig.ask(alice, read, { id: ids[0] })).trace).toBeNull();
    const rows = await rig.sql`SELECT FROM trace.span WHERE trace_id = ANY(${ids}::uuid[])`;
    expect(rows).toHaveLength(0);
  });
});

describe('sampling', () => {
  it('keeps about the rate, and failures and slow spans always', () => {
    const ids = Array.from({ length: 4_000 }, () => crypto.randomUUID().replaceAll('-', ''));
    const kept = ids.filter((id) => isSampled(id, 0.25)).length / ids.length;
    expect(kept).toBeGreaterThan(0.2);
    expect(kept).toBeLessThan(0.3);
    expect(ids.every((id) => isSampled(id, 1) && !isSampled(id, 0))).toBe(true);
    const base = { startNs: ns(0), endNs: ns(10), status: 'unset' } as never as Parameters<typeof isKept>[0];
    expect(isKept(base, 1_000)).toBe(false);
    expect(isKept(base, 10)).toBe(true);
    expect(isKept({ ...base, status: 'error' }, 1_000)).toBe(true);
  });
});

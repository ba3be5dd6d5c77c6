import { afterAll, beforeAll, describe, expect, it } from 'vitest';
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

const create = `mutation($input: CreateTraceInput!, $key: String) { createTrace(input: $input, idempotencyKey: $key) {
  trace { id w3cId status version context { id } } userErrors { code path } } }`;
const add = `mutation($id: ID!, $spans: [TraceSpanInput!]!) { addSpans(traceId: $id, spans: $spans) {
  accepted known rejected { index reason } userErrors { code message } } }`;
const end = `mutation($id: ID!, $outcome: TraceOutcome!, $version: Int) {
  endTrace(traceId: $id, outcome: $outcome, expectedVersion: $version) { trace { status finishedAt } userErrors { code } } }`;
const read = `query($id: ID!) { trace(traceId: $id) { w3cId name status spanCount errorCount startTimeUnixNano endTimeUnixNano
  spans { spanId parentSpanId service kind status attributes late startTimeUnixNano } } }`;
const ingest = `mutation($request: JSON!) { ingestOtlp(request: $request) { accepted known rejected { index reason } userErrors { code message } } }`;

const start = 1_764_208_800_000_000_000n;
const ns = (ms: number) => String(start + BigInt(ms) * 1_000_000n);

function spanInput(spanId: string, parentSpanId: string | null, from: number, to: number, more = {}) {
  return {
    spanId,
    parentSpanId,
    name: spanId,
    service: 'a',
    startTimeUnixNano: ns(from),
    endTimeUnixNano: ns(to),
    ...more,
  };
}

async function newTrace(): Promise<string> {
  const { createTrace } = await rig.ask(alice, create, { input: { contextId: rig.openContext(), name: 'run' } });
  expect(createTrace.userErrors).toEqual([]);
  return createTrace.trace.id;
}

describe('a trace of one’s own', () => {
  it('is created, filled, ended and read back at once', async () => {
    const id = await newTrace();
    const spans = [
      spanInput('00000000000000aa', null, 0, 100, { status: 'ERROR' }),
      spanInput('00000000000000bb', '00000000000000aa', 1_010, 1_070, {
        service: 'b',
        status: 'ERROR',
        attributes: { password: 'x', n: 3 },
      }),
    ];
    expect((await rig.ask(alice, add, { id, spans })).addSpans).toMatchObject({ accepted: 2, known: 0, rejected: [] });
    expect((await rig.ask(alice, add, { id, spans })).addSpans).toMatchObject({ accepted: 0, known: 2 });
    // Its root span has failed, and the trace with it.
    const { endTrace } = await rig.ask(alice, end, { id, outcome: 'COMPLETED' });
    expect(endTrace.userErrors).toMatchObject([{ code: 'INVALID_STATE_TRANSITION' }]);
    const { trace } = await rig.ask(alice, read, { id });
    expect(trace).toMatchObject({
      status: 'FAILED',
      spanCount: 2,
      errorCount: 2,
      startTimeUnixNano: ns(0),
      endTimeUnixNano: ns(1_070),
    });
    expect(trace.spans[1]).toMatchObject({ service: 'b', status: 'ERROR', attributes: { password: '***', n: 3 } });

    const { traceAnalysis } = await rig.ask(
      alice,
      `query($id: ID!) { traceAnalysis(traceId: $id) { durationMs grade spans { spanId selfMs clockShiftMs }
        criticalPath { spanId startMs endMs } suspectedOrigin { spanId blastRadius } serviceMap { from to calls errors } } }`,
      { id },
    );
    expect(traceAnalysis.durationMs).toBe(100);
    expect(traceAnalysis.spans).toEqual([
      { spanId: '00000000000000aa', selfMs: 40, clockShiftMs: 0 },
      { spanId: '00000000000000bb', selfMs: 60, clockShiftMs: -990 },
    ]);
    expect(traceAnalysis.suspectedOrigin).toEqual({ spanId: '00000000000000bb', blastRadius: ['00000000000000aa'] });
    expect(traceAnalysis.serviceMap).toEqual([{ from: 'a', to: 'b', calls: 1, errors: 1 }]);

    const late = await rig.ask(alice, add, { id, spans: [spanInput('00000000000000cc', null, 0, 1)] });
    expect(late.addSpans).toMatchObject({ accepted: 1 });
    expect(
      (await rig.ask(alice, read, { id })).trace.spans.filter((span: { late: boolean }) => span.late),
    ).toHaveLength(1);
    await rig.sql`UPDATE trace.trace SET finished_at = now() - interval '2 minutes' WHERE id = ${id}`;
    const closed = await rig.ask(alice, add, { id, spans: [spanInput('00000000000000dd', null, 0, 1)] });
    expect(closed.addSpans).toMatchObject({ accepted: 0, rejected: [{ index: 0 }] });
    expect(closed.addSpans.rejected[0].reason).toMatch(/^TRACE_CLOSED/);
  });

  it('answers a repeat by its idempotency key and refuses a wrong context or traceparent', async () => {
    const input = { contextId: rig.openContext(), name: 'again' };
    const first = await rig.ask(alice, create, { input, key: 'k1' });
    expect((await rig.ask(alice, create, { input, key: 'k1' })).createTrace.trace.id).toBe(first.createTrace.trace.id);
    const foreign = await rig.ask(stranger, create, { input });
    expect(foreign.createTrace.userErrors).toEqual([{ code: 'NOT_FOUND', path: ['input', 'contextId'] }]);
    const bad = await rig.ask(alice, create, { input: { ...input, traceparent: 'nonsense' } });
    expect(bad.createTrace.userErrors).toEqual([{ code: 'VALIDATION_FAILED', path: ['input', 'traceparent'] }]);
  });

  it('takes the trace a traceparent names, once', async () => {
    const input = {
      contextId: rig.openContext(),
      name: 'named',
      traceparent: '00-aaaabbbbccccddddeeeeffff00001111-00000000000000aa-01',
    };
    const { createTrace } = await rig.ask(alice, create, { input });
    expect(createTrace.trace.w3cId).toBe('aaaabbbbccccddddeeeeffff00001111');
    expect((await rig.ask(alice, create, { input })).createTrace.userErrors[0].code).toBe('CONFLICT');
  });

  it('refuses bad spans whole, and leaves foreign traces alone', async () => {
    const id = await newTrace();
    const good = spanInput('00000000000000aa', null, 0, 1);
    const negative = spanInput('00000000000000bb', null, 10, 1);
    const { addSpans } = await rig.ask(alice, add, { id, spans: [good, negative] });
    expect(addSpans.userErrors[0]).toMatchObject({ code: 'VALIDATION_FAILED' });
    expect(addSpans.userErrors[0].message).toMatch(/^spans\.1\.endTimeUnixNano: expected .* or later/);
    expect((await rig.ask(stranger, add, { id, spans: [good] })).addSpans.userErrors[0].code).toBe('NOT_FOUND');
    expect((await rig.ask(stranger, read, { id })).trace).toBeNull();
    expect((await rig.ask(alice, read, { id })).trace).toMatchObject({ spanCount: 0, spans: [] });
    const early = await rig.ask(alice, end, { id, outcome: 'COMPLETED' });
    expect(early.endTrace.userErrors[0].code).toBe('INVALID_STATE');
    const stale = await rig.ask(alice, end, { id, outcome: 'CANCELLED', version: 7 });
    expect(stale.endTrace.userErrors[0].code).toBe('VERSION_CONFLICT');
    await rig.ask(alice, end, { id, outcome: 'CANCELLED' });
    const twice = await rig.ask(alice, end, { id, outcome: 'FAILED' });
    expect(twice.endTrace.userErrors[0].code).toBe('INVALID_STATE_TRANSITION');
  });

  it('holds 1000 spans and rejects what is over', async () => {
    const id = await newTrace();
    const spans = Array.from({ length: 1_000 }, (_, at) =>
      spanInput((at + 1).toString(16).padStart(16, '0'), null, at, at),
    );
    expect((await rig.ask(alice, add, { id, spans })).addSpans.accepted).toBe(1_000);
    const { addSpans } = await rig.ask(alice, add, { id, spans: [spanInput('ffffffffffffffff', null, 0, 1)] });
    expect(addSpans.rejected[0].reason).toMatch(/^SPAN_LIMIT/);
  });
});

describe('OTLP', () => {
  const w3cId = '5b8efff798038103d269b633813fc60c';
  const request = {
    resourceSpans: [
      {
        resource: { attributes: [{ key: 'service.name', value: { stringValue: 'shop' } }] },
        scopeSpans: [
          {
            spans: [
              {
                traceId: w3cId,
                spanId: '00000000000000bb',
                parentSpanId: '00000000000000aa',
                name: 'db',
                kind: 3,
                startTimeUnixNano: ns(1),
                endTimeUnixNano: ns(5),
              },
              {
                traceId: w3cId,
                spanId: '00000000000000cc',
                name: 'bad',
                startTimeUnixNano: ns(5),
                endTimeUnixNano: ns(1),
              },
              {
                traceId: w3cId,
                spanId: '00000000000000aa',
                name: 'GET /',
                kind: 2,
                startTimeUnixNano: ns(0),
                endTimeUnixNano: ns(9),
              },
            ],
          },
        ],
      },
    ],
  };

  it('makes the trace, ends it with its root, rejects bad spans alone and keeps tenants apart', async () => {
    const [one, two] = await Promise.all([rig.ask(alice, ingest, { request }), rig.ask(stranger, ingest, { request })]);
    for (const { ingestOtlp } of [one, two])
      expect(ingestOtlp).toMatchObject({ accepted: 2, known: 0, rejected: [{ index: 1 }], userErrors: [] });
    const { traces } = await rig.ask(
      stranger,
      'query { traces(first: 5) { nodes { id w3cId name status spanCount } pageInfo { hasNextPage } } }',
    );
    expect(traces.nodes).toMatchObject([{ w3cId, name: 'GET /', status: 'COMPLETED', spanCount: 2 }]);
    const { exportTrace } = await rig.ask(alice, 'query($id: ID!) { exportTrace(traceId: $id) }', {
      id: traces.nodes[0].id,
    });
    const [first] = exportTrace.resourceSpans[0].scopeSpans[0].spans;
    expect(first).toMatchObject({ traceId: w3cId, spanId: '00000000000000aa', startTimeUnixNano: ns(0), kind: 2 });
  });

  it('stores a repeated export once, however many come at the same time', async () => {
    const answers = await Promise.all(Array.from({ length: 8 }, () => rig.ask(alice, ingest, { request })));
    for (const { ingestOtlp } of answers) expect(ingestOtlp).toMatchObject({ accepted: 0, known: 2 });
  });

  it('refuses what is no export', async () => {
    const { ingestOtlp } = await rig.ask(alice, ingest, { request: { resourceSpans: 7 } });
    expect(ingestOtlp.userErrors[0]).toMatchObject({ code: 'VALIDATION_FAILED' });
  });

  it('pages without gap or repeat', async () => {
    const seen: string[] = [];
    let after: string | null = null;
    do {
      const { traces } = await rig.ask(
        alice,
        'query($after: String) { traces(first: 2, after: $after) { nodes { id } pageInfo { hasNextPage endCursor } } }',
        { after },
      );
      seen.push(...traces.nodes.map((node: { id: string }) => node.id));
      after = traces.pageInfo.hasNextPage ? traces.pageInfo.endCursor : null;
    } while (after !== null);
    const [row] = await rig.sql`SELECT count(*)::int AS count FROM trace.trace WHERE tenant_id = 'one'`;
    const count = row!['count'];
    expect(new Set(seen).size).toBe(count);
    expect(seen).toHaveLength(count);
  });
});

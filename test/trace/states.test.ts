import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newId } from '#shared/ids.ts';
import { createPrincipal } from '#shared/principal.ts';
import { type Json, openTraceRig } from './rig.ts';

let rig: Awaited<ReturnType<typeof openTraceRig>>;
const scopes = ['trace:read', 'trace:write', 'plan:read'];
const alice = createPrincipal({ tenantId: 'one', subject: 'alice', scopes });
beforeAll(async () => {
  rig = await openTraceRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const errors = 'userErrors { code path message }';
const start = BigInt(Date.now() - 60_000) * 1_000_000n;
const ns = (ms: number) => String(start + BigInt(ms) * 1_000_000n);
const root = '00000000000000aa';
const child = '00000000000000bb';

const span = (spanId: string, parentSpanId: string | null, more: object = {}) => ({
  ...{ spanId, parentSpanId, name: spanId, service: 'shop', startTimeUnixNano: ns(0), endTimeUnixNano: ns(10) },
  ...more,
});
const create = async (more: object = {}): Promise<Json> =>
  (
    await rig.ask(
      alice,
      `mutation($input: CreateTraceInput!) { createTrace(input: $input) { trace { id status taskId task { planId id } } ${errors} } }`,
      { input: { contextId: rig.openContext(), name: 'run', ...more } },
    )
  ).createTrace;
const opened = async (more: object = {}): Promise<string> => (await create(more)).trace.id;
const add = async (traceId: string, spans: readonly object[]): Promise<Json> =>
  (
    await rig.ask(
      alice,
      `mutation($id: ID!, $spans: [TraceSpanInput!]!) { addSpans(traceId: $id, spans: $spans) { accepted ${errors} } }`,
      { id: traceId, spans },
    )
  ).addSpans;
const read = async (traceId: string): Promise<Json> =>
  (
    await rig.ask(
      alice,
      `query($id: ID!) { trace(traceId: $id) { status finishedAt version segments { label status }
         spans { spanId events { name } logs { level message timeUnixNano } } events { nodes { type data } } } }`,
      { id: traceId },
    )
  ).trace;
const end = async (traceId: string, outcome: string): Promise<Json> =>
  (
    await rig.ask(
      alice,
      `mutation($id: ID!, $outcome: TraceOutcome!) { endTrace(traceId: $id, outcome: $outcome) { trace { status } ${errors} } }`,
      { id: traceId, outcome },
    )
  ).endTrace;
const told = async (traceId: string): Promise<string[]> => {
  const rows = await rig.sql`SELECT type FROM trace.event WHERE stream_id = ${traceId} ORDER BY sequence`;
  return rows.map(({ type }) => String(type));
};

describe('a trace that has not begun', () => {
  it('is pending and can only be cancelled', async () => {
    const { trace } = await create({ begin: false });
    expect(trace.status).toBe('PENDING');
    for (const outcome of ['COMPLETED', 'FAILED'])
      expect((await end(trace.id, outcome)).userErrors).toMatchObject([
        { code: 'INVALID_STATE_TRANSITION', path: ['outcome'] },
      ]);
    expect(await told(trace.id)).toEqual(['trace.created']);
    expect((await end(trace.id, 'CANCELLED')).trace.status).toBe('CANCELLED');
  });

  it.each([
    ['spans', (id: string) => add(id, [span(child, root)])],
    [
      'an event',
      (id: string) =>
        rig.ask(
          alice,
          'mutation($id: ID!, $e: [TraceEventInput!]!) { recordTraceEvents(traceId: $id, events: $e) { trace { id } } }',
          { id, e: [{ phase: 'START', name: 'go', source: { component: 'test' } }] },
        ),
    ],
    [
      'a figure',
      (id: string) =>
        rig.ask(
          alice,
          'mutation($id: ID!, $m: [TraceMetricInput!]!) { recordMetrics(traceId: $id, metrics: $m) { trace { id } } }',
          { id, m: [{ name: 'load', value: 1 }] },
        ),
    ],
  ])('begins with %s', async (_what, report) => {
    const id = await opened({ begin: false });
    await report(id);
    expect((await read(id)).status).toBe('RUNNING');
    expect((await end(id, 'FAILED')).trace.status).toBe('FAILED');
  });
});

describe('a root span that ends with an error', () => {
  const failed = span(root, null, { status: 'ERROR' });

  it('fails its trace, which says that it has ended', async () => {
    const id = await opened();
    await add(id, [span(child, root, { status: 'ERROR' })]);
    expect((await read(id)).status).toBe('RUNNING');
    await add(id, [failed]);
    expect(await read(id)).toMatchObject({ status: 'FAILED', finishedAt: expect.any(String) });
    expect(await told(id)).toEqual(['trace.created', 'trace.spans.added', 'trace.ended']);
    expect((await end(id, 'COMPLETED')).userErrors).toMatchObject([{ code: 'INVALID_STATE_TRANSITION' }]);
  });

  it('does not where several of a report have no parent: none of them is the root', async () => {
    const id = await opened();
    await add(id, [failed, span(child, null)]);
    expect((await read(id)).status).toBe('RUNNING');
  });

  it('does so where the trace is opened with it, and where it ends later', async () => {
    const input = { contextId: rig.openContext(), name: 'rooted' };
    const open = async (rootSpan: object) =>
      (
        await rig.ask(
          alice,
          `mutation($input: CreateTraceInput!, $root: TraceSpanInput!) { startTrace(input: $input, rootSpan: $root) { trace { id status } ${errors} } }`,
          { input, root: rootSpan },
        )
      ).startTrace.trace;
    const atOnce = await open(failed);
    expect(atOnce.status).toBe('FAILED');
    expect(await told(atOnce.id)).toEqual(['trace.created', 'trace.ended']);
    const later = await open({ ...failed, endTimeUnixNano: null });
    expect(later.status).toBe('RUNNING');
    await rig.ask(
      alice,
      `mutation($id: ID!, $span: ID!, $end: String!) { endSpan(traceId: $id, spanId: $span, endTimeUnixNano: $end, status: ERROR) { trace { id } ${errors} } }`,
      { id: later.id, span: root, end: ns(20) },
    );
    expect((await read(later.id)).status).toBe('FAILED');
    expect(await told(later.id)).toEqual(['trace.created', 'trace.span.ended', 'trace.ended']);
  });
});

describe('a span that is open when its trace ends', () => {
  const open = { ...span(child, root), endTimeUnixNano: null };
  const spansOf = async (id: string) =>
    (
      await rig.ask(
        alice,
        'query($id: ID!) { trace(traceId: $id) { status errorCount spans { spanId status endTimeUnixNano late events { name } } } }',
        { id },
      )
    ).trace;
  const finish = async (id: string): Promise<Json> =>
    (
      await rig.ask(
        alice,
        `mutation($id: ID!, $span: ID!, $end: String!) { endSpan(traceId: $id, spanId: $span, endTimeUnixNano: $end, status: ERROR) { trace { status } ${errors} } }`,
        { id, span: child, end: ns(30) },
      )
    ).endSpan;
  const mark = async (id: string): Promise<Json> =>
    (
      await rig.ask(
        alice,
        `mutation($id: ID!, $span: ID!, $e: [TraceSpanEventInput!]!) { addEvents(traceId: $id, spanId: $span, events: $e) { trace { status } ${errors} } }`,
        { id, span: root, e: [{ name: 'flushed', timeUnixNano: ns(25) }] },
      )
    ).addEvents;

  it('ends within a minute, late, and its trace stays as it ended', async () => {
    const id = await opened();
    await add(id, [span(root, null), open]);
    expect((await end(id, 'COMPLETED')).trace.status).toBe('COMPLETED');
    const { finishedAt } = await read(id);
    expect((await finish(id)).userErrors).toEqual([]);
    expect((await mark(id)).userErrors).toEqual([]);
    expect(await spansOf(id)).toEqual({
      status: 'COMPLETED',
      errorCount: 1,
      spans: [
        { spanId: root, status: 'UNSET', endTimeUnixNano: ns(10), late: true, events: [{ name: 'flushed' }] },
        { spanId: child, status: 'ERROR', endTimeUnixNano: ns(30), late: true, events: [] },
      ],
    });
    expect(await read(id)).toMatchObject({ finishedAt });
    expect(await told(id)).toEqual([
      ...['trace.created', 'trace.spans.added', 'trace.status.changed'],
      ...['trace.span.ended', 'trace.span.updated'],
    ]);
  });

  it('stays open after that', async () => {
    const id = await opened();
    await add(id, [span(root, null), open]);
    await end(id, 'COMPLETED');
    await rig.sql`UPDATE trace.trace SET finished_at = finished_at - interval '61 seconds' WHERE id = ${id}`;
    for (const change of [finish, mark])
      expect((await change(id)).userErrors).toMatchObject([{ code: 'INVALID_STATE', path: ['traceId'] }]);
    expect((await spansOf(id)).spans).toMatchObject([
      { spanId: root, late: false, events: [] },
      { spanId: child, endTimeUnixNano: null, late: false },
    ]);
  });
});

describe('a trace about a step', () => {
  it('leads to it and is found by it', async () => {
    const [contextId, taskId] = [rig.openContext(), newId()];
    const planId = rig.openPlan(contextId, 'one', [newId(), taskId]);
    const { trace, userErrors } = await create({ contextId, planId, taskId });
    expect(userErrors).toEqual([]);
    expect(trace).toMatchObject({ taskId, task: { planId, id: taskId } });
    const other = await opened({ contextId });
    await add(other, [span(child, null, { attributes: { stepId: taskId } })]);
    const { traces } = await rig.ask(alice, 'query($id: ID!) { traces(filter: { taskId: $id }) { nodes { id } } }', {
      id: taskId,
    });
    expect(traces.nodes).toEqual([{ id: other }, { id: trace.id }]);
  });

  it('is refused without its plan, and where the plan has no such step', async () => {
    const contextId = rig.openContext();
    const planId = rig.openPlan(contextId, 'one', [newId()]);
    expect(await create({ contextId, taskId: newId() })).toMatchObject({
      trace: null,
      userErrors: [{ code: 'VALIDATION_FAILED', path: ['input', 'taskId'] }],
    });
    expect(await create({ contextId, planId, taskId: newId() })).toMatchObject({
      trace: null,
      userErrors: [{ code: 'NOT_FOUND', path: ['input', 'taskId'] }],
    });
    expect(await rig.sql`SELECT id FROM trace.trace WHERE context_id = ${contextId}`).toHaveLength(0);
  });
});

it('segments say what times and status of a span cannot', async () => {
  const id = await opened();
  const said = (status: string) => ({ attributes: { 'segment.status': status } });
  await add(id, [
    span('00000000000000a1', root, said('skipped')),
    span('00000000000000a2', root, said('cancelled')),
    span('00000000000000a3', root, { ...said('pending'), endTimeUnixNano: null }),
    span('00000000000000a4', root, said('completed')),
    span('00000000000000a5', root, { ...said('odd'), status: 'ERROR' }),
  ]);
  const { segments } = await read(id);
  expect(segments.map(({ status }: Json) => status)).toEqual([
    'SKIPPED',
    'CANCELLED',
    'PENDING',
    'COMPLETED',
    'FAILED',
  ]);
});

it('lines logged in a span are told as such, and leave as its events', async () => {
  const id = await opened();
  const logs = [
    { message: 'began', timeUnixNano: ns(1) },
    { level: 'WARN', message: 'slow', timeUnixNano: ns(2) },
  ];
  const events = [{ name: 'other', timeUnixNano: ns(3) }];
  expect(await add(id, [span(root, null, { logs, events })])).toMatchObject({ accepted: 1, userErrors: [] });
  const [read1] = (await read(id)).spans;
  expect(read1.logs).toEqual([{ level: 'INFO', ...logs[0] }, logs[1]]);
  expect(read1.events.map(({ name }: Json) => name)).toEqual(['other', 'log', 'log']);
  const { exportTrace } = await rig.ask(alice, 'query($id: ID!) { exportTrace(traceId: $id) }', { id });
  expect(JSON.stringify(exportTrace)).toContain('{"key":"log.message","value":{"stringValue":"slow"}}');
  const broken = [{ message: 'when?', timeUnixNano: 'now' }];
  expect(await add(id, [span(child, root, { logs: broken })])).toMatchObject({
    accepted: null,
    userErrors: [{ code: 'VALIDATION_FAILED', path: ['spans', '0', 'logs', '0', 'timeUnixNano'] }],
  });
  expect((await read(id)).spans).toHaveLength(1);
});

describe('an analysis that is kept', () => {
  const analyze = async (traceId: string, key: string | null = null): Promise<Json> =>
    (
      await rig.ask(
        alice,
        `mutation($id: ID!, $key: String) { analyzeTrace(traceId: $id, idempotencyKey: $key) {
           analysis { durationMs grade concurrency { max mean parallelShare } operations { operation count selfMs } }
           event { id type data } trace { version } ${errors} } }`,
        { id: traceId, key },
      )
    ).analyzeTrace;

  it('is an event of the trace, also after its end', async () => {
    const id = await opened();
    expect(await analyze(id)).toMatchObject({ analysis: null, userErrors: [{ code: 'INVALID_STATE' }] });
    await add(id, [span(root, null), span(child, root, { endTimeUnixNano: ns(6) })]);
    await end(id, 'COMPLETED');
    await rig.sql`UPDATE trace.trace SET finished_at = now() - interval '1 hour' WHERE id = ${id}`;
    const kept = await analyze(id, 'once');
    expect(kept).toMatchObject({
      analysis: { durationMs: 10, grade: 'A', concurrency: { max: 1, mean: 1, parallelShare: 0 } },
      event: { type: 'trace.analyzed', data: { durationMs: 10, grade: 'A', spans: 2 } },
      userErrors: [],
    });
    expect(kept.analysis.operations).toEqual([
      { operation: child, count: 1, selfMs: 6 },
      { operation: root, count: 1, selfMs: 4 },
    ]);
    expect((await analyze(id, 'once')).event.id).toBe(kept.event.id);
    expect((await told(id)).filter((type) => type === 'trace.analyzed')).toHaveLength(1);
    expect((await read(id)).events.nodes).toMatchObject([{ type: 'trace.analyzed' }]);
    expect(await analyze(newId())).toMatchObject({ trace: null, userErrors: [{ code: 'NOT_FOUND' }] });
  });
});

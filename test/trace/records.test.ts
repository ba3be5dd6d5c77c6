import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newId } from '#shared/ids.ts';
import { validateProtocolObject } from '../../schema/protocol/index.ts';
import { traceCodec } from '../../subgraphs/trace/codec.ts';
import { type Json, openTraceRig, principal } from './rig.ts';

let rig: Awaited<ReturnType<typeof openTraceRig>>;
const alice = principal('alice');
const errors = 'userErrors { code path message }';
beforeAll(async () => {
  rig = await openTraceRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

async function open(contextId = rig.openContext(), who = alice): Promise<string> {
  const { createTrace } = await rig.ask(
    who,
    `mutation($input: CreateTraceInput!) { createTrace(input: $input) { trace { id } ${errors} } }`,
    { input: { contextId, name: 'run' } },
  );
  return createTrace.trace.id;
}

const eventFields =
  '{ events { id type phase name origin { component module function } actor data } trace { version } ';
const documents: Readonly<Record<string, string>> = {
  recordTraceEvents: `mutation($id: ID!, $input: [TraceEventInput!]!, $key: String) { answer: recordTraceEvents(traceId: $id, events: $input, idempotencyKey: $key) ${eventFields} ${errors} } }`,
  recordTraceError: `mutation($id: ID!, $input: TraceErrorInput!, $key: String) { answer: recordTraceError(traceId: $id, input: $input, idempotencyKey: $key) {
    error { id origin code message type stack recoverable recoveryActions spanId recordedBy } ${errors} } }`,
  recordTraceDecision: `mutation($id: ID!, $input: TraceDecisionInput!, $key: String) { answer: recordTraceDecision(traceId: $id, input: $input, idempotencyKey: $key) {
    decision { id decisionPoint options { option score rationale } selected criteria confidence margin decidedBy } ${errors} } }`,
  captureTraceSnapshot: `mutation($id: ID!, $input: TraceSnapshotInput, $key: String) { answer: captureTraceSnapshot(traceId: $id, input: $input, idempotencyKey: $key) {
    snapshot { id contextId reason checksum state changedKeys capturedBy } ${errors} } }`,
};
async function record(field: string, id: string, input: unknown, who = alice, key?: string): Promise<Json> {
  return (await rig.ask(who, documents[field]!, { id, input, key })).answer;
}

const decision = {
  decisionPoint: 'carrier',
  options: [{ option: 'rail', score: 0.8, rationale: 'cheap' }, { option: 'road', score: 0.5 }, { option: 'air' }],
  selected: 'rail',
  criteria: ['price'],
  confidence: 0.7,
};

describe('records', () => {
  it('are events of the trace, once for a key, with secrets masked', async () => {
    const id = await open();
    const input = [
      {
        phase: 'CHECKPOINT',
        name: 'half',
        source: { component: 'router', function: 'plan' },
        data: { deep: [{ apiKey: 'x', n: 1 }] },
      },
      { phase: 'PROGRESS', name: 'more', source: { component: 'router' } },
    ];
    const first = await record('recordTraceEvents', id, input, alice, 'k');
    expect(first.events).toMatchObject([
      {
        type: 'trace.checkpoint',
        phase: 'CHECKPOINT',
        name: 'half',
        origin: { component: 'router', module: null, function: 'plan' },
        actor: 'alice',
        data: { data: { deep: [{ apiKey: '***', n: 1 }] } },
      },
      { type: 'trace.progress', phase: 'PROGRESS' },
    ]);
    const again = await record('recordTraceEvents', id, input, alice, 'k');
    expect(again).toEqual(first);
    expect((await record('recordTraceEvents', id, input.slice(1), alice, 'k')).userErrors[0].code).toBe(
      'IDEMPOTENCY_MISMATCH',
    );
    const { endTrace } = await rig.ask(
      alice,
      `mutation($id: ID!) { endTrace(traceId: $id) { trace { status } ${errors} } }`,
      { id },
    );
    // An event is enough for a trace to be completed.
    expect(endTrace.trace.status).toBe('COMPLETED');
    const [told] =
      await rig.sql`SELECT data->'events' AS events FROM trace.event WHERE stream_id = ${id} AND type = 'trace.events.added'`;
    expect(told!['events']).toHaveLength(2);
  });

  it('of errors say how to go on, by their type unless told otherwise', async () => {
    const id = await open();
    const plain = await record('recordTraceError', id, { code: 'E1', message: 'gone', type: 'NETWORK' });
    expect(plain.error).toMatchObject({
      origin: 'RECORDED',
      type: 'NETWORK',
      recoverable: true,
      recoveryActions: ['RETRY', 'FALLBACK'],
      recordedBy: 'alice',
    });
    const told = await record('recordTraceError', id, {
      code: 'E2',
      message: 'no',
      type: 'SECURITY',
      recoverable: true,
      recoveryActions: ['IGNORE'],
      stack: 'at a\nat b',
      spanId: '00000000000000a1',
    });
    expect(told.error).toMatchObject({ recoverable: true, recoveryActions: ['IGNORE'], stack: 'at a\nat b' });
    const decided = await record('recordTraceDecision', id, decision);
    expect(decided.decision).toMatchObject({
      ...decision,
      options: [{ option: 'rail' }, { option: 'road', rationale: null }, { score: null }],
      decidedBy: 'alice',
    });
    expect(decided.decision.margin).toBeCloseTo(0.3);
    const { trace } = await rig.ask(
      alice,
      'query($id: ID!) { trace(traceId: $id) { errors { code } decisions { decisionPoint } } }',
      { id },
    );
    expect(trace).toEqual({ errors: [{ code: 'E2' }, { code: 'E1' }], decisions: [{ decisionPoint: 'carrier' }] });
    const { traces } = await rig.ask(alice, '{ traces(filter: { hasDecisions: true }) { nodes { id } } }');
    expect(traces.nodes).toEqual([{ id }]);
  });

  it('come back with the frozen form', async () => {
    const contextId = rig.openContext();
    const id = await open(contextId);
    await rig.ask(
      alice,
      `mutation($id: ID!) { updateTrace(traceId: $id, patch: { tags: ["x", "y z"] }) { ${errors} } }`,
      { id },
    );
    await record('recordTraceError', id, { code: 'E1', message: 'gone', type: 'TIMEOUT' });
    await record('recordTraceDecision', id, decision);
    const document = (await traceCodec.read(rig.sql, 'one', [id])).get(id) as Json;
    expect(validateProtocolObject('trace', document)).toEqual([]);
    expect(document.events.map(({ event_type: type }: Json) => type)).toEqual(['trace.error', 'trace.decision']);
    await rig.sql.begin((tx) => traceCodec.write(tx, principal('bob', 'other'), [document] as never));
    rig.openContext('other', null, contextId);
    const { trace } = await rig.ask(
      principal('bob', 'other'),
      'query($id: ID!) { trace(traceId: $id) { tags errors { code type recoverable } decisions { selected margin options { option } } } }',
      { id },
    );
    expect(trace).toEqual({
      tags: ['x', 'y z'],
      errors: [{ code: 'E1', type: 'TIMEOUT', recoverable: true }],
      decisions: [
        {
          selected: 'rail',
          margin: expect.closeTo(0.3),
          options: [{ option: 'rail' }, { option: 'road' }, { option: 'air' }],
        },
      ],
    });
  });

  it('that an importer made up are events and nothing more', async () => {
    const id = await open();
    for (const type of ['trace.error', 'trace.decision', 'trace.correlation'])
      await rig.sql`INSERT INTO trace.history (tenant_id, trace_id, event_id, recorded_at, type, source, actor, occurred_at, detail)
        VALUES ('one', ${id}, ${newId()}, now(), ${type}, 'trace', 'bob', now(), '{"code": 1, "options": "x"}')`;
    const { trace } = await rig.ask(
      alice,
      'query($id: ID!) { trace(traceId: $id) { errors { code } decisions { id } correlations { type } events { nodes { type } } } }',
      { id },
    );
    expect(trace).toMatchObject({ errors: [], decisions: [], correlations: [] });
    expect(trace.events.nodes).toHaveLength(3);
  });

  it.each([
    ['recordTraceEvents', [], 'events'],
    ['recordTraceEvents', [{ phase: 'START', name: '', source: { component: 'c' } }], 'events'],
    ['recordTraceEvents', [{ phase: 'START', name: 'n', source: { component: 'c' }, data: [1] }], 'events'],
    [
      'recordTraceEvents',
      [{ phase: 'START', name: 'n', source: { component: 'c' }, data: { a: 'x'.repeat(20_000) } }],
      'events',
    ],
    [
      'recordTraceEvents',
      [{ phase: 'START', name: 'n', source: { component: 'c' }, occurredAt: '2199-01-01T00:00:00Z' }],
      'events',
    ],
    ['recordTraceError', { code: 'c\u0000', message: 'm', type: 'SYSTEM' }, 'input'],
    ['recordTraceError', { code: 'c', message: 'm', type: 'SYSTEM', spanId: 'zz' }, 'input'],
    ['recordTraceError', { code: 'c', message: 'm', type: 'SYSTEM', recoveryActions: ['RETRY', 'RETRY'] }, 'input'],
    ['recordTraceDecision', { ...decision, selected: 'sea' }, 'input'],
    ['recordTraceDecision', { ...decision, options: [...decision.options, { option: 'rail' }] }, 'input'],
    ['recordTraceDecision', { ...decision, options: [{ option: 'rail', score: 1.1 }] }, 'input'],
    ['recordTraceDecision', { ...decision, confidence: -0.1 }, 'input'],
    ['captureTraceSnapshot', { state: { a: 'x'.repeat(70_000) } }, 'input'],
  ])('%s refuses %j', async (field, input, path) => {
    const id = await open();
    const { userErrors } = await record(field, id, input);
    expect(userErrors[0]).toMatchObject({ code: 'VALIDATION_FAILED' });
    expect(userErrors[0].path[0]).toBe(path);
    expect(await rig.sql`SELECT 1 FROM trace.history WHERE trace_id = ${id}`).toHaveLength(0);
  });

  it('are refused by traces of others, ended and full ones', async () => {
    const error = { code: 'c', message: 'm', type: 'SYSTEM' };
    const hidden = await open(rig.openContext('one', 'alice'));
    for (const who of [principal('bob'), principal('alice', 'two')])
      expect((await record('recordTraceError', hidden, error, who)).userErrors[0].code).toBe('NOT_FOUND');
    const full = await open();
    await rig.sql`INSERT INTO trace.history (tenant_id, trace_id, event_id, recorded_at, type, source, actor, occurred_at, detail)
      SELECT 'one', ${full}, gen_random_uuid(), now(), 'trace.progress', 'trace', 'alice', now(), '{}' FROM generate_series(1, 999)`;
    expect((await record('recordTraceError', full, error)).error.code).toBe('c');
    expect((await record('recordTraceError', full, error)).userErrors[0].code).toBe('QUOTA_EXCEEDED');
    await rig.sql`UPDATE trace.trace SET status = 'failed', finished_at = now() - interval '2 minutes' WHERE id = ${full}`;
    expect((await record('recordTraceDecision', full, decision)).userErrors[0].code).toBe('INVALID_STATE');
  });
});

describe('snapshots', () => {
  it('keep what the context is like, and say what has changed since the one before', async () => {
    const contextId = rig.openContext();
    const id = await open(contextId);
    rig.setState(contextId, {
      status: 'ACTIVE',
      version: 3,
      sharedState: { version: 1, variables: { budget: 5 }, goals: [] },
    });
    const first = await record('captureTraceSnapshot', id, { reason: 'before' });
    expect(first.snapshot).toMatchObject({
      contextId,
      reason: 'before',
      capturedBy: 'alice',
      changedKeys: null,
      state: { status: 'ACTIVE', sharedState: { variables: { budget: 5 } } },
    });
    rig.setState(contextId, {
      status: 'ACTIVE',
      version: 4,
      sharedState: { version: 2, variables: { budget: 9 }, goals: [] },
    });
    const second = await record('captureTraceSnapshot', id, null, alice, 'again');
    expect(second.snapshot.changedKeys).toEqual(['sharedState.variables', 'sharedState.version', 'version']);
    expect(second.snapshot.checksum).not.toBe(first.snapshot.checksum);
    expect((await record('captureTraceSnapshot', id, null, alice, 'again')).snapshot).toEqual(second.snapshot);
    const given = await record('captureTraceSnapshot', id, { state: { token: 'secret', a: 1 } });
    expect(given.snapshot.state).toEqual({ token: '***', a: 1 });
    // The history names what was kept, not what it holds.
    const { trace } = await rig.ask(
      alice,
      'query($id: ID!) { trace(traceId: $id) { snapshots { id } events { nodes { type data } } } }',
      { id },
    );
    expect(trace.snapshots).toHaveLength(3);
    expect(JSON.stringify(trace.events)).not.toContain('budget');
    expect(trace.events.nodes[0]).toMatchObject({
      type: 'trace.snapshot',
      data: { snapshotId: first.snapshot.id, contextId },
    });
    await rig.ask(alice, `mutation($id: ID!) { deleteTrace(traceId: $id) { ${errors} } }`, { id });
    expect(await rig.sql`SELECT 1 FROM trace.snapshot WHERE trace_id = ${id}`).toHaveLength(0);
  });
});

describe('executionTrace', () => {
  it('tells spans, events, errors and decisions in their order, and what became of steps', async () => {
    const id = await open();
    const began = Date.now() - 10_000;
    const [stepA, stepB] = [newId(), newId()];
    const span = (spanId: string, from: number, to: number | null, more: object = {}) => ({
      spanId: spanId.padStart(16, '0'),
      name: spanId,
      service: 'shop',
      startTimeUnixNano: `${began + from}000000`,
      ...(to === null ? {} : { endTimeUnixNano: `${began + to}000000` }),
      ...more,
    });
    await rig.ask(
      alice,
      `mutation($id: ID!, $spans: [TraceSpanInput!]!) { addSpans(traceId: $id, spans: $spans) { ${errors} } }`,
      {
        id,
        spans: [
          span('a0', 0, 900),
          span('a1', 100, 200, {
            status: 'ERROR',
            statusMessage: 'ETIMEDOUT',
            attributes: { stepId: stepA, agentId: 'ann' },
          }),
          span('a2', 300, 500, { attributes: { stepId: stepA, agentId: 'bob' } }),
          span('a3', 400, null, { attributes: { stepId: stepB } }),
        ],
      },
    );
    await record('recordTraceDecision', id, {
      ...decision,
      occurredAt: new Date(began + 300).toISOString(),
      spanId: '00000000000000a2',
    });
    const read = (page: string): Promise<Json> =>
      rig
        .ask(
          alice,
          `query($id: ID!) { executionTrace(traceId: $id) { trace { id } steps { stepId attempts failedAttempts status agents waitedMs workedMs }
             timeline${page} { nodes { kind name offsetMs failed spanId } pageInfo { hasNextPage endCursor } } } }`,
          { id },
        )
        .then((answer) => answer.executionTrace);
    const whole = await read('');
    expect(whole.steps).toEqual([
      {
        stepId: stepA,
        attempts: 2,
        failedAttempts: 1,
        status: 'COMPLETED',
        agents: ['ann', 'bob'],
        waitedMs: 100,
        workedMs: 300,
      },
      { stepId: stepB, attempts: 1, failedAttempts: 0, status: 'RUNNING', agents: [], waitedMs: 400, workedMs: 0 },
    ]);
    expect(whole.timeline.nodes.map(({ kind, offsetMs }: Json) => [kind, offsetMs])).toEqual([
      ['SPAN_STARTED', 0],
      ['SPAN_STARTED', 100],
      ['SPAN_ENDED', 200],
      ['SPAN_STARTED', 300],
      ['DECISION', 300],
      ['SPAN_STARTED', 400],
      ['SPAN_ENDED', 500],
      ['SPAN_ENDED', 900],
    ]);
    const pages: Json[] = [];
    for (let after = ''; pages.length < 9; ) {
      const { timeline } = await read(`(first: 3${after && `, after: "${after}"`})`);
      pages.push(...timeline.nodes);
      if (!timeline.pageInfo.hasNextPage) break;
      after = timeline.pageInfo.endCursor;
    }
    expect(pages).toEqual(whole.timeline.nodes);
    const { trace } = await rig.ask(
      alice,
      'query($id: ID!) { trace(traceId: $id) { errors { origin code type recoverable spanId } } }',
      { id },
    );
    expect(trace.errors).toEqual([
      { origin: 'SPAN', code: 'ERROR', type: 'TIMEOUT', recoverable: true, spanId: '00000000000000a1' },
    ]);
    await expect(read('(after: "x")')).rejects.toThrow('cursor');
    const foreign = await rig.ask(
      principal('eve', 'two'),
      'query($id: ID!) { executionTrace(traceId: $id) { trace { id } } }',
      { id },
    );
    expect(foreign.executionTrace).toBeNull();
  });
});

import { afterAll, beforeAll, expect, it } from 'vitest';
import { newId } from '#shared/ids.ts';
import { createPrincipal } from '#shared/principal.ts';
import { validateProtocolObject } from '../../schema/protocol/index.ts';
import { type Json, openTraceRig, principal } from './rig.ts';

let rig: Awaited<ReturnType<typeof openTraceRig>>;
const alice = principal('alice');
/** Reads plans too. */
const planner = (tenantId = 'one') =>
  createPrincipal({ tenantId, subject: 'alice', scopes: ['trace:read', 'plan:read', 'context:read'] });
const errors = 'userErrors { code path message }';
beforeAll(async () => {
  rig = await openTraceRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

async function open(contextId = rig.openContext(), who = alice, more: object = {}): Promise<string> {
  const { createTrace } = await rig.ask(
    who,
    `mutation($input: CreateTraceInput!) { createTrace(input: $input) { trace { id } ${errors} } }`,
    { input: { contextId, name: 'run', ...more } },
  );
  return createTrace.trace.id;
}

async function record(kind: 'Decision' | 'Error', id: string, input: object, who = alice): Promise<string> {
  const part = kind.toLowerCase();
  const { answer } = await rig.ask(
    who,
    `mutation($id: ID!, $input: Trace${kind}Input!) { answer: recordTrace${kind}(traceId: $id, input: $input) { ${part} { id traceId trace { id } } ${errors} } }`,
    { id, input },
  );
  expect(answer[part]).toMatchObject({ traceId: id, trace: { id } });
  return answer[part].id;
}

async function capture(id: string, state: object): Promise<string> {
  const { answer } = await rig.ask(
    alice,
    `mutation($id: ID!, $state: JSON) { answer: captureTraceSnapshot(traceId: $id, input: { state: $state }) { snapshot { id } ${errors} } }`,
    { id, state },
  );
  return answer.snapshot.id;
}

const decision = (selected: string, scores: Readonly<Record<string, number>>, more: object = {}) => ({
  decisionPoint: 'carrier',
  options: Object.entries(scores).map(([option, score]) => ({ option, score, rationale: `${option} as usual` })),
  selected,
  ...more,
});

it('finds decisions over all traces by their words, their figures and where they were made', async () => {
  const [contextId, other] = [rig.openContext(), rig.openContext()];
  const [one, two] = [await open(contextId), await open(other)];
  const at = (minutes: number) => new Date(Date.now() - minutes * 60_000).toISOString();
  const rail = await record(
    'Decision',
    one,
    decision('rail', { rail: 0.8, road: 0.5 }, { occurredAt: at(3), confidence: 0.7 }),
  );
  const road = await record(
    'Decision',
    one,
    decision('road', { rail: 0.8, road: 0.5 }, { occurredAt: at(2), criteria: ['speed'] }),
  );
  const sea = await record('Decision', two, decision('sea', { sea: 0.2 }, { occurredAt: at(1), confidence: 0.2 }));
  const old = await record('Decision', two, decision('old', { old: 1 }, { occurredAt: at(60 * 48) }));
  // What an importer made up has any form.
  await rig.sql`INSERT INTO trace.history (tenant_id, trace_id, event_id, recorded_at, type, source, actor, occurred_at, detail)
    VALUES ('one', ${one}, ${newId()}, now(), 'trace.decision', 'trace', 'bob', now(), '{"confidence": "high", "options": 7, "selected": {}}')`;
  const find = async (args: string, who = alice): Promise<string[]> => {
    const { traceDecisions } = await rig.ask(who, `{ traceDecisions${args && `(${args})`} { nodes { id } } }`);
    return traceDecisions.nodes.map(({ id }: Json) => id);
  };
  expect(await find('')).toEqual([sea, road, rail]);
  expect(await find(`filter: { from: "${at(60 * 72)}" }`)).toEqual([sea, road, rail, old]);
  expect(await find('query: "usual rail"')).toEqual([road, rail]);
  expect(await find('query: "speed or sea"')).toEqual([sea, road]);
  expect(await find('query: "carrier -road"')).toEqual([sea]);
  expect(await find(`filter: { contextId: "${contextId}" }`)).toEqual([road, rail]);
  expect(await find(`filter: { traceId: "${two}" }`)).toEqual([sea]);
  expect(await find('filter: { minConfidence: 0.5 }')).toEqual([rail]);
  expect(await find('filter: { maxConfidence: 0.5 }')).toEqual([sea]);
  expect(await find('filter: { againstScore: true }')).toEqual([road]);
  expect(await find('filter: { againstScore: false }')).toEqual([sea, rail]);
  expect(await find('filter: { selected: "road", decisionPoint: "carrier", decidedBy: "alice" }')).toEqual([road]);
  expect(await find('filter: { decidedBy: "bob" }')).toEqual([]);
  expect(await find('', principal('alice', 'two'))).toEqual([]);
  await expect(find('filter: { minConfidence: 2 }')).rejects.toThrow('filter.minConfidence');
  await expect(find('query: ""')).rejects.toThrow('query');
});

it('pages through errors by cursor, and tells nobody of those of private contexts', async () => {
  const id = await open();
  const hidden = await open(rig.openContext('one', 'alice'));
  const codes = ['E1', 'E2', 'E3'];
  for (const code of codes) await record('Error', id, { code, message: `went wrong at ${code}`, type: 'NETWORK' });
  await record('Error', hidden, { code: 'H', message: 'went wrong in secret', type: 'BUSINESS', recoverable: false });
  const read = async (args: string, who = alice): Promise<Json> =>
    (await rig.ask(who, `{ traceErrors(${args}) { nodes { code traceId } pageInfo { hasNextPage endCursor } } }`))
      .traceErrors;
  const [first, bob] = [await read('query: "went wrong", first: 3'), principal('bob')];
  expect(first.nodes.map(({ code }: Json) => code)).toEqual(['H', 'E3', 'E2']);
  expect(first.pageInfo.hasNextPage).toBe(true);
  const second = await read(`query: "went wrong", first: 3, after: "${first.pageInfo.endCursor}"`);
  expect(second.nodes.map(({ code }: Json) => code)).toEqual(['E1']);
  expect(second.pageInfo.hasNextPage).toBe(false);
  expect((await read('query: "went"', bob)).nodes).toHaveLength(3);
  const codesOf = async (args: string) => (await read(args)).nodes.map(({ code }: Json) => code);
  expect(await codesOf('filter: { type: [BUSINESS] }')).toEqual(['H']);
  expect(await codesOf('filter: { recoverable: true, code: "E2" }')).toEqual(['E2']);
  await expect(read('after: "x"')).rejects.toThrow('cursor');
});

it('keeps the states of a context from trace to trace, with what changed in each', async () => {
  const contextId = rig.openContext();
  const [one, two] = [await open(contextId), await open(contextId)];
  const first = await capture(one, { budget: 5, room: 'a' });
  const second = await capture(one, { budget: 7, room: 'a' });
  const third = await capture(two, { budget: 9 });
  const read = async (args: string, who = alice): Promise<Json> =>
    (
      await rig.ask(
        who,
        `query($id: ID!) { traceSnapshots(contextId: $id${args}) { nodes { id traceId changedKeys state } pageInfo { endCursor } } }`,
        { id: contextId },
      )
    ).traceSnapshots;
  expect((await read('')).nodes).toEqual([
    { id: third, traceId: two, changedKeys: null, state: { budget: 9 } },
    { id: second, traceId: one, changedKeys: ['budget'], state: { budget: 7, room: 'a' } },
    { id: first, traceId: one, changedKeys: null, state: { budget: 5, room: 'a' } },
  ]);
  const page = await read(', first: 1');
  expect((await read(`, first: 1, after: "${page.pageInfo.endCursor}"`)).nodes.map(({ id }: Json) => id)).toEqual([
    second,
  ]);
  expect((await read(', capturedBy: "bob"')).nodes).toEqual([]);
  expect((await read('', principal('alice', 'two'))).nodes).toEqual([]);
});

it('answers records by their keys to who sees their trace', async () => {
  const contextId = rig.openContext('one', 'alice');
  const id = await open(contextId);
  const keys = [
    { __typename: 'TraceDecision', traceId: id, id: await record('Decision', id, decision('rail', { rail: 1 })) },
    {
      __typename: 'TraceError',
      traceId: id,
      id: await record('Error', id, { code: 'E', message: 'm', type: 'SYSTEM' }),
    },
    { __typename: 'TraceSnapshot', traceId: id, id: await capture(id, { a: 1 }) },
  ];
  const ask = async (who: typeof alice) =>
    (await rig.ask(who, 'query($keys: [_Any!]!) { _entities(representations: $keys) { __typename } }', { keys }))
      ._entities;
  expect(await ask(alice)).toEqual(keys.map(({ __typename }) => ({ __typename })));
  expect(await ask(principal('bob'))).toEqual([null, null, null]);
  expect(await ask(principal('alice', 'two'))).toEqual([null, null, null]);
});

it('tells of a step what works on it, over the traces of its plan', async () => {
  const contextId = rig.openContext();
  const planId = rig.openPlan(contextId);
  const [step, idle] = [newId(), newId()];
  const traces = [await open(contextId, alice, { planId }), await open(contextId, alice, { planId })];
  for (const [at, traceId] of traces.entries())
    await rig.ask(
      alice,
      `mutation($id: ID!, $spans: [TraceSpanInput!]!) { addSpans(traceId: $id, spans: $spans) { ${errors} } }`,
      {
        id: traceId,
        spans: [
          {
            spanId: `00000000000000a${at}`,
            name: `try ${at}`,
            service: 'agent',
            startTimeUnixNano: `${Date.now() - 5_000 + at}000000`,
            ...(at === 0 ? { endTimeUnixNano: `${Date.now()}000000`, status: 'ERROR' } : {}),
            attributes: { stepId: step, attempt: at + 1, agentId: 'ann' },
          },
          { spanId: '00000000000000b0', name: 'other', service: 'agent', startTimeUnixNano: `${Date.now()}000000` },
        ],
      },
    );
  const ask = async (id: string, first = '', who = planner()) =>
    (
      await rig.ask(
        who,
        `query($key: _Any!) { _entities(representations: [$key]) { ... on PlanStep { traceSegments${first} { id traceId label status stepId attempt agentId finishedAt trace { id } span { spanId } } } } }`,
        { key: { __typename: 'PlanStep', planId, id } },
      )
    )._entities[0].traceSegments as Json[];
  const segments = await ask(step);
  expect(segments).toMatchObject([
    { label: 'try 1', status: 'RUNNING', attempt: 2, agentId: 'ann', finishedAt: null, traceId: traces[1] },
    {
      label: 'try 0',
      status: 'FAILED',
      attempt: 1,
      stepId: step,
      trace: { id: traces[0] },
      span: { spanId: '00000000000000a0' },
    },
  ]);
  expect(await ask(step, '(first: 1)')).toHaveLength(1);
  expect(await ask(idle)).toEqual([]);
  expect(await ask(step, '', planner('two'))).toEqual([]);
  await expect(ask(step, '(first: 0)')).rejects.toThrow('first');

  // Segments are those of the frozen form.
  const { trace } = await rig.ask(
    alice,
    'query($id: ID!) { trace(traceId: $id) { document rootSpan { name resource droppedAttributes } segments { id label } } }',
    { id: traces[0] },
  );
  expect(validateProtocolObject('trace', trace.document)).toEqual([]);
  expect(trace.document.segments.map(({ segment_id: id, label }: Json) => ({ id, label }))).toEqual(trace.segments);
  expect(trace.rootSpan).toEqual({ name: 'try 0', resource: { 'service.name': 'agent' }, droppedAttributes: 0 });
});

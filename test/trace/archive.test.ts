import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newId } from '#shared/ids.ts';
import { traceCodec } from '../../subgraphs/trace/codec.ts';
import { type Json, openTraceRig, principal } from './rig.ts';

let rig: Awaited<ReturnType<typeof openTraceRig>>;
const alice = principal('alice');
const errors = 'userErrors { code path }';

beforeAll(async () => {
  rig = await openTraceRig({ TRACE_SAMPLING_RATE: '0.5' });
});
afterAll(() => rig[Symbol.asyncDispose]());

async function create(input: object, who = alice): Promise<Json> {
  const { createTrace } = await rig.ask(
    who,
    `mutation($input: CreateTraceInput!) { createTrace(input: $input) { trace { id serviceName tags samplingRate baggage type } ${errors} } }`,
    { input },
  );
  return createTrace;
}

async function change(field: string, variables: object, who = alice): Promise<Json> {
  const { id, ...more } = variables as { id: string; patch?: object; version?: number };
  const patch = more.patch === undefined ? '' : ', patch: $patch';
  const answer = await rig.ask(
    who,
    `mutation($id: ID!, $version: Int${patch && ', $patch: TracePatch!'}) { ${field}(traceId: $id${patch}, expectedVersion: $version) {
       trace { archived name tags correlationId severity version } ${errors} } }`,
    { id, ...more },
  );
  return answer[field];
}

const names = async (filter: object): Promise<readonly string[]> =>
  (
    await rig.ask(alice, 'query($filter: TraceFilter) { traces(filter: $filter) { nodes { name } } }', { filter })
  ).traces.nodes.map(({ name }: Json) => name);

const span = (spanId: string) => ({
  spanId,
  name: 'work',
  service: 'shop',
  startTimeUnixNano: `${Date.now()}000000`,
  endTimeUnixNano: `${Date.now() + 5}000000`,
});
const addSpan = (id: string, spanId: string) =>
  rig.ask(
    alice,
    `mutation($id: ID!, $span: TraceSpanInput!) { addSpan(traceId: $id, span: $span) { accepted rejected { reason } ${errors} } }`,
    { id, span: span(spanId) },
  );

describe('what a trace says of itself', () => {
  it('is kept, found by tags, and exported among the tags of its frozen form', async () => {
    const contextId = rig.openContext();
    const { trace } = await create({
      contextId,
      name: 'told',
      type: 'COMMUNICATION',
      serviceName: 'shop',
      tags: ['a"b\\', 'urgent'],
      samplingRate: 0.25,
      baggage: 'user=al%20ice;p=1,tier=gold',
    });
    expect(trace).toMatchObject({
      serviceName: 'shop',
      tags: ['a"b\\', 'urgent'],
      samplingRate: 0.25,
      baggage: { user: 'al ice', tier: 'gold' },
      type: 'COMMUNICATION',
    });
    await create({ contextId, name: 'other', tags: ['urgent'], type: 'RESOURCE' });
    expect(await names({ contextId, tags: ['urgent'] })).toEqual(['other', 'told']);
    expect(await names({ contextId, tags: ['urgent', 'a"b\\'] })).toEqual(['told']);
    expect(await names({ contextId, tags: ['none'] })).toEqual([]);
    expect(await names({ contextId, type: ['RESOURCE'] })).toEqual(['other']);
    const document = (await traceCodec.read(rig.sql, 'one', [trace.id])).get(trace.id) as Json;
    expect(document.meta.tags).toEqual(['a"b\\', 'urgent']);
    const { traceStatistics } = await rig.ask(
      alice,
      'query($filter: TraceFilter) { traceStatistics(filter: $filter) { count estimatedCount } }',
      { filter: { contextId } },
    );
    // The one of a quarter stands for four.
    expect(traceStatistics).toEqual({ count: 2, estimatedCount: 5 });
    const { distributedTrace } = await rig
      .ask(alice, 'query($id: ID!) { distributedTrace(traceId: $id) { samplingRate } }', { id: trace.id })
      .then(async (before) => {
        expect(before.distributedTrace).toBeNull();
        await addSpan(trace.id, '00000000000000a1');
        return rig.ask(alice, 'query($id: ID!) { distributedTrace(traceId: $id) { samplingRate } }', { id: trace.id });
      });
    expect(distributedTrace).toEqual({ samplingRate: 0.25 });
  });

  it.each([
    [{ tags: ['x', 'x'] }, 'tags'],
    [{ tags: [''] }, 'tags'],
    [{ tags: Array.from({ length: 33 }, (_, at) => `t${at}`) }, 'tags'],
    [{ samplingRate: 0 }, 'samplingRate'],
    [{ samplingRate: 1.5 }, 'samplingRate'],
    [{ serviceName: '' }, 'serviceName'],
  ])('refuses %j', async (more, field) => {
    const { userErrors } = await create({ contextId: rig.openContext(), name: 'bad', ...more });
    expect(userErrors[0]).toMatchObject({ code: 'VALIDATION_FAILED' });
    expect(userErrors[0].path.slice(0, 2)).toEqual(['input', field]);
  });

  it('is of exporters the service of the root and the rate it was kept at; what the tail rule keeps stands for itself', async () => {
    const id = (kept: boolean) =>
      `${newId().replaceAll('-', '').slice(0, 19)}${kept ? '0000000000001' : 'f000000000001'}`;
    const report = (traceId: string, status: number) =>
      rig.ask(
        alice,
        `mutation($request: JSON!) { ingestOtlp(request: $request) { accepted rejected { reason } ${errors} } }`,
        {
          request: {
            resourceSpans: [
              {
                resource: { attributes: [{ key: 'service.name', value: { stringValue: 'door' } }] },
                scopeSpans: [
                  {
                    spans: [
                      {
                        traceId,
                        spanId: '00000000000000a1',
                        name: 'knock',
                        startTimeUnixNano: `${Date.now()}000000`,
                        endTimeUnixNano: `${Date.now() + 5}000000`,
                        status: { code: status },
                      },
                    ],
                  },
                ],
              },
            ],
          },
        },
      );
    const [plain, failed, out] = [id(true), id(false), id(false)];
    expect((await report(plain, 0)).ingestOtlp).toMatchObject({ accepted: 1 });
    expect((await report(failed, 2)).ingestOtlp).toMatchObject({ accepted: 1 });
    expect((await report(out, 0)).ingestOtlp).toMatchObject({ accepted: 1 });
    await rig.sql`UPDATE trace.trace SET finished_at = finished_at - interval '2 minutes' WHERE undecided`;
    await rig.sweep();
    expect((await report(out, 0)).ingestOtlp.rejected[0].reason).toContain('SAMPLED_OUT');
    const { traces } = await rig.ask(
      alice,
      '{ traces(filter: { service: "door" }) { nodes { w3cId serviceName samplingRate } } }',
    );
    const rates = Object.fromEntries(traces.nodes.map(({ w3cId, ...rest }: Json) => [w3cId, rest]));
    expect(rates).toEqual({
      [plain]: { serviceName: 'door', samplingRate: 0.5 },
      [failed]: { serviceName: 'door', samplingRate: 1 },
    });
  });
});

describe('updateTrace', () => {
  it('changes what is given, once a version, and nothing of a private context of others', async () => {
    const contextId = rig.openContext('one', 'alice');
    const { trace } = await create({ contextId, name: 'before', tags: ['x'], correlationId: 'c' });
    const first = await change('updateTrace', { id: trace.id, patch: { tags: ['y'], severity: 'WARN' }, version: 1 });
    expect(first.trace).toMatchObject({
      name: 'before',
      tags: ['y'],
      correlationId: 'c',
      severity: 'WARN',
      version: 2,
    });
    const stale = await change('updateTrace', { id: trace.id, patch: { name: 'z' }, version: 1 });
    expect(stale.userErrors[0].code).toBe('VERSION_CONFLICT');
    const empty = await change('updateTrace', { id: trace.id, patch: {} });
    expect(empty.userErrors[0].code).toBe('VALIDATION_FAILED');
    for (const who of [principal('bob'), principal('alice', 'two')])
      expect((await change('updateTrace', { id: trace.id, patch: { name: 'z' } }, who)).userErrors[0].code).toBe(
        'NOT_FOUND',
      );
    const [row] = await rig.sql`SELECT name, revision FROM trace.trace WHERE id = ${trace.id}`;
    expect(row).toMatchObject({ name: 'before', revision: 2 });
  });
});

describe('archiveTrace', () => {
  it('takes an ended trace out of lists until it is taken back, and lets nothing into it', async () => {
    const contextId = rig.openContext();
    const { trace } = await create({ contextId, name: 'old' });
    await addSpan(trace.id, '00000000000000a1');
    expect((await change('archiveTrace', { id: trace.id })).userErrors[0].code).toBe('INVALID_STATE');
    await rig.ask(alice, `mutation($id: ID!) { endTrace(traceId: $id) { ${errors} } }`, { id: trace.id });
    expect((await change('archiveTrace', { id: trace.id })).trace).toMatchObject({ archived: true });
    expect((await change('archiveTrace', { id: trace.id })).userErrors[0].code).toBe('INVALID_STATE_TRANSITION');
    expect(await names({ contextId })).toEqual([]);
    expect(await names({ contextId, archived: true })).toEqual(['old']);
    const late = await addSpan(trace.id, '00000000000000a2');
    expect(late.addSpan.rejected[0].reason).toContain('archived');
    const { recordMetrics } = await rig.ask(
      alice,
      `mutation($id: ID!) { recordMetrics(traceId: $id, metrics: [{ name: "m", value: 1 }]) { ${errors} } }`,
      { id: trace.id },
    );
    expect(recordMetrics.userErrors[0].code).toBe('INVALID_STATE');
    expect((await change('updateTrace', { id: trace.id, patch: { name: 'z' } })).userErrors[0].code).toBe(
      'INVALID_STATE',
    );
    expect((await change('unarchiveTrace', { id: trace.id })).trace).toMatchObject({ archived: false });
    expect(await names({ contextId })).toEqual(['old']);
    const events = await rig.sql`SELECT type FROM trace.event WHERE stream_id = ${trace.id} ORDER BY sequence`;
    expect(events.map(({ type }) => type).slice(-2)).toEqual(['trace.archived', 'trace.unarchived']);
  });
});

import { afterEach, expect, test } from 'vitest';
import { readConfig } from '#shared/config.ts';
import { maintainPartitions } from '#shared/partitions.ts';
import { tracePartitions } from '../../subgraphs/trace/partitions.ts';
import { type Json, openTraceRig, principal } from './rig.ts';

type Rig = Awaited<ReturnType<typeof openTraceRig>>;
let rig: Rig;
const alice = principal('alice');
afterEach(() => rig[Symbol.asyncDispose]());

const spanOf = (spanId: string) => ({
  spanId,
  name: 'work',
  service: 'shop',
  startTimeUnixNano: `${Date.now()}000000`,
  endTimeUnixNano: `${Date.now() + 1}000000`,
});

async function newTrace(outcome: 'COMPLETED' | 'FAILED' | null): Promise<string> {
  const { createTrace } = await rig.ask(
    alice,
    'mutation($id: ID!) { createTrace(input: { contextId: $id, name: "t" }) { trace { id } userErrors { code } } }',
    { id: rig.openContext() },
  );
  const { id } = createTrace.trace;
  await rig.ask(
    alice,
    'mutation($id: ID!, $spans: [TraceSpanInput!]!) { addSpans(traceId: $id, spans: $spans) { accepted } }',
    { id, spans: [spanOf('00000000000000a1')] },
  );
  if (outcome)
    await rig.ask(
      alice,
      'mutation($id: ID!, $o: TraceOutcome!) { endTrace(traceId: $id, outcome: $o) { trace { id } } }',
      { id, o: outcome },
    );
  return id;
}

/** Moves all that is known of a trace into the past. */
async function age(id: string, hours: number): Promise<void> {
  await rig.sql`UPDATE trace.span SET traced_at = traced_at - ${hours} * interval '1 hour' WHERE trace_id = ${id}`;
  await rig.sql`UPDATE trace.trace SET created_at = created_at - ${hours} * interval '1 hour',
    updated_at = updated_at - ${hours} * interval '1 hour', finished_at = finished_at - ${hours} * interval '1 hour' WHERE id = ${id}`;
}

const statusOf = async (id: string): Promise<string | null> =>
  (await rig.ask(alice, 'query($id: ID!) { trace(traceId: $id) { status } }', { id })).trace?.status ?? null;
const count = async (table: string, ids: readonly string[]) =>
  (
    await rig.sql.unsafe(`SELECT count(*)::int AS n FROM trace.${table} WHERE trace_id = ANY($1::uuid[])`, [
      ids as never,
    ])
  )[0]!['n'];

test('completed traces go after 168 hours, failed ones after 720, running ones fail after 24', async () => {
  rig = await openTraceRig();
  const [young, completed, failedLater, failed, running, fresh] = [
    await newTrace('COMPLETED'),
    await newTrace('COMPLETED'),
    await newTrace('FAILED'),
    await newTrace('FAILED'),
    await newTrace(null),
    await newTrace(null),
  ] as const;
  await age(young, 167);
  await age(completed, 169);
  await age(failedLater, 719);
  await age(failed, 721);
  await age(running, 25);
  await rig.sweep();
  expect(await Promise.all([young, completed, failedLater, failed, running, fresh].map(statusOf))).toEqual([
    'COMPLETED',
    null,
    'FAILED',
    null,
    'FAILED',
    'RUNNING',
  ]);
  expect(await count('span', [completed, failed])).toBe(0);
  expect(await count('span', [young, failedLater, running, fresh])).toBe(4);
  const told = (await rig.sql`SELECT data, tags FROM trace.event WHERE type = 'trace.expired'`) as unknown as Json[];
  expect(told.flatMap(({ data }) => data.ids).sort()).toEqual([completed, failed].sort());
  expect(told[0].tags).toEqual(expect.arrayContaining([`Trace:${completed}`, 'traces']));
  // A second sweep finds nothing more to do.
  await rig.sweep();
  const [after] =
    await rig.sql`SELECT count(*)::int AS n FROM trace.event WHERE type IN ('trace.expired', 'trace.status.changed')
    AND actor <> 'alice'`;
  expect(after!['n']).toBe(2);
});

test('a trace that has not begun within 24 hours is cancelled', async () => {
  rig = await openTraceRig();
  const { createTrace } = await rig.ask(
    alice,
    'mutation($input: CreateTraceInput!) { createTrace(input: $input) { trace { id status } } }',
    { input: { contextId: rig.openContext(), name: 'never', begin: false } },
  );
  const { id, status } = createTrace.trace;
  expect(status).toBe('PENDING');
  await rig.sql`UPDATE trace.trace SET created_at = created_at - interval '25 hours' WHERE id = ${id}`;
  await rig.sweep();
  expect(await statusOf(id)).toBe('CANCELLED');
  const [told] = await rig.sql`SELECT data FROM trace.event WHERE stream_id = ${id} AND type = 'trace.status.changed'`;
  expect(told!['data']).toMatchObject({ trace: { status: 'cancelled' }, reason: 'no beginning within 24 h' });
});

test('the hours are those that are set', async () => {
  rig = await openTraceRig({ TRACE_COMPLETED_HOURS: '2', TRACE_FAILED_HOURS: '1' });
  const ids = [await newTrace('COMPLETED'), await newTrace('FAILED')];
  for (const id of ids) await age(id, 1.5);
  await rig.sweep();
  expect(await Promise.all(ids.map(statusOf))).toEqual(['COMPLETED', null]);
});

test('a day’s spans and events stand in its partition and go with it', async () => {
  rig = await openTraceRig();
  const tables = tracePartitions(readConfig({ NODE_ENV: 'test', TRACE_RETENTION_DAYS: '3' }));
  const day = (offset: number) => new Date(Date.UTC(2031, 4, 10 + offset, 12));
  const made = await maintainPartitions(rig.sql, tables, day(0));
  expect(made.created).toEqual(
    expect.arrayContaining(['trace.span_20310510', 'trace.span_20310517', 'trace.history_20310510']),
  );
  const id = await newTrace('COMPLETED');
  await rig.sql`UPDATE trace.span SET traced_at = ${day(0)} WHERE trace_id = ${id}`;
  await rig.sql`INSERT INTO trace.history (tenant_id, trace_id, event_id, recorded_at, type, source, actor, occurred_at, detail)
    VALUES ('one', ${id}, gen_random_uuid(), ${day(0)}, 'plan.created', 'plan', 'alice', ${day(0)}, '{}')`;
  for (const table of ['span', 'history']) {
    const [place] = await rig.sql.unsafe(
      `SELECT tableoid::regclass::text AS name FROM trace.${table} WHERE trace_id = $1`,
      [id],
    );
    expect(place!['name']).toBe(`trace.${table}_20310510`);
  }
  expect(
    (await maintainPartitions(rig.sql, tables, day(3))).dropped.filter((name) => name.includes('20310510')),
  ).toEqual([]);
  expect(await count('span', [id])).toBe(1);
  const { dropped } = await maintainPartitions(rig.sql, tables, day(4));
  expect(dropped).toEqual(expect.arrayContaining(['trace.span_20310510', 'trace.history_20310510']));
  expect([await count('span', [id]), await count('history', [id])]).toEqual([0, 0]);
});

test('a failure keeps its trace whole, what came before it too; what neither failed nor was slow goes whole', async () => {
  rig = await openTraceRig({ TRACE_SAMPLING_RATE: '0', TRACE_SLOW_MS: '1000' });
  const traceId = 'f'.repeat(32);
  const report = async (spans: readonly object[]) => {
    const request = {
      resourceSpans: [
        {
          resource: { attributes: [{ key: 'service.name', value: { stringValue: 'shop' } }] },
          scopeSpans: [{ spans: spans.map((span) => ({ traceId, name: 'work', ...span })) }],
        },
      ],
    };
    const { ingestOtlp } = await rig.ask(
      alice,
      'mutation($request: JSON!) { ingestOtlp(request: $request) { accepted rejected { index reason } userErrors { code } } }',
      { request },
    );
    return [ingestOtlp.accepted, ingestOtlp.rejected.map(({ reason }: Json) => reason.split(':')[0])];
  };
  const at = (ms: number) => `${Date.now() + ms}000000`;
  const good = { spanId: '00000000000000a1', startTimeUnixNano: at(0), endTimeUnixNano: at(5) };
  const child = { ...good, spanId: '00000000000000a2', parentSpanId: good.spanId };
  const failure = { ...child, spanId: '00000000000000a3', status: { code: 2 } };
  const find = async (id = traceId) =>
    (
      await rig.ask(
        alice,
        'query($id: ID!) { distributedTrace(externalTraceId: $id) { traces { spanCount errorCount } missingParents } }',
        { id },
      )
    ).distributedTrace;

  const [plain, slow] = [{ traceId: 'd'.repeat(32) }, { traceId: 'e'.repeat(32) }];
  const decide = async () => {
    await rig.sql`UPDATE trace.trace SET finished_at = finished_at - interval '2 minutes' WHERE undecided`;
    await rig.sweep();
  };
  expect(await report([good, child, { ...good, ...plain }, { ...child, ...plain }])).toEqual([4, []]);
  expect(await report([{ ...good, ...slow, endTimeUnixNano: at(2_000) }])).toEqual([1, []]);
  expect(await report([failure])).toEqual([1, []]);
  await decide();
  expect(await find()).toEqual({ traces: [{ spanCount: 3, errorCount: 1 }], missingParents: [] });
  expect(await find(slow.traceId)).toMatchObject({ traces: [{ spanCount: 1 }] });
  expect(await find(plain.traceId)).toBeNull();
  expect(await report([{ ...good, ...plain }])).toEqual([0, ['SAMPLED_OUT']]);
  expect(await report([{ ...failure, ...plain }])).toEqual([1, []]);
  // The trace stands now: later spans of it stay whatever they are, and so do those that come again.
  expect(
    await report([
      { ...child, ...plain, spanId: '00000000000000a4' },
      { ...good, ...plain },
    ]),
  ).toEqual([2, []]);
  await decide();
  expect(await find(plain.traceId)).toEqual({ traces: [{ spanCount: 3, errorCount: 1 }], missingParents: [] });
});

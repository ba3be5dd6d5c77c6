import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Json, openTraceRig, principal } from './rig.ts';

type Rig = Awaited<ReturnType<typeof openTraceRig>>;
const quiet = { TRACE_HISTORY: 'off', TRACE_ALERTS: 'off' };
const alice = principal('alice');
let rig: Rig;
/** The same database, where metrics are kept as they came for two days only. */
let short: Rig;
beforeAll(async () => {
  rig = await openTraceRig(quiet);
  short = await openTraceRig({ ...quiet, TRACE_METRIC_DAYS: '2' }, rig);
});
afterAll(async () => {
  await short[Symbol.asyncDispose]();
  await rig[Symbol.asyncDispose]();
});

const dayMs = 86_400_000;
const day = Math.floor(Date.now() / dayMs) * dayMs - 10 * dayMs;
const range = { from: new Date(day).toISOString(), to: new Date(day + dayMs).toISOString() };

/** Always the same numbers that look like any (Park and Miller 1988). */
function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

async function newTrace(): Promise<string> {
  const { createTrace } = await rig.ask(
    alice,
    'mutation($id: ID!) { createTrace(input: { contextId: $id, name: "t" }) { trace { id } } }',
    { id: rig.openContext() },
  );
  return createTrace.trace.id;
}
const record = async (id: string, metrics: readonly object[]) => {
  const { recordMetrics } = await rig.ask(
    alice,
    'mutation($id: ID!, $metrics: [TraceMetricInput!]!) { recordMetrics(traceId: $id, metrics: $metrics) { userErrors { code message } } }',
    { id, metrics },
  );
  expect(recordMetrics.userErrors).toEqual([]);
};
const read = async (at: Rig, id: string, granularity: string, names: string[] | null = null): Promise<Json> =>
  (
    await at.ask(
      alice,
      `query($id: ID!, $range: TraceTimeRangeInput, $granularity: TraceGranularity!, $names: [String!]) {
         performanceAnalytics(traceId: $id, timeRange: $range, granularity: $granularity, metrics: $names) {
           points { metric at count min max mean p95 } aggregates { metric unit count sum min max mean p50 p95 p99 }
           trends { metric direction slopePerHour determination } } }`,
      { id, range, granularity, names },
    )
  ).performanceAnalytics;

/** Exact but for rounding; quantiles to within 1 %. */
function expectSame(found: Json, expected: Json): void {
  const isQuantile = (name: string) => /^p\d+$/.test(name);
  for (const list of ['points', 'aggregates', 'trends']) {
    expect(found[list].length).toBe(expected[list].length);
    for (const [place, row] of expected[list].entries())
      for (const [name, value] of Object.entries(row)) {
        const other = found[list][place][name];
        if (typeof value !== 'number') expect([name, other]).toEqual([name, value]);
        else {
          const tolerance = isQuantile(name) ? Math.abs(value) * 0.0101 + 1e-9 : Math.abs(value) * 1e-7 + 1e-7;
          expect([list, name, Math.abs(other - value) <= tolerance, other, value]).toEqual([
            list,
            name,
            true,
            other,
            value,
          ]);
        }
      }
  }
}
const steps = async (id: string): Promise<Json> =>
  Object.fromEntries(
    (
      await rig.sql`SELECT step, count(*)::int AS n, sum(count)::int AS values FROM trace.metric_rollup WHERE trace_id = ${id} GROUP BY 1 ORDER BY 1`
    ).map(({ step, n, values }) => [step, [n, values]]),
  );

test('what is kept by the minute, hour and day says the same as what came', async () => {
  const id = await newTrace();
  const random = createRandom(7);
  const at = (ms: number) => new Date(day + Math.floor(ms)).toISOString();
  const span = 3 * 3_600_000;
  const metrics = Array.from({ length: 900 }, (_none, n) => {
    const ms = random() * span;
    if (n % 3 === 0) return { name: 'rising', unit: 'jobs', value: 10 + ms / 60_000 + random(), at: at(ms) };
    if (n % 3 === 1) return { name: 'mixed', value: n % 9 === 1 ? 0 : (random() - 0.5) * 1_000, at: at(ms) };
    return { name: 'tiny', unit: 's', value: random() * 1e-6, at: at(ms) };
  });
  await record(id, metrics);
  await record(id, [{ name: 'fresh', value: 1 }]);
  const granularities = ['MINUTE', 'HOUR', 'DAY'];
  const before = new Map<string, Json>();
  for (const granularity of granularities) before.set(granularity, await read(rig, id, granularity));
  expect(before.get('MINUTE').trends.find(({ metric }: Json) => metric === 'rising').direction).toBe('RISING');

  await short.sweep();
  const left = await rig.sql`SELECT name FROM trace.metric WHERE trace_id = ${id}`;
  expect(left.map(({ name }) => name)).toEqual(['fresh']);
  const kept = await steps(id);
  expect([kept[3600], kept[86400]]).toEqual([
    [9, 900],
    [3, 900],
  ]);
  expect(kept[60]![1]).toBe(900);
  for (const granularity of granularities) expectSame(await read(short, id, granularity), before.get(granularity));
  const some = await read(short, id, 'HOUR', ['tiny']);
  expect(some.aggregates.map(({ metric, unit }: Json) => [metric, unit])).toEqual([['tiny', 's']]);

  // Again there is nothing to do.
  await short.sweep();
  expect(await steps(id)).toEqual(kept);
  // What is stored of that day after all adds up with what stands.
  await record(id, [{ name: 'rising', value: 500, unit: 'jobs', at: at(1_000) }]);
  await record(id, [{ name: 'rising', value: 600, unit: 'jobs', at: at(1_500) }]);
  await short.sweep();
  const [rising] = (await read(short, id, 'DAY', ['rising'])).aggregates;
  const [was] = before.get('DAY').aggregates.filter(({ metric }: Json) => metric === 'rising');
  expect(rising).toMatchObject({ count: was.count + 2, max: 600, min: was.min });
  expect(rising.sum).toBeCloseTo(was.sum + 1_100, 6);
});

test('minutes go before hours, and hours before days', async () => {
  const id = await newTrace();
  await record(
    id,
    [1, 2, 3, 4].map((value) => ({ name: 'm', value, at: new Date(day + value * 1_200_000).toISOString() })),
  );
  await short.sweep();
  const stepsOf = async (at: Rig) =>
    (await read(at, id, 'MINUTE')).points.map(({ at: step, count, mean }: Json) => [
      (Date.parse(step) - day) / 60_000,
      count,
      mean,
    ]);
  expect(await stepsOf(short)).toEqual([
    [20, 1, 1],
    [40, 1, 2],
    [60, 1, 3],
    [80, 1, 4],
  ]);
  const older = { ...quiet, TRACE_METRIC_DAYS: '2', TRACE_MINUTE_DAYS: '5' };
  const hours = await openTraceRig(older, rig);
  await hours.sweep();
  expect(Object.keys(await steps(id))).toEqual(['3600', '86400']);
  expect(await stepsOf(hours)).toEqual([
    [0, 2, 1.5],
    [60, 2, 3.5],
  ]);
  const days = await openTraceRig({ ...older, TRACE_HOUR_DAYS: '6' }, rig);
  await days.sweep();
  expect(await stepsOf(days)).toEqual([[0, 4, 2.5]]);
  const none = await openTraceRig({ ...older, TRACE_HOUR_DAYS: '6', TRACE_DAY_DAYS: '7' }, rig);
  await none.sweep();
  expect(await steps(id)).toEqual({});
  for (const each of [hours, days, none]) await each[Symbol.asyncDispose]();
});

test('they go with their trace', async () => {
  const id = await newTrace();
  await record(id, [{ name: 'm', value: 1, at: range.from }]);
  await short.sweep();
  expect(Object.keys(await steps(id))).toHaveLength(3);
  expect((await read(short, id, 'DAY')).aggregates).toHaveLength(1);
  const stranger = principal('mallory', 'two');
  const { performanceAnalytics } = await short.ask(
    stranger,
    'query($id: ID!) { performanceAnalytics(traceId: $id) { points { at } } }',
    { id },
  );
  expect(performanceAnalytics).toBeNull();
  await rig.ask(alice, 'mutation($id: ID!) { deleteTrace(traceId: $id) { deletedIds } }', { id });
  expect(await steps(id)).toEqual({});
});

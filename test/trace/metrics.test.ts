import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { anomalyOf } from '../../subgraphs/trace/analysis/anomaly.ts';
import { baselineOf } from '../../subgraphs/trace/analysis/baseline.ts';
import { type Json, openTraceRig, principal } from './rig.ts';

let rig: Awaited<ReturnType<typeof openTraceRig>>;
const alice = principal('alice');
const stranger = principal('mallory', 'two');
beforeAll(async () => {
  rig = await openTraceRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

async function newTrace(): Promise<string> {
  const { createTrace } = await rig.ask(
    alice,
    'mutation($id: ID!) { createTrace(input: { contextId: $id, name: "t" }) { trace { id } } }',
    { id: rig.openContext() },
  );
  return createTrace.trace.id;
}
const record = async (
  traceId: string,
  metrics: readonly object[],
  key: string | null = null,
  who = alice,
): Promise<Json> =>
  (
    await rig.ask(
      who,
      `mutation($id: ID!, $metrics: [TraceMetricInput!]!, $key: String) {
         recordMetrics(traceId: $id, metrics: $metrics, idempotencyKey: $key) { trace { version } userErrors { code path } } }`,
      { id: traceId, metrics, key },
    )
  ).recordMetrics;
const performance = async (traceId: string, more: object = {}, who = alice): Promise<Json> =>
  (
    await rig.ask(
      who,
      `query($id: ID!, $range: TraceTimeRangeInput, $granularity: TraceGranularity! = MINUTE, $metrics: [String!]) {
         performanceAnalytics(traceId: $id, timeRange: $range, granularity: $granularity, metrics: $metrics) {
           points { metric at count min max mean p95 } aggregates { metric unit count sum min max mean p50 p95 p99 }
           trends { metric direction slopePerHour determination } } }`,
      { id: traceId, ...more },
    )
  ).performanceAnalytics;

const minute = 60_000;
const base = Math.floor(Date.now() / (60 * minute)) * 60 * minute - 2 * 60 * minute;
const at = (minutes: number) => new Date(base + minutes * minute).toISOString();

describe('metrics of a trace', () => {
  it('are listed as they were recorded, the latest first, page by page', async () => {
    const id = await newTrace();
    const ago = (minutes: number) => new Date(base - minutes * minute).toISOString();
    const payload = await record(id, [
      { name: 'queue', value: 3, unit: 'jobs', at: ago(3), windowMs: 60_000, dimensions: { host: 'a' } },
      { name: 'load', type: 'HISTOGRAM', value: 0.5, at: ago(2) },
      { name: 'queue', type: 'COUNTER', value: 4, unit: 'jobs', at: ago(1) },
    ]);
    expect(payload.userErrors).toEqual([]);
    const list = async (more: object, who = alice) =>
      (
        await rig.ask(
          who,
          `query($id: ID!, $name: String, $first: Int, $after: String) { trace(traceId: $id) {
             metrics(name: $name, first: $first, after: $after) { totalCount nodes { name type value unit dimensions windowMs at } pageInfo { hasNextPage endCursor } } } }`,
          { id, ...more },
        )
      ).trace?.metrics;
    const first = await list({ first: 2 });
    expect(first).toMatchObject({
      totalCount: 3,
      nodes: [
        { name: 'queue', type: 'COUNTER', value: 4, windowMs: null, at: ago(1) },
        { name: 'load', type: 'HISTOGRAM', unit: null, dimensions: {} },
      ],
      pageInfo: { hasNextPage: true },
    });
    const oldest = {
      name: 'queue',
      type: 'GAUGE',
      value: 3,
      unit: 'jobs',
      dimensions: { host: 'a' },
      windowMs: 60_000,
    };
    expect((await list({ first: 2, after: first.pageInfo.endCursor })).nodes).toEqual([{ ...oldest, at: ago(3) }]);
    expect(await list({ name: 'load' })).toMatchObject({ totalCount: 1, nodes: [{ value: 0.5 }] });
    expect(await list({}, stranger)).toBeUndefined();
    const refused = await record(id, [{ name: 'queue', value: 1, windowMs: 0 }]);
    expect(refused.userErrors).toMatchObject([{ code: 'VALIDATION_FAILED', path: ['metrics', '0', 'windowMs'] }]);
    expect((await list({})).totalCount).toBe(3);
  });

  it('are read back in steps, in sums and as trends', async () => {
    const id = await newTrace();
    const rising = Array.from({ length: 10 }, (_none, n) => ({
      name: 'queue',
      value: 10 + n,
      at: at(n),
      unit: 'jobs',
    }));
    const flat = [5, 5, 5, 5].map((value, n) => ({ name: 'load', type: 'TIMER', value, at: at(n) }));
    expect((await record(id, [...rising, ...flat], 'once')).userErrors).toEqual([]);
    // A repeat adds nothing.
    expect((await record(id, [...rising, ...flat], 'once')).userErrors).toEqual([]);
    await rig.ask(
      alice,
      'mutation($id: ID!, $spans: [TraceSpanInput!]!) { addSpans(traceId: $id, spans: $spans) { accepted } }',
      {
        id,
        spans: [
          {
            spanId: '00000000000000a1',
            name: 'work',
            service: 'shop',
            startTimeUnixNano: `${base + minute}000000`,
            endTimeUnixNano: `${base + minute + 250}000000`,
          },
        ],
      },
    );
    const range = { from: at(0), to: at(30) };
    const all = await performance(id, { range });
    expect(all.aggregates).toEqual([
      { metric: 'load', unit: null, count: 4, sum: 20, min: 5, max: 5, mean: 5, p50: 5, p95: 5, p99: 5 },
      { metric: 'queue', unit: 'jobs', count: 10, sum: 145, min: 10, max: 19, mean: 14.5, p50: 14, p95: 19, p99: 19 },
      {
        metric: 'span.duration',
        unit: 'ms',
        count: 1,
        sum: 250,
        min: 250,
        max: 250,
        mean: 250,
        p50: 250,
        p95: 250,
        p99: 250,
      },
    ]);
    const trendOf = (metric: string) => all.trends.find((trend: Json) => trend.metric === metric);
    expect(trendOf('queue').direction).toBe('RISING');
    expect(trendOf('queue').slopePerHour).toBeCloseTo(60, 6);
    expect(trendOf('queue').determination).toBeCloseTo(1, 9);
    expect(trendOf('load')).toMatchObject({ direction: 'STEADY', slopePerHour: 0 });

    const hourly = await performance(id, { range, granularity: 'HOUR', metrics: ['queue'] });
    expect(hourly.points).toEqual([{ metric: 'queue', at: at(0), count: 10, min: 10, max: 19, mean: 14.5, p95: 19 }]);
    const cut = await performance(id, { range: { from: at(2), to: at(4) }, metrics: ['queue'] });
    expect(cut.points.map(({ at: step, mean }: Json) => [step, mean])).toEqual([
      [at(2), 12],
      [at(3), 13],
    ]);
    expect(await performance(id, { range }, stranger)).toBeNull();
  });

  it('refuses what is none, and stores nothing of it', async () => {
    const id = await newTrace();
    const good = { name: 'a', value: 1 };
    const old = new Date(Date.now() - 16 * 24 * 60 * minute).toISOString();
    for (const bad of [
      { name: '', value: 1 },
      { name: 'a', value: 1, unit: 'x'.repeat(33) },
      { name: 'a', value: 1, dimensions: { host: 1 } },
      { name: 'a', value: 1, at: old },
      { name: 'a', value: 1, at: new Date(Date.now() + 10 * minute).toISOString() },
    ]) {
      const [error] = (await record(id, [good, bad])).userErrors;
      expect([error?.code, error?.path.slice(0, 2)]).toEqual(['VALIDATION_FAILED', ['metrics', '1']]);
    }
    expect((await record(id, [])).userErrors[0].code).toBe('VALIDATION_FAILED');
    expect((await record(id, [good], null, stranger)).userErrors[0].code).toBe('NOT_FOUND');
    const [left] = await rig.sql`SELECT count(*)::int AS n FROM trace.metric WHERE trace_id = ${id}`;
    expect(left!['n']).toBe(0);
    await expect(performance(id, { range: { from: at(0), to: at(0) } })).rejects.toThrow('timeRange');
    await expect(performance(id, { range: { from: at(0), to: at(30) }, granularity: 'SECOND' })).rejects.toThrow(
      '1440',
    );
    await rig.sql`UPDATE trace.trace SET status = 'completed', finished_at = now() - interval '2 minutes' WHERE id = ${id}`;
    expect((await record(id, [good])).userErrors[0].code).toBe('INVALID_STATE');
  });

  it('go with their trace', async () => {
    const id = await newTrace();
    await record(id, [{ name: 'gone', value: 1 }]);
    await rig.ask(alice, 'mutation($id: ID!) { deleteTrace(traceId: $id) { deletedIds } }', { id });
    const [left] = await rig.sql`SELECT count(*)::int AS n FROM trace.metric WHERE trace_id = ${id}`;
    expect(left!['n']).toBe(0);
  });

  it('that lie off what was usual are anomalies', async () => {
    const before = await newTrace();
    const id = await newTrace();
    const usual = Array.from({ length: 40 }, (_none, n) => 100 + (n % 5));
    const ago = (minutes: number) => new Date(Date.now() - minutes * minute).toISOString();
    await record(
      before,
      usual.map((value, n) => ({ name: 'reply', value, unit: 'ms', at: ago(120 + n) })),
    );
    await record(id, [
      { name: 'reply', value: 900, unit: 'ms', at: ago(5) },
      { name: 'reply', value: 102, unit: 'ms', at: ago(4) },
      { name: 'cpu', value: 97, unit: '%', at: ago(3) },
    ]);
    const find = async (filter: object, who = alice): Promise<Json[]> =>
      (
        await rig.ask(
          who,
          'query($filter: TraceAnomalyFilter) { anomalies(filter: $filter) { traceId metric affectedMetrics value type severity method baselineP50 confidence } }',
          { filter },
        )
      ).anomalies;
    const reply = {
      traceId: id,
      metric: 'reply',
      affectedMetrics: ['reply', 'cpu'],
      value: 900,
      type: 'PERFORMANCE_DEGRADATION',
      severity: 'CRITICAL',
      method: 'MAD',
      baselineP50: 102,
      confidence: 0.8,
    };
    const cpu = {
      traceId: id,
      metric: 'cpu',
      affectedMetrics: ['cpu', 'reply'],
      value: 97,
      type: 'RESOURCE_EXHAUSTION',
      severity: 'HIGH',
      method: null,
      baselineP50: null,
      confidence: 1,
    };
    expect(await find({ traceId: id })).toEqual([reply, cpu]);
    expect(await find({ severity: ['HIGH'] })).toEqual([cpu]);
    expect(await find({ type: ['ERROR_SPIKE'] })).toEqual([]);
    expect(await find({ metric: 'reply' })).toEqual([{ ...reply, affectedMetrics: ['reply'] }]);
    expect(await find({}, stranger)).toEqual([]);
    // Nothing was reported in the last minute.
    expect(await find({ from: ago(1), to: ago(0) })).toEqual([]);
  });
});

describe('the thresholds', () => {
  const baseline = baselineOf(Array.from({ length: 20 }, (_none, n) => 90 + n))!;
  const typeOf = (name: string, unit: string | null, value: number) =>
    anomalyOf({ name, unit, value }, baseline)?.type ?? null;

  it.each([
    ['reply', 'ms', 150, 'PERFORMANCE_DEGRADATION'],
    ['reply', 'ms', 120, null],
    ['errors', 'count', 290, 'UNUSUAL_PATTERN'],
    ['errors', 'count', 300, 'ERROR_SPIKE'],
    ['throughput', '1/s', 75, null],
    ['throughput', '1/s', 69, 'PERFORMANCE_DEGRADATION'],
    ['cpu', '%', 89, null],
    ['cpu', '%', 90, 'RESOURCE_EXHAUSTION'],
    ['memory', '%', 94, null],
    ['memory', '%', 95, 'RESOURCE_EXHAUSTION'],
    ['queue', 'jobs', 150, 'UNUSUAL_PATTERN'],
    ['queue', 'jobs', 100, null],
  ])('of %s in %s at %d say %s', (name, unit, value, expected) => {
    expect(typeOf(name, unit, value)).toBe(expected);
  });
});

import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startSampler } from '#shared/metrics/sampler.ts';
import { type Json, openPlatformRig, operators, type PlatformRig, somebody } from '../observeRig.ts';

let rig: PlatformRig;
beforeAll(async () => {
  rig = await openPlatformRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

type Who = ReturnType<typeof somebody>;
const errors = 'userErrors { code message path }';
const record = (who: Who, samples: readonly object[], key: string | null = null): Promise<Json> =>
  rig.ask(
    who,
    `mutation ($samples: [PlatformMetricSampleInput!]!, $key: String) { recordMetricSamples(samples: $samples, idempotencyKey: $key) { recorded ${errors} } }`,
    { samples, key },
  );
const series = (who: Who, query: object, range: object = {}): Promise<Json> =>
  rig.ask(
    who,
    `query ($query: PlatformMetricQuery!, $from: DateTime, $to: DateTime, $stepMs: DurationMs) {
       metricSeries(query: $query, from: $from, to: $to, stepMs: $stepMs) { labels { name value } points { at value } } }`,
    { query, ...range },
  );
const valuesOf = (all: Json) =>
  all.map(({ labels, points }: Json) => [
    labels.map(({ value }: Json) => value).join(),
    points.map(({ value }: Json) => value),
  ]);
const label = (name: string, value: string) => ({ name, value });

describe('metrics', () => {
  it('of a tenant are recorded, added up and read by it alone', async () => {
    const [who, other] = [somebody(), somebody()];
    const minute = Math.floor(Date.now() / 60_000) * 60_000;
    const at = (seconds: number) => new Date(minute - 600_000 + seconds * 1_000).toISOString();
    const range = { from: at(0), to: at(120), stepMs: 60_000 };
    const sold = (shop: string, value: number, seconds: number) => ({
      name: 'sold_total',
      kind: 'COUNTER',
      value,
      labels: [label('shop', shop)],
      timestamp: at(seconds),
    });
    const given = [sold('a', 1, 10), sold('a', 2, 10), sold('a', 4, 70), sold('b', 8, 20)];
    expect(await record(who, given, 'key')).toEqual({ recorded: 4, userErrors: [] });
    expect((await record(who, given, 'key')).recorded).toBe(4);
    await record(who, [
      sold('a', 16, 10),
      { name: 'took', kind: 'TIMER', observations: [1, 1, 40, 40], timestamp: at(30) },
      { name: 'took', kind: 'TIMER', observations: [900], timestamp: at(30) },
      { name: 'stock', value: 5, timestamp: at(5) },
      { name: 'stock', value: 7, timestamp: at(5) },
      { name: 'asked_total', kind: 'COUNTER', value: 100, timestamp: at(40) },
    ]);
    expect(valuesOf(await series(who, { metric: 'sold_total', fn: 'INCREASE' }, range))).toEqual([
      ['a', [19, 4]],
      ['b', [8]],
    ]);
    expect(valuesOf(await series(who, { metric: 'sold_total', fn: 'INCREASE', by: [] }, range))).toEqual([
      ['', [27, 4]],
    ]);
    expect(
      valuesOf(await series(who, { metric: 'sold_total', fn: 'INCREASE', labels: [label('shop', 'b')] }, range)),
    ).toEqual([['b', [8]]]);
    expect(
      valuesOf(await series(who, { metric: 'sold_total', fn: 'INCREASE', by: [], dividedBy: 'asked_total' }, range)),
    ).toEqual([['', [0.27]]]);
    expect(valuesOf(await series(who, { metric: 'took', fn: 'MEAN' }, range))).toEqual([['', [982 / 5]]]);
    expect(valuesOf(await series(who, { metric: 'took', fn: 'P50' }, range))[0][1][0]).toBeCloseTo(27.5);
    expect(valuesOf(await series(who, { metric: 'stock' }, range))).toEqual([['', [7]]]);
    expect(await series(other, { metric: 'stock' }, range)).toEqual([]);
    expect(await rig.ask(who, '{ metricDefinitions { name kind unit labelNames series } }')).toEqual([
      { name: 'asked_total', kind: 'COUNTER', unit: null, labelNames: [], series: 1 },
      { name: 'sold_total', kind: 'COUNTER', unit: null, labelNames: ['shop'], series: 2 },
      { name: 'stock', kind: 'GAUGE', unit: null, labelNames: [], series: 1 },
      { name: 'took', kind: 'HISTOGRAM', unit: 'ms', labelNames: [], series: 1 },
    ]);
    await record(who, [{ name: 'stock', value: 9 }]);
    expect(
      (await rig.ask(who, '{ metricSnapshot(names: ["stock"]) { figures { name value instance } } }')).figures,
    ).toEqual([{ name: 'stock', value: 9, instance: null }]);
    expect((await rig.ask(other, '{ metricSnapshot { figures { name } } }')).figures).toEqual([]);
    const told = rig.events.filter(
      ({ tenantId, type }) => tenantId === who.tenantId && type === 'platform.metric.recorded',
    );
    expect(told.at(-1)!.data).toEqual({ name: 'stock', kind: 'GAUGE', labels: [], value: 9 });
  });

  it('are refused where they break a rule, all of a call', async () => {
    const who = somebody();
    for (const [sample, path] of [
      [{ name: '1st', value: 1 }, 'name'],
      [{ name: 'm' }, 'value'],
      [{ name: 'm', kind: 'COUNTER', value: -1 }, 'value'],
      [{ name: 'm', kind: 'TIMER', value: 1 }, 'observations'],
      [{ name: 'm', kind: 'TIMER', observations: [-1] }, 'observations'],
      [{ name: 'm', value: 1, observations: [1] }, 'observations'],
      [{ name: 'm', value: 1, labels: [label('no name', 'x')] }, 'labels'],
      [{ name: 'm', value: 1, timestamp: '2020-01-01T00:00:00.000Z' }, 'timestamp'],
    ] as const) {
      const { userErrors } = await record(who, [{ name: 'good', value: 1 }, sample]);
      expect([sample, userErrors[0]?.code, userErrors[0]?.path.slice(0, 3)]).toEqual([
        sample,
        'VALIDATION_FAILED',
        ['samples', '1', path],
      ]);
    }
    expect(await rig.ask(who, '{ metricDefinitions { name } }')).toEqual([]);
    await expect(series(who, { metric: 'm' }, { stepMs: 10 })).rejects.toThrow('stepMs');
    await expect(series(who, { metric: 'm' }, { from: '2030-01-01T00:00:00.000Z' })).rejects.toThrow('before');
  });

  it('of a process are sampled from its registries, by instance, and summed up by five minutes', async () => {
    const operator = somebody(operators);
    const registry = new Registry();
    const counter = new Counter({ name: 'calls_total', help: 'Calls', labelNames: ['module'], registers: [registry] });
    const histogram = new Histogram({ name: 'took_ms', help: 'Time', buckets: [1, 10], registers: [registry] });
    new Gauge({
      name: 'requests_per_second',
      help: 'of the scraper',
      registers: [registry],
      collect: () => {
        throw new Error('asked');
      },
    });
    const options = {
      registries: [registry],
      sql: rig.sql,
      prepare: rig.logs.prepare,
      logger: rig.logger,
      operatorTenant: operators,
      intervalMs: 60_000,
    };
    const samplers = ['one', 'two'].map((instance) => startSampler({ ...options, instance }));
    const sampleAll = async () => {
      for (const sampler of samplers) await sampler.sample();
    };
    counter.inc({ module: 'plan' }, 5);
    histogram.observe(0.5);
    await sampleAll();
    counter.inc({ module: 'plan' }, 2);
    for (const took of [5, 5, 50]) histogram.observe(took);
    await new Promise((resolve) => setTimeout(resolve, 5));
    await sampleAll();
    await Promise.all(samplers.map((sampler) => sampler.close()));
    const range = { from: new Date(Date.now() - 30_000).toISOString(), stepMs: 60_000 };
    // With what they counted before they were first sampled.
    expect(
      valuesOf(await series(operator, { metric: 'calls_total', fn: 'INCREASE', by: ['instance'] }, range)),
    ).toEqual([
      ['one', [7]],
      ['two', [7]],
    ]);
    expect(valuesOf(await series(operator, { metric: 'calls_total', fn: 'INCREASE', by: ['module'] }, range))).toEqual([
      ['plan', [14]],
    ]);
    expect(valuesOf(await series(operator, { metric: 'took_ms', fn: 'MEAN', by: [] }, range))).toEqual([
      ['', [60.5 / 4]],
    ]);
    expect(valuesOf(await series(operator, { metric: 'took_ms', fn: 'P50', by: [] }, range))).toEqual([
      ['', [expect.closeTo(5.5)]],
    ]);

    await rig.sql`UPDATE platform.metric_sample SET at = at - interval '10 minutes'`;
    await rig.job('rollUpMetrics');
    await rig.job('rollUpMetrics');
    const rows =
      await rig.sql`SELECT r.value, r.samples, r.count::int, r.buckets FROM platform.metric_rollup r JOIN platform.metric_series s ON s.id = r.series_id
      WHERE s.tenant_id = ${operators} AND s.name = 'took_ms' ORDER BY s.instance, r.at`;
    // Two samples of an instance may lie on both sides of a full five minutes.
    expect(
      rows.filter(({ count }) => count === 4).map(({ value, count, buckets }) => [value, count, buckets.map(Number)]),
    ).toEqual([
      [60.5, 4, [1, 2, 1]],
      [60.5, 4, [1, 2, 1]],
    ]);
  });

  it('are shown together on dashboards, with variables, all panels in one answer', async () => {
    const [who, other] = [somebody(), somebody()];
    await record(who, [
      { name: 'load', value: 1, labels: [label('room', 'a')] },
      { name: 'load', value: 3, labels: [label('room', 'b')] },
    ]);
    const query = { metric: 'load', fn: 'LAST', labels: [label('room', '$room')] };
    const input = {
      title: 'Rooms',
      panels: [
        { title: 'one', query, thresholds: [2] },
        { title: 'all', query: { metric: 'load', by: [] }, visualization: 'STAT' },
      ],
    };
    const fields =
      'dashboard { id title version panels { title metric fn labels { name value } by visualization thresholds } }';
    const create = `mutation ($input: PlatformDashboardInput!, $key: String) { createDashboard(input: $input, idempotencyKey: $key) { ${fields} ${errors} } }`;
    const { dashboard } = await rig.ask(who, create, { input, key: 'k' });
    expect((await rig.ask(who, create, { input, key: 'k' })).dashboard.id).toBe(dashboard.id);
    expect(dashboard.panels[0]).toEqual({
      title: 'one',
      metric: 'load',
      fn: 'LAST',
      labels: [label('room', '$room')],
      by: null,
      visualization: 'LINE',
      thresholds: [2],
    });
    const render = (by: Who, variables: object) =>
      rig.ask(
        by,
        'query ($id: ID!, $variables: JSON) { renderDashboard(dashboardId: $id, variables: $variables) { panels { panel { title } series { points { value } } } } }',
        { id: dashboard.id, variables },
      );
    expect(
      ((await render(who, { room: 'b' })) as Json).panels.map(({ panel, series: all }: Json) => [
        panel.title,
        all[0].points.at(-1).value,
      ]),
    ).toEqual([
      ['one', 3],
      ['all', 2],
    ]);
    await expect(render(who, {})).rejects.toThrow('room');
    expect(await render(other, { room: 'b' })).toBeNull();
    const update = `mutation ($id: ID!, $input: PlatformDashboardInput!, $version: Int) { updateDashboard(dashboardId: $id, input: $input, expectedVersion: $version) { ${fields} ${errors} } }`;
    expect(
      (await rig.ask(who, update, { id: dashboard.id, input: { ...input, title: 'Halls' }, version: 1 })).dashboard,
    ).toMatchObject({ title: 'Halls', version: 2 });
    expect((await rig.ask(who, update, { id: dashboard.id, input, version: 1 })).userErrors[0].code).toBe(
      'VERSION_CONFLICT',
    );
    expect((await rig.ask(other, update, { id: dashboard.id, input })).userErrors[0].code).toBe('NOT_FOUND');
    expect((await rig.ask(who, create, { input: { ...input, panels: [] } })).userErrors[0].path).toEqual([
      'input',
      'panels',
    ]);
    const remove = `mutation ($id: ID!) { deleteDashboard(dashboardId: $id) { dashboardId ${errors} } }`;
    expect((await rig.ask(who, remove, { id: dashboard.id })).dashboardId).toBe(dashboard.id);
    expect((await rig.ask(who, remove, { id: dashboard.id })).userErrors[0].code).toBe('NOT_FOUND');
    expect(await rig.ask(who, '{ dashboards { id } }')).toEqual([]);
  });
});

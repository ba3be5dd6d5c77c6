import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EphemeralEvent } from '#shared/events.ts';
import type { Sql } from '#shared/sql.ts';
import type { MetricQuery } from '../../../subgraphs/platform/monitoring/inputs.ts';
import { createPanelCache } from '../../../subgraphs/platform/monitoring/panelCache.ts';
import { readRange, readSteadyRange } from '../../../subgraphs/platform/monitoring/range.ts';
import { queryMetric } from '../../../subgraphs/platform/monitoring/reading.ts';
import { type Json, openPlatformRig, type PlatformRig, somebody } from '../observeRig.ts';

let rig: PlatformRig;
beforeAll(async () => {
  rig = await openPlatformRig({ METRIC_SAMPLE_MS: '3600000' });
});
afterAll(() => rig[Symbol.asyncDispose]());

type Who = ReturnType<typeof somebody>;
const minuteMs = 60_000;
const record = (who: Who, name: string, value: number, agoMs: number): Promise<Json> =>
  rig.ask(
    who,
    'mutation ($samples: [PlatformMetricSampleInput!]!) { recordMetricSamples(samples: $samples) { recorded userErrors { message } } }',
    { samples: [{ name, kind: 'GAUGE', value, timestamp: new Date(Date.now() - agoMs).toISOString() }] },
  );
const load: MetricQuery = { metric: 'load', fn: 'LAST', labels: {}, by: null, dividedBy: null };

/** Counts the statements that go through it. */
function counted(sql: Sql): { readonly sql: Sql; readonly count: () => number } {
  let statements = 0;
  const proxy = new Proxy(sql, {
    get(target, name) {
      if (name === 'unsafe') statements += 1;
      return Reflect.get(target, name);
    },
  });
  return { sql: proxy, count: () => statements };
}

const recorded = (tenantId: string, name: string) =>
  ({ tenantId, module: 'platform', type: 'platform.metric.recorded', data: { name } }) as unknown as EphemeralEvent;

describe('panels that are asked again', () => {
  const now = Date.now();
  const range = readSteadyRange({}, now);
  const hour = 3_600_000;

  it('are read once, also by those who ask at once, and by each tenant for itself', async () => {
    const [who, other] = [somebody(), somebody()];
    await record(who, 'load', 1, 20 * minuteMs);
    await record(other, 'load', 2, 20 * minuteMs);
    const { sql, count } = counted(rig.sql);
    const panels = createPanelCache({ sql, sampleMs: hour });
    const [first, second] = await Promise.all([
      panels.read(who.tenantId, load, range),
      panels.read(who.tenantId, load, range),
    ]);
    const once = count();
    expect(once).toBeGreaterThan(0);
    expect(first).toEqual(await queryMetric(rig.sql, who.tenantId, load, range));
    expect(second).toEqual(first);
    expect(await panels.read(who.tenantId, load, range)).toEqual(first);
    expect(count()).toBe(once);
    const foreign = await panels.read(other.tenantId, load, range);
    expect(foreign[0]!.points.map(({ value }) => value)).toEqual([2]);
    expect(first[0]!.points.map(({ value }) => value)).toEqual([1]);
    expect(count()).toBe(2 * once);
    // Another function, label or step is another panel.
    await panels.read(who.tenantId, { ...load, fn: 'MAX' }, range);
    await panels.read(who.tenantId, load, readSteadyRange({ stepMs: 2 * minuteMs }, now));
    expect(count()).toBe(4 * once);
  });

  it('are read anew once what they show was recorded, by the same tenant; also where it was while they were read', async () => {
    const who = somebody();
    await record(who, 'load', 1, 20 * minuteMs);
    const { sql, count } = counted(rig.sql);
    const panels = createPanelCache({ sql, sampleMs: hour });
    const values = async () =>
      (await panels.read(who.tenantId, load, range))[0]!.points.map(({ value }) => value).toSorted();
    expect(await values()).toEqual([1]);
    const once = count();
    panels.hear([recorded(somebody().tenantId, 'load'), recorded(who.tenantId, 'other')]);
    await values();
    expect(count()).toBe(once);
    await record(who, 'load', 2, 30 * minuteMs);
    panels.hear([recorded(who.tenantId, 'load')]);
    expect(await values()).toEqual([1, 2]);
    const reading = (async () => {
      panels.hear([recorded(who.tenantId, 'load')]);
      return values();
    })();
    panels.hear([recorded(who.tenantId, 'load')]);
    await reading;
    const before = count();
    await values();
    expect(count()).toBe(before + once);
  });

  it('are kept until the next sample may have come, those that are over for a step', async () => {
    const who = somebody();
    await record(who, 'load', 1, 20 * minuteMs);
    const { sql, count } = counted(rig.sql);
    const panels = createPanelCache({ sql, sampleMs: 1 });
    await panels.read(who.tenantId, load, range);
    const once = count();
    await expect
      .poll(async () => {
        await panels.read(who.tenantId, load, range);
        return count();
      })
      .toBeGreaterThan(once);
    const over = readRange({ from: new Date(now - hour), to: new Date(now - 10 * minuteMs), stepMs: minuteMs });
    await panels.read(who.tenantId, load, over);
    const before = count();
    await panels.read(who.tenantId, load, over);
    expect(count()).toBe(before);
  });

  it('are no more than a bounded number: the one that was asked longest ago goes', async () => {
    const who = somebody();
    const { sql, count } = counted(rig.sql);
    const panels = createPanelCache({ sql, sampleMs: hour });
    const ask = (n: number) => panels.read(who.tenantId, { ...load, metric: `m${n}` }, range);
    for (let n = 0; n <= 500; n += 1) await ask(n);
    const before = count();
    await ask(500);
    expect(count()).toBe(before);
    await ask(0);
    expect(count()).toBeGreaterThan(before);
  });
});

describe('a rendered dashboard', () => {
  const fields = 'from to stepMs panels { series { points { at value } } }';
  async function open(who: Who) {
    const { dashboard } = await rig.ask(
      who,
      'mutation ($input: PlatformDashboardInput!) { createDashboard(input: $input) { dashboard { id } userErrors { message } } }',
      { input: { title: 'Loads', panels: [{ title: 'load', query: { metric: 'load', fn: 'LAST' } }] } },
    );
    return (more = ''): Promise<Json> =>
      rig.ask(who, `query ($id: ID!) { renderDashboard(dashboardId: $id ${more}) { ${fields} } }`, {
        id: dashboard.id,
      });
  }
  const pointsOf = (rendered: Json): [string, number][] =>
    rendered.panels[0].series.flatMap(({ points }: Json) => points.map(({ at, value }: Json) => [at, value]));

  it('has steps at multiples of their length, so that past ones are what they were when it is asked later', async () => {
    const who = somebody();
    const render = await open(who);
    for (const [value, ago] of [
      [1, 40],
      [2, 20],
    ] as const)
      await record(who, 'load', value, ago * minuteMs);
    const first = await render('stepMs: 300000');
    expect(Date.parse(first.from) % 300_000).toBe(0);
    expect(Date.parse(first.to)).toBeGreaterThan(Date.now());
    expect(Date.parse(first.from)).toBeLessThanOrEqual(Date.now() - 3_500_000);
    for (const [at] of pointsOf(first)) expect(Date.parse(at) % 300_000).toBe(0);
    expect(pointsOf(first).map(([, value]) => value)).toEqual([1, 2]);
    // What is recorded is seen at once.
    await record(who, 'load', 3, 0);
    const second = pointsOf(await render('stepMs: 300000'));
    expect(second.slice(0, 2)).toEqual(pointsOf(first));
    expect(second.at(-1)![1]).toBe(3);
  });

  it('keeps to the ends that are asked for', async () => {
    const who = somebody();
    const render = await open(who);
    const from = new Date(Math.floor(Date.now() / 1_000) * 1_000 - 3_599_000);
    const to = new Date(from.getTime() + 600_000);
    const rendered = await render(`from: "${from.toISOString()}" to: "${to.toISOString()}" stepMs: 60000`);
    expect([rendered.from, rendered.to]).toEqual([from.toISOString(), to.toISOString()]);
  });

  it.each([
    [1, 0],
    [2_400, 0],
    [60, 7],
    [600, 599],
  ])('of steps of %i s: the last of them is the one that is not over', (stepSeconds, offset) => {
    if (stepSeconds < 3) return expect(() => readSteadyRange({ stepMs: stepSeconds * 1_000 })).toThrow('stepMs');
    const now = 1_800_000_000_000 + offset * 1_000;
    const { fromMs, stepMs, steps } = readSteadyRange({ stepMs: stepSeconds * 1_000 }, now);
    expect(fromMs % stepMs).toBe(0);
    expect(fromMs + steps * stepMs).toBeGreaterThan(now);
    expect(fromMs + (steps - 1) * stepMs).toBeLessThanOrEqual(now);
    expect(steps).toBeLessThanOrEqual(1_500);
  });
});

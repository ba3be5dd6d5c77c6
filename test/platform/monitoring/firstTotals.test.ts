import { Counter, Histogram, Registry } from 'prom-client';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startSampler } from '#shared/metrics/sampler.ts';
import { operators, type PlatformRig } from '../observeRig.ts';
import { minuteMs, openAlertRig, operator } from './alertRig.ts';

let rig: PlatformRig;
beforeAll(async () => {
  rig = await openAlertRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

/** A process of its own. */
function start(instance: string) {
  const registry = new Registry();
  const sampler = startSampler({
    ...{ registries: [registry], sql: rig.sql, prepare: async () => {}, logger: rig.logger, operatorTenant: operators },
    ...{ instance, intervalMs: 3_600_000 },
  });
  const failures = new Counter({ name: 'failures_total', help: 'x', labelNames: ['kind'], registers: [registry] });
  const took = new Histogram({ name: 'took_ms', help: 'x', buckets: [10, 100], registers: [registry] });
  return {
    failures,
    took,
    async sample() {
      // Samples of one millisecond are one.
      await new Promise((resolve) => setTimeout(resolve, 2));
      await sampler.sample();
    },
    close: () => sampler.close(),
  };
}

/** Over the last steps of so many minutes, all together. */
async function increase(metric: string, steps: number, stepMinutes: number, labels: object[] = []): Promise<number> {
  const to = Date.now() + 1_000;
  const series: { points: { value: number }[] }[] = await rig.ask(
    operator,
    `query ($query: PlatformMetricQuery!, $from: DateTime, $to: DateTime, $stepMs: DurationMs) {
       metricSeries(query: $query, from: $from, to: $to, stepMs: $stepMs) { points { value } } }`,
    {
      query: { metric, fn: 'INCREASE', labels, by: [] },
      from: new Date(to - steps * stepMinutes * minuteMs).toISOString(),
      to: new Date(to).toISOString(),
      stepMs: stepMinutes * minuteMs,
    },
  );
  return series.flatMap(({ points }) => points).reduce((sum, { value }) => sum + value, 0);
}

it('what a process counted before it was first sampled is not lost, of one that begins and of a label that is new', async () => {
  const one = start('one');
  one.failures.inc({ kind: 'a' }, 5);
  one.took.observe(50);
  await one.sample();
  expect(await increase('failures_total', 5, 1)).toBe(5);
  one.failures.inc({ kind: 'a' });
  // Nobody failed so until now: the first one is an alert as well.
  one.failures.inc({ kind: 'b' });
  await one.sample();
  for (const [steps, minutes] of [
    [5, 1],
    [1, 5],
    [12, 60],
  ] as const) {
    expect(await increase('failures_total', steps, minutes)).toBe(7);
    expect(await increase('failures_total', steps, minutes, [{ name: 'kind', value: 'b' }])).toBe(1);
    expect(await increase('took_ms', steps, minutes)).toBe(1);
  }
  // One that begins anew is another: its counters are, too.
  const two = start('two');
  two.failures.inc({ kind: 'a' }, 3);
  await two.sample();
  await two.sample();
  expect(await increase('failures_total', 5, 1)).toBe(10);
  await one.close();
  await two.close();
});

it('a process that ran before the range shows what grew in it alone', async () => {
  await rig.sql`TRUNCATE platform.metric_sample, platform.metric_series`;
  const one = start('old');
  one.failures.inc({ kind: 'a' }, 1_000);
  await one.sample();
  await rig.sql`UPDATE platform.metric_sample SET at = at - interval '20 minutes'`;
  await rig.sql`UPDATE platform.metric_series SET began_at = began_at - interval '20 minutes'`;
  one.failures.inc({ kind: 'a' }, 2);
  await one.sample();
  one.failures.inc({ kind: 'a' }, 3);
  await one.sample();
  // Of the two samples there are, the first one is not the process's first.
  expect(await increase('failures_total', 5, 1)).toBe(3);
  expect(await increase('failures_total', 30, 1)).toBe(1_005);
  await one.close();
});

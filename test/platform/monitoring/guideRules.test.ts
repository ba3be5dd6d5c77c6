import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { followAlerts } from '#shared/metrics/alertSignals.ts';
import { appendSamples } from '#shared/metrics/history.ts';
import { collectResources } from '#shared/metrics/resources.ts';
import { latencyBucketsMs } from '#shared/telemetry.ts';
import { createHealthChecks } from '../../../gateway/health.ts';
import {
  guideRules,
  objectiveRules,
  operationLines,
  resourceLines,
} from '../../../subgraphs/platform/monitoring/guideRules.ts';
import { type Json, operators, type PlatformRig } from '../observeRig.ts';
import { alertCalls, minuteMs, openAlertRig, operator } from './alertRig.ts';

let rig: PlatformRig;
beforeAll(async () => {
  rig = await openAlertRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const { evaluate, gauge, total, alertsOf, alertOf, clear } = alertCalls(() => rig);

describe("the guide's rules", () => {
  it('are there, each of the four and of the sixteen lines, for the operators', async () => {
    const rules: Json[] = await rig.ask(
      operator,
      '{ alertRules { name action severity forSeconds conditions { metric fn threshold } } }',
    );
    expect(rules).toHaveLength(29);
    expect(new Set(rules.map(({ name }) => name))).toEqual(
      new Set([...guideRules, ...objectiveRules, ...resourceLines, ...operationLines].map(({ name }) => name)),
    );
    expect(rules.filter(({ action }) => action !== 'NONE').map(({ name, action }) => [name, action])).toEqual([
      ['high_error_rate', 'INVESTIGATE'],
      ['high_response_time', 'SCALE_UP'],
      ['low_availability', 'FAILOVER'],
      ['resource_exhaustion', 'SCALE_UP'],
    ]);
    // Each line has a figure that processes collect.
    const registry = new Registry();
    const resources = collectResources({ registry, dataDir: '.', latencyMs: async () => 1 });
    const collected = new Set(registry.getMetricsAsArray().map(({ name }) => name));
    resources.close();
    expect(resourceLines.filter(({ metric }) => !collected.has(metric))).toEqual([]);
    const text = await registry.metrics();
    for (const name of [
      'mplp_cpu_percent',
      'mplp_heap_percent',
      'mplp_system_memory_percent',
      'mplp_disk_percent',
      'mplp_connection_percent',
    ]) {
      const value = Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
      expect([name, value >= 0 && value <= 100]).toEqual([name, true]);
    }
  });

  it('each line fires above its figure once it has been there for its time, and not at it', async () => {
    const lines = resourceLines.filter(({ fn }) => fn !== 'SLOPE');
    const held = new Map([
      ...lines.map(({ name, forSeconds = 0 }): [string, number] => [name, forSeconds / 60]),
      ['resource_exhaustion', 3],
    ]);
    for (const isOver of [false, true]) {
      await clear();
      const begin = Date.now() - 16 * minuteMs;
      const firing = new Map<string, number>();
      for (let minute = 0; minute <= 15; minute += 1) {
        const at = begin + minute * minuteMs;
        for (const { metric, above } of lines)
          if (metric !== 'mplp_cpu_percent')
            // Averages of several are rounded: those stay a hair below.
            await gauge(operators, metric, isOver ? above * 1.01 : minute === 0 ? above : above * (1 - 1e-12), at);
        await gauge(operators, 'mplp_cpu_percent', isOver ? 91 : 70, at);
        await evaluate(at);
        const alerts = await alertsOf(operator);
        if (!isOver) expect([minute, alerts]).toEqual([minute, []]);
        for (const { ruleName, state } of alerts)
          if (state === 'FIRING' && !firing.has(ruleName)) firing.set(ruleName, minute);
      }
      if (isOver) expect(firing).toEqual(held);
    }
  });

  it('what operators hear of beside them fires above its figure and not at it, dead letters as they grow', async () => {
    await clear();
    const begin = Date.now();
    const asOf = async (factor: number) => {
      for (const { metric, fn, above } of operationLines)
        if (fn !== 'SLOPE') await gauge(operators, metric, above * factor, begin);
    };
    await asOf(1);
    for (let minute = 3; minute >= 0; minute -= 1)
      await gauge(operators, 'mplp_dead_letters', 5, begin - minute * minuteMs);
    await evaluate(begin);
    expect(await alertsOf(operator)).toEqual([]);
    await clear();
    await asOf(1.01);
    for (let minute = 3; minute >= 0; minute -= 1)
      await gauge(operators, 'mplp_dead_letters', 5 - Math.sign(minute), begin - minute * minuteMs);
    await evaluate(begin);
    expect((await alertsOf(operator)).map(({ ruleName, severity }) => [ruleName, severity]).toSorted()).toEqual(
      operationLines.map(({ name, severity }) => [name, severity]).toSorted(),
    );
  });

  it('high_response_time asks for more instances, where an autoscaler sees it, until it is resolved', async () => {
    await clear();
    const registry = new Registry();
    const unfollow = followAlerts({
      bus: rig.bus,
      sql: rig.sql,
      registry,
      logger: rig.logger,
      operatorTenant: operators,
      instance: 'x',
      setAside: () => {},
    });
    const begin = Date.now() - 6 * minuteMs;
    const answered = (minute: number, meanMs: number) =>
      appendSamples(rig.sql, [
        {
          series: {
            tenantId: operators,
            name: 'api_response_time',
            kind: 'HISTOGRAM',
            labels: {},
            instance: 'one',
            isDelta: true,
            bounds: latencyBucketsMs,
            unit: null,
            help: null,
          },
          atMs: begin + minute * minuteMs,
          value: meanMs * 10,
          count: 10,
          buckets: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 0],
        },
      ]);
    const isAsked = async () => /mplp_scale_up_requested\{rule="high_response_time"\} 1/.test(await registry.metrics());
    for (let minute = 0; minute <= 4; minute += 1) {
      await answered(minute, 600);
      await evaluate(begin + minute * minuteMs);
      expect([minute, (await alertOf(operator, 'high_response_time')).state, await isAsked()]).toEqual([
        minute,
        'PENDING',
        false,
      ]);
    }
    await answered(5, 600);
    await evaluate(begin + 5 * minuteMs);
    expect([(await alertOf(operator, 'high_response_time')).state, await isAsked()]).toEqual(['FIRING', true]);
    const later = new Registry();
    const unfollowLater = followAlerts({
      bus: rig.bus,
      sql: rig.sql,
      registry: later,
      logger: rig.logger,
      operatorTenant: operators,
      instance: 'y',
      setAside: () => {},
    });
    await expect.poll(() => later.metrics()).toMatch('mplp_scale_up_requested{rule="high_response_time"} 1');
    await answered(6, 500);
    await evaluate(begin + 6 * minuteMs);
    expect([(await alertOf(operator, 'high_response_time')).state, await isAsked()]).toEqual(['RESOLVED', false]);
    unfollow();
    unfollowLater();
  });

  it('high_error_rate opens an error group with the metrics as they stand', async () => {
    await clear();
    const begin = Date.now() - 3 * minuteMs;
    for (let minute = 0; minute <= 3; minute += 1) {
      const at = begin + minute * minuteMs;
      await total('mplp_requests_total', 100 * minute, at);
      await total('error_rate', 6 * minute, at, 'one', { severity: 'warning' });
      await gauge(operators, 'mplp_heap_percent', 40 + minute, at);
      await evaluate(at);
    }
    const alert = await alertOf(operator, 'high_error_rate');
    expect(alert).toMatchObject({ state: 'FIRING', metric: 'error_rate', value: 0.06 });
    const fingerprint = /^error group ([0-9a-f]{32})$/.exec(alert.outcome)![1]!;
    const [group] =
      await rig.sql`SELECT status, severity, message, snapshot FROM platform.error_group WHERE tenant_id = ${operators} AND fingerprint = ${fingerprint}`;
    expect(group).toMatchObject({
      status: 'OPEN',
      severity: 'CRITICAL',
      message: 'high_error_rate: error_rate is 0.06, over 0.05',
    });
    expect(group!['snapshot'].figures).toContainEqual(
      expect.objectContaining({ name: 'mplp_heap_percent', value: 43 }),
    );
    // Callers' mistakes take no instance out.
    expect(await alertOf(operator, 'low_availability')).toBeUndefined();
  });

  it('resource_exhaustion asks for more instances by either figure', async () => {
    for (const [metric, value] of [
      ['mplp_cpu_percent', 91],
      ['mplp_system_memory_percent', 96],
    ] as const) {
      await clear();
      const begin = Date.now() - 3 * minuteMs;
      for (let minute = 0; minute <= 3; minute += 1) {
        await gauge(operators, metric, value, begin + minute * minuteMs);
        await evaluate(begin + minute * minuteMs);
      }
      expect(await alertOf(operator, 'resource_exhaustion')).toMatchObject({
        state: 'FIRING',
        action: 'SCALE_UP',
        metric,
        value,
      });
    }
  });

  it('low_availability takes the instance that fails out of readiness, where another can take over', async () => {
    const readiness = async (health: ReturnType<typeof createHealthChecks>) => (await health.ready()).ready;
    const health = { one: createHealthChecks({ checks: {} }), two: createHealthChecks({ checks: {} }) };
    const stops = (['one', 'two'] as const).map((instance) =>
      followAlerts({
        bus: rig.bus,
        sql: rig.sql,
        registry: new Registry(),
        logger: rig.logger,
        operatorTenant: operators,
        instance,
        setAside: (aside) => health[instance].setAside(aside),
      }),
    );
    for (const instances of [['one'], ['one', 'two']] as const) {
      await clear();
      const begin = Date.now() - minuteMs;
      for (let minute = 0; minute <= 1; minute += 1) {
        const at = begin + minute * minuteMs;
        for (const instance of instances) {
          await total('mplp_requests_total', 1_000 * (minute + 1), at, instance);
          await total('mplp_requests_total', 1_000 * minute, at - 50_000, instance);
        }
        await total('error_rate', 5 * minute, at - 50_000, 'one', { severity: 'critical' });
        await total('error_rate', 5 * (minute + 1), at, 'one', { severity: 'critical' });
        await evaluate(at);
      }
      const { state, outcome } = await alertOf(operator, 'low_availability');
      expect(state).toBe('FIRING');
      expect([outcome, await readiness(health.one), await readiness(health.two)]).toEqual(
        instances.length === 1
          ? ['one fails, and there is no other instance to take over', true, true]
          : ['one is taken out of readiness', false, true],
      );
    }
    await rig.sql`TRUNCATE platform.metric_sample`;
    await evaluate(Date.now() + 10 * minuteMs);
    expect([(await alertOf(operator, 'low_availability')).state, await readiness(health.one)]).toEqual([
      'RESOLVED',
      true,
    ]);
    for (const stop of stops) stop();
    for (const one of Object.values(health)) one.close();
  });

  it('a budget that burns fires while it does over a long and a short time, and not for either alone', async () => {
    await clear();
    const begin = Date.now();
    const at = (minutesAgo: number) => begin - minutesAgo * minuteMs;
    const failing = async (failures: readonly (readonly [number, number])[]) => {
      await clear();
      let [failed, requests] = [0, 0];
      await total('error_rate', failed, at(50), 'one', { severity: 'critical' });
      await total('mplp_requests_total', requests, at(50));
      for (const [minutesAgo, share] of failures) {
        requests += 10_000;
        failed += 10_000 * share;
        await total('error_rate', failed, at(minutesAgo), 'one', { severity: 'critical' });
        await total('mplp_requests_total', requests, at(minutesAgo));
      }
      await evaluate(begin + 1);
      return (await alertsOf(operator)).filter(
        ({ ruleName, state }) => ruleName === 'slo_fast_burn' && state === 'FIRING',
      );
    };
    const quiet = [4, 0] as const;
    // 14.4 times 0.05 % are 0.72 %.
    expect(await failing([[40, 0.05], quiet, [2, 0]])).toEqual([]);
    expect(await failing([[40, 0], [30, 0], [20, 0], [10, 0], quiet, [2, 0.01]])).toEqual([]);
    expect(await failing([[40, 0.05], quiet, [2, 0.01]])).toMatchObject([
      {
        severity: 'CRITICAL',
        metric: 'error_rate',
        value: expect.closeTo(0.02, 5),
        threshold: expect.closeTo(0.0072, 6),
      },
    ]);
  });

  it('memory_leak_detection fires on a heap that grows for good, and not on one that is only used', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as (options: object) => void;
    const registry = new Registry();
    const resources = collectResources({ registry, dataDir: '.' });
    const floor = async () => {
      collect({ type: 'major', execution: 'sync' });
      // The observer hears of a collection behind it.
      await new Promise((resolve) => setTimeout(resolve, 50));
      return Number(/^mplp_heap_floor_bytes (\S+)$/m.exec(await registry.metrics())?.[1]);
    };
    const kept: unknown[] = [];
    for (const leaks of [false, true]) {
      await clear();
      const begin = Date.now() - 30 * minuteMs;
      for (let step = 0; step < 12; step += 1) {
        const used = Array.from({ length: 40_000 }, (_, n) => ({ n, text: `${step} ${n}` }));
        if (leaks) kept.push(used);
        const at = begin + step * 2.5 * minuteMs;
        await gauge(operators, 'mplp_heap_floor_bytes', await floor(), at);
        await evaluate(at);
      }
      const alert = await alertOf(operator, 'memory_leak_detection');
      if (leaks) expect(alert).toMatchObject({ state: 'FIRING', metric: 'mplp_heap_floor_bytes' });
      else expect(alert?.state).not.toBe('FIRING');
    }
    expect(kept).toHaveLength(12);
    resources.close();
  });
});

import { Registry } from 'prom-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { endSeries } from '#shared/metrics/history.ts';
import { collectResources } from '#shared/metrics/resources.ts';
import { startSampler } from '#shared/metrics/sampler.ts';
import { ensureGuideRules, resourceLines } from '../../../subgraphs/platform/monitoring/guideRules.ts';
import { operators, type PlatformRig } from '../observeRig.ts';
import { alertCalls, minuteMs, openAlertRig, operator } from './alertRig.ts';

let rig: PlatformRig;
beforeAll(async () => {
  rig = await openAlertRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const { evaluate, gauge, alertsOf, alertOf, clear } = alertCalls(() => rig);

describe('lines that are about a process', () => {
  it('one process at its limit fires whatever the others do, of each line that is about a process', async () => {
    const lines = resourceLines.filter(({ fn }) => fn !== 'SLOPE');
    await clear();
    const begin = Date.now() - 16 * minuteMs;
    for (let minute = 0; minute <= 15; minute += 1) {
      const at = begin + minute * minuteMs;
      for (const metric of new Set([...lines.map((line) => line.metric), 'mplp_system_memory_percent'])) {
        const above = Math.max(...lines.filter((line) => line.metric === metric).map((line) => line.above));
        await gauge(operators, metric, metric === 'mplp_system_memory_percent' ? 96 : above * 1.02, at, 'one');
        for (const other of ['two', 'three']) await gauge(operators, metric, 0, at, other);
      }
      await evaluate(at);
    }
    const firing = (await alertsOf(operator)).filter(({ state }) => state === 'FIRING');
    expect(firing.map(({ ruleName }) => ruleName).toSorted()).toEqual(
      [...lines.map(({ name }) => name), 'resource_exhaustion'].toSorted(),
    );
  });

  it('storage_monitoring fires while one process is not sampled, and not of one that has ended', async () => {
    await clear();
    const lastAt = Date.now() - 4 * minuteMs;
    const state = async () => (await alertOf(operator, 'storage_monitoring'))?.state;
    const name = 'mplp_sample_age_seconds';
    for (const instance of ['stalled', 'ended', 'sampled']) await gauge(operators, name, 15, lastAt, instance);
    await endSeries(rig.sql, { tenantId: operators, instance: 'ended' });
    await gauge(operators, name, 15, lastAt + minuteMs - 1_000, 'sampled');
    await evaluate(lastAt + minuteMs - 1);
    expect(await state()).toBeUndefined();
    await evaluate(lastAt + minuteMs + 1_000);
    expect(await state()).toBe('FIRING');
    for (let minute = 1; minute <= 3; minute += 1) {
      await gauge(operators, name, 15, lastAt + minute * minuteMs, 'sampled');
      await evaluate(lastAt + minute * minuteMs + 1_000);
      expect([minute, await state()]).toEqual([minute, 'FIRING']);
    }
    await endSeries(rig.sql, { tenantId: operators, instance: 'stalled' });
    await evaluate(lastAt + 3 * minuteMs + 2_000);
    expect(await state()).toBe('RESOLVED');
  });

  it('a scrape is no sample: the age goes on, and what was not stored is none', async () => {
    const registry = new Registry();
    const resources = collectResources({ registry, dataDir: '.', isSampled: true });
    const age = async () => Number(/^mplp_sample_age_seconds (\S+)$/m.exec(await registry.metrics())?.[1]);
    const first = await age();
    await new Promise((resolve) => setTimeout(resolve, 30));
    const second = await age();
    expect(second).toBeGreaterThan(first);
    const sampler = (sql: PlatformRig['sql']) =>
      startSampler({
        ...{ registries: [registry], sql, prepare: async () => {}, logger: rig.logger, operatorTenant: operators },
        ...{ instance: 'aged', intervalMs: 3_600_000, onSampled: resources.sampled },
      });
    const broken = sampler({ unsafe: async () => Promise.reject(new Error('gone')) } as never);
    await expect(broken.sample()).rejects.toThrow('gone');
    expect(await age()).toBeGreaterThan(second);
    const beforeSampled = await age();
    const working = sampler(rig.sql);
    await working.sample();
    expect(await age()).toBeLessThan(beforeSampled);
    await working.close();
    await broken.close();
    resources.close();
  });

  it('rules are brought up to date at a start where nobody has changed them', async () => {
    const [changed, untouched] = ['disk_space', 'inode_usage'];
    const conditionsOf = async (name: string) =>
      (await rig.sql`SELECT conditions FROM platform.alert_rule WHERE tenant_id = ${operators} AND name = ${name}`)[0]![
        'conditions'
      ];
    const current = await conditionsOf(untouched);
    expect(current).toMatchObject([{ query: { by: ['instance'] } }]);
    const older = await conditionsOf(changed);
    older[0].query.by = [];
    await rig.sql`UPDATE platform.alert_rule SET conditions = ${JSON.stringify(older)}::text::jsonb, revision = CASE name WHEN ${changed} THEN 2 ELSE 1 END
      WHERE tenant_id = ${operators} AND name = ANY(${[changed, untouched]})`;
    await ensureGuideRules(rig.sql, operators);
    expect([await conditionsOf(changed), await conditionsOf(untouched)]).toEqual([older, current]);
    await rig.sql`UPDATE platform.alert_rule SET revision = 1 WHERE tenant_id = ${operators} AND name = ${changed}`;
    await ensureGuideRules(rig.sql, operators);
    expect(await conditionsOf(changed)).toMatchObject([{ query: { by: ['instance'] } }]);
  });
});

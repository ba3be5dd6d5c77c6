import { expect, test } from 'vitest';
import { tellModules } from '../../subgraphs/core/health/changes.ts';
import { createHealth, type ModuleChange } from '../../subgraphs/core/health/health.ts';
import { createUptimes } from '../../subgraphs/core/health/uptime.ts';
import { alice, openCoreRig } from './rig.ts';

test('calls that break show at their module, as an issue and as an alert, and in systemHealth', async () => {
  await using own = await openCoreRig();
  own.answers.set('createContext', () => {
    throw new Error('connection reset');
  });
  own.answers.set('deleteContext', { deleted: true, userErrors: [] });
  const calls = (action: string, count: number) =>
    Array.from({ length: count }, (_item, at) => ({
      ...{ stepId: `${action}${at}`, module: 'context', action, retry: { maxAttempts: 1 } },
      input:
        action === 'createContext'
          ? { input: { title: 't', root: { domain: 'd', environment: 'e' } } }
          : { contextId: '5b1f0c52-91d4-4e0b-8c6a-00000000abcd' },
    }));
  const steps = [...calls('createContext', 5), ...calls('deleteContext', 20)];
  const id = await own.start({ errorStrategy: 'CONTINUE', steps });
  await own.until(id, 'COMPLETED', 'FAILED');
  await own.service.recorder.flush();
  await own.service.health.refresh();
  const { systemHealth: health } = (await own.ask(
    alice,
    '{ systemHealth { overall components { name status errorRate } issues { component status detail since } alerts { metric severity value threshold unit } } }',
  )) as unknown as { systemHealth: Record<string, Record<string, unknown>[]> };
  const rates = new Map(health['components']!.map(({ name, errorRate }) => [name, errorRate]));
  expect(rates.get('module.context')).toBeCloseTo(5 / 25);
  expect(rates.get('workflow.calls')).toBeCloseTo(5 / 25);
  expect(rates.get('module.plan')).toBeNull();
  expect(health['issues']).toContainEqual({
    ...{ component: 'measured.steps.broken', status: 'degraded', since: expect.any(String) },
    detail: '20 % over the last 5 minutes',
  });
  expect(health['alerts']).toContainEqual({
    ...{ metric: 'steps.broken', severity: 'WARNING', value: 0.2, threshold: 0.05, unit: 'ratio' },
  });
  const [issue] = health['issues']!.filter(({ component }) => component === 'measured.steps.broken');
  const { issues } = await own.service.health.refresh();
  expect(issues.find(({ component }) => component === 'measured.steps.broken')?.since).toBe(issue!['since']);
});

test('a module that does not answer is told after two looks, that it answers again after three, once for all processes', async () => {
  await using own = await openCoreRig({ works: false });
  const { sql, logger } = own.runtime;
  let isBroken = false;
  const told = () =>
    own.events
      .filter(({ type }) => type.startsWith('module.'))
      .map(({ type, data }) => [type, (data['change'] as ModuleChange).module]);
  const process = () => {
    const telling: Promise<void>[] = [];
    const health = createHealth({
      ...{ logger, uptimes: createUptimes({ sql, logger }), onChanged: async () => {} },
      sqlOf: (module) =>
        module === 'trace' && isBroken
          ? ({ unsafe: () => Promise.reject(new Error('relation does not exist')) } as never)
          : sql,
      worker: () => ({ running: 0, slots: 1 }),
      openCircuits: () => 0,
      measured: async () => ({ metrics: [], errorRates: new Map() }),
      onModules(changes) {
        const done = tellModules(own.runtime, changes);
        telling.push(done);
        return done;
      },
    });
    return async () => {
      await health.refresh();
      await Promise.all(telling);
    };
  };
  const [one, other] = [process(), process()];
  const look = () => Promise.all([one(), other()]);
  await look();
  expect(told()).toEqual([]);
  isBroken = true;
  await look();
  isBroken = false;
  await look();
  isBroken = true;
  await look();
  // Never twice in a row so far.
  expect(told()).toEqual([]);
  await look();
  expect(told()).toEqual([['module.disconnected', 'trace']]);
  // One that starts now sees the same, and has nothing new to tell.
  await process()();
  isBroken = false;
  await look();
  await look();
  expect(told()).toHaveLength(1);
  await look();
  expect(told().slice(1)).toEqual([['module.connected', 'trace']]);
});

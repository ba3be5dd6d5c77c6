import { afterAll, beforeAll, expect, it } from 'vitest';
import { summarise } from '../../../subgraphs/platform/performance/profiler.ts';
import { type Json, openPlatformRig, operators, type PlatformRig, somebody } from '../observeRig.ts';

let rig: PlatformRig;
beforeAll(async () => {
  rig = await openPlatformRig({ METRIC_SAMPLE_MS: '3600000' });
});
afterAll(() => rig[Symbol.asyncDispose]());

const operator = somebody(operators);
const fields = `profile { id isRunning startedBy endedAt samples idleShare functions { name file line selfMs share } } userErrors { code path }`;
const start = (args = ''): Promise<Json> => rig.ask(operator, `mutation { startProfiling${args} { ${fields} } }`);
const stop = (): Promise<Json> => rig.ask(operator, `mutation { stopProfiling { ${fields} } }`);

function spinNoticeably(forMs: number): number {
  let sum = 0;
  for (const until = performance.now() + forMs; performance.now() < until; )
    for (let n = 0; n < 10_000; n += 1) sum += Math.sqrt(n);
  return sum;
}

it('finds the function that keeps the process busy, and is told to the audit', async () => {
  const { profile } = await start('(sampleIntervalUs: 500)');
  expect(profile).toMatchObject({ isRunning: true, startedBy: 'alice', endedAt: null, functions: null });
  expect((await start()).userErrors).toMatchObject([{ code: 'INVALID_STATE' }]);
  expect((await rig.ask(operator, '{ profile { id isRunning } }')).id).toBe(profile.id);
  // Long beside what else the process does meanwhile.
  spinNoticeably(2_000);
  const { profile: found } = await stop();
  expect(found).toMatchObject({ id: profile.id, isRunning: false, endedAt: expect.any(String) });
  expect(found.samples).toBeGreaterThan(50);
  const spun = found.functions.find(({ name }: Json) => name === 'spinNoticeably');
  expect(spun.file).toContain('profiling.test.ts');
  expect(spun.share).toBeGreaterThan(0.3);
  expect(found.functions.length).toBeLessThanOrEqual(50);
  expect((await stop()).userErrors).toMatchObject([{ code: 'INVALID_STATE' }]);
  const told = await rig.sql`
    SELECT action FROM platform.audit WHERE tenant_id = ${operators} AND resource_id = ${profile.id} ORDER BY position`;
  expect(told.map(({ action }) => action)).toEqual(['profile.started', 'profile.stopped']);
});

it('ends by itself when its time is over', async () => {
  const { profile } = await start('(maxSeconds: 1)');
  await expect
    .poll(async () => (await rig.ask(operator, '{ profile { isRunning } }')).isRunning, { timeout: 10_000 })
    .toBe(false);
  const ended = await rig.ask(operator, '{ profile { id samples functions { name } } }');
  expect(ended).toMatchObject({ id: profile.id, samples: expect.any(Number) });
});

it('is for the operators alone, and for no longer than two minutes', async () => {
  for (const document of [
    'mutation { startProfiling { profile { id } } }',
    'mutation { stopProfiling { profile { id } } }',
  ])
    await expect(rig.ask(somebody(), document)).rejects.toThrow('operator');
  expect(await rig.ask(somebody(), '{ profile { id } }')).toBeNull();
  expect((await start('(maxSeconds: 121)')).userErrors).toMatchObject([{ path: ['maxSeconds'] }]);
  expect((await start('(sampleIntervalUs: 99)')).userErrors).toMatchObject([{ path: ['sampleIntervalUs'] }]);
});

it('sums times up by function, waiting apart and without what the profiler takes itself', () => {
  const frame = (functionName: string, url = '', lineNumber = 0) => ({ functionName, url, lineNumber });
  const nodes = [
    { id: 1, callFrame: frame('(root)') },
    { id: 2, callFrame: frame('(idle)') },
    { id: 3, callFrame: frame('busy', 'node:fs', 9) },
    { id: 4, callFrame: frame('busy', 'node:fs', 9) },
    { id: 5, callFrame: frame('', 'node:net', 4) },
    { id: 6, callFrame: frame('post', 'node:inspector', 7) },
  ];
  expect(
    summarise({
      nodes,
      startTime: 0,
      endTime: 10,
      samples: [1, 2, 3, 4, 5, 6],
      timeDeltas: [9, 6_000, 1_000, 2_000, 1_000, 3_000],
    }),
  ).toEqual({
    samples: 6,
    idleShare: 0.6,
    functions: [
      { name: 'busy', file: 'node:fs', line: 10, selfMs: 3, share: 0.75 },
      { name: '(anonymous)', file: 'node:net', line: 5, selfMs: 1, share: 0.25 },
    ],
  });
  expect(summarise({ nodes: [], startTime: 0, endTime: 0 })).toEqual({ samples: 0, idleShare: null, functions: [] });
});

import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bucketOf, timingOf } from '../../subgraphs/core/metrics/timing.ts';
import { alice, type CoreRig, createWorkflow, type Json, made, openCoreRig, principal, ref, task } from './rig.ts';

let rig: CoreRig;
beforeAll(async () => {
  rig = await openCoreRig();
  rig.answers.set('createContext', async () => {
    await new Promise((resolve) => setTimeout(resolve, 30));
    return made('a-context');
  });
});
afterAll(() => rig[Symbol.asyncDispose]());

const estimateText =
  'estimatedDurationMs criticalPath estimate { durationMs lowMs highMs confidence samples steps { stepId durationMs lowMs highMs samples confidence basis } }';
const validate = `query ($definition: CoreWorkflowDefinitionInput!) { validateWorkflow(definition: $definition) { valid plan { ${estimateText} } } }`;
const planOf = async (definition: unknown, who = alice): Promise<Json> =>
  (await rig.field(who, validate, { definition }))['plan']!;

/** Stores what an operation of a tenant took, as if it had been called. */
function record(tenantId: string, operation: string, ms: readonly number[]): void {
  for (const one of ms) rig.service.durations.observe(tenantId, operation, one);
}

test('what was never measured is assumed and says so; waits are given', async () => {
  const steps = [task('a'), { stepId: 'b', kind: 'WAIT', waitMs: 5_000, dependsOn: ['a'] }];
  expect(await planOf({ steps }, principal('someone', { tenantId: 'never' }))).toEqual({
    estimatedDurationMs: 5_100,
    criticalPath: ['a', 'b'],
    estimate: {
      ...{ durationMs: 5_100, lowMs: 5_100, highMs: 5_100, confidence: 0, samples: 0 },
      steps: [
        { stepId: 'a', durationMs: 100, lowMs: 100, highMs: 100, samples: 0, confidence: 0, basis: 'ASSUMED' },
        { stepId: 'b', durationMs: 5_000, lowMs: 5_000, highMs: 5_000, samples: 0, confidence: 1, basis: 'GIVEN' },
      ],
    },
  });
});

test('the same operation in another workflow of the tenant is estimated by what executions took', async () => {
  const id = await rig.start({ steps: [task('first'), task('second', { dependsOn: ['first'] })] });
  await rig.until(id, 'COMPLETED');
  await rig.service.durations.flush();
  const rows = (await rig.sql`SELECT sum(count)::int AS count FROM core.operation_time
    WHERE tenant_id = 'one' AND operation = 'context.createContext'`) as unknown as { count: number }[];
  expect(rows[0]!.count).toBe(2);
  const plan = await planOf({ steps: [task('other')] });
  const [step] = plan['estimate']!['steps'] as unknown as { basis: string; samples: number; durationMs: number }[];
  expect(step).toMatchObject({ basis: 'MEASURED', samples: 2 });
  expect(step!.durationMs).toBeGreaterThanOrEqual(28);
  expect(plan['estimate']).toMatchObject({ samples: 2, confidence: 0.5, durationMs: step!.durationMs });
  // Another tenant has measured nothing.
  const foreign = await planOf({ steps: [task('other')] }, principal('someone', { tenantId: 'two' }));
  expect(foreign['estimate']!['steps']![0 as never]).toMatchObject({ basis: 'ASSUMED' });
});

test('a few calls that hung do not move the estimate, and the critical path goes by it', async () => {
  record('robust', 'context.createContext', [...Array.from({ length: 95 }, () => 40), ...Array(5).fill(600_000)]);
  record('robust', 'plan.createPlan', Array(10).fill(2_000));
  await rig.service.durations.flush();
  const who = principal('someone', { tenantId: 'robust' });
  const steps = [
    task('fast'),
    task('next', { dependsOn: ['fast'] }),
    {
      ...{ stepId: 'slow', module: 'plan', action: 'createPlan' },
      input: { input: { contextId: ref('input.contextId'), title: 't', objective: 'o', steps: [] } },
    },
  ];
  const plan = await planOf({ steps }, who);
  expect(plan['criticalPath']).toEqual(['slow']);
  const { estimate } = plan as unknown as { estimate: { durationMs: number; samples: number; confidence: number } };
  expect(Math.abs(estimate.durationMs - 2_000) / 2_000).toBeLessThan(0.026);
  expect(estimate).toMatchObject({ samples: 10, confidence: 0.95 });
  // One at a time, all of them take their time.
  const alone = await planOf({ steps, maxConcurrentSteps: 1 }, who);
  expect(Math.abs(Number(alone['estimatedDurationMs']) - 2_080) / 2_080).toBeLessThan(0.026);
});

test('a stored version tells what is measured by now, loops and sub-workflows by what they took as a whole', async () => {
  const child = await rig.createWorkflow({ steps: [task('inner')] });
  const definition = {
    steps: [
      { stepId: 'sub', workflowId: child },
      { stepId: 'again', loopWhile: 'loop.iteration < 3', body: [task('round')] },
    ],
  };
  const create = createWorkflow.replace('criticalPath', estimateText);
  const created = await rig.field(alice, create, { input: { name: 'parent', definition } });
  const workflowId = String(created['workflow']!['id']);
  const basisOf = (workflow: Json) =>
    workflow['latest']!['plan']!['estimate']!['steps']!.map(({ stepId, basis, samples }) => [stepId, basis, samples]);
  expect(basisOf(created['workflow']!)).toEqual([
    ['sub', 'ASSUMED', 0],
    ['again', 'ASSUMED', 0],
  ]);
  const id = await rig.start(undefined, { workflowId });
  await rig.until(id, 'COMPLETED');
  await rig.service.durations.flush();
  const now = await rig.field(
    alice,
    `query ($id: ID!) { workflow(workflowId: $id) { latest { plan { ${estimateText} } } } }`,
    { id: workflowId },
  );
  expect(basisOf(now)).toEqual([
    ['sub', 'MEASURED', 1],
    ['again', 'MEASURED', 1],
  ]);
  const [sub, again] = now['latest']!['plan']!['estimate']!['steps'] as unknown as { durationMs: number }[];
  // Three rounds after each other take longer than one call.
  expect(again!.durationMs).toBeGreaterThan(sub!.durationMs);
});

test('the interval holds the median of what was recorded, whatever it was', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 10_000_000 }), { minLength: 1, maxLength: 300 }), (durations) => {
      const counts = new Map<number, number>();
      for (const ms of durations) counts.set(bucketOf(ms), (counts.get(bucketOf(ms)) ?? 0) + 1);
      const timing = timingOf([...counts].map(([bucket, count]) => ({ bucket, count })))!;
      const sorted = durations.toSorted((one, other) => one - other);
      const [lower, upper] = [
        sorted[Math.floor((sorted.length - 1) / 2)]!,
        sorted[Math.ceil((sorted.length - 1) / 2)]!,
      ];
      expect(timing.samples).toBe(durations.length);
      expect(timing.medianMs).toBeGreaterThanOrEqual(lower * 0.975);
      expect(timing.medianMs).toBeLessThanOrEqual(upper * 1.025 + 1);
      expect(timing.lowMs).toBeLessThanOrEqual(timing.medianMs);
      expect(timing.highMs).toBeGreaterThanOrEqual(timing.medianMs);
      expect(timing.confidence).toBeGreaterThanOrEqual(0);
      expect(timing.confidence).toBeLessThan(1);
    }),
  );
});

test('what steps hold is estimated too: the most at the same time, and for how long', async () => {
  record('held', 'context.createContext', Array(20).fill(1_000));
  await rig.service.durations.flush();
  const resources = { requirements: { cpuCores: 2, memoryMb: 100 } };
  const steps = [
    task('a', { resources }),
    task('b', { resources }),
    task('c', { resources: { requirements: { cpuCores: 1 } }, dependsOn: ['a', 'b'] }),
  ];
  const more = 'estimate { calls peak { cpuCores memoryMb storageMb } resourceSeconds { cpuCores } }';
  const text = validate.replace(estimateText, more);
  const ask = async (definition: object) =>
    (await rig.field(principal('someone', { tenantId: 'held' }), text, { definition }))['plan']!['estimate'];
  const side = (await ask({ steps })) as unknown as { resourceSeconds: { cpuCores: number } };
  expect(side).toMatchObject({ calls: 3, peak: { cpuCores: 4, memoryMb: 200, storageMb: 0 } });
  expect(Math.abs(side.resourceSeconds.cpuCores - 5) / 5).toBeLessThan(0.026);
  expect(await ask({ steps, maxConcurrentSteps: 1 })).toMatchObject({ peak: { cpuCores: 2, memoryMb: 100 } });
});

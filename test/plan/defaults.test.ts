import { afterAll, beforeAll, expect, test } from 'vitest';
import { newId } from '#shared/ids.ts';
import { agents, alice, type Json, openPlanRig, type PlanRig } from './rig.ts';

let rig: PlanRig;
beforeAll(async () => {
  rig = await openPlanRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const [agent, other] = agents as [(typeof agents)[0], (typeof agents)[0]];
const hour = 3_600_000;
const codes = (payload: Json) => payload['userErrors']!.map(({ code }) => String(code));
const step = (more: object = {}) => ({ id: newId(), description: 'work', durationMs: hour, ...more });
const approve = (planId: string) =>
  rig.ask(alice, 'mutation ($id: ID!) { approvePlan(planId: $id) { userErrors { code } } }', { id: planId });
const execute = (input: object) =>
  rig.field(
    alice,
    'mutation ($input: ExecutePlanInput!) { executePlan(input: $input) { execution { id mode maxConcurrentTasks deadlineAt startedAt } userErrors { code } } }',
    { input },
  );
const optimize = (input: object) =>
  rig.field(
    alice,
    'mutation ($input: OptimizePlanInput!) { optimizePlan(input: $input) { after { makespanMs } crashCost userErrors { code path } } }',
    { input },
  );

test('a plan is run as it says, unless the call says otherwise', async () => {
  const [long, short] = [step({ durationMs: 9 * hour }), step({ durationMs: hour / 4 })];
  const executionConfig = { strategy: 'WEIGHTED_SHORTEST', parallel: false, leaseMs: 200_000, timeoutMs: 7_200_000 };
  const input = { steps: [long, short], maxConcurrentTasks: 5, executionConfig };
  const started = async (options: object) => {
    const planId = await rig.createPlan(input);
    await approve(planId);
    return (await execute({ planId, ...options }))['execution']!;
  };
  const run = await started({});
  expect(run['maxConcurrentTasks']).toBe(1);
  expect(Date.parse(String(run['deadlineAt'])) - Date.parse(String(run['startedAt']))).toBe(7_200_000);
  const before = Date.now();
  const lease = (await rig.claim(agent, String(run['id'])))['lease']!;
  expect(lease['stepId']).toBe(short.id);
  expect(Date.parse(String(lease['leaseUntil'])) - before).toBeGreaterThan(100_000);
  expect((await rig.claim(other, String(run['id'])))['lease']).toBeNull();

  const otherwise = await started({
    strategy: 'CRITICAL_PATH',
    maxConcurrentTasks: 2,
    leaseMs: 5_000,
    timeoutMs: 60_000,
  });
  expect(otherwise['maxConcurrentTasks']).toBe(2);
  expect(Date.parse(String(otherwise['deadlineAt'])) - Date.parse(String(otherwise['startedAt']))).toBe(60_000);
  const taken = (await rig.claim(agent, String(otherwise['id'])))['lease']!;
  expect(taken['stepId']).toBe(long.id);
  expect(Date.parse(String(taken['leaseUntil'])) - Date.now()).toBeLessThan(6_000);
});

test('a run in sequence hands out one step at a time, one in parallel as many as it may', async () => {
  const started = async (executionConfig: object, options: object) => {
    const planId = await rig.createPlan({ steps: [step(), step(), step()], maxConcurrentTasks: 2, executionConfig });
    await approve(planId);
    return (await execute({ planId, ...options }))['execution']!;
  };
  const claims = async (executionId: string) => {
    const found = [];
    for (const who of [agent, other, agent]) found.push((await rig.claim(who, executionId))['lease'] !== null);
    return found;
  };
  for (const [config, options, mode, maxConcurrentTasks, given] of [
    [{}, {}, 'PARALLEL', 2, [true, true, false]],
    [{}, { mode: 'SEQUENTIAL', maxConcurrentTasks: 3 }, 'SEQUENTIAL', 1, [true, false, false]],
    [{ parallel: false }, {}, 'SEQUENTIAL', 1, [true, false, false]],
    [{ parallel: false }, { mode: 'PARALLEL' }, 'PARALLEL', 2, [true, true, false]],
    [{ parallel: false }, { maxConcurrentTasks: 3 }, 'PARALLEL', 3, [true, true, true]],
  ] as const) {
    const run = await started(config, options);
    expect(run).toMatchObject({ mode, maxConcurrentTasks });
    expect(await claims(String(run['id']))).toEqual(given);
  }
  const planId = await rig.createPlan({ steps: [step(), step()] });
  const dry = await rig.field(
    alice,
    'mutation ($id: ID!) { executePlan(input: { planId: $id, mode: SEQUENTIAL, dryRun: true }) { makespanMs userErrors { code } } }',
    { id: planId },
  );
  expect(dry).toEqual({ makespanMs: 2 * hour, userErrors: [] });
});

test('a plan is optimized for what it says, unless the call says otherwise', async () => {
  const crash = { minDurationMs: hour / 2, costPerHour: 100 };
  const [a, b] = [
    step({ crash, demands: [{ resourceId: 'crew', amount: 1 }] }),
    step({ crash, demands: [{ resourceId: 'crew', amount: 1 }] }),
  ];
  const optimization = {
    strategy: 'COST_OPTIMAL',
    targetMakespanMs: 1.5 * hour,
    constraints: { availableResources: [{ resourceId: 'crew', capacity: 1 }] },
  };
  const planId = await rig.createPlan({
    steps: [a, { ...b, dependsOn: [a.id] }],
    resources: [{ id: 'crew', capacity: 2 }],
    optimization,
  });
  expect(await optimize({ planId })).toEqual({ after: { makespanMs: 1.5 * hour }, crashCost: 50, userErrors: [] });
  expect(await optimize({ planId, strategy: 'TIME_OPTIMAL' })).toEqual({
    ...{ after: { makespanMs: 2 * hour }, crashCost: null, userErrors: [] },
  });
  const free = await rig.createPlan({
    steps: [a, b],
    resources: [{ id: 'crew', capacity: 2 }],
    optimization: { constraints: optimization.constraints },
  });
  expect((await optimize({ planId: free }))['after']).toEqual({ makespanMs: 2 * hour });
  expect((await optimize({ planId: free, constraints: {} }))['after']).toEqual({ makespanMs: hour });
  expect(codes(await optimize({ planId: free, constraints: { maxDurationMs: 1 } }))).toEqual([
    'INFEASIBLE_CONSTRAINTS',
  ]);
});

const plan = (id: string) =>
  rig.field(
    alice,
    `query ($id: ID!) { plan(planId: $id) {
       optimization { strategy targetMakespanMs maxCrashCost constraints { maxCost minQuality availableResources { resourceId capacity } } }
       executionConfig { strategy parallel leaseMs timeoutMs stepTimeoutMs } } }`,
    { id },
  );
const patch = (id: string, given: object) =>
  rig.field(
    alice,
    'mutation ($id: ID!, $patch: PlanPatch!) { updatePlan(planId: $id, patch: $patch) { userErrors { code path } } }',
    { id, patch: given },
  );

test('what a plan says of its running and optimizing is told, changed and cleared', async () => {
  const planId = await rig.createPlan({ steps: [step()] });
  expect(await plan(planId)).toEqual({ optimization: null, executionConfig: null });
  await patch(planId, {
    optimization: { strategy: 'BALANCED', constraints: { minQuality: 10 } },
    executionConfig: { stepTimeoutMs: 500 },
  });
  expect(await plan(planId)).toEqual({
    optimization: {
      ...{ strategy: 'BALANCED', targetMakespanMs: null, maxCrashCost: null },
      constraints: { maxCost: null, minQuality: 10, availableResources: [] },
    },
    executionConfig: { strategy: null, parallel: null, leaseMs: null, timeoutMs: null, stepTimeoutMs: 500 },
  });
  await patch(planId, { optimization: null });
  expect(await plan(planId)).toMatchObject({ optimization: null, executionConfig: { stepTimeoutMs: 500 } });
});

test.each([
  [{ optimization: { strategy: 'BALANCED', targetMakespanMs: 1 } }],
  [{ optimization: { constraints: { minQuality: 101 } } }],
  [{ optimization: { constraints: { availableResources: [{ resourceId: 'ship', capacity: 1 }] } } }],
  [{ executionConfig: { leaseMs: 1 } }],
  [{ executionConfig: { timeoutMs: 1 } }],
])('what makes no sense is refused: %j', async (given) => {
  const planId = await rig.createPlan({ steps: [step()], resources: [{ id: 'crew', capacity: 1 }] });
  expect(codes(await patch(planId, given))).toEqual(['VALIDATION_FAILED']);
  expect(await plan(planId)).toEqual({ optimization: null, executionConfig: null });
});

test('a resource that it is optimized with stays in the plan', async () => {
  const planId = await rig.createPlan({
    steps: [step()],
    resources: [{ id: 'crew', capacity: 1 }],
    optimization: { constraints: { availableResources: [{ resourceId: 'crew', capacity: 0 }] } },
  });
  expect(codes(await patch(planId, { resources: [] }))).toEqual(['VALIDATION_FAILED']);
  expect(codes(await patch(planId, { resources: [], optimization: null }))).toEqual([]);
});

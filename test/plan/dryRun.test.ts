import { afterAll, beforeAll, expect, test } from 'vitest';
import { newId } from '#shared/ids.ts';
import { alice, openPlanRig, type PlanRig } from './rig.ts';

let rig: PlanRig;
beforeAll(async () => {
  rig = await openPlanRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const hour = 3_600_000;
const step = (id: string, more: object = {}) => ({ id, description: id, durationMs: hour, ...more });
const dryRun = (planId: string, agentPool: readonly object[] | null = null) =>
  rig.field(
    alice,
    `mutation ($input: ExecutePlanInput!) { executePlan(input: $input) {
      execution { id } makespanMs cost schedule { stepId startMs finishMs agentId } userErrors { code message } } }`,
    { input: { planId, dryRun: true, ...(agentPool && { agentPool }) } },
  );

test('steps go to the agents who can do them, the least loaded first, and cost what these cost', async () => {
  const [a, b, c] = [newId(), newId(), newId()];
  const planId = await rig.createPlan({
    steps: [
      step(a, { requiredCapabilities: ['code'] }),
      step(b, { requiredCapabilities: ['code', 'test'] }),
      step(c, { assignedAgents: ['tester'] }),
    ],
  });
  const pool = [
    { agentId: 'coder', capabilities: ['code'], costPerHour: 10 },
    { agentId: 'tester', capabilities: ['code', 'test'], costPerHour: 30 },
  ];
  expect(await dryRun(planId, pool)).toEqual({
    ...{ execution: null, makespanMs: 2 * hour, cost: 70, userErrors: [] },
    schedule: [
      { stepId: a, startMs: 0, finishMs: hour, agentId: 'coder' },
      { stepId: b, startMs: 0, finishMs: hour, agentId: 'tester' },
      { stepId: c, startMs: hour, finishMs: 2 * hour, agentId: 'tester' },
    ],
  });
  // Without a pool nobody is waited for.
  expect(await dryRun(planId)).toMatchObject({ makespanMs: hour, cost: null, schedule: [{ agentId: null }, {}, {}] });
});

test('an agent works while it is there, and what it could not end it does not begin', async () => {
  const [a, b] = [newId(), newId()];
  const planId = await rig.createPlan({ steps: [step(a), step(b, { dependsOn: [a] })] });
  const early = { agentId: 'early', availableUntilMs: 1.5 * hour };
  const late = { agentId: 'late', availableFromMs: 3 * hour };
  expect((await dryRun(planId, [early, late]))['schedule']).toEqual([
    { stepId: a, startMs: 0, finishMs: hour, agentId: 'early' },
    { stepId: b, startMs: 3 * hour, finishMs: 4 * hour, agentId: 'late' },
  ]);
  expect(await dryRun(planId, [early])).toMatchObject({
    schedule: null,
    userErrors: [{ code: 'RESOURCE_ALLOCATION_FAILED', message: expect.stringContaining(b) }],
  });
  await rig.ask(alice, 'mutation ($id: ID!) { approvePlan(planId: $id) { userErrors { code } } }', { id: planId });
  const start = (agentPool: readonly object[]) =>
    rig.field(
      alice,
      'mutation ($input: ExecutePlanInput!) { executePlan(input: $input) { plan { status } userErrors { code } } }',
      { input: { planId, agentPool } },
    );
  expect(await start([early])).toEqual({ plan: null, userErrors: [{ code: 'RESOURCE_ALLOCATION_FAILED' }] });
  expect(await start([early, late])).toEqual({ plan: { status: 'IN_PROGRESS' }, userErrors: [] });
});

test('a pool without who is assigned, with an agent twice, or gone before it comes is refused', async () => {
  const a = newId();
  const planId = await rig.createPlan({ steps: [step(a, { assignedAgents: ['bob'] })] });
  const code = async (pool: readonly object[]) => (await dryRun(planId, pool))['userErrors']!.map((one) => one['code']);
  expect(await code([{ agentId: 'carol' }])).toEqual(['RESOURCE_ALLOCATION_FAILED']);
  expect(await code([{ agentId: 'bob' }, { agentId: 'bob' }])).toEqual(['VALIDATION_FAILED']);
  expect(await code([{ agentId: 'bob', availableFromMs: 5, availableUntilMs: 5 }])).toEqual(['VALIDATION_FAILED']);
  expect(await code([{ agentId: 'bob' }])).toEqual([]);
});

test('a hard constraint of a resource holds in a dry run as in a run', async () => {
  const planId = await rig.createPlan({
    resources: [{ id: 'desk', capacity: 2 }],
    steps: [newId(), newId()].map((id) => step(id, { demands: [{ resourceId: 'desk', amount: 1 }] })),
    constraints: [{ type: 'RESOURCE', description: 'one desk', parameters: { resourceId: 'desk', maxAmount: 1 } }],
  });
  expect((await dryRun(planId))['makespanMs']).toBe(2 * hour);
});

test('what is preferred is planned and not waited for, what is optional neither', async () => {
  const desk = (availability: string) => ({ demands: [{ resourceId: 'desk', amount: 1, availability }] });
  const times = async (availability: string) => {
    const planId = await rig.createPlan({
      resources: [{ id: 'desk', capacity: 1 }],
      steps: [newId(), newId()].map((id) => step(id, desk(availability))),
    });
    const { after } = await rig.field(
      alice,
      'mutation ($id: ID!) { optimizePlan(input: { planId: $id, iterations: 50 }) { after { makespanMs } userErrors { code } } }',
      { id: planId },
    );
    return [after!['makespanMs'], (await dryRun(planId))['makespanMs']].map(Number);
  };
  expect(await times('REQUIRED')).toEqual([2 * hour, 2 * hour]);
  expect(await times('PREFERRED')).toEqual([2 * hour, hour]);
  expect(await times('OPTIONAL')).toEqual([hour, hour]);
});

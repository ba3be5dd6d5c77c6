import { afterAll, beforeAll, expect, test } from 'vitest';
import { newId } from '#shared/ids.ts';
import { agents, alice, openPlanRig, type PlanRig } from './rig.ts';

let rig: PlanRig;
beforeAll(async () => {
  rig = await openPlanRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const [first, second] = agents as [(typeof agents)[0], (typeof agents)[0]];
const step = (id: string, more: object = {}) => ({ id, description: id, durationMs: 1_000, ...more });
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const run = (id: string) =>
  rig.field(
    alice,
    'query ($id: ID!) { planExecution(executionId: $id) { status statusReason taskProgress { stepId status failures error } } }',
    { id },
  );

test('an attempt past its time fails, whatever its lease says, and is tried again', async () => {
  const { executionId } = await rig.startPlan({
    steps: [step(newId(), { timeoutMs: 200 })],
    failureResolver: { strategies: ['RETRY'], maxAttempts: 2, delayMs: 100 },
  });
  const slow = (await rig.claim(first, executionId))['lease']!;
  await pause(250);
  expect((await rig.complete(first, slow))['userErrors']).toMatchObject([{ code: 'LEASE_LOST' }]);
  await rig.service.runs.sweep();
  expect(await run(executionId)).toMatchObject({
    status: 'RUNNING',
    taskProgress: [{ status: 'PENDING', failures: 1, error: expect.stringContaining('timeout') }],
  });
  await pause(150);
  expect((await rig.claim(second, executionId))['lease']).not.toBeNull();
  await pause(250);
  await rig.service.runs.sweep();
  expect(await run(executionId)).toMatchObject({ status: 'FAILED', taskProgress: [{ status: 'FAILED', failures: 2 }] });
});

test('the run gives a time to steps that have none of their own', async () => {
  const [given, own] = [newId(), newId()];
  const { executionId } = await rig.startPlan(
    {
      steps: [step(given), step(own, { timeoutMs: 60_000 })],
      failureResolver: { strategies: ['SKIP'] },
    },
    { stepTimeoutMs: 200 },
  );
  await rig.claim(first, executionId);
  await rig.claim(second, executionId);
  await pause(250);
  await rig.service.runs.sweep();
  const { taskProgress } = await run(executionId);
  expect(taskProgress!.find(({ stepId }) => String(stepId) === given)['status']).toBe('SKIPPED');
  expect(taskProgress!.find(({ stepId }) => String(stepId) === own)['status']).toBe('LEASED');
});

test.each([
  [undefined, 'BLOCKED'],
  [false, 'PENDING'],
])('lapsed leases are failed attempts unless the plan says otherwise (lapsesCount %s)', async (lapsesCount, status) => {
  const { executionId } = await rig.startPlan({
    steps: [step(newId())],
    failureResolver: { strategies: ['RETRY', 'MANUAL_INTERVENTION'], maxAttempts: 2, lapsesCount },
  });
  for (let lapse = 0; lapse < 2; lapse += 1) {
    expect((await rig.claim(first, executionId, { leaseMs: 100 }))['lease']).not.toBeNull();
    await pause(150);
    await rig.service.runs.sweep();
  }
  expect(await run(executionId)).toMatchObject({ taskProgress: [{ status }] });
});

test('a blocked step that nobody decides about in time fails the run', async () => {
  const { executionId } = await rig.startPlan({
    steps: [step(newId())],
    failureResolver: { strategies: ['MANUAL_INTERVENTION'], manualTimeoutMs: 1_000 },
  });
  await rig.fail(first, (await rig.claim(first, executionId))['lease']!, { message: 'no paper' });
  await rig.service.runs.sweep();
  expect(await run(executionId)).toMatchObject({ status: 'RUNNING', taskProgress: [{ status: 'BLOCKED' }] });
  await pause(1_050);
  await rig.service.runs.sweep();
  expect(await run(executionId)).toMatchObject({ status: 'FAILED', taskProgress: [{ status: 'FAILED' }] });
});

test('an applied schedule orders what is handed out', async () => {
  const ids = Array.from({ length: 6 }, () => newId());
  const planId = await rig.createPlan({
    steps: ids.map((id, at) =>
      step(id, { durationMs: 1_000 * (at + 1), demands: [{ resourceId: 'crane', amount: 1 }] }),
    ),
    resources: [{ id: 'crane', capacity: 1 }],
  });
  const optimized = await rig.field(
    alice,
    'mutation ($id: ID!) { optimizePlan(input: { planId: $id, apply: true, iterations: 50 }) { schedule { stepId startMs } userErrors { code } } }',
    { id: planId },
  );
  const expected = optimized['schedule']!.map(({ stepId, startMs }) => ({
    stepId: String(stepId),
    startMs: Number(startMs),
  }))
    .sort((left, right) => left.startMs - right.startMs)
    .map(({ stepId }) => stepId);
  await rig.ask(alice, 'mutation ($id: ID!) { approvePlan(planId: $id) { userErrors { code } } }', { id: planId });
  const { execution } = await rig.field(
    alice,
    'mutation ($id: ID!) { executePlan(input: { planId: $id }) { execution { id } userErrors { code } } }',
    { id: planId },
  );
  const taken: string[] = [];
  for (const _ of ids) {
    const lease = (await rig.claim(first, String(execution!['id'])))['lease']!;
    taken.push(String(lease['stepId']));
    await rig.complete(first, lease);
  }
  expect(taken).toEqual(expected);
});

import { afterAll, beforeAll, expect, test } from 'vitest';
import { newId } from '#shared/ids.ts';
import { agents, alice, leaseInput, openPlanRig, type PlanRig } from './rig.ts';

let rig: PlanRig;
beforeAll(async () => {
  rig = await openPlanRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

test('a repeat of an optimisation that was applied changes nothing, also with the version it was called for', async () => {
  const planId = await rig.createPlan({ steps: [{ description: 'one' }, { description: 'two' }] });
  const run = (input: object) =>
    rig.field(
      alice,
      `mutation ($input: OptimizePlanInput!) { optimizePlan(input: $input) {
        applied before { makespanMs } schedule { stepId } plan { version schedule { makespanMs steps { stepId } } } userErrors { code } } }`,
      { input: { planId, apply: true, iterations: 50, ...input } },
    );
  const once = { idempotencyKey: 'optimise-once', expectedVersion: 1 };
  const first = await run(once);
  expect(first).toMatchObject({ applied: true, plan: { version: 2 }, userErrors: [] });
  expect(await run(once)).toEqual({
    ...{ applied: true, before: null, schedule: null, userErrors: [] },
    plan: first['plan'],
  });
  expect(await run({ ...once, seed: 2 })).toMatchObject({ userErrors: [{ code: 'IDEMPOTENCY_MISMATCH' }] });
  expect(await run({ expectedVersion: 1 })).toMatchObject({ userErrors: [{ code: 'VERSION_CONFLICT' }] });
});

test('a key that was used is answered as the first time, though the work would be refused or do something else by now', async () => {
  const steps = [1, 2].map((at) => ({ id: newId(), description: `step ${at}`, durationMs: 1_000 }));
  const { executionId } = await rig.startPlan({
    steps: [{ ...steps[0]! }, { ...steps[1]!, dependsOn: [steps[0]!.id] }],
  });
  const [first, second] = agents as [(typeof agents)[0], (typeof agents)[0]];
  const claimed = await rig.claim(first, executionId, { key: 'claim' });
  // Another's key of the same name is another key; what it was told then it is told again, though there is something by now.
  const nothing = await rig.claim(second, executionId, { key: 'claim' });
  expect(nothing).toMatchObject({ lease: null, userErrors: [] });
  const finish = (result: unknown, key = 'done') =>
    rig.field(
      first,
      'mutation ($l: StepLeaseInput!, $r: JSON, $key: String) { completeStep(lease: $l, result: $r, idempotencyKey: $key) { step { status result } execution { endedSteps } userErrors { code } } }',
      { l: leaseInput(claimed['lease']!), r: result, key },
    );
  const done = await finish({ n: 1 });
  expect(done).toMatchObject({ step: { status: 'COMPLETED', result: { n: 1 } }, userErrors: [] });
  const count = async () =>
    (
      await rig.sql`SELECT (SELECT count(*) FROM plan.event)::int AS events, (SELECT count(*) FROM plan.idempotency)::int AS keys,
      (SELECT sum(attempt) FROM plan.step_execution WHERE execution_id = ${executionId})::int AS attempts`
    )[0];
  const before = await count();
  expect(await finish({ n: 1 })).toEqual(done);
  expect(await rig.claim(second, executionId, { key: 'claim' })).toMatchObject({ lease: null, userErrors: [] });
  // The first claim would find the second step now; its own lease has ended.
  expect(await rig.claim(first, executionId, { key: 'claim' })).toMatchObject({ lease: null, userErrors: [] });
  for (const other of [finish({ n: 2 }), rig.claim(first, executionId, { key: 'done' })])
    expect(await other).toMatchObject({ userErrors: [{ code: 'IDEMPOTENCY_MISMATCH' }] });
  expect(await finish({ n: 1 }, 'another')).toMatchObject({ userErrors: [{ code: 'LEASE_LOST' }] });
  expect(await count()).toEqual(before);
});

test('what a mutation is not asked for is not read, and what it is asked for is as it stands', async () => {
  const { executionId, planId } = await rig.startPlan({ steps: [{ id: newId(), description: 'only' }] });
  const [first] = agents as [(typeof agents)[0]];
  const { lease } = await rig.field(
    first,
    'mutation ($id: ID!) { claimStep(executionId: $id) { lease { executionId stepId epoch step { id status } } execution { runningSteps } } }',
    { id: executionId },
  );
  expect(lease).toMatchObject({ step: { status: 'IN_PROGRESS' } });
  const both = await rig.ask(
    first,
    `mutation ($l: StepLeaseInput!) {
      reported: reportStepProgress(lease: $l, progress: 0.5) { lease { progress } directive }
      ended: completeStep(lease: $l) { ...Ended }
    } fragment Ended on StepExecutionPayload { execution { status endedSteps } }`,
    { l: leaseInput(lease!) },
  );
  expect(both).toEqual({
    reported: { lease: { progress: 0.5 }, directive: 'CONTINUE' },
    ended: { execution: { status: 'COMPLETED', endedSteps: 1 } },
  });
  expect(await rig.field(alice, 'query ($id: ID!) { plan(planId: $id) { status } }', { id: planId })).toEqual({
    status: 'COMPLETED',
  });
});

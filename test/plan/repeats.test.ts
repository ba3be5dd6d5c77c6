import { afterAll, beforeAll, expect, test } from 'vitest';
import { alice, openPlanRig, type PlanRig } from './rig.ts';

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

import { afterAll, beforeAll, expect, test } from 'vitest';
import { newId } from '#shared/ids.ts';
import { agents, alice, type Json, openPlanRig, type PlanRig, stranger } from './rig.ts';

let rig: PlanRig;
beforeAll(async () => {
  rig = await openPlanRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const [first, second] = agents as [(typeof agents)[0], (typeof agents)[0]];
const hour = 3_600_000;
const step = (id: string, more: object = {}) => ({ id, description: id, durationMs: hour, ...more });
const option =
  'kind target parameters { durationMs stepIds lagMs } makespanMs timeReductionMs cost costIncrease successProbability withinLimits';
const adapt = (input: object, who = alice) =>
  rig.field(
    who,
    `mutation ($input: AdaptPlanInput!) { adaptPlan(input: $input) { plan { version deadlineMs schedule { makespanMs score violations { kind } steps { stepId startMs } } steps { id durationMs status assignedAgents } } options { ${option} } chosen { ${option} schedule { stepId startMs finishMs } } applied userErrors { code path } } }`,
    { input },
  );
const kinds = (payload: Json) => payload['options']!.map(({ kind }) => String(kind));

test('a deadline that moved is kept by the cheapest change that keeps it, within the limits', async () => {
  const [a, b] = [newId(), newId()];
  const planId = await rig.createPlan({
    steps: [
      step(a, { costPerHour: 100, crash: { minDurationMs: hour / 2, costPerHour: 300 } }),
      step(b, { dependsOn: [a], costPerHour: 100 }),
    ],
  });
  const limits = { planId, trigger: 'DEADLINE_MOVED', deadlineMs: 1.8 * hour, minSuccessProbability: 0.9 };
  const refused = await adapt({ ...limits, maxCostIncrease: 0.1 });
  expect(refused).toMatchObject({ plan: null, userErrors: [{ code: 'ADAPTATION_FAILED' }] });
  const tried = await adapt({ ...limits, maxCostIncrease: 0.6, apply: false });
  // Half an hour less at 100, and half an hour saved at 300.
  expect(tried).toMatchObject({
    applied: false,
    chosen: {
      kind: 'CRASH',
      parameters: { durationMs: hour / 2, stepIds: null },
      target: a,
      makespanMs: 1.5 * hour,
      timeReductionMs: hour / 2,
      costIncrease: 100,
    },
    plan: { version: 1, schedule: null },
  });
  expect(kinds(tried)).toEqual(expect.arrayContaining(['RESCHEDULE', 'FAST_TRACK', 'CRASH']));
  const once = { ...limits, maxCostIncrease: 0.6, idempotencyKey: 'adapt-once', expectedVersion: 1 };
  const done = await adapt(once);
  expect(done).toMatchObject({
    applied: true,
    userErrors: [],
    plan: {
      version: 2,
      deadlineMs: 1.8 * hour,
      schedule: {
        ...{ makespanMs: 1.5 * hour, score: null, violations: [] },
        steps: [
          { stepId: a, startMs: 0 },
          { stepId: b, startMs: hour / 2 },
        ],
      },
    },
  });
  expect(done['plan']!['steps']!.find(({ id }) => String(id) === a)['durationMs']).toBe(hour / 2);
  const again = { applied: true, options: null, chosen: null, plan: done['plan'], userErrors: [] };
  expect(await adapt(once)).toEqual(again);
  const stale = await adapt({ ...limits, expectedVersion: 1 });
  expect(stale['userErrors']).toMatchObject([{ code: 'VERSION_CONFLICT' }]);
  expect((await adapt(limits, stranger))['userErrors']).toMatchObject([{ code: 'NOT_FOUND' }]);
});

test('an agent that is lost leaves its unstarted steps of a run to the others', async () => {
  const [a, b] = [newId(), newId()];
  const { planId, executionId } = await rig.startPlan({
    steps: [step(a, { assignedAgents: ['agent-1'] }), step(b, { dependsOn: [a], assignedAgents: ['agent-1'] })],
  });
  await rig.complete(first, (await rig.claim(first, executionId))['lease']!);
  expect((await rig.claim(second, executionId))['lease']).toBeNull();
  const done = await adapt({ planId, trigger: 'AGENT_LOST', agentId: 'agent-1' });
  expect(done).toMatchObject({ userErrors: [], chosen: { kind: 'REASSIGN', parameters: { stepIds: [b] } } });
  const lease = (await rig.claim(second, executionId))['lease']!;
  expect(lease['stepId']).toBe(b);
  expect((await rig.complete(second, lease))['execution']).toMatchObject({ status: 'COMPLETED' });
});

test('a failed step is done again or given up, and the run goes on', async () => {
  const [a, b] = [newId(), newId()];
  const { planId, executionId } = await rig.startPlan({
    steps: [step(a), step(b, { dependsOn: [a] })],
    failureResolver: { strategies: ['MANUAL_INTERVENTION'] },
  });
  await rig.fail(first, (await rig.claim(first, executionId))['lease']!, { message: 'no paper' });
  const tight = { planId, trigger: 'STEP_FAILED', stepId: a };
  const tried = await adapt({ ...tight, apply: false });
  expect(kinds(tried)).toEqual(expect.arrayContaining(['RETRY', 'SKIP']));
  const done = await adapt(tight);
  expect(done).toMatchObject({ userErrors: [], chosen: { kind: 'SKIP', makespanMs: hour } });
  expect((await rig.claim(first, executionId))['lease']).toMatchObject({ stepId: b });
});

test('steps out of scope are gone with their relations; a wrong trigger changes nothing', async () => {
  const [a, b, c] = [newId(), newId(), newId()];
  const planId = await rig.createPlan({
    steps: [step(a), step(b, { dependsOn: [a] }), step(c, { dependsOn: [b] })],
  });
  expect((await adapt({ planId, trigger: 'SCOPE_CHANGED' }))['userErrors']).toMatchObject([
    { code: 'VALIDATION_FAILED' },
  ]);
  expect((await adapt({ planId, trigger: 'STEP_FAILED', stepId: a }))['userErrors']).toMatchObject([
    { code: 'INVALID_STATE' },
  ]);
  expect((await adapt({ planId, trigger: 'SCOPE_CHANGED', removeStepIds: [a, b, c] }))['userErrors']).toMatchObject([
    { code: 'VALIDATION_FAILED' },
  ]);
  const done = await adapt({ planId, trigger: 'SCOPE_CHANGED', removeStepIds: [b] });
  expect(done).toMatchObject({ userErrors: [], plan: { version: 2 } });
  expect(done['plan']!['steps']!.map(({ id }) => String(id))).toEqual([a, c]);
});

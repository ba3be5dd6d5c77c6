import { afterAll, beforeAll, expect, test } from 'vitest';
import { newId } from '#shared/ids.ts';
import { agents, alice, openPlanRig, type PlanRig } from './rig.ts';

let rig: PlanRig;
beforeAll(async () => {
  rig = await openPlanRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const [first, second] = [agents[0]!, agents[1]!];
type Lease = Awaited<ReturnType<typeof rig.claim>>;
const keyOf = (lease: Lease) => ({
  executionId: lease['executionId'],
  stepId: lease['stepId'],
  epoch: lease['epoch'],
});
const claim = async (who: typeof first, executionId: string) =>
  (
    await rig.field(
      who,
      'mutation ($id: ID!) { claimStep(executionId: $id) { lease { executionId stepId epoch progress state } userErrors { code } } }',
      { id: executionId },
    )
  )['lease']!;
const report = (who: typeof first, lease: Lease, state: unknown, progress = 0.4) =>
  rig.field(
    who,
    'mutation ($lease: StepLeaseInput!, $p: Float, $state: JSON) { reportStepProgress(lease: $lease, progress: $p, state: $state) { lease { progress state } userErrors { code path } } }',
    { lease: keyOf(lease), p: progress, state },
  );
const reassign = (planId: string, stepId: string, agentId: string, transferState: boolean) =>
  rig.field(
    alice,
    'mutation ($p: ID!, $s: ID!, $a: ID!, $t: Boolean!) { reassignTask(planId: $p, stepId: $s, agentId: $a, transferState: $t) { userErrors { code } } }',
    { p: planId, s: stepId, a: agentId, t: transferState },
  );

test.each([
  [true, { progress: 0.4, state: { page: 7 } }],
  [false, { progress: 0, state: null }],
])(
  'a step that is given to another goes on from what was reported where that is transferred: %s',
  async (transfer, next) => {
    const stepId = newId();
    const { planId, executionId } = await rig.startPlan({ steps: [{ id: stepId, description: 'read' }] });
    const lease = await claim(first, executionId);
    expect(lease).toMatchObject({ progress: 0, state: null });
    expect(await report(first, lease, { page: 7 })).toEqual({
      lease: { progress: 0.4, state: { page: 7 } },
      userErrors: [],
    });
    // Without a state the one before stays.
    expect(await report(first, lease, null)).toMatchObject({ lease: { state: { page: 7 } } });
    expect(await report(first, lease, 'x'.repeat(65_537))).toMatchObject({
      userErrors: [{ code: 'VALIDATION_FAILED', path: ['state'] }],
    });
    expect(await reassign(planId, stepId, 'agent-2', transfer)).toEqual({ userErrors: [] });
    expect(await report(first, lease, { page: 8 })).toMatchObject({ userErrors: [{ code: 'LEASE_LOST' }] });
    expect(await claim(first, executionId)).toBe(null);
    expect(await claim(second, executionId)).toMatchObject(next);
  },
);

test('a retry goes on from the state that was reported', async () => {
  const { executionId } = await rig.startPlan({
    steps: [{ description: 'read' }],
    failureResolver: { strategies: ['RETRY'], maxAttempts: 3, delayMs: 100 },
  });
  const lease = await claim(first, executionId);
  await report(first, lease, { page: 3 });
  await rig.field(
    first,
    'mutation ($lease: StepLeaseInput!) { failStep(lease: $lease, error: { message: "torn", retryable: true }) { userErrors { code } } }',
    { lease: keyOf(lease) },
  );
  await rig.sql`UPDATE plan.step_execution SET retry_at = now() WHERE execution_id = ${executionId} AND retry_at IS NOT NULL`;
  expect(await claim(second, executionId)).toMatchObject({ progress: 0, state: { page: 3 } });
});

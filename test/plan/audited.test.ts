import { afterAll, beforeAll, expect, test } from 'vitest';
import { newId } from '#shared/ids.ts';
import { agents, alice, openPlanRig, type PlanRig } from './rig.ts';

let rig: PlanRig;
beforeAll(async () => {
  rig = await openPlanRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const [first] = agents as [(typeof agents)[0]];
const auditOf = async (...ids: readonly string[]) =>
  (await rig.sql`SELECT action, actor FROM plan.audit WHERE resource_id = ANY(${[...ids]}) ORDER BY position`).map(
    ({ action, actor }) => `${actor}: ${action}`,
  );
const mutate = async (document: string, variables: object) => {
  const payload = await rig.field(alice, document, { ...variables });
  expect(payload['userErrors']).toEqual([]);
};
const started = ['alice: plan.create', 'alice: plan.approvePlan', 'alice: plan.executePlan'];

/** A run whose first step has failed and waits for a decision. */
async function block() {
  const [a, b] = [newId(), newId()];
  const { planId, executionId } = await rig.startPlan({
    steps: [a, b].map((id) => ({ id, description: id, ...(id === b && { dependsOn: [a] }) })),
    failureResolver: { strategies: ['MANUAL_INTERVENTION'], approvalRequired: false },
  });
  await rig.fail(first, (await rig.claim(first, executionId))['lease']!, { message: 'no paper' });
  return { planId, executionId, stepId: a, nextId: b };
}

test('a decision about a step, who it is given to and the end of a plan that runs stand in the audit', async () => {
  const { planId, executionId, stepId, nextId } = await block();
  await mutate(
    'mutation ($e: ID!, $s: ID!) { resolveStep(executionId: $e, stepId: $s, resolution: RETRY) { userErrors { code } } }',
    { e: executionId, s: stepId },
  );
  await mutate(
    'mutation ($p: ID!, $s: ID!) { reassignTask(planId: $p, stepId: $s, agentId: "agent-2") { userErrors { code } } }',
    { p: planId, s: nextId },
  );
  await mutate('mutation ($p: ID!) { cancelPlan(planId: $p) { userErrors { code } } }', { p: planId });
  expect(await auditOf(planId, executionId)).toEqual([
    ...started,
    ...['alice: plan.resolveStep', 'alice: plan.reassignTask', 'alice: plan.cancelPlan'],
  ]);
});

test('so does an adaptation that decides about a blocked step', async () => {
  const { planId, executionId, stepId } = await block();
  await mutate('mutation ($input: AdaptPlanInput!) { adaptPlan(input: $input) { userErrors { code } } }', {
    input: { planId, trigger: 'STEP_FAILED', stepId },
  });
  expect(await auditOf(planId, executionId)).toEqual([...started, 'alice: plan.adaptPlan']);
});

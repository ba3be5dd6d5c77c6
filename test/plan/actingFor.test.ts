import { afterAll, beforeAll, expect, test } from 'vitest';
import { newId } from '#shared/ids.ts';
import { agents, type Json, openPlanRig, type PlanRig, principal } from './rig.ts';

let rig: PlanRig;
beforeAll(async () => {
  rig = await openPlanRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const [first, second] = agents as [(typeof agents)[0], (typeof agents)[0]];
const manager = principal('manager', {
  scopes: ['read', 'work', 'execute', 'admin'].map((action) => `plan:${action}`),
});
const step = (more: object = {}) => ({ id: newId(), description: 'a step', ...more });
const leased = async (by: typeof first, executionId: string, options: object = {}) =>
  (await rig.claim(by, executionId, { ...options }))['lease']!;
const report = (by: typeof first, { executionId, stepId, epoch }: Json) =>
  rig.field(
    by,
    'mutation ($l: StepLeaseInput!) { reportStepProgress(lease: $l, progress: 0.5) { directive userErrors { code } } }',
    { l: { executionId, stepId, epoch } },
  );
const stored = async (executionId: string) => ({
  steps: await rig.sql`SELECT step_id, status, attempt, lease_epoch, lease_owner, lease_subject, progress
    FROM plan.step_execution WHERE execution_id = ${executionId} ORDER BY step_id`,
  events: await rig.sql`SELECT count(*)::int AS n FROM plan.event WHERE stream_id = ${executionId}`,
});
const trail = async (executionId: string) =>
  (
    await rig.sql<
      { actor: string; detail: unknown }[]
    >`SELECT actor, detail FROM plan.audit WHERE resource_id = ${executionId} AND action = 'plan.actFor' ORDER BY position`
  ).map(({ actor, detail }) => ({ actor, detail }));

test('nobody claims in the name of another without administering the plan, and nothing is stored', async () => {
  const { executionId } = await rig.startPlan({ steps: [step()] }, { agentPool: [{ agentId: 'agent-2' }] });
  const before = await stored(executionId);
  await expect(rig.claim(first, executionId, { agentId: 'agent-2' })).rejects.toMatchObject({
    code: 'PERMISSION_DENIED',
    path: ['agentId'],
    details: { permission: 'plan:admin', agentId: 'agent-2' },
  });
  // The same of a run that is unknown, whoever asks.
  for (const who of [first, manager])
    await expect(rig.claim(who, newId(), { agentId: 'agent-2' })).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
  expect(await stored(executionId)).toEqual(before);
  // Under its own name, said or not, an agent needs nothing more.
  expect((await leased(second, executionId, { agentId: 'agent-2' }))['agentId']).toBe('agent-2');
  expect(await trail(executionId)).toEqual([]);
});

test('what is claimed for an agent is its own to go on with, and who administers the plan may; both are told apart', async () => {
  const { executionId } = await rig.startPlan({ steps: [step(), step(), step()] });
  const leases: Json[] = [];
  for (const _step of [1, 2, 3]) leases.push(await leased(manager, executionId, { agentId: 'agent-2' }));
  expect(leases.map(({ agentId }) => String(agentId))).toEqual(Array(3).fill('agent-2'));
  const before = await stored(executionId);
  for (const act of [
    (lease: Json) => report(first, lease),
    (lease: Json) => rig.complete(first, lease),
    (lease: Json) => rig.fail(first, lease, { message: 'no', retryable: false }),
  ])
    await expect(act(leases[0]!)).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
  expect(await stored(executionId)).toEqual(before);
  expect(await report(second, leases[0]!)).toMatchObject({ directive: 'CONTINUE', userErrors: [] });
  expect((await rig.complete(second, leases[0]!))['userErrors']).toEqual([]);
  expect(await report(manager, leases[1]!)).toMatchObject({ userErrors: [] });
  expect((await rig.complete(manager, leases[1]!))['userErrors']).toEqual([]);
  expect((await rig.fail(manager, leases[2]!, { message: 'no', retryable: false }))['userErrors']).toEqual([]);
  const of = ({ stepId }: Json) => ({ actor: 'manager', detail: { agentId: 'agent-2', stepId: String(stepId) } });
  expect(await trail(executionId)).toEqual([...leases, leases[1]!, leases[1]!, leases[2]!].map(of));
});

test('with a fencing token of old nobody goes on, whatever they may do', async () => {
  const { executionId } = await rig.startPlan({ steps: [step()] });
  const old = await leased(first, executionId, { leaseMs: 60_000 });
  await rig.sql`UPDATE plan.step_execution SET lease_until = clock_timestamp() - interval '1 second' WHERE execution_id = ${executionId}`;
  const { stepId } = await leased(second, executionId);
  expect(String(stepId)).toBe(String(old['stepId']));
  for (const who of [first, second, manager]) {
    expect(await report(who, old)).toMatchObject({ userErrors: [{ code: 'LEASE_LOST' }] });
    expect((await rig.complete(who, old))['userErrors']).toMatchObject([{ code: 'LEASE_LOST' }]);
    expect((await rig.fail(who, old, { message: 'no', retryable: true }))['userErrors']).toMatchObject([
      { code: 'LEASE_LOST' },
    ]);
  }
});

test('of another, roles are those assigned to it: neither those of the caller count nor its own word', async () => {
  const { executionId } = await rig.startPlan({ steps: [step({ agentRole: 'welder' })] });
  const welder = principal('foreman', { roles: ['welder'], scopes: ['plan:read', 'plan:work', 'plan:admin'] });
  expect((await rig.claim(welder, executionId, { agentId: 'agent-2', roles: ['welder'] }))['lease']).toBeNull();
  expect((await rig.claim(welder, executionId, { roles: ['welder'] }))['lease']).toMatchObject({ agentId: 'foreman' });
});

test('who completes a step for another does not review it, and neither does the other', async () => {
  const criteria = [{ id: 'tidy', description: 'somebody else has looked', verification: 'REVIEW' }];
  const { executionId } = await rig.startPlan({ steps: [step({ acceptanceCriteria: criteria })] });
  const lease = await leased(second, executionId);
  await rig.complete(manager, lease);
  const review = (by: typeof first) =>
    rig.field(
      by,
      'mutation ($e: ID!, $s: ID!, $c: [PlanCriterionJudgementInput!]!) { reviewStep(executionId: $e, stepId: $s, criteria: $c) { step { status } userErrors { code } } }',
      { e: executionId, s: String(lease['stepId']), c: [{ id: 'tidy', met: true }] },
    );
  for (const who of [manager, second])
    expect(await review(who)).toMatchObject({ userErrors: [{ code: 'SELF_APPROVAL_FORBIDDEN' }] });
  expect(await review(first)).toMatchObject({ step: { status: 'COMPLETED' }, userErrors: [] });
});

import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { newId } from '#shared/ids.ts';
import { agents, alice, openPlanRig, type PlanRig, principal } from './rig.ts';

let rig: PlanRig;
let followed: Awaited<ReturnType<PlanRig['subgraph']['start']>>;
beforeAll(async () => {
  rig = await openPlanRig();
});
beforeEach(async () => {
  followed = await rig.subgraph.start();
});
afterEach(() => followed.close());
afterAll(() => rig[Symbol.asyncDispose]());

const [first, second] = [agents[0]!, agents[1]!];

/** Tells of a participant as the context module does, and waits until it was heard. */
async function tell(type: string, agentId: string, { id = newId(), status = 'LEFT' } = {}): Promise<string> {
  const participant = { id, contextId: rig.contextId, agentId, status };
  await rig.tell('context', `context.participant.${type}`, { participant }, rig.contextId);
  await expect
    .poll(
      async () => {
        await rig.service.catchUp();
        const [row] = await rig.sql`
          SELECT count(*)::int AS n FROM plan.replica r WHERE r.id = ${id} AND r.status = ${status}`;
        return row!['n'];
      },
      { timeout: 10_000 },
    )
    .toBe(1);
  await rig.service.catchUp();
  return id;
}

const report = (who: typeof first, lease: Record<string, unknown>, progress: number, state: unknown) =>
  rig.field(
    who,
    'mutation ($lease: StepLeaseInput!, $p: Float, $state: JSON) { reportStepProgress(lease: $lease, progress: $p, state: $state) { userErrors { code } } }',
    {
      lease: { executionId: lease['executionId'], stepId: lease['stepId'], epoch: lease['epoch'] },
      p: progress,
      state,
    },
  );
const stepsOf = (executionId: string) =>
  rig.sql`SELECT step_id AS id, status, lease_owner AS holder, lease_epoch AS epoch, failures FROM plan.step_execution
    WHERE execution_id = ${executionId} ORDER BY rank`.then((rows) => [...rows]);
const runOf = (executionId: string) =>
  rig.field(alice, 'query ($id: ID!) { planExecution(executionId: $id) { status runningSteps } }', { id: executionId });

test('what somebody who leaves holds is claimed by another, and its late completion is refused', async () => {
  const { planId, executionId } = await rig.startPlan({ steps: [{ description: 'read' }, { description: 'write' }] });
  const { lease } = await rig.claim(first, executionId);
  const other = (await rig.claim(second, executionId))['lease']!;
  expect(await report(first, lease!, 0.4, { page: 7 })).toEqual({ userErrors: [] });
  await tell('left', 'agent-1');

  expect(await runOf(executionId)).toEqual({ status: 'RUNNING', runningSteps: 1 });
  expect(new Set(await stepsOf(executionId))).toEqual(
    new Set([
      { id: lease!['stepId'], status: 'pending', holder: null, epoch: 2, failures: 0 },
      { id: other['stepId'], status: 'leased', holder: 'agent-2', epoch: 1, failures: 0 },
    ]),
  );
  const [mirrored] =
    await rig.sql`SELECT status FROM plan.step WHERE plan_id = ${planId} AND id = ${String(lease!['stepId'])}`;
  expect(mirrored).toEqual({ status: 'pending' });
  for (const late of [rig.complete(first, lease!, 'done'), rig.fail(first, lease!, { message: 'x', retryable: true })])
    expect((await late)['userErrors']).toMatchObject([{ code: 'LEASE_LOST' }]);
  expect(await report(first, lease!, 0.9, null)).toEqual({ userErrors: [{ code: 'LEASE_LOST' }] });

  // The next holder goes on from what was reported.
  const again = await rig.field(
    second,
    'mutation ($id: ID!) { claimStep(executionId: $id) { lease { executionId stepId epoch progress state } } }',
    { id: executionId },
  );
  expect(again['lease']).toMatchObject({ stepId: lease!['stepId'], progress: 0.4, state: { page: 7 } });
  for (const held of [again['lease']!, other])
    expect((await rig.complete(second, held, 'done'))['userErrors']).toEqual([]);
  expect(await runOf(executionId)).toEqual({ status: 'COMPLETED', runningSteps: 0 });
  const told = rig.events.filter(({ type }) => type === 'step.lease.released');
  expect(told).toMatchObject([{ streamId: executionId, actor: 'system', data: { agentId: 'agent-1' } }]);
  const [audit] =
    await rig.sql`SELECT detail FROM plan.audit WHERE action = 'plan.handOver' AND resource_id = ${planId}`;
  expect(audit!['detail']).toEqual({ agent: 'agent-1', unassigned: [], released: [lease!['stepId']] });
});

test('a lease taken in the name of another ends with that one, and not with who took it', async () => {
  const { executionId } = await rig.startPlan({ steps: [{ description: 'read' }, { description: 'write' }] });
  const administrator = principal('administrator', { scopes: ['plan:read', 'plan:work', 'plan:admin'] });
  for (const agentId of ['worker-1', 'worker-2']) await rig.claim(administrator, executionId, { agentId });
  await tell('left', 'worker-1');
  const holders = async () => (await stepsOf(executionId)).map(({ holder }) => holder as string | null).sort();
  expect(await holders()).toEqual(['worker-2', null].sort());
  await tell('left', 'administrator');
  expect(await holders()).toEqual(['worker-2', null].sort());
  expect(await runOf(executionId)).toEqual({ status: 'RUNNING', runningSteps: 1 });
});

test('who leaves is named for open steps no longer: others named do them, else anyone', async () => {
  const [one, two, shared] = [newId(), newId(), newId()];
  const named = (id: string, assignedAgents: string[]) => ({ id, description: 'do', assignedAgents });
  const { planId, executionId } = await rig.startPlan({
    steps: [named(one, ['agent-1']), named(two, ['agent-1']), named(shared, ['agent-1', 'agent-2'])],
  });
  const begun = (await rig.claim(first, executionId))['lease']!;
  await rig.complete(first, begun);
  expect((await rig.claim(agents[2]!, executionId))['lease']).toBeNull();
  await tell('left', 'agent-1');
  const assigned = await rig.sql`SELECT id, assigned_agents AS agents FROM plan.step WHERE plan_id = ${planId}`;
  const stepId = String(begun['stepId']);
  expect(Object.fromEntries(assigned.map(({ id, agents: of }) => [id, of]))).toEqual({
    ...{ [one]: [], [two]: [], [shared]: ['agent-2'] },
    // What is done keeps who was named for it.
    [stepId]: stepId === shared ? ['agent-1', 'agent-2'] : ['agent-1'],
  });
  // Anyone may do what nobody is named for any more, and those named what they are named for.
  const third = (await rig.claim(agents[2]!, executionId))['lease'];
  expect(third).not.toBeNull();
  const [plan] = await rig.sql`SELECT version, updated_by FROM plan.plan WHERE id = ${planId}`;
  expect(plan).toMatchObject({ updated_by: 'system' });
  expect(
    rig.events.filter(({ type, streamId }) => type === 'plan.updated' && streamId === planId).at(-1),
  ).toMatchObject({
    data: { changes: { unassigned: { agentId: 'agent-1' } }, plan: { version: plan!['version'] } },
  });
});

test('who comes back before it was heard, a request that is refused, and other contexts change nothing', async () => {
  const elsewhere = newId();
  rig.contexts.set(`one/${elsewhere}`, 'ACTIVE');
  const there = await rig.startPlan({ contextId: elsewhere, steps: [{ description: 'read' }] });
  const { executionId } = await rig.startPlan({ steps: [{ description: 'read', assignedAgents: ['agent-2'] }] });
  await rig.claim(second, there.executionId);
  await rig.claim(second, executionId);
  const [here, kept] = [await stepsOf(executionId), await stepsOf(there.executionId)];
  await tell('refused', 'agent-2');
  expect(await stepsOf(executionId)).toEqual(here);
  await tell('joined', 'agent-2', { status: 'ACTIVE' });
  await tell('left', 'agent-2');
  expect(await stepsOf(executionId)).toEqual(here);
  const present = await rig.sql`SELECT id FROM plan.replica WHERE type = 'ContextParticipant' AND status = 'ACTIVE'`;
  await tell('left', 'agent-2', { id: String(present[0]!['id']) });
  expect((await stepsOf(executionId)).map(({ status }) => status)).toEqual(['pending']);
  expect(await stepsOf(there.executionId)).toEqual(kept);
});

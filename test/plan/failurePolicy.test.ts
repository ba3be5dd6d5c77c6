import { afterAll, beforeAll, expect, test } from 'vitest';
import type { EventRow } from '#shared/events.ts';
import { newId } from '#shared/ids.ts';
import { agents, alice, type Json, openPlanRig, type PlanRig } from './rig.ts';

let rig: PlanRig;
beforeAll(async () => {
  rig = await openPlanRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const [agent] = agents as [(typeof agents)[0]];
const step = (id: string, more: object = {}) => ({ id, description: id, durationMs: 1_000, ...more });
const claim = async (executionId: string) => (await rig.claim(agent, executionId))['lease']!;
const finish = async (executionId: string) => rig.complete(agent, await claim(executionId));
const fail = async (executionId: string) => rig.fail(agent, await claim(executionId), { message: 'no' });
const run = (id: string) =>
  rig.field(
    alice,
    'query ($id: ID!) { planExecution(executionId: $id) { status checkpoints checkpointAt taskProgress { stepId status error } } }',
    { id },
  );
const statuses = (execution: Json, ids: readonly string[]) =>
  ids.map((id) => String(execution['taskProgress']!.find(({ stepId }) => String(stepId) === id)['status']));
const resolve = (executionId: string, stepId: string, more: string) =>
  rig.field(
    alice,
    `mutation ($e: ID!, $s: ID!) { resolveStep(executionId: $e, stepId: $s, ${more}) { step { status } userErrors { code } } }`,
    { e: executionId, s: stepId },
  );
const asked = (executionId: string) =>
  rig.events.flatMap(({ streamId, type, data }) =>
    streamId === executionId && type === 'approval.requested' ? [data['approval'] as Record<string, unknown>] : [],
  );

test('a resolver that is not enabled fails the run at the first failure', async () => {
  const { executionId } = await rig.startPlan({
    steps: [step(newId())],
    failureResolver: { strategies: ['RETRY'], enabled: false },
  });
  expect(await fail(executionId)).toMatchObject({ execution: { status: 'FAILED' } });
});

test.each([
  [{ checkpointFrequency: 2 }, {}],
  [{}, { type: 'CHECKPOINT' }],
])('a rollback does again what ended after the last checkpoint (%j)', async (policy, second) => {
  const ids = [newId(), newId(), newId(), newId()] as const;
  const { executionId } = await rig.startPlan({
    steps: ids.map((id, at) => step(id, { dependsOn: at === 0 ? [] : [ids[at - 1]], ...(at === 1 ? second : {}) })),
    failureResolver: { strategies: ['ROLLBACK'], rollbackDepth: 10, ...policy },
  });
  await finish(executionId);
  expect(await run(executionId)).toMatchObject({ checkpoints: 0, checkpointAt: null });
  await finish(executionId);
  expect(await run(executionId)).toMatchObject({ checkpoints: 1, checkpointAt: expect.any(String) });
  await finish(executionId);
  await fail(executionId);
  expect(statuses(await run(executionId), ids)).toEqual(['COMPLETED', 'COMPLETED', 'PENDING', 'PENDING']);
  expect((await claim(executionId))['stepId']).toBe(ids[2]);
});

test('without a checkpoint everything before the failed step is done again, so many levels deep', async () => {
  const ids = [newId(), newId(), newId()] as const;
  const { executionId } = await rig.startPlan({
    steps: ids.map((id, at) => step(id, { dependsOn: at === 0 ? [] : [ids[at - 1]] })),
    failureResolver: { strategies: ['ROLLBACK'], rollbackDepth: 10 },
  });
  await finish(executionId);
  await finish(executionId);
  await fail(executionId);
  expect(statuses(await run(executionId), ids)).toEqual(['PENDING', 'PENDING', 'PENDING']);
});

/** `a` before `b` before `c`, and `d` for itself; `box` holds `in` and comes after `a`. */
async function branched(failureResolver: object) {
  const [a, b, c, d, box, inside] = Array.from({ length: 6 }, () => newId()) as [
    string,
    string,
    string,
    string,
    string,
    string,
  ];
  const started = await rig.startPlan({
    steps: [
      step(a, { priority: 'CRITICAL', orderIndex: 0 }),
      step(b, { dependsOn: [a] }),
      step(c, { dependsOn: [b] }),
      { ...step(box, { type: 'COMPOSITE', dependsOn: [a] }) },
      step(inside, { parentId: box }),
      step(d, { assignedAgents: ['agent-2'] }),
    ],
    failureResolver,
  });
  return { ...started, ids: [a, b, c, inside, box, d] };
}

test('what depends on a step that is given up goes with it where the plan says so, and the run goes on', async () => {
  const kept = await branched({ strategies: ['SKIP'] });
  await fail(kept.executionId);
  expect(statuses(await run(kept.executionId), kept.ids)).toEqual([
    'SKIPPED',
    'PENDING',
    'PENDING',
    'PENDING',
    'PENDING',
    'PENDING',
  ]);
  const gone = await branched({ strategies: ['SKIP'], skipDependents: true });
  await fail(gone.executionId);
  const left = await run(gone.executionId);
  expect(statuses(left, gone.ids)).toEqual(['SKIPPED', 'SKIPPED', 'SKIPPED', 'SKIPPED', 'SKIPPED', 'PENDING']);
  expect(left['taskProgress']!.find(({ stepId }) => String(stepId) === gone.ids[2])['error']).toBe(
    `skipped with step ${gone.ids[0]}`,
  );
  const last = (await rig.claim(agents[1]!, gone.executionId))['lease']!;
  expect(await rig.complete(agents[1]!, last)).toMatchObject({
    execution: { status: 'COMPLETED', endedSteps: 6, totalSteps: 6 },
  });
});

test('a decision says for itself whether dependents are given up', async () => {
  const { executionId, ids } = await branched({ strategies: ['MANUAL_INTERVENTION'], approvalRequired: false });
  await fail(executionId);
  expect(asked(executionId)).toEqual([]);
  const refused = await resolve(executionId, ids[0]!, 'resolution: RETRY, skipDependents: true');
  expect(refused).toMatchObject({ userErrors: [{ code: 'VALIDATION_FAILED' }] });
  await resolve(executionId, ids[0]!, 'resolution: SKIP, skipDependents: true');
  expect(statuses(await run(executionId), ids)).toEqual([
    'SKIPPED',
    'SKIPPED',
    'SKIPPED',
    'SKIPPED',
    'SKIPPED',
    'PENDING',
  ]);
});

test('a blocked step asks one level after the other, until somebody decides', async () => {
  const id = newId();
  const { executionId } = await rig.startPlan({
    steps: [step(id)],
    failureResolver: {
      strategies: ['MANUAL_INTERVENTION'],
      escalationLevels: [
        { afterMs: 60_000, approverRoles: ['lead'] },
        { afterMs: 120_000, approvers: ['boss'] },
      ],
    },
  });
  await fail(executionId);
  const letWait = async () => {
    await rig.sql`UPDATE plan.step_execution SET escalate_at = escalate_at - interval '61 seconds' WHERE execution_id = ${executionId}`;
    await rig.service.runs.sweep();
  };
  await rig.service.runs.sweep();
  expect(asked(executionId)).toMatchObject([{ approvers: ['alice'] }]);
  await letWait();
  expect(asked(executionId)).toMatchObject([
    {},
    { approverRoles: ['lead'], approvers: [], reference: { escalation: 1 } },
  ]);
  await rig.service.runs.sweep();
  expect(asked(executionId)).toHaveLength(2);
  await letWait();
  expect(asked(executionId)[2]).toMatchObject({ approverRoles: [], approvers: ['boss'], reference: { escalation: 2 } });
  await letWait();
  expect(asked(executionId)).toHaveLength(3);
  await resolve(executionId, id, 'resolution: RETRY');
  expect(await finish(executionId)).toMatchObject({ execution: { status: 'COMPLETED' } });
  expect(rig.events.filter(({ streamId, type }) => streamId === executionId && type === 'step.escalated')).toHaveLength(
    2,
  );
});

test('levels are refused that are out of order or ask nobody', async () => {
  const create = (escalationLevels: readonly object[]) =>
    rig.createPlan({ steps: [step(newId())], failureResolver: { escalationLevels } });
  await expect(
    create([
      { afterMs: 2_000, approvers: ['a'] },
      { afterMs: 1_000, approvers: ['b'] },
    ]),
  ).rejects.toThrow('VALIDATION_FAILED');
  await expect(create([{ afterMs: 2_000 }])).rejects.toThrow('expected somebody to ask');
});

test('an answer about one attempt decides about no later one', async () => {
  const stepId = newId();
  const { planId, executionId } = await rig.startPlan({
    steps: [step(stepId)],
    failureResolver: { strategies: ['MANUAL_INTERVENTION'] },
  });
  const answer = (place: number, status: string) =>
    rig.service.confirms.heard({
      ...{ tenantId: 'one', actor: 'boss', type: 'confirm.resolved', streamId: newId(), sequence: 1, tags: [] },
      ...{ eventId: newId(), module: 'confirm', createdAt: new Date().toISOString() },
      data: {
        confirm: {
          ...{ id: newId(), targetType: 'plan', targetId: planId, status, confirmationType: 'manual_intervention' },
          ...{ requestEventId: newId(), reference: asked(executionId)[place]!['reference'] },
        },
      },
    } as EventRow);
  const status = async () => statuses(await run(executionId), [stepId])[0];
  await fail(executionId);
  await resolve(executionId, stepId, 'resolution: RETRY');
  await fail(executionId);
  expect(asked(executionId).map(({ reference }) => reference)).toMatchObject([{ attempt: 1 }, { attempt: 2 }]);
  await answer(0, 'approved');
  await answer(0, 'rejected');
  expect(await status()).toBe('BLOCKED');
  await answer(1, 'approved');
  expect(await status()).toBe('PENDING');
});

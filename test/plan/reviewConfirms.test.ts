import { afterAll, beforeAll, expect, test } from 'vitest';
import type { EventRow } from '#shared/events.ts';
import { newId } from '#shared/ids.ts';
import { agents, alice, type Json, openPlanRig, type PlanRig } from './rig.ts';

let rig: PlanRig;
beforeAll(async () => {
  rig = await openPlanRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const [doer, other] = agents as [(typeof agents)[0], (typeof agents)[0]];
const review = (id: string) => ({ id, description: `${id} is read`, verification: 'REVIEW' });
const step = (...ids: string[]) => ({
  ...{ id: newId(), description: 'work', durationMs: 1_000 },
  acceptanceCriteria: ids.map(review),
});

/** Starts a run of one step and does its work; what is asked then. */
async function work(plan: object = {}, criteria: readonly string[] = ['style', 'sense'], starter = doer) {
  const started = await rig.startPlan({ steps: [step(...criteria)], ...plan });
  await finish(started.executionId, starter);
  return { ...started, asked: asked(started.executionId).at(-1)! };
}
async function finish(executionId: string, agent = doer): Promise<void> {
  const { lease } = await rig.claim(agent, executionId);
  expect(await rig.complete(agent, lease!)).toMatchObject({ step: { status: 'FINISHING' }, userErrors: [] });
}
const asked = (executionId: string) =>
  rig.events.flatMap((event) =>
    event.streamId === executionId && event.type === 'approval.requested'
      ? [(event as EventRow).data['approval'] as unknown as Record<string, unknown>]
      : [],
  );
/** What the confirm module tells of a Confirm. */
function answer(approval: Record<string, unknown>, status: string, more: object = {}) {
  const { targetType, targetId, confirmationType, reference } = approval;
  const confirm = {
    ...{ id: newId(), targetType, targetId, confirmationType, reference, status },
    ...{ requestEventId: newId(), resolution: status === 'rejected' ? 'half done' : null, ...more },
  };
  return rig.service.confirms.heard({
    ...{
      tenantId: 'one',
      actor: 'boss',
      type: 'confirm.resolved',
      streamId: confirm.id,
      sequence: 1,
      eventId: newId(),
    },
    ...{ module: 'confirm', tags: [], createdAt: new Date().toISOString(), data: { confirm } },
  } as unknown as EventRow);
}
const runOf = async (executionId: string) => {
  const { taskProgress, ...run } = (await rig.field(
    alice,
    'query ($id: ID!) { planExecution(executionId: $id) { status endedSteps runningSteps taskProgress { status attempt failures error openReviews } } }',
    { id: executionId },
  )) as unknown as { taskProgress: Json[]; status: string; endedSteps: number; runningSteps: number };
  return { ...run, step: taskProgress[0]! };
};
const criteriaOf = async (planId: string) =>
  (
    await rig.field(
      alice,
      'query ($id: ID!) { plan(planId: $id) { steps { acceptanceCriteria { id status judgedBy note } } } }',
      { id: planId },
    )
  )['steps']![0 as never]!['acceptanceCriteria']!;
const byHand = (executionId: string, stepId: unknown, criteria: object[]) =>
  rig.field(
    other,
    'mutation ($e: ID!, $s: ID!, $criteria: [PlanCriterionJudgementInput!]!) { reviewStep(executionId: $e, stepId: $s, criteria: $criteria) { step { status } userErrors { code } } }',
    { e: executionId, s: stepId, criteria },
  );
const reviews = (executionId: string) =>
  rig.events.filter(({ streamId, type }) => streamId === executionId && type === 'step.reviewed').length;

test('who started the run and whom the plan names are asked, never who did the work', async () => {
  const {
    asked: request,
    executionId,
    planId,
  } = await work({ approval: { approvers: ['carol'], approverRoles: ['lead'] } });
  expect(request).toMatchObject({
    ...{ targetType: 'plan', targetId: planId, confirmationType: 'step_review', author: 'agent-1' },
    ...{ approvers: ['alice', 'carol'], approverRoles: ['lead'], approverPermission: null },
    reason: 'style is read; sense is read',
    reference: { kind: 'plan.step.review', executionId, attempt: 1, criteria: ['style', 'sense'] },
  });
  // Where nobody else is named, those who may review by hand.
  const alone = await work({}, ['style'], alice);
  expect(alone.asked).toMatchObject({ author: 'alice', approvers: ['alice'], approverPermission: 'plan:execute' });
});

test('approval answers all reviews that are open, once', async () => {
  const { planId, executionId, asked: request } = await work();
  await answer(request, 'approved');
  expect(await runOf(executionId)).toMatchObject({ status: 'COMPLETED', endedSteps: 1, step: { status: 'COMPLETED' } });
  expect(await criteriaOf(planId)).toEqual([
    { id: 'style', status: 'MET', judgedBy: 'boss', note: null },
    { id: 'sense', status: 'MET', judgedBy: 'boss', note: null },
  ]);
  await answer(request, 'approved');
  await answer(request, 'rejected');
  expect(reviews(executionId)).toBe(1);
});

test('rejection fails the attempt with its reason; the next is asked about anew, and old answers are too late', async () => {
  const {
    planId,
    executionId,
    asked: request,
  } = await work({
    failureResolver: { strategies: ['RETRY'], maxAttempts: 3, delayMs: 100 },
  });
  await answer(request, 'rejected');
  expect(await runOf(executionId)).toMatchObject({
    ...{ status: 'RUNNING', runningSteps: 0, endedSteps: 0 },
    step: { status: 'PENDING', failures: 1, error: 'not accepted: style is read; sense is read' },
  });
  expect(await criteriaOf(planId)).toMatchObject([{ status: 'NOT_MET', note: 'half done' }, { note: 'half done' }]);
  await rig.sql`UPDATE plan.step_execution SET retry_at = NULL WHERE execution_id = ${executionId}`;
  await finish(executionId);
  expect(asked(executionId)).toMatchObject([{ reference: { attempt: 1 } }, { reference: { attempt: 2 } }]);
  await answer(request, 'approved');
  await answer(request, 'rejected');
  expect((await runOf(executionId)).step).toMatchObject({ status: 'FINISHING', attempt: 2, openReviews: 2 });
  await answer(asked(executionId)[1]!, 'approved');
  expect(await runOf(executionId)).toMatchObject({ status: 'COMPLETED' });
});

test('what was cancelled, expired, opened by a client or decided by who did the work finds nothing', async () => {
  const { executionId, asked: request } = await work();
  await answer(request, 'cancelled');
  await answer(request, 'approved', { requestEventId: null });
  await rig.service.confirms.heard({
    ...{
      tenantId: 'one',
      actor: 'agent-1',
      type: 'confirm.resolved',
      streamId: newId(),
      sequence: 1,
      eventId: newId(),
    },
    ...{ module: 'confirm', tags: [], createdAt: new Date().toISOString() },
    data: { confirm: { ...request, id: newId(), status: 'approved', requestEventId: newId() } },
  } as unknown as EventRow);
  expect((await runOf(executionId)).step).toMatchObject({ status: 'FINISHING', openReviews: 2 });
});

test('by hand and by a Confirm: each review is answered once, whoever comes first', async () => {
  const first = await work();
  const stepId = (first.asked['reference'] as { stepId: string }).stepId;
  expect(await byHand(first.executionId, stepId, [{ id: 'style', met: true, note: 'mine' }])).toMatchObject({
    step: { status: 'FINISHING' },
  });
  await answer(first.asked, 'approved');
  expect(await criteriaOf(first.planId)).toEqual([
    { id: 'style', status: 'MET', judgedBy: 'agent-2', note: 'mine' },
    { id: 'sense', status: 'MET', judgedBy: 'boss', note: null },
  ]);
  for (let round = 0; round < 5; round += 1) {
    const { executionId, asked: request } = await work({}, ['style']);
    const { stepId: id } = request['reference'] as { stepId: string };
    const [hand] = await Promise.all([
      byHand(executionId, id, [{ id: 'style', met: true }]),
      answer(request, 'approved'),
      answer(request, 'approved'),
    ]);
    const codes = hand['userErrors']!.map(({ code }) => String(code));
    expect([[], ['EXECUTION_NOT_ACTIVE'], ['INVALID_STATE']]).toContainEqual(codes);
    expect(reviews(executionId)).toBe(1);
    expect(await runOf(executionId)).toMatchObject({ status: 'COMPLETED', endedSteps: 1, runningSteps: 0 });
  }
});

import { afterAll, beforeAll, expect, test } from 'vitest';
import { newId } from '#shared/ids.ts';
import { agents, alice, type Json, openPlanRig, type PlanRig, principal } from './rig.ts';

let rig: PlanRig;
beforeAll(async () => {
  rig = await openPlanRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const [first, second] = agents as [(typeof agents)[0], (typeof agents)[0]];
const errors = 'userErrors { code path message }';
const codes = (payload: Json) => payload['userErrors']!.map(({ code }) => String(code));
const keyOf = ({ executionId, stepId, epoch }: Json) => ({ executionId, stepId, epoch });
const held = async (executionId: string, agent = first): Promise<Json> =>
  (await rig.claim(agent, executionId))['lease']!;

const complete = (lease: Json, criteria: unknown, result: unknown = null) =>
  rig.field(
    first,
    `mutation ($lease: StepLeaseInput!, $result: JSON, $criteria: [PlanCriterionJudgementInput!]) {
       completeStep(lease: $lease, result: $result, criteria: $criteria) {
         step { status openReviews } execution { status phase endedSteps } ${errors} } }`,
    { lease: keyOf(lease), criteria, result },
  );
const review = (who: typeof first, { executionId, stepId }: Json, criteria: unknown) =>
  rig.field(
    who,
    `mutation ($e: ID!, $s: ID!, $criteria: [PlanCriterionJudgementInput!]!) {
       reviewStep(executionId: $e, stepId: $s, criteria: $criteria) {
         step { status openReviews failures error } execution { status phase endedSteps runningSteps } ${errors} } }`,
    { e: executionId, s: stepId, criteria },
  );
const stepsOf = async (planId: string): Promise<Json> =>
  (
    await rig.field(
      alice,
      `query ($id: ID!) { plan(planId: $id) { steps { id durationMs estimatedEffort { value unit } status
         acceptanceCriteria { id description type verification condition required status judgedBy judgedAt note } } } }`,
      { id: planId },
    )
  )['steps']!;
const criteriaOf = async (planId: string): Promise<Json> => (await stepsOf(planId))[0]!['acceptanceCriteria']!;
const step = (more: object) => ({ id: newId(), description: 'work', durationMs: 1_000, ...more });

test('a step is completed once what is required of it is met, and its lease lasts until then', async () => {
  const { planId, executionId } = await rig.startPlan({
    steps: [
      step({
        acceptanceCriteria: [
          { description: 'the builder is content' },
          {
            id: 'tests',
            description: 'all tests pass',
            verification: 'AUTOMATED',
            condition: 'step.result.failed == 0',
          },
          { id: 'style', description: 'it reads well', type: 'QUALITY', required: false },
          {
            ...{ id: 'quick', description: 'at the first attempt', type: 'NON_FUNCTIONAL', required: false },
            ...{ verification: 'AUTOMATED', condition: 'step.attempts > 1' },
          },
        ],
      }),
    ],
  });
  const lease = await held(executionId);
  const refused = await complete(lease, null, { failed: 0 });
  expect(codes(refused)).toEqual(['ACCEPTANCE_NOT_MET']);
  expect(refused['userErrors']![0]!['path']).toEqual(['criteria']);
  const content = { id: 'criterion-1', met: true, note: 'I am' };
  expect(codes(await complete(lease, [{ ...content, met: false }], { failed: 0 }))).toEqual(['ACCEPTANCE_NOT_MET']);
  expect(codes(await complete(lease, [content], { failed: 2 }))).toEqual(['ACCEPTANCE_NOT_MET']);
  expect(codes(await complete(lease, [content]))).toEqual(['ACCEPTANCE_NOT_MET']);
  expect(await criteriaOf(planId)).toMatchObject([{}, {}, {}, {}].map(() => ({ status: 'PENDING', judgedAt: null })));
  expect(await complete(lease, [content], { failed: 0 })).toMatchObject({
    step: { status: 'COMPLETED', openReviews: 0 },
    execution: { status: 'COMPLETED', phase: 'COMPLETED' },
    userErrors: [],
  });
  const judgedAt = expect.stringMatching(/^\d{4}-/);
  expect(await criteriaOf(planId)).toEqual([
    {
      ...{ id: 'criterion-1', description: 'the builder is content', type: 'FUNCTIONAL', verification: 'MANUAL' },
      ...{ condition: null, required: true, status: 'MET', judgedBy: 'agent-1', judgedAt, note: 'I am' },
    },
    {
      ...{ id: 'tests', description: 'all tests pass', type: 'FUNCTIONAL', verification: 'AUTOMATED', required: true },
      ...{ condition: 'step.result.failed == 0', status: 'MET', judgedBy: null, judgedAt, note: null },
    },
    {
      ...{ id: 'style', description: 'it reads well', type: 'QUALITY', verification: 'MANUAL', required: false },
      ...{ condition: null, status: 'PENDING', judgedBy: null, judgedAt: null, note: null },
    },
    {
      ...{ id: 'quick', description: 'at the first attempt', type: 'NON_FUNCTIONAL', verification: 'AUTOMATED' },
      ...{ condition: 'step.attempts > 1', required: false, status: 'NOT_MET', judgedBy: null, judgedAt, note: null },
    },
  ]);
});

test('a condition that cannot be evaluated is not met, and says why', async () => {
  const criterion = { description: 'counted', verification: 'AUTOMATED', condition: 'step.result.count > 3' };
  const { planId, executionId } = await rig.startPlan({
    steps: [step({ acceptanceCriteria: [{ ...criterion, required: false }] })],
  });
  expect(codes(await complete(await held(executionId), null, { count: 'many' }))).toEqual([]);
  expect(await criteriaOf(planId)).toMatchObject([
    { status: 'NOT_MET', note: expect.stringContaining('expected two numbers or two strings') },
  ]);
});

const reviewed = { id: 'review', description: 'somebody else has read it', verification: 'REVIEW' };

test('a step under review is finishing until somebody else accepts it', async () => {
  const done = step({ acceptanceCriteria: [reviewed, { ...reviewed, id: 'more', required: false }] });
  const next = step({ dependsOn: [done.id] });
  const { planId, executionId } = await rig.startPlan({ steps: [done, next] });
  const phase = async () =>
    (await rig.field(alice, 'query ($id: ID!) { planExecution(executionId: $id) { phase } }', { id: executionId }))[
      'phase'
    ];
  expect(await phase()).toBe('STARTING');
  const lease = await held(executionId);
  expect(await phase()).toBe('RUNNING');
  expect(codes(await review(alice, lease, [{ id: 'review', met: true }]))).toEqual(['INVALID_STATE']);
  expect(await complete(lease, null)).toMatchObject({
    step: { status: 'FINISHING', openReviews: 1 },
    execution: { endedSteps: 0 },
    userErrors: [],
  });
  expect((await rig.claim(second, executionId))['lease']).toBeNull();
  expect(await rig.service.runs.settleOne('one', executionId)).toBeUndefined();
  expect(
    rig.events.filter(({ streamId, type }) => streamId === executionId && type === 'step.review.requested'),
  ).toHaveLength(1);
  expect(codes(await review(first, lease, [{ id: 'review', met: true }]))).toEqual(['SELF_APPROVAL_FORBIDDEN']);
  expect(codes(await review(second, lease, [{ id: 'other', met: true }]))).toEqual(['VALIDATION_FAILED']);
  expect((await stepsOf(planId))[0]).toMatchObject({ status: 'IN_PROGRESS' });
  // What is not required neither ends nor fails it.
  expect(await review(second, lease, [{ id: 'more', met: false }])).toMatchObject({
    step: { status: 'FINISHING', openReviews: 1 },
    userErrors: [],
  });
  expect(await review(second, lease, [{ id: 'review', met: true, note: 'fine' }])).toMatchObject({
    step: { status: 'COMPLETED', openReviews: 0 },
    execution: { status: 'RUNNING', phase: 'RUNNING', endedSteps: 1, runningSteps: 0 },
    userErrors: [],
  });
  expect(await criteriaOf(planId)).toMatchObject([
    { id: 'review', status: 'MET', judgedBy: 'agent-2', note: 'fine' },
    { id: 'more', status: 'NOT_MET', judgedBy: 'agent-2' },
  ]);
  expect(codes(await review(second, lease, [{ id: 'review', met: true }]))).toEqual(['INVALID_STATE']);
  expect((await held(executionId))['stepId']).toBe(next.id);
});

test('a run whose work is done and under review is completing', async () => {
  const { executionId } = await rig.startPlan({ steps: [step({ acceptanceCriteria: [reviewed] })] });
  const lease = await held(executionId);
  expect(await complete(lease, null)).toMatchObject({ execution: { status: 'RUNNING', phase: 'COMPLETING' } });
  expect(await review(second, lease, [{ id: 'review', met: true }])).toMatchObject({
    execution: { status: 'COMPLETED', phase: 'COMPLETED', endedSteps: 1 },
  });
});

test('an attempt that a review refuses has failed, and the next is reviewed anew', async () => {
  const { planId, executionId } = await rig.startPlan({
    steps: [step({ acceptanceCriteria: [reviewed] })],
    failureResolver: { strategies: ['RETRY'], maxAttempts: 2, delayMs: 100 },
  });
  const lease = await held(executionId);
  await complete(lease, null);
  expect(await review(second, lease, [{ id: 'review', met: false, note: 'half done' }])).toMatchObject({
    step: {
      ...{ status: 'PENDING', failures: 1, openReviews: 0 },
      error: 'not accepted: somebody else has read it',
    },
    execution: { status: 'RUNNING', runningSteps: 0, endedSteps: 0 },
    userErrors: [],
  });
  expect(await criteriaOf(planId)).toMatchObject([{ status: 'NOT_MET', note: 'half done' }]);
  const again = await expect
    .poll(async () => (await rig.claim(first, executionId))['lease'], { timeout: 10_000, interval: 20 })
    .not.toBeNull()
    .then(() =>
      rig.field(alice, 'query ($id: ID!) { planExecution(executionId: $id) { taskProgress { stepId attempt } } }', {
        id: executionId,
      }),
    );
  expect(again['taskProgress']![0]!['attempt']).toBe(2);
  const renewed = { ...keyOf(lease), epoch: Number(lease['epoch']) + 1 } as unknown as Json;
  expect(await complete(renewed, null)).toMatchObject({ step: { status: 'FINISHING', openReviews: 1 } });
  expect(await criteriaOf(planId)).toMatchObject([{ status: 'PENDING', note: null }]);
  expect(await review(second, lease, [{ id: 'review', met: false }])).toMatchObject({
    execution: { status: 'FAILED' },
    userErrors: [],
  });
});

test('criteria are judged by whom they are for, each once', async () => {
  const { executionId } = await rig.startPlan({
    steps: [step({ acceptanceCriteria: [reviewed, { id: 'own', description: 'done' }] })],
  });
  const lease = await held(executionId);
  const own = { id: 'own', met: true };
  for (const criteria of [[own, { id: 'review', met: true }], [own, own], [], [{ ...own, id: '' }]])
    expect(codes(await complete(lease, criteria))).toEqual(['VALIDATION_FAILED']);
  expect(codes(await complete(lease, [own]))).toEqual([]);
  expect(codes(await review(second, lease, [own]))).toEqual(['VALIDATION_FAILED']);
  expect(codes(await review(second, { ...lease, stepId: newId() } as unknown as Json, [own]))).toEqual(['NOT_FOUND']);
  const foreign = principal('agent-2', { tenantId: 'two' });
  expect(codes(await review(foreign, lease, [{ id: 'review', met: true }]))).toEqual(['NOT_FOUND']);
});

test.each([
  ['a condition with AUTOMATED alone', [{ description: 'd', condition: 'step.attempts == 1' }]],
  ['AUTOMATED with a condition', [{ description: 'd', verification: 'AUTOMATED' }]],
  ['an expression', [{ description: 'd', verification: 'AUTOMATED', condition: 'step.attempts =' }]],
  ['an expression over the step', [{ description: 'd', verification: 'AUTOMATED', condition: 'source.attempts == 1' }]],
  [
    'each criterion once',
    [
      { id: 'one', description: 'd' },
      { id: 'one', description: 'e' },
    ],
  ],
  ['a criterion named by its place once', [{ id: 'criterion-2', description: 'd' }, { description: 'e' }]],
  ['50 at most', Array.from({ length: 51 }, () => ({ description: 'd' }))],
])('acceptance criteria are checked: %s', async (_what, acceptanceCriteria) => {
  const payload = await rig.field(
    alice,
    `mutation ($input: CreatePlanInput!) { createPlan(input: $input) { plan { id } ${errors} } }`,
    { input: { contextId: rig.contextId, title: 't', objective: 'o', steps: [step({ acceptanceCriteria })] } },
  );
  expect([payload['plan'], codes(payload)]).toEqual([null, ['VALIDATION_FAILED']]);
});

test('a composite step has no criteria, neither as it is made nor later', async () => {
  const acceptanceCriteria = [{ description: 'd' }];
  const [whole, part] = [step({ type: 'COMPOSITE' }), step({})];
  const create = (steps: object[]) =>
    rig.field(alice, `mutation ($input: CreatePlanInput!) { createPlan(input: $input) { plan { id } ${errors} } }`, {
      input: { contextId: rig.contextId, title: 't', objective: 'o', steps },
    });
  const parts = [{ ...part, parentId: whole.id }];
  expect(codes(await create([{ ...whole, acceptanceCriteria }, ...parts]))).toEqual(['VALIDATION_FAILED']);
  const planId = String((await create([whole, ...parts]))['plan']!['id']);
  const patched = await rig.field(
    alice,
    `mutation ($id: ID!, $step: ID!, $patch: PlanStepPatch!) { updateStep(planId: $id, stepId: $step, patch: $patch) { ${errors} } }`,
    { id: planId, step: whole.id, patch: { acceptanceCriteria } },
  );
  expect(codes(patched)).toEqual(['VALIDATION_FAILED']);
});

test('effort in time is the duration where none is given', async () => {
  const estimate = { optimisticMs: 1, mostLikelyMs: 2, pessimisticMs: 3 };
  const effort = (value: number, unit: string, more: object = {}) => ({
    ...{ description: 'work', estimatedEffort: { value, unit } },
    ...more,
  });
  const planId = await rig.createPlan({
    steps: [
      effort(2.5, 'HOURS'),
      effort(2, 'DAYS'),
      effort(8, 'STORY_POINTS'),
      effort(2, 'DAYS', { durationMs: 5 }),
      effort(2, 'DAYS', { estimate }),
      effort(1_000_000, 'DAYS'),
    ],
  });
  const steps = await stepsOf(planId);
  const hour = 3_600_000;
  expect(steps.map(({ durationMs }) => durationMs)).toEqual([2.5 * hour, 16 * hour, hour, 5, 2, 366 * 24 * hour]);
  expect(steps[0]!['estimatedEffort']).toEqual({ value: 2.5, unit: 'HOURS' });
});

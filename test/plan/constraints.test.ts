import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newId } from '#shared/ids.ts';
import { agents, alice, createPlan, executePlan, type Json, openPlanRig, type PlanRig } from './rig.ts';

let rig: PlanRig;
beforeAll(async () => {
  rig = await openPlanRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const [first, second] = agents as [(typeof agents)[0], (typeof agents)[0]];
const hour = 3_600_000;
const step = (id: string, more: object = {}) => ({ id, description: id, durationMs: hour, ...more });
const later = (ms: number) => new Date(Date.now() + ms).toISOString();

const planOf = (planId: string) =>
  rig.field(
    alice,
    `query ($id: ID!) { plan(planId: $id) {
      summary { durationMs feasible reasons { reason stepId cost maxCost } cost } constraints { id type hard status actual limit parameters { resourceId maxAmount stepId notBeforeMs notAfterMs maxCost minQuality other } }
      timeline { start end estimatedDurationMs estimatedEnd actualStart actualEnd actualDurationMs }
      planningMetadata { algorithmUsed optimizationScore feasibilityScore confidence planningTimeMs } } }`,
    { id: planId },
  );
async function execute(planId: string): Promise<Json> {
  await rig.ask(alice, 'mutation ($id: ID!) { approvePlan(planId: $id) { userErrors { code } } }', { id: planId });
  return rig.field(alice, executePlan, { input: { planId } });
}
const optimize = (planId: string, apply: boolean) =>
  rig.field(
    alice,
    `mutation ($input: OptimizePlanInput!) { optimizePlan(input: $input) { score after { makespanMs quality cost } userErrors { code message } } }`,
    { input: { planId, apply, iterations: 200 } },
  );

describe('a constraint of resources', () => {
  const two = (hard: boolean) => ({
    steps: [newId(), newId()].map((id) => step(id, { demands: [{ resourceId: 'desk', amount: 1 }] })),
    resources: [{ id: 'desk', capacity: 3 }],
    constraints: [
      { type: 'RESOURCE', description: 'one at a time', hard, parameters: { resourceId: 'desk', maxAmount: 1 } },
    ],
  });

  test('that is hard is kept by schedule and run', async () => {
    const planId = await rig.createPlan(two(true));
    expect((await optimize(planId, false))['after']).toMatchObject({ makespanMs: 2 * hour });
    const { execution } = await execute(planId);
    const executionId = String(execution!['id']);
    expect((await rig.claim(first, executionId))['lease']).not.toBeNull();
    expect((await rig.claim(second, executionId))['lease']).toBeNull();
    expect((await planOf(planId))['constraints']).toMatchObject([{ status: 'SATISFIED', actual: 1, limit: 1 }]);
  });

  test('that is soft is told to be broken, until a schedule keeps it', async () => {
    const planId = await rig.createPlan(two(false));
    expect(await planOf(planId)).toMatchObject({
      summary: { feasible: true },
      constraints: [{ id: 'constraint-1', hard: false, status: 'VIOLATED', actual: 2, limit: 1 }],
    });
    const { execution } = await execute(planId);
    const executionId = String(execution!['id']);
    for (const agent of [first, second]) expect((await rig.claim(agent, executionId))['lease']).not.toBeNull();
  });
});

describe('a constraint of time', () => {
  test('moves the dates of its step, holds it in the run, and bounds the whole', async () => {
    const [a, b] = [newId(), newId()];
    const planId = await rig.createPlan({
      steps: [step(a), step(b)],
      constraints: [
        { type: 'TEMPORAL', description: 'not before', parameters: { stepId: b, notBeforeMs: 5 * hour } },
        { type: 'TEMPORAL', description: 'in time', hard: false, parameters: { notAfterMs: 4 * hour } },
      ],
    });
    expect(await planOf(planId)).toMatchObject({
      summary: { durationMs: 6 * hour, feasible: true },
      constraints: [
        { status: 'SATISFIED', actual: 5 * hour, limit: 5 * hour },
        { status: 'VIOLATED', actual: 6 * hour, limit: 4 * hour },
      ],
    });
    const { execution, readySteps } = await execute(planId);
    expect(readySteps).toEqual([a]);
    expect((await rig.claim(first, String(execution!['id'])))['lease']).toMatchObject({ stepId: a });
    expect((await rig.claim(second, String(execution!['id'])))['lease']).toBeNull();
  });

  test('that cannot be kept makes the plan infeasible and its run a SCHEDULING_CONFLICT', async () => {
    const [a, b] = [newId(), newId()];
    const planId = await rig.createPlan({
      steps: [step(a), step(b, { dependsOn: [a] })],
      constraints: [{ type: 'TEMPORAL', description: 'in time', parameters: { stepId: b, notAfterMs: hour } }],
    });
    expect(await planOf(planId)).toMatchObject({
      summary: { feasible: false, reasons: [{ reason: 'STEP_DEADLINE', stepId: b, cost: null, maxCost: null }] },
      constraints: [{ status: 'VIOLATED', actual: 2 * hour, limit: hour }],
      planningMetadata: { feasibilityScore: 0.5, confidence: 0 },
    });
    const refused = await execute(planId);
    expect(refused).toMatchObject({ execution: null, userErrors: [{ code: 'SCHEDULING_CONFLICT' }] });
    const plan = await rig.field(alice, 'query ($id: ID!) { plan(planId: $id) { status executions { id } } }', {
      id: planId,
    });
    expect(plan).toEqual({ status: 'APPROVED', executions: [] });
  });

  test('that only scarce resources break is found by how the run would go', async () => {
    const planId = await rig.createPlan({
      steps: [newId(), newId()].map((id) => step(id)),
      constraints: [{ type: 'TEMPORAL', description: 'in time', parameters: { notAfterMs: 1.5 * hour } }],
      maxConcurrentTasks: 1,
    });
    expect((await planOf(planId))['summary']).toMatchObject({ feasible: true });
    expect(await execute(planId)).toMatchObject({ userErrors: [{ code: 'SCHEDULING_CONFLICT' }] });
  });
});

test('a limit of cost is held against the plan, and by what optimises it', async () => {
  const planId = await rig.createPlan({
    steps: [step(newId(), { costPerHour: 100 })],
    constraints: [{ id: 'purse', type: 'FINANCIAL', description: 'cheap', parameters: { maxCost: 40 } }],
  });
  expect(await planOf(planId)).toMatchObject({
    summary: {
      cost: 100,
      feasible: false,
      reasons: [{ reason: 'COST_ABOVE_LIMIT', stepId: null, cost: 100, maxCost: 40 }],
    },
    constraints: [{ id: 'purse', status: 'VIOLATED', actual: 100, limit: 40 }],
    planningMetadata: { feasibilityScore: 0.4 },
  });
});

test('what optimises a plan keeps its limits of cost and quality, and tells how it went about it', async () => {
  const constraints = (maxCost: number) => [
    { type: 'FINANCIAL', description: 'cheap', parameters: { maxCost } },
    { type: 'QUALITY', description: 'good', parameters: { minQuality: 50 } },
    { type: 'OTHER', description: 'kind', parameters: { other: { to: 'animals' } } },
  ];
  const [a, b] = [newId(), newId()];
  const planId = await rig.createPlan({
    steps: [step(a, { demands: [{ resourceId: 'desk', amount: 1 }] }), step(b, { dependsOn: [a] })],
    resources: [{ id: 'desk', capacity: 1, costPerHour: 10 }],
    constraints: constraints(5),
  });
  expect((await planOf(planId))['planningMetadata']).toMatchObject({
    ...{ algorithmUsed: 'critical_path', optimizationScore: null, feasibilityScore: 1 },
    planningTimeMs: expect.any(Number),
  });
  expect((await optimize(planId, true))['userErrors']).toMatchObject([{ code: 'INFEASIBLE_CONSTRAINTS' }]);
  await rig.ask(
    alice,
    'mutation ($id: ID!, $patch: PlanPatch!) { updatePlan(planId: $id, patch: $patch) { userErrors { code } } }',
    { id: planId, patch: { constraints: constraints(1_000) } },
  );
  const found = await optimize(planId, true);
  expect(found['userErrors']).toEqual([]);
  const optimised = await planOf(planId);
  expect(optimised['planningMetadata']).toMatchObject({
    ...{ algorithmUsed: 'rcpsp_time_optimal', optimizationScore: found['score'] },
  });
  expect(optimised['constraints']).toMatchObject([
    { status: 'SATISFIED' },
    { type: 'QUALITY', status: 'SATISFIED', actual: found['after']!['quality'], limit: 50 },
    {
      type: 'OTHER',
      status: 'UNCHECKED',
      actual: null,
      limit: null,
      parameters: { other: { to: 'animals' }, maxCost: null },
    },
  ]);
  await rig.ask(
    alice,
    'mutation ($id: ID!, $step: PlanStepInput!) { addStep(planId: $id, step: $step) { userErrors { code } } }',
    { id: planId, step: { description: 'more' } },
  );
  const edited = await planOf(planId);
  expect(edited['planningMetadata']).toMatchObject({ algorithmUsed: 'critical_path', optimizationScore: null });
  expect(edited['constraints']![1]).toMatchObject({ status: 'UNCHECKED', actual: null });
});

test('constraints of the type OTHER are taken over from the form they had', async () => {
  const planId = await rig.createPlan({
    steps: [step(newId())],
    constraints: [
      { type: 'FINANCIAL', description: 'cheap', parameters: { maxCost: 1_000 } },
      { type: 'OTHER', description: 'kind', parameters: { other: { to: 'animals' } } },
      { type: 'OTHER', description: 'brief' },
    ],
  });
  const before = (await planOf(planId))['constraints'];
  await rig.sql.unsafe(
    `UPDATE plan.plan SET definition = jsonb_set(definition, '{constraints,1,parameters}', '{"to": "animals"}') WHERE id = '${planId}'`,
  );
  const folder = new URL('../../prisma/migrations/20261128104900_plan_other_constraints/', import.meta.url);
  await rig.sql.unsafe(await readFile(new URL('migration.sql', folder), 'utf8'));
  expect((await planOf(planId))['constraints']).toEqual(before);
});

describe('a timeline', () => {
  const timed = (timeline: object) => rig.createPlan({ steps: [step(newId())], timeline });

  test('that has not begun refuses the run and says when to come again', async () => {
    const refused = await rig.field(
      alice,
      `mutation ($input: ExecutePlanInput!) { executePlan(input: $input) { userErrors { code retryAfterMs } } }`,
      { input: { planId: await approved(await timed({ start: later(hour) })) } },
    );
    const [error] = refused['userErrors']! as unknown as { code: string; retryAfterMs: number }[];
    expect(error!.code).toBe('SCHEDULING_CONFLICT');
    expect(error!.retryAfterMs).toBeGreaterThan(hour / 2);
  });

  test('that ends before the run would refuses it', async () => {
    const planId = await timed({ start: later(-hour), end: later(hour / 2) });
    expect((await planOf(planId))['summary']).toMatchObject({ feasible: true });
    expect(await execute(planId)).toMatchObject({ userErrors: [{ code: 'SCHEDULING_CONFLICT' }] });
    const narrow = await timed({ start: later(-hour), end: later(-hour / 2) });
    expect((await planOf(narrow))['summary']).toMatchObject({ feasible: false });
  });

  test('tells what was estimated and what came of it', async () => {
    const planId = await timed({ end: later(2 * hour) });
    const before = (await planOf(planId))['timeline']!;
    expect(before).toMatchObject({ start: null, estimatedDurationMs: hour, actualStart: null, actualDurationMs: null });
    expect(Date.parse(String(before['estimatedEnd'])) - Date.now()).toBeGreaterThan(hour / 2);
    const { execution } = await execute(planId);
    const executionId = String(execution!['id']);
    await rig.complete(first, (await rig.claim(first, executionId))['lease']!);
    const after = (await planOf(planId))['timeline']!;
    expect(after).toMatchObject({ estimatedEnd: null, actualStart: expect.any(String), actualEnd: expect.any(String) });
    expect(after['actualDurationMs']).toBe(
      Date.parse(String(after['actualEnd'])) - Date.parse(String(after['actualStart'])),
    );
  });

  async function approved(planId: string): Promise<string> {
    await rig.ask(alice, 'mutation ($id: ID!) { approvePlan(planId: $id) { userErrors { code } } }', { id: planId });
    return planId;
  }
});

test.each([
  [
    'a resource of another plan',
    { constraints: [{ type: 'RESOURCE', parameters: { resourceId: 'x', maxAmount: 1 } }] },
  ],
  ['a step of another plan', { constraints: [{ type: 'TEMPORAL', parameters: { stepId: newId(), notAfterMs: 1 } }] }],
  ['times in the wrong order', { constraints: [{ type: 'TEMPORAL', parameters: { notBeforeMs: 2, notAfterMs: 1 } }] }],
  ['a time of more than a year', { constraints: [{ type: 'TEMPORAL', parameters: { notBeforeMs: 1e12 } }] }],
  ['no parameters', { constraints: [{ type: 'FINANCIAL' }] }],
  ['parameters of another type', { constraints: [{ type: 'FINANCIAL', parameters: { minQuality: 1 } }] }],
  [
    'free parameters of a type that has its own',
    { constraints: [{ type: 'FINANCIAL', parameters: { maxCost: 1, other: {} } }] },
  ],
  ['other parameters that are no object', { constraints: [{ type: 'OTHER', parameters: { other: [1] } }] }],
  ['the same id twice', { constraints: ['a', 'a'].map((id) => ({ id, type: 'OTHER' })) }],
  ['a timeline that ends before it begins', { timeline: { start: later(hour), end: later(0) } }],
  ['an empty timeline', { timeline: { start: null } }],
])('%s is refused at the door', async (_name, given) => {
  const constraints =
    'constraints' in given ? given.constraints.map((one) => ({ description: 'x', ...one })) : undefined;
  const payload = await rig.field(alice, createPlan, {
    input: {
      ...{ contextId: rig.contextId, title: 'A plan', objective: 'To be done', steps: [step(newId())] },
      ...{ ...given, ...(constraints === undefined ? {} : { constraints }) },
    },
  });
  expect(payload['userErrors']).toMatchObject([{ code: 'VALIDATION_FAILED' }]);
});

test('a network that was broken behind the platform is told with a code of its own', async () => {
  const [a, b] = [newId(), newId()];
  const { planId, executionId } = await rig.startPlan({ steps: [step(a), step(b, { dependsOn: [a] })] });
  await rig.sql`INSERT INTO plan.dependency (tenant_id, plan_id, id, place, source_id, target_id, type, lag_ms, criticality)
    VALUES ('one', ${planId}, ${newId()}, 7, ${b}, ${a}, 'finish_to_start', 0, 'blocking')`;
  await expect(
    rig.ask(alice, 'query ($id: ID!) { planExecution(executionId: $id) { report { health } } }', { id: executionId }),
  ).rejects.toMatchObject({ code: 'EXECUTION_MONITORING_FAILED' });
  await expect(
    rig.ask(alice, 'query ($id: ID!) { planAnalysis(planId: $id) { makespanMs } }', { id: planId }),
  ).rejects.toMatchObject({ code: 'PLANNING_ALGORITHM_ERROR' });
});

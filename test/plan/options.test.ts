import { afterAll, beforeAll, expect, test } from 'vitest';
import type { EventRow } from '#shared/events.ts';
import { newId } from '#shared/ids.ts';
import { observePlan } from '../../subgraphs/plan/observability.ts';
import { agents, alice, type Json, openPlanRig, type PlanRig, principal } from './rig.ts';

let rig: PlanRig;
beforeAll(async () => {
  rig = await openPlanRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const [first, second] = agents as [(typeof agents)[0], (typeof agents)[0]];
const hour = 3_600_000;
const step = (id: string, more: object = {}) => ({ id, description: id, durationMs: hour, ...more });
const codes = (payload: Json) => payload['userErrors']!.map(({ code }) => String(code));
const execute = (input: object) =>
  rig.field(
    alice,
    'mutation ($input: ExecutePlanInput!) { executePlan(input: $input) { execution { id } readySteps makespanMs userErrors { code message path } } }',
    { input },
  );
const approved = async (input: Readonly<Record<string, unknown>>) => {
  const planId = await rig.createPlan(input);
  await rig.ask(alice, 'mutation ($id: ID!) { approvePlan(planId: $id) { userErrors { code } } }', { id: planId });
  return planId;
};

test('a run has the capacities that it is given, and no others', async () => {
  const crane = { demands: [{ resourceId: 'crane', amount: 1 }] };
  const planId = await approved({
    steps: [step(newId(), crane), step(newId(), crane)],
    resources: [{ id: 'crane', capacity: 2 }],
  });
  const limits = (capacity: number, resourceId = 'crane') => ({ planId, resourceLimits: [{ resourceId, capacity }] });
  expect(codes(await execute(limits(1, 'ship')))).toEqual(['VALIDATION_FAILED']);
  expect(codes(await execute(limits(0)))).toEqual(['RESOURCE_ALLOCATION_FAILED']);
  expect((await execute({ ...limits(1), dryRun: true }))['makespanMs']).toBe(2 * hour);
  expect((await execute({ planId, dryRun: true }))['makespanMs']).toBe(hour);
  const executionId = String((await execute({ ...limits(1), validateDependencies: true }))['execution']!['id']);
  expect((await rig.claim(first, executionId))['lease']).not.toBeNull();
  expect((await rig.claim(second, executionId))['lease']).toBeNull();
});

test.each([
  ['CRITICAL_PATH', ['long', 'chained', 'urgent', 'short']],
  ['PRIORITY', ['urgent', 'long', 'chained', 'short']],
  ['WEIGHTED_SHORTEST', ['short', 'urgent', 'chained', 'long']],
  ['PLAN_ORDER', ['short', 'urgent', 'chained', 'long']],
] as const)('strategy %s hands out %j', async (strategy, expected) => {
  const ids = { short: newId(), urgent: newId(), chained: newId(), long: newId() };
  const planId = await approved({
    steps: [
      step(ids.short, { durationMs: hour / 4 }),
      step(ids.urgent, { durationMs: 2 * hour, priority: 'CRITICAL' }),
      step(ids.chained, { durationMs: 3 * hour }),
      step(ids.long, { durationMs: 9 * hour }),
    ],
  });
  const executionId = String((await execute({ planId, strategy }))['execution']!['id']);
  const taken: string[] = [];
  for (const _ of expected) taken.push(String((await rig.claim(first, executionId))['lease']!['stepId']));
  expect(taken).toEqual(expected.map((name) => ids[name]));
});

const optimize = (input: object) =>
  rig.field(
    alice,
    'mutation ($input: OptimizePlanInput!) { optimizePlan(input: $input) { after { makespanMs cost quality } before { quality } crashCost userErrors { code message } } }',
    { input },
  );

test('a schedule is chosen within the constraints, or none is', async () => {
  const [a, b] = [newId(), newId()];
  const planId = await rig.createPlan({
    steps: [
      step(a, { demands: [{ resourceId: 'crew', amount: 1 }], crash: { minDurationMs: hour / 2, costPerHour: 100 } }),
      step(b, { demands: [{ resourceId: 'crew', amount: 1 }], crash: { minDurationMs: hour / 2, costPerHour: 100 } }),
    ],
    resources: [{ id: 'crew', capacity: 2, costPerHour: 10 }],
  });
  const free = await optimize({ planId });
  expect(free['after']).toEqual({ makespanMs: hour, cost: 20, quality: 50 });
  // One at a time: the first has an hour of slack behind it only as far as the other waits.
  const one = { availableResources: [{ resourceId: 'crew', capacity: 1 }] };
  expect((await optimize({ planId, constraints: one }))['after']).toMatchObject({ makespanMs: 2 * hour });
  const refused = await optimize({ planId, constraints: { ...one, maxDurationMs: hour } });
  expect(codes(refused)).toEqual(['INFEASIBLE_CONSTRAINTS']);
  expect(String(refused['userErrors']!.find(() => true)['message'])).toContain(`takes ${2 * hour} ms, costs 20`);
  expect(codes(await optimize({ planId, constraints: { maxCost: 19 } }))).toEqual(['INFEASIBLE_CONSTRAINTS']);
  expect(codes(await optimize({ planId, constraints: { minQuality: 51 } }))).toEqual(['INFEASIBLE_CONSTRAINTS']);
  expect(codes(await optimize({ planId, constraints: { minQuality: 101 } }))).toEqual(['VALIDATION_FAILED']);
  expect(
    codes(await optimize({ planId, constraints: { availableResources: [{ resourceId: 'x', capacity: 1 }] } })),
  ).toEqual(['VALIDATION_FAILED']);
  // Of a front, only what keeps them: the best quality would take an hour.
  const balanced = (constraints: object) => optimize({ planId, strategy: 'QUALITY_OPTIMAL', seed: 3, constraints });
  expect((await balanced({}))['after']!['makespanMs']).toBe(hour);
  const short = await balanced({ maxDurationMs: 0.75 * hour });
  expect(codes(short)).toEqual([]);
  expect(Number(short['after']!['makespanMs'])).toBeLessThanOrEqual(0.75 * hour);
});

test('adapting a plan asks for its own permission', async () => {
  const planId = await rig.createPlan({ steps: [step(newId())] });
  const adapt = (scopes: readonly string[]) =>
    rig.field(
      principal('alice', { scopes }),
      'mutation ($id: ID!) { adaptPlan(input: { planId: $id, trigger: DEADLINE_MOVED, deadlineMs: 7200000 }) { applied userErrors { code } } }',
      { id: planId },
    );
  await expect(adapt(['plan:read', 'plan:schedule'])).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
  expect(await adapt(['plan:read', 'plan:adapt'])).toMatchObject({ applied: true });
});

test('methods that were taken and changes that are proposed stand among the observability events', async () => {
  const method = await rig.field(
    alice,
    'mutation { createPlanMethod(input: { task: "go", name: "walk", step: { description: "walk" } }) { method { id } userErrors { code } } }',
  );
  const methodId = String(method['method']!['id']);
  const planId = await rig.createPlan({ objectives: [{ task: 'go' }] });
  const { session } = await rig.field(
    alice,
    'mutation ($id: ID!) { startPlanSession(input: { planId: $id, participants: [{ subject: "alice" }] }) { session { id } userErrors { code } } }',
    { id: planId },
  );
  const { contribution } = await rig.field(
    alice,
    'mutation ($input: ContributeToPlanInput!) { contributeToPlan(input: $input) { contribution { id } userErrors { code } } }',
    { input: { sessionId: session!['id'], planVersion: 1, change: { addSteps: [{ description: 'run' }] } } },
  );
  const told = rig.events
    .filter(({ streamId }) => streamId === planId)
    .flatMap((event) => observePlan(event as EventRow));
  expect(told).toMatchObject([
    { event_type: 'plan_created', event_family: 'graph_update' },
    { event_type: 'methodology_selected', event_family: 'methodology', payload: { method_ids: [methodId] } },
    {
      event_type: 'impact_assessed',
      event_family: 'impact_analysis',
      project_id: rig.contextId,
      payload: { contribution_id: contribution!['id'], before: { totalSteps: 1 }, after: { totalSteps: 2 } },
    },
  ]);
});

import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { newId } from '#shared/ids.ts';
import { agents, alice, createPlan, type Json, openPlanRig, type PlanRig, stranger } from './rig.ts';

let rig: PlanRig;
beforeAll(async () => {
  rig = await openPlanRig();
});
afterAll(() => rig[Symbol.asyncDispose]());
afterEach(() => void vi.useRealTimers());

const [first, second] = agents as [(typeof agents)[0], (typeof agents)[0]];
const hour = 3_600_000;
const step = (id: string, more: object = {}) => ({ id, description: id, durationMs: 1_000, ...more });

/** Everything that is stored of plans. */
async function stored(): Promise<string> {
  const tables = ['plan', 'step', 'dependency', 'execution', 'step_execution', 'session', 'contribution', 'event'];
  const rows = await Promise.all(
    tables.map(async (table) => {
      const found = await rig.sql.unsafe(`SELECT to_jsonb(t) AS row FROM plan.${table} t`);
      return found.map(({ row }) => JSON.stringify(row)).sort();
    }),
  );
  return JSON.stringify(rows);
}

describe('a step of another plan', () => {
  const calls: Readonly<Record<string, string>> = {
    updateStep: 'updateStep(planId: $plan, stepId: $other, patch: { name: "x" })',
    removeStep: 'removeStep(planId: $plan, stepId: $other)',
    addStep: 'addStep(planId: $plan, step: { description: "x", dependsOn: [$other] })',
    'addStep as parent': 'addStep(planId: $plan, step: { description: "x", parentId: $other })',
    'addDependency from it': 'addDependency(planId: $plan, dependency: { sourceId: $other, targetId: $own })',
    'addDependency to it': 'addDependency(planId: $plan, dependency: { sourceId: $own, targetId: $other })',
    reassignTask: 'reassignTask(planId: $plan, stepId: $other, agentId: "agent-1")',
    adaptPlan: 'adaptPlan(input: { planId: $plan, trigger: SCOPE_CHANGED, removeStepIds: [$other] })',
    updatePlan: 'updatePlan(planId: $plan, patch: { milestones: [{ name: "m", stepIds: [$other] }] })',
    contributeToPlan:
      'contributeToPlan(input: { sessionId: $session, planVersion: 1, change: { removeStepIds: [$other] } })',
  };

  test.each(Object.keys(calls))('%s: a typed error, and nothing changes', async (name) => {
    const [own, other] = [newId(), newId()];
    const plan = await rig.createPlan({ steps: [step(own), step(newId())] });
    await rig.createPlan({ steps: [step(other, { type: 'COMPOSITE' }), step(newId(), { parentId: other })] });
    const { session } = await rig.field(
      alice,
      'mutation ($plan: ID!) { startPlanSession(input: { planId: $plan, participants: [{ subject: "alice" }] }) { session { id } } }',
      { plan },
    );
    const before = await stored();
    const used = ['plan', 'own', 'other', 'session'].filter((variable) => calls[name]!.includes(`$${variable}`));
    const payload = await rig.field(
      alice,
      `mutation (${used.map((variable) => `$${variable}: ID!`).join(', ')}) { ${calls[name]} { userErrors { code } } }`,
      { plan, own, other, session: session!['id'] },
    );
    expect(payload['userErrors']!.map(({ code }) => String(code))).toEqual([
      expect.stringMatching(/^(NOT_FOUND|VALIDATION_FAILED|PLAN_CREATION_FAILED)$/),
    ]);
    expect(await stored()).toBe(before);
  });

  test('is neither completed nor failed nor resolved by the run of another', async () => {
    const [one, two] = [
      await rig.startPlan({ steps: [step(newId())] }),
      await rig.startPlan({ steps: [step(newId())] }),
    ];
    const lease = (await rig.claim(first, one.executionId))['lease']!;
    const other = (await rig.claim(second, two.executionId))['lease']!;
    const before = await stored();
    const mixed = { ...lease, stepId: other['stepId'] } as unknown as Json;
    expect((await rig.complete(first, mixed))['userErrors']).toMatchObject([{ code: 'NOT_FOUND' }]);
    expect((await rig.fail(first, mixed, { message: 'x' }))['userErrors']).toMatchObject([{ code: 'NOT_FOUND' }]);
    const resolved = await rig.field(
      alice,
      'mutation ($e: ID!, $s: ID!) { resolveStep(executionId: $e, stepId: $s, resolution: SKIP) { userErrors { code } } }',
      { e: one.executionId, s: other['stepId'] },
    );
    expect(resolved['userErrors']).toMatchObject([{ code: 'NOT_FOUND' }]);
    expect((await rig.complete(stranger, lease))['userErrors']).toMatchObject([{ code: 'NOT_FOUND' }]);
    expect(await stored()).toBe(before);
  });
});

test.each([
  ['a cycle', { steps: ['a', 'b'].map((name) => ({ name, description: name })) }, 'CYCLIC_DEPENDENCY'],
  ['a negative duration', { steps: [{ description: 'x', durationMs: -1 }] }, 'VALIDATION_FAILED'],
  [
    'a duration that is no number of milliseconds',
    { steps: [{ description: 'x', durationMs: 0.5 }] },
    'VALIDATION_FAILED',
  ],
  ['a duration beyond a year', { steps: [{ description: 'x', durationMs: 400 * 24 * hour }] }, 'VALIDATION_FAILED'],
  [
    'a negative estimate',
    { steps: [{ description: 'x', estimate: { optimisticMs: -1, mostLikelyMs: 1, pessimisticMs: 2 } }] },
    'VALIDATION_FAILED',
  ],
  ['a negative start', { steps: [{ description: 'x', earliestStartMs: -1 }] }, 'VALIDATION_FAILED'],
  ['a negative deadline', { steps: [{ description: 'x' }], deadlineMs: -1 }, 'VALIDATION_FAILED'],
])('%s is no plan: %#', async (_name, input, code) => {
  const ids = input.steps.map(newId);
  const given = input.steps.map((one, at) => ({ ...one, id: ids[at] }));
  const dependencies =
    code === 'CYCLIC_DEPENDENCY' ? ids.map((id, at) => ({ sourceId: id, targetId: ids[(at + 1) % ids.length] })) : [];
  const before = await stored();
  // What the scalar refuses never reaches the service.
  const answer = await rig
    .field(alice, createPlan, {
      input: {
        contextId: rig.contextId,
        title: 'A plan',
        objective: 'To be done',
        ...input,
        steps: given,
        dependencies,
      },
    })
    .then(
      (payload) => payload['userErrors']!.map((error) => String(error['code'])),
      (error: { message: string }) => [error.message],
    );
  expect(answer).toEqual([expect.stringMatching(new RegExp(`${code}|DurationMs|milliseconds`))]);
  expect(await stored()).toBe(before);
});

describe('a clock of the process that jumps', () => {
  const jump = (ms: number) => vi.useFakeTimers({ now: Date.now() + ms, toFake: ['Date'] });

  test.each([
    ['forward', 2 * hour],
    ['back', -2 * hour],
  ])('%s ends no lease and keeps none open: the database says what time it is', async (_name, ms) => {
    const { executionId } = await rig.startPlan({ steps: [step(newId()), step(newId())] });
    const [held, lapsing] = [
      (await rig.claim(first, executionId))['lease']!,
      (await rig.claim(second, executionId, { leaseMs: 100 }))['lease']!,
    ];
    await new Promise((resolve) => setTimeout(resolve, 150));
    jump(ms);
    expect((await rig.complete(second, lapsing))['userErrors']).toMatchObject([{ code: 'LEASE_LOST' }]);
    await rig.service.runs.sweep();
    expect(await rig.complete(first, held)).toMatchObject({ step: { status: 'COMPLETED' }, userErrors: [] });
    const again = (await rig.claim(first, executionId))['lease']!;
    expect(again).toMatchObject({ stepId: lapsing['stepId'] });
    expect(Number(again['epoch'])).toBeGreaterThan(Number(lapsing['epoch']));
    expect(await rig.complete(first, again)).toMatchObject({ execution: { status: 'COMPLETED' }, userErrors: [] });
  });
});

import { afterAll, beforeAll, expect, test } from 'vitest';
import { newId } from '#shared/ids.ts';
import { applyChange, type PlanChange } from '../../subgraphs/plan/analysis/index.ts';
import { toPlanProblem } from '../../subgraphs/plan/planProblem.ts';
import { scheduledMakespan } from '../../subgraphs/plan/planThread.ts';
import { findDependencies, findPlans, findSteps } from '../../subgraphs/plan/store.ts';
import { agents, alice, createPlan, executePlan, openPlanRig, type PlanRig, principal, stranger } from './rig.ts';

let rig: PlanRig;
beforeAll(async () => {
  rig = await openPlanRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const hour = 3_600_000;
const step = (id: string, more: object = {}) => ({ id, description: id, durationMs: hour, ...more });
const create = (input: object) =>
  rig.field(alice, createPlan, { input: { contextId: rig.contextId, title: 't', objective: 'o', ...input } });
const codes = (payload: Awaited<ReturnType<typeof create>>) => payload['userErrors']!.map(({ code }) => String(code));
const count = async () => (await rig.sql`SELECT count(*)::int AS n FROM plan.plan`)[0]!['n'] as number;

test('createPlan answers the critical path, and the same key answers the same plan', async () => {
  const [a, b, c] = [newId(), newId(), newId()];
  const input = {
    steps: [step(a), step(b, { dependsOn: [a], durationMs: 3 * hour }), step(c, { dependsOn: [a] })],
    idempotencyKey: 'one',
  };
  const payload = await create(input);
  expect(payload['plan']).toMatchObject({
    status: 'DRAFT',
    stepCount: 3,
    summary: { durationMs: 4 * hour, criticalPath: [a, b], feasible: true },
  });
  expect((await create(input))['plan']!['id']).toBe(payload['plan']!['id']);
  expect(codes(await create({ ...input, title: 'other' }))).toEqual(['IDEMPOTENCY_MISMATCH']);
});

test('what is no plan is refused with nothing stored, a cycle with its steps named', async () => {
  const before = await count();
  const [a, b, c] = [newId(), newId(), newId()];
  const ring = await create({
    steps: [step(a, { dependsOn: [c] }), step(b, { dependsOn: [a] }), step(c, { dependsOn: [b] })],
  });
  expect(codes(ring)).toEqual(['CYCLIC_DEPENDENCY']);
  for (const id of [a, b, c]) expect(String(ring['userErrors']![0 as never]!['message'])).toContain(id);
  expect(codes(await create({ steps: [step(a, { dependsOn: [a] })] }))).toEqual(['CYCLIC_DEPENDENCY']);
  expect(codes(await create({ steps: [step(a, { dependsOn: [newId()] })] }))).toEqual(['PLAN_CREATION_FAILED']);
  expect(codes(await create({ steps: [step(a), step(a)] }))).toEqual(['PLAN_CREATION_FAILED']);
  expect(codes(await create({ steps: [] }))).toEqual(['VALIDATION_FAILED']);
  expect(codes(await create({ steps: [step('no id')] }))).toEqual(['VALIDATION_FAILED']);
  expect(codes(await create({ steps: [step(a)], contextId: newId() }))).toEqual(['NOT_FOUND']);
  const closed = newId();
  rig.contexts.set(`one/${closed}`, 'CLOSED');
  expect(codes(await create({ steps: [step(a)], contextId: closed }))).toEqual(['CONTEXT_NOT_ACTIVE']);
  expect(await count()).toBe(before);
});

test('a draft is edited as a whole; an edit that closes a cycle changes nothing', async () => {
  const [a, b] = [newId(), newId()];
  const planId = await rig.createPlan({ steps: [step(a), step(b, { dependsOn: [a] })] });
  const dependency = { sourceId: b, targetId: a };
  const refused = await rig.field(
    alice,
    'mutation ($id: ID!, $d: PlanDependencyInput!) { addDependency(planId: $id, dependency: $d) { userErrors { code } } }',
    { id: planId, d: dependency },
  );
  expect(refused['userErrors']).toEqual([{ code: 'CYCLIC_DEPENDENCY' }]);
  const added = await rig.field(
    alice,
    'mutation ($id: ID!, $s: PlanStepInput!) { addStep(planId: $id, step: $s, expectedVersion: 1) { plan { version stepCount dependencies { sourceId } } userErrors { code } } }',
    { id: planId, s: step(newId(), { dependsOn: [b] }) },
  );
  expect(added['plan']).toMatchObject({ version: 2, stepCount: 3, dependencies: [{ sourceId: a }, { sourceId: b }] });
  const removed = await rig.field(
    alice,
    'mutation ($id: ID!, $s: ID!) { removeStep(planId: $id, stepId: $s, expectedVersion: 1) { userErrors { code } } }',
    { id: planId, s: b },
  );
  expect(removed['userErrors']).toEqual([{ code: 'VERSION_CONFLICT' }]);
  const updated = await rig.field(
    alice,
    'mutation ($id: ID!, $s: ID!) { updateStep(planId: $id, stepId: $s, patch: { durationMs: 10 }) { plan { summary { durationMs } } userErrors { code } } }',
    { id: planId, s: b },
  );
  expect(updated['plan']).toEqual({ summary: { durationMs: 2 * hour + 10 } });
});

test('a draft does not run, an approved plan runs once, and agents that lack a capability are told', async () => {
  const planId = await rig.createPlan({ steps: [step(newId(), { requiredCapabilities: ['weld'] })] });
  const run = (input: object = {}) => rig.field(alice, executePlan, { input: { planId, ...input } });
  expect(codes(await run())).toEqual(['INVALID_STATE_TRANSITION']);
  await rig.ask(alice, 'mutation ($id: ID!) { approvePlan(planId: $id) { userErrors { code } } }', { id: planId });
  const pool = [{ agentId: 'x', capabilities: ['paint'], capacity: 1 }];
  expect(codes(await run({ agentPool: pool }))).toEqual(['RESOURCE_ALLOCATION_FAILED']);
  const dry = await run({ dryRun: true });
  expect(dry).toMatchObject({ execution: null, makespanMs: hour, plan: { status: 'APPROVED' } });
  const started = await run();
  expect(started).toMatchObject({ execution: { status: 'RUNNING' }, plan: { status: 'IN_PROGRESS' } });
  expect(codes(await run())).toEqual(['INVALID_STATE_TRANSITION']);
  const executionId = String(started['execution']!['id']);
  expect((await rig.claim(agents[0]!, executionId))['lease']).toBeNull();
  expect((await rig.claim(agents[0]!, executionId, { capabilities: ['weld'] }))['lease']).not.toBeNull();
});

const crowded = () => {
  const ids = Array.from({ length: 12 }, newId);
  return {
    steps: ids.map((id, at) =>
      step(id, {
        durationMs: (1 + (at % 4)) * hour,
        demands: [{ resourceId: 'crew', amount: 1 + (at % 2) }],
        dependsOn: at < 4 ? [] : [ids[at - 4]],
        crash: { minDurationMs: hour / 2, costPerHour: 10 },
      }),
    ),
    resources: [{ id: 'crew', capacity: 3, costPerHour: 50, maxAdded: 2 }],
  };
};
const optimizePlan = `mutation ($input: OptimizePlanInput!) { optimizePlan(input: $input) {
  plan { version schedule { makespanMs score steps { stepId startMs finishMs } violations { kind } } } before { makespanMs } after { makespanMs constraintViolations violations { kind } score } criticalPath schedule { stepId startMs finishMs } score lowerBoundMs optimal applied
  paretoFront { values } userErrors { code } } }`;

test('optimizePlan keeps the constraints, is the same for a seed, and applies what it found', async () => {
  const planId = await rig.createPlan(crowded());
  const run = (input: object = {}) =>
    rig.field(alice, optimizePlan, {
      input: { planId, seed: 7, iterations: 500, maxOptimizationTimeMs: 60_000, ...input },
    });
  const [one, two] = [await run(), await run()];
  expect(one['userErrors']).toEqual([]);
  expect(two).toEqual(one);
  expect(one['after']).toMatchObject({ constraintViolations: 0 });
  expect(Number(one['score'])).toBeGreaterThan(0.8);
  expect(Number(one['after']!['makespanMs'])).toBeLessThanOrEqual(Number(one['before']!['makespanMs']));
  const several = await run({ targets: ['TIME', 'COST'] });
  expect(several['paretoFront']!.length).toBeGreaterThan(0);
  const applied = await run({ apply: true });
  expect(applied['plan']).toMatchObject({ version: 2 });
  expect(applied['plan']!['schedule']).toEqual({
    ...{ makespanMs: applied['after']!['makespanMs'], score: applied['score'], violations: [] },
    steps: applied['schedule'],
  });
  expect(applied['criticalPath']!.length).toBeGreaterThan(0);
});

test('a genetic search keeps the constraints too, and the plan says that it was one', async () => {
  const planId = await rig.createPlan(crowded());
  const [one, other] = await Promise.all(
    [1, 2].map(() => rig.field(alice, optimizePlan, { input: { planId, algorithm: 'GENETIC', iterations: 500 } })),
  );
  expect(one!['userErrors']).toEqual([]);
  expect(one!['after']!['violations']).toEqual([]);
  expect(one!['schedule']).toEqual(other!['schedule']);
  const applied = await rig.field(alice, optimizePlan, { input: { planId, algorithm: 'GENETIC', apply: true } });
  expect(applied['userErrors']).toEqual([]);
  const plan = await rig.field(alice, 'query ($id: ID!) { plan(planId: $id) { planningMetadata { algorithmUsed } } }', {
    id: planId,
  });
  expect(plan['planningMetadata']).toEqual({ algorithmUsed: 'rcpsp_time_optimal_genetic' });
});

test('a plan shorter than a minute is made, and warned of', async () => {
  const planId = await rig.createPlan({ steps: [{ description: 'quick', durationMs: 5_000 }] });
  expect(
    await rig.field(alice, 'query ($id: ID!) { validatePlan(planId: $id) { valid problems { severity code } } }', {
      id: planId,
    }),
  ).toEqual({ valid: true, problems: [{ severity: 'WARNING', code: 'INFEASIBLE_CONSTRAINTS' }] });
});

test('a plan whose deadline no schedule keeps is infeasible, and says where', async () => {
  const planId = await rig.createPlan({ ...crowded(), deadlineMs: hour });
  const payload = await rig.field(alice, optimizePlan, { input: { planId } });
  expect(payload['userErrors']).toEqual([{ code: 'INFEASIBLE_CONSTRAINTS' }]);
  const check = await rig.field(alice, 'query ($id: ID!) { validatePlan(planId: $id) { valid problems { code } } }', {
    id: planId,
  });
  expect(check['valid']).toBe(false);
});

test('planAnalysis: floats, criticality, and suggestions whose gain comes true when they are applied', async () => {
  const planId = await rig.createPlan(crowded());
  const analysis = await rig.field(
    alice,
    `query ($id: ID!) { planAnalysis(planId: $id, samples: 500) { makespanMs scheduledMakespanMs criticalPaths steps { stepId totalFloatMs critical criticality }
       suggestions { kind target parameters { amount durationMs parts parallel earliestStartMs lagMs } beforeMs afterMs gainMs } earnedValue { plannedValue } deviations { stepId } percentiles { share finishMs lowMs highMs } utilisation { resourceId capacity peak utilization criticalUtilization } pertMeanMs bottleneckId } }`,
    { id: planId },
  );
  expect(analysis['steps']!.length).toBe(12);
  expect(analysis['criticalPaths']!.length).toBeGreaterThan(0);
  expect(analysis).toMatchObject({ earnedValue: null, deviations: null });
  const percentiles = analysis['percentiles'] as unknown as Record<'share' | 'finishMs' | 'lowMs' | 'highMs', number>[];
  expect(percentiles.map(({ share }) => share)).toEqual([0.1, 0.5, 0.8, 0.9, 0.95]);
  for (const { finishMs, lowMs, highMs } of percentiles)
    expect([lowMs, finishMs, highMs]).toEqual([lowMs, finishMs, highMs].toSorted((a, b) => a - b));
  const loads = analysis['utilisation'] as unknown as Record<string, unknown>[];
  expect(loads.map(({ resourceId }) => resourceId)).toContain(analysis['bottleneckId']);
  const floats = analysis['steps']!.map((timing) => Number(timing['totalFloatMs']) === 0);
  expect(floats).toEqual(analysis['steps']!.map((timing) => timing['critical']));
  const [[plan], steps, dependencies] = await Promise.all([
    findPlans(rig.sql, 'one', [planId]),
    findSteps(rig.sql, 'one', [planId]),
    findDependencies(rig.sql, 'one', [planId]),
  ]);
  const problem = toPlanProblem(plan!.definition, steps, dependencies);
  const before = scheduledMakespan(problem)!;
  expect(before).toBe(analysis['scheduledMakespanMs']);
  expect(analysis['suggestions']!.length).toBeGreaterThan(0);
  const gains = analysis['suggestions']!.map((suggestion) => {
    const { target } = suggestion as unknown as PlanChange;
    const kind = String(suggestion['kind']).toLowerCase();
    const { durationMs: duration, earliestStartMs: earliestStart, lagMs: lag, ...others } = suggestion['parameters']!;
    const parameters = { ...others, duration, earliestStart, lag };
    const after = scheduledMakespan(applyChange(problem, { kind, target, parameters } as unknown as PlanChange))!;
    return before - after;
  });
  expect(gains).toEqual(analysis['suggestions']!.map((suggestion) => suggestion['gainMs']));
});

test('planAnalysis: how much runs at once, the use of each resource over time, and PERT of each step', async () => {
  const [group, one, two, last] = [newId(), newId(), newId(), newId()];
  const planId = await rig.createPlan({
    resources: [
      { id: 'crew', capacity: 2 },
      { id: 'gone', capacity: 0 },
    ],
    steps: [
      { id: group, description: 'both', type: 'COMPOSITE' },
      { id: one, parentId: group, description: 'one', durationMs: hour, demands: [{ resourceId: 'crew', amount: 2 }] },
      {
        ...{ id: two, parentId: group, description: 'two' },
        estimate: { optimisticMs: hour, mostLikelyMs: 2 * hour, pessimisticMs: 9 * hour },
      },
      {
        ...{ id: last, description: 'last', durationMs: hour, dependsOn: [group] },
        demands: [{ resourceId: 'gone', amount: 1 }],
      },
    ],
  });
  const analysis = await rig.field(
    alice,
    `query ($id: ID!) { planAnalysis(planId: $id, samples: 100) { makespanMs parallelism { peak width mean profile { startMs endMs mean } }
       steps { stepId expectedMs deviationMs } utilisation { resourceId utilization profile { startMs endMs mean } } } }`,
    { id: planId },
  );
  const parallelism = analysis['parallelism'] as unknown as Record<string, number> & { profile: Part[] };
  expect(parallelism).toMatchObject({ peak: 2, width: 2 });
  type Part = { startMs: number; endMs: number; mean: number };
  const total = (parts: readonly Part[]) =>
    parts.reduce((sum, part) => sum + part.mean * (part.endMs - part.startMs), 0);
  const makespanMs = Number(analysis['makespanMs']);
  expect(parallelism.profile).toHaveLength(50);
  expect([parallelism.profile[0]!.startMs, parallelism.profile.at(-1)!.endMs]).toEqual([0, makespanMs]);
  expect(total(parallelism.profile)).toBeCloseTo(parallelism['mean']! * makespanMs, 3);
  const timings = analysis['steps'] as unknown as { stepId: string; expectedMs: number | null; deviationMs: number }[];
  const timing = new Map(timings.map(({ stepId, ...rest }) => [stepId, rest]));
  expect(timing.get(group)).toEqual({ expectedMs: null, deviationMs: null });
  expect(timing.get(two)!.expectedMs).toBeCloseTo(3 * hour, 6);
  expect(timing.get(two)!.deviationMs).toBeCloseTo((8 * hour) / 6, 6);
  const loads = analysis['utilisation'] as unknown as { resourceId: string; utilization: number; profile: Part[] }[];
  const use = new Map(loads.map((load) => [load.resourceId, load]));
  expect(total(use.get('crew')!.profile)).toBeCloseTo(2 * hour, 3);
  expect(use.get('gone')!.utilization).toBeNull();
});

test('lists page by cursor and by context; a foreign tenant sees nothing', async () => {
  const contextId = newId();
  rig.contexts.set(`one/${contextId}`, 'ACTIVE');
  for (let at = 0; at < 3; at += 1) await rig.createPlan({ contextId, steps: [step(newId())], title: `p${at}` });
  const list =
    'query ($f: PlanFilter, $after: String) { plans(filter: $f, first: 2, after: $after) { nodes { title } pageInfo { hasNextPage endCursor } } }';
  const page = await rig.field(alice, list, { f: { contextId } });
  expect(page['nodes']!.length).toBe(2);
  const rest = await rig.field(alice, list, { f: { contextId }, after: page['pageInfo']!['endCursor'] });
  expect(rest['nodes']!.length).toBe(1);
  expect((await rig.field(stranger, list, { f: { contextId } }))['nodes']).toEqual([]);
  const entity = await rig.field(
    principal('reader', { scopes: ['plan:read', 'context:read'] }),
    'query ($r: [_Any!]!) { _entities(representations: $r) { ... on Context { plans(first: 5) { nodes { title context { id } } } } } }',
    { r: [{ __typename: 'Context', id: contextId }] },
  );
  expect(entity[0 as never]!['plans']!['nodes']!.length).toBe(3);
});

const strategicPlan = `mutation ($input: OptimizePlanInput!) { optimizePlan(input: $input) {
  before { makespanMs levelling } after { makespanMs levelling cost constraintViolations } crashCost crashedSteps { stepId durationMs }
  schedule { stepId startMs finishMs } applied plan { status summary { durationMs } steps { id durationMs } } userErrors { code message path } } }`;

/** Two parallel steps of ten hours and one of five after them; two, three and four an hour saved. */
async function crashable() {
  const [a, b, c] = [newId(), newId(), newId()];
  const step = (id: string, hours: number, minimum: number, costPerHour: number, more: object = {}) => ({
    ...{ id, description: 'work', durationMs: hours * hour, ...more },
    crash: { minDurationMs: minimum * hour, costPerHour },
  });
  const planId = await rig.createPlan({
    steps: [step(a, 10, 4, 2), step(b, 10, 4, 3), step(c, 5, 3, 4, { dependsOn: [a, b] })],
  });
  return { planId, a, b, c };
}
test('optimizePlan shortens to a target at the least price, and writes it into a draft', async () => {
  const { planId, a, b, c } = await crashable();
  const strategy = 'COST_OPTIMAL';
  const ask = (more: object) => rig.field(alice, strategicPlan, { input: { planId, strategy, ...more } });
  const missing = await ask({});
  expect(missing['userErrors']).toMatchObject([{ code: 'VALIDATION_FAILED', path: ['input', 'targetMakespanMs'] }]);
  const tooShort = await ask({ targetMakespanMs: 6 * hour });
  expect(tooShort['userErrors']).toMatchObject([{ code: 'INFEASIBLE_CONSTRAINTS' }]);
  expect(String(tooShort['userErrors']![0 as never]!['message'])).toContain(String(7 * hour));
  const tooDear = await ask({ targetMakespanMs: 11 * hour, maxCrashCost: 17 });
  expect(tooDear['userErrors']).toMatchObject([{ code: 'INFEASIBLE_CONSTRAINTS' }]);
  const wrong = await rig.field(alice, strategicPlan, { input: { planId, targetMakespanMs: hour } });
  expect(wrong['userErrors']).toMatchObject([{ code: 'VALIDATION_FAILED' }]);
  const done = await ask({ targetMakespanMs: 11 * hour, maxCrashCost: 18, apply: true });
  expect(done).toMatchObject({
    ...{ userErrors: [], applied: true, crashCost: 18, before: { makespanMs: 15 * hour } },
    after: { makespanMs: 11 * hour, cost: 18, constraintViolations: 0 },
    plan: { status: 'DRAFT', summary: { durationMs: 11 * hour } },
  });
  const durations = Object.fromEntries(
    done['plan']!['steps']!.map((step) => [String(step['id']), Number(step['durationMs'])]),
  );
  expect(
    ((10 * hour - durations[a]!) * 2 + (10 * hour - durations[b]!) * 3 + (5 * hour - durations[c]!) * 4) / hour,
  ).toBe(18);
  // A plan that is approved keeps its durations.
  const second = await crashable();
  await rig.field(alice, 'mutation ($id: ID!) { approvePlan(planId: $id) { userErrors { code } } }', {
    id: second.planId,
  });
  const refused = await rig.field(alice, strategicPlan, {
    input: { planId: second.planId, strategy, targetMakespanMs: 14 * hour, apply: true },
  });
  expect(refused['userErrors']).toMatchObject([{ code: 'INVALID_STATE' }]);
});

test('optimizePlan evens out the use of resources without taking longer', async () => {
  const [a, b, c] = [newId(), newId(), newId()];
  const demands = [{ resourceId: 'crane', amount: 1 }];
  const planId = await rig.createPlan({
    resources: [{ id: 'crane', capacity: 3 }],
    steps: [
      { id: a, description: 'first', durationMs: 4 * hour, demands },
      { id: b, description: 'last', durationMs: 4 * hour, demands },
      { id: c, description: 'free', durationMs: 4 * hour, demands },
    ],
    dependencies: [{ sourceId: a, targetId: b, lagMs: 4 * hour }],
  });
  const ask = (strategy: string) => rig.field(alice, strategicPlan, { input: { planId, strategy, apply: true } });
  const shortest = await ask('TIME_OPTIMAL');
  const level = await ask('RESOURCE_OPTIMAL');
  expect(shortest['after']).toMatchObject({ makespanMs: 12 * hour, levelling: 20 * hour });
  expect(level['before']).toMatchObject({ makespanMs: 12 * hour, levelling: 20 * hour });
  expect(level['after']).toMatchObject({ makespanMs: 12 * hour, levelling: 12 * hour, constraintViolations: 0 });
  expect(level['schedule']!.find(({ stepId }) => String(stepId) === c)).toMatchObject({ startMs: 4 * hour });
});

test('optimizePlan finds the best quality, or a balance of all targets, and may shorten steps for it', async () => {
  const { planId } = await crashable();
  const ask = (strategy: string, more: object = {}) =>
    rig.field(
      alice,
      strategicPlan.replace('crashCost', 'paretoFront { values steps { stepId startMs finishMs } } crashCost'),
      { input: { planId, strategy, iterations: 20_000, maxOptimizationTimeMs: 20_000, ...more } },
    );
  const frontOf = (payload: Awaited<ReturnType<typeof ask>>) =>
    payload['paretoFront']!.map((point) => ({
      values: point['values']!.map(Number),
      steps: JSON.stringify(point['steps']),
    }));
  const best = await ask('QUALITY_OPTIMAL');
  expect(best).toMatchObject({ userErrors: [], after: { constraintViolations: 0 } });
  const qualities = frontOf(best);
  expect(Math.min(...qualities.map(({ values }) => values[0]!))).toBe(qualities[0]!.values[0]);
  expect(JSON.stringify(best['schedule'])).toBe(qualities[0]!.steps);

  const weights = [0.4, 0.3, 0.2, 0.1];
  const even = await ask('BALANCED', { apply: true });
  const front = frontOf(even);
  const distances = front.map(({ values }) =>
    weights.reduce((sum, weight, at) => {
      const all = front.map((point) => point.values[at]!);
      const [least, most] = [Math.min(...all), Math.max(...all)];
      return most === least ? sum : sum + (weight * (values[at]! - least)) / (most - least);
    }, 0),
  );
  const chosen = front.findIndex(({ steps }) => steps === JSON.stringify(even['schedule']));
  expect(chosen).toBeGreaterThanOrEqual(0);
  expect(distances[chosen]).toBeCloseTo(Math.min(...distances), 9);
  // What it shortens is written into the draft.
  const durations = new Map(even['plan']!['steps']!.map((step) => [String(step['id']), Number(step['durationMs'])]));
  for (const { stepId, startMs, finishMs } of even['schedule']!.map((step) => step))
    expect(durations.get(String(stepId))).toBe(Number(finishMs) - Number(startMs));
  const several = await ask('BALANCED', { targets: ['TIME', 'COST'] });
  expect(several['userErrors']).toMatchObject([{ code: 'VALIDATION_FAILED' }]);
});

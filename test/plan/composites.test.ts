import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { newId } from '#shared/ids.ts';
import { rollUpParts, rollUpSteps } from '../../subgraphs/plan/composites.ts';
import type { PlanStepRow } from '../../subgraphs/plan/rows.ts';
import { agents, alice, type Json, openPlanRig, type PlanRig } from './rig.ts';

let rig: PlanRig;
beforeAll(async () => {
  rig = await openPlanRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const [first, second] = agents as [(typeof agents)[0], (typeof agents)[0]];
const step = (id: string, more: object = {}) => ({ id, description: id, durationMs: 1_000, ...more });
const composite = (id: string, more: object = {}) => ({ id, description: id, type: 'COMPOSITE', ...more });
const planText = `query ($id: ID!) { plan(planId: $id) { status version summary { durationMs totalSteps criticalPath feasible }
  steps { id parentId subTasks type status progress durationMs startedAt completedAt } } }`;
const readPlan = (id: string) => rig.field(alice, planText, { id });
const stepOf = (plan: Json, id: string) => plan['steps']!.find((entry) => String(entry['id']) === id);
const create = (input: object) =>
  rig.field(
    alice,
    'mutation ($input: CreatePlanInput!) { createPlan(input: $input) { plan { id } userErrors { code message path } } }',
    { input: { contextId: rig.contextId, title: 'A plan', objective: 'To be done', ...input } },
  );

test('a composite step holds its sub-tasks in the network: what comes after it comes after all of them', async () => {
  const [whole, a, b, before, after] = [newId(), newId(), newId(), newId(), newId()];
  const id = await rig.createPlan({
    steps: [
      step(before),
      composite(whole, { dependsOn: [before] }),
      step(a, { parentId: whole }),
      step(b, { parentId: whole, durationMs: 3_000 }),
      step(after, { dependsOn: [whole] }),
    ],
  });
  const plan = await readPlan(id);
  expect(plan['summary']).toMatchObject({ durationMs: 5_000, totalSteps: 5, criticalPath: [before, b, whole, after] });
  expect(stepOf(plan, whole)).toMatchObject({ subTasks: [a, b], durationMs: 4_000, status: 'PENDING', progress: 0 });
  expect(stepOf(plan, a)).toMatchObject({ parentId: whole, subTasks: [] });
  const analysis = await rig.field(
    alice,
    `query ($id: ID!) { planAnalysis(planId: $id) { makespanMs criticalPaths quality { check stepIds dependencyIds resourceId intervals { startMs endMs peak excess stepIds } } suggestions { target } steps { stepId esMs efMs } } }`,
    { id },
  );
  expect(analysis['makespanMs']).toBe(5_000);
  expect(analysis['steps']).toEqual([
    { stepId: before, esMs: 0, efMs: 1_000 },
    { stepId: whole, esMs: 1_000, efMs: 4_000 },
    { stepId: a, esMs: 1_000, efMs: 2_000 },
    { stepId: b, esMs: 1_000, efMs: 4_000 },
    { stepId: after, esMs: 4_000, efMs: 5_000 },
  ]);
  expect(JSON.stringify(analysis)).not.toContain('#');
  const optimized = await rig.field(
    alice,
    `mutation ($id: ID!) { optimizePlan(input: { planId: $id, apply: true }) { before { constraintViolations } after { makespanMs constraintViolations }
      schedule { stepId startMs finishMs } userErrors { code message } } }`,
    { id },
  );
  expect(optimized['userErrors']).toEqual([]);
  expect(optimized['after']).toEqual({ makespanMs: 5_000, constraintViolations: 0 });
  expect(optimized['schedule']!.find(({ stepId }) => String(stepId) === whole)).toEqual({
    ...{ stepId: whole, startMs: 1_000, finishMs: 4_000 },
  });
  const again = await rig.field(
    alice,
    'mutation ($id: ID!) { optimizePlan(input: { planId: $id }) { before { makespanMs constraintViolations } } }',
    { id },
  );
  expect(again['before']).toEqual({ makespanMs: 5_000, constraintViolations: 0 });
});

test('a run hands out sub-tasks alone and completes the composite step with the last of them', async () => {
  const [before, whole, inner, a, b, after] = [newId(), newId(), newId(), newId(), newId(), newId()];
  const { planId, executionId } = await rig.startPlan({
    steps: [
      step(before),
      composite(whole, { dependsOn: [before] }),
      composite(inner, { parentId: whole }),
      step(a, { parentId: inner, durationMs: 3_000 }),
      step(b, { parentId: whole }),
      step(after, { dependsOn: [whole] }),
    ],
  });
  const started = (await rig.claim(first, executionId))['lease']!;
  expect(started['stepId']).toBe(before);
  // What the composite step waits for holds its sub-tasks.
  expect((await rig.claim(second, executionId))['lease']).toBeNull();
  await rig.complete(first, started);
  const one = (await rig.claim(first, executionId))['lease']!;
  const two = (await rig.claim(second, executionId))['lease']!;
  expect([one['stepId'], two['stepId']].sort()).toEqual([a, b].sort());
  expect(stepOf(await readPlan(planId), whole)).toMatchObject({ status: 'IN_PROGRESS', progress: 0 });
  const [long, short] = String(one['stepId']) === a ? [one, two] : [two, one];
  const [longAgent, shortAgent] = long === one ? [first, second] : [second, first];
  await rig.complete(longAgent, long);
  const half = await readPlan(planId);
  expect(stepOf(half, inner)).toMatchObject({ status: 'COMPLETED', progress: 1 });
  expect(stepOf(half, whole)).toMatchObject({ status: 'IN_PROGRESS', progress: 0.75 });
  expect((await rig.claim(first, executionId))['lease']).toBeNull();
  await rig.complete(shortAgent, short);
  expect(stepOf(await readPlan(planId), whole)).toMatchObject({ status: 'COMPLETED', progress: 1 });
  const last = (await rig.claim(first, executionId))['lease']!;
  expect(last['stepId']).toBe(after);
  const done = await rig.complete(first, last);
  expect(done['execution']).toMatchObject({ status: 'COMPLETED', endedSteps: 6, totalSteps: 6, overallProgress: 1 });
  const types = rig.events
    .filter((event) => event.type.startsWith('step.') && (event.data['step'] as Json)?.['id'] === (whole as never))
    .map(({ type }) => type);
  expect(types).toEqual(['step.started', 'step.completed']);
});

test('a relation to the end of a composite step holds it when its sub-tasks are done', async () => {
  const [other, whole, part] = [newId(), newId(), newId()];
  const { planId, executionId } = await rig.startPlan({
    steps: [step(other), composite(whole), step(part, { parentId: whole })],
    dependencies: [{ sourceId: other, targetId: whole, type: 'FINISH_TO_FINISH' }],
  });
  const leases = [(await rig.claim(first, executionId))['lease']!, (await rig.claim(first, executionId))['lease']!];
  await rig.complete(first, leases.find(({ stepId }) => String(stepId) === part)!);
  expect(stepOf(await readPlan(planId), whole)).toMatchObject({ status: 'IN_PROGRESS', progress: 1 });
  await rig.complete(first, leases.find(({ stepId }) => String(stepId) === other)!);
  const plan = await readPlan(planId);
  expect(stepOf(plan, whole)).toMatchObject({ status: 'COMPLETED' });
  expect(plan['status']).toBe('COMPLETED');
});

test('a rollback opens a composite step again that was done', async () => {
  const [whole, part, after] = [newId(), newId(), newId()];
  const { planId, executionId } = await rig.startPlan({
    steps: [composite(whole), step(part, { parentId: whole }), step(after, { dependsOn: [whole] })],
    failureResolver: { strategies: ['ROLLBACK'] },
  });
  await rig.complete(first, (await rig.claim(first, executionId))['lease']!);
  expect(stepOf(await readPlan(planId), whole)).toMatchObject({ status: 'COMPLETED' });
  const failing = (await rig.claim(first, executionId))['lease']!;
  expect(failing['stepId']).toBe(after);
  await rig.fail(first, failing, { message: 'no' });
  const plan = await readPlan(planId);
  expect(plan['steps']!.map(({ status }) => String(status))).toEqual(['PENDING', 'PENDING', 'PENDING']);
  for (const expected of [part, after]) {
    const lease = (await rig.claim(first, executionId))['lease']!;
    expect(lease['stepId']).toBe(expected);
    await rig.complete(first, lease);
  }
  expect((await readPlan(planId))['status']).toBe('COMPLETED');
});

test('hierarchies that are none are refused, and a step leaves with what lies in it', async () => {
  const [a, b, c] = [newId(), newId(), newId()];
  const refused = async (steps: readonly object[], more: object = {}) =>
    (await create({ steps, ...more }))['userErrors']![0 as never] as unknown as Json;
  expect(await refused([step(a), step(b, { parentId: a })])).toMatchObject({ code: 'PLAN_CREATION_FAILED' });
  expect(await refused([step(a, { parentId: b })])).toMatchObject({ code: 'PLAN_CREATION_FAILED' });
  expect(await refused([composite(a, { parentId: b }), composite(b, { parentId: a })])).toMatchObject({
    code: 'CYCLIC_DEPENDENCY',
  });
  expect(await refused([composite(a), step(b, { parentId: a, dependsOn: [a] })])).toMatchObject({
    code: 'CYCLIC_DEPENDENCY',
  });
  expect(await refused([composite(a, { demands: [{ resourceId: 'r', amount: 1 }] })])).toMatchObject({
    code: 'PLAN_CREATION_FAILED',
  });
  const id = await rig.createPlan({ steps: [composite(a), step(b, { parentId: a }), step(c, { dependsOn: [b] })] });
  await rig.field(
    alice,
    'mutation ($id: ID!, $a: ID!) { removeStep(planId: $id, stepId: $a) { userErrors { code } } }',
    { id, a },
  );
  expect((await readPlan(id))['steps']!.map((entry) => String(entry['id']))).toEqual([c]);
  const empty = await rig.createPlan({ steps: [composite(newId()), step(newId())] });
  await rig.field(alice, 'mutation ($id: ID!) { approvePlan(planId: $id) { userErrors { code } } }', { id: empty });
  const start = await rig.field(
    alice,
    'mutation ($id: ID!) { executePlan(input: { planId: $id }) { userErrors { code } } }',
    { id: empty },
  );
  expect(start['userErrors']).toMatchObject([{ code: 'VALIDATION_FAILED' }]);
});

test('property: after every event of a run each composite step is what recomputation from its parts gives', async () => {
  const tree = fc.record({
    parents: fc.array(fc.nat(9), { minLength: 1, maxLength: 4 }),
    leaves: fc.array(fc.record({ parent: fc.nat(9), minutes: fc.integer({ min: 0, max: 5 }) }), {
      minLength: 2,
      maxLength: 7,
    }),
    acts: fc.array(fc.record({ act: fc.constantFrom('complete', 'progress', 'fail', 'leave'), pick: fc.nat(9) }), {
      minLength: 4,
      maxLength: 14,
    }),
    strategies: fc.constantFrom(['SKIP'], ['MANUAL_INTERVENTION'], ['ROLLBACK', 'SKIP'], [] as string[]),
  });
  await fc.assert(
    fc.asyncProperty(tree, async ({ parents, leaves, acts, strategies }) => {
      const groups = parents.map(() => newId());
      const steps = [
        ...groups.map((id, at) => composite(id, at === 0 ? {} : { parentId: groups[parents[at]! % at] })),
        // Each group has a part, so that none is empty.
        ...groups.map((id) => step(newId(), { parentId: id })),
        ...leaves.map(({ parent, minutes }) =>
          step(newId(), { parentId: groups[parent % (groups.length + 1)] ?? null, durationMs: minutes * 60_000 }),
        ),
      ];
      const { planId, executionId } = await rig.startPlan({ steps, failureResolver: { strategies } });
      const check = async () => {
        const rows = (await rig.sql.unsafe(
          `SELECT id, parent_id AS "parentId", type, status, progress, duration_ms AS "durationMs", to_char(started_at, 'YYYYMMDDHH24MISSMS') AS "startedAt", to_char(completed_at, 'YYYYMMDDHH24MISSMS') AS "completedAt" FROM plan.step WHERE plan_id = $1 ORDER BY place`,
          [planId],
        )) as unknown as PlanStepRow[];
        const stored = rows.map((row) => ({ ...row, durationMs: Number(row.durationMs) }));
        const again = rollUpSteps(stored);
        for (const [at, row] of stored.entries()) {
          expect(row.progress).toBeCloseTo(again[at]!.progress, 9);
          expect({ ...row, progress: 0, completedAt: null }).toEqual({
            ...again[at]!,
            progress: 0,
            completedAt: null,
          });
        }
      };
      await check();
      const held: Json[] = [];
      for (const { act, pick } of acts) {
        const claimed = await rig.claim(first, executionId);
        if (claimed['userErrors']!.length > 0) break;
        if (claimed['lease'] !== null) {
          expect(groups).not.toContain(String(claimed['lease']!['stepId']));
          held.push(claimed['lease']!);
        }
        await check();
        const lease = held[pick % Math.max(1, held.length)];
        if (!lease || act === 'leave') continue;
        if (act === 'progress')
          await rig.field(
            first,
            'mutation ($lease: StepLeaseInput!) { reportStepProgress(lease: $lease, progress: 0.5) { userErrors { code } } }',
            { lease: { executionId, stepId: lease['stepId'], epoch: lease['epoch'] } },
          );
        else {
          held.splice(held.indexOf(lease), 1);
          await (act === 'complete' ? rig.complete(first, lease) : rig.fail(first, lease, { message: 'no' }));
        }
        await check();
      }
    }),
    { numRuns: 15 },
  );
}, 120_000);

test('property: a composite step is completed or skipped exactly when all of its parts are', () => {
  const part = fc.record({
    status: fc.constantFrom('pending', 'in_progress', 'completed', 'blocked', 'skipped', 'failed'),
    progress: fc.double({ min: 0, max: 1, noNaN: true }),
    durationMs: fc.nat(100),
    startedAt: fc.constant(null),
    completedAt: fc.constant(null),
  });
  fc.assert(
    fc.property(fc.array(part, { minLength: 1 }), (parts) => {
      const { status, progress } = rollUpParts(parts as never);
      const all = parts.every((entry) => entry.status === 'completed' || entry.status === 'skipped');
      expect(status === 'completed' || status === 'skipped').toBe(all);
      expect(progress).toBeGreaterThanOrEqual(0);
      expect(progress).toBeLessThanOrEqual(1 + 1e-9);
    }),
  );
});

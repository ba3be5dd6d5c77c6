import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { newId } from '#shared/ids.ts';
import { toSchedulingProblem } from '../../subgraphs/plan/schedulingProblem.ts';
import { alice, openPlanRig, type PlanRig } from './rig.ts';

let rig: PlanRig;
beforeAll(async () => {
  rig = await openPlanRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const hour = 3_600_000;
const optimize = (planId: string, availableResources: readonly object[]) =>
  rig.field(
    alice,
    `mutation ($input: OptimizePlanInput!) { optimizePlan(input: $input) {
      after { makespanMs violations { kind } } schedule { stepId startMs } userErrors { code message } } }`,
    { input: { planId, iterations: 100, constraints: { availableResources } } },
  );

test('a schedule keeps the hours of an agent that is kept as a resource', async () => {
  const [a, b] = [newId(), newId()];
  const demands = [{ resourceId: 'ann', amount: 1 }];
  const planId = await rig.createPlan({
    resources: [{ id: 'ann', capacity: 1 }],
    steps: [a, b].map((id) => ({ id, description: id, durationMs: 2 * hour, demands })),
  });
  const shift = [
    { fromMs: hour, capacity: 1 },
    { fromMs: 4 * hour, capacity: 0 },
    { fromMs: 10 * hour, capacity: 1 },
  ];
  const found = await optimize(planId, [{ resourceId: 'ann', capacity: 0, calendar: shift }]);
  expect(found).toMatchObject({ after: { makespanMs: 12 * hour, violations: [] }, userErrors: [] });
  expect(found['schedule']!.map((step) => Number(step['startMs'])).toSorted((x, y) => x - y)).toEqual([
    hour,
    10 * hour,
  ]);
  const short = [{ resourceId: 'ann', capacity: 0, calendar: shift.slice(0, 2) }];
  expect((await optimize(planId, short))['userErrors']).toMatchObject([{ code: 'INFEASIBLE_CONSTRAINTS' }]);
  const unsorted = [{ resourceId: 'ann', capacity: 0, calendar: shift.toReversed() }];
  expect((await optimize(planId, unsorted))['userErrors']).toMatchObject([{ code: 'VALIDATION_FAILED' }]);
});

test('a calendar in coarser units never offers more than there is', () => {
  const entry = fc.record({ gap: fc.integer({ min: 1, max: 700_000 }), capacity: fc.nat({ max: 3 }) });
  fc.assert(
    fc.property(fc.nat({ max: 3 }), fc.array(entry, { maxLength: 6 }), (capacity, gaps) => {
      let time = -1;
      const calendar = gaps.map(({ gap, capacity: then }) => {
        time += gap;
        return { time, capacity: then };
      });
      const offered = (at: number) => calendar.findLast((one) => one.time <= at)?.capacity ?? capacity;
      const { problem, unitMs } = toSchedulingProblem({
        steps: [{ id: 'a', duration: 999_983 }],
        dependencies: [],
        resources: [{ id: 'r', capacity, calendar }],
      });
      const [resource] = problem.resources;
      const kept = [{ time: 0, capacity: resource!.capacity }, ...(resource!.calendar ?? [])];
      for (const [at, { time: from, capacity: least }] of kept.entries()) {
        if (at > 0) expect(from).toBeGreaterThan(kept[at - 1]!.time);
        const until = (kept[at + 1]?.time ?? from + 5) * unitMs;
        const moments = [from * unitMs, until - 1, ...calendar.map((one) => one.time)];
        for (const moment of moments)
          if (moment >= from * unitMs && moment < until) expect(offered(moment)).toBeGreaterThanOrEqual(least);
      }
    }),
    { numRuns: 300 },
  );
});

import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  crashSchedule,
  findViolations,
  levelSchedule,
  measureSchedule,
  optimizeSchedule,
} from '../../../subgraphs/plan/scheduling/index.ts';
import { anyProblem, plainProblem } from './problems.ts';

test('levelling keeps the makespan and all constraints, and never makes the use less even', () => {
  fc.assert(
    fc.property(anyProblem({ most: 12 }), (problem) => {
      const found = optimizeSchedule(problem, { seed: 1, maxSchedules: 100 });
      if (found.status === 'infeasible') throw new Error(JSON.stringify(found.infeasibility));
      const levelled = levelSchedule(problem, found.starts);
      if (levelled.status === 'infeasible') throw new Error(JSON.stringify(levelled.infeasibility));
      const measures = measureSchedule(problem, levelled.starts, found.lowerBound);
      expect(findViolations(problem, levelled.starts)).toEqual([]);
      expect(measures.makespan).toBeLessThanOrEqual(found.measures.makespan);
      expect(levelled.before).toBe(found.measures.levelling);
      expect(levelled.after).toBe(measures.levelling);
      expect(levelled.after).toBeLessThanOrEqual(levelled.before);
    }),
    { numRuns: 200 },
  );
});

test('levelling puts a free activity where the use is low', () => {
  const problem = plainProblem([4, 4, 4], {
    resources: [{ capacity: 3 }],
    precedences: [{ from: 0, to: 1, type: 'finish_to_start', lag: 4 }],
  });
  expect(levelSchedule(problem, Int32Array.of(0, 8, 0))).toMatchObject({
    starts: Int32Array.of(0, 8, 4),
    before: 20,
    after: 12,
  });
});

test('crashing reaches the target at the least price, across parallel paths', () => {
  const problem = plainProblem([10, 10, 5], {
    resources: [{ capacity: 2 }],
    precedences: [
      { from: 0, to: 2, type: 'finish_to_start', lag: 0 },
      { from: 1, to: 2, type: 'finish_to_start', lag: 0 },
    ],
    crashOptions: [
      { activity: 0, crashDuration: 4, costPerUnitTime: 2 },
      { activity: 1, crashDuration: 4, costPerUnitTime: 3 },
      { activity: 2, crashDuration: 3, costPerUnitTime: 4 },
    ],
  });
  const limits = { seed: 1, maxSchedules: 10_000 };
  expect(crashSchedule(problem, { ...limits, targetMakespan: 15 })).toMatchObject({ makespan: 15, crashCost: 0 });
  expect(crashSchedule(problem, { ...limits, targetMakespan: 13 })).toMatchObject({ makespan: 13, crashCost: 8 });
  expect(crashSchedule(problem, { ...limits, targetMakespan: 11 })).toMatchObject({ makespan: 11, crashCost: 18 });
  expect(crashSchedule(problem, { ...limits, targetMakespan: 6 })).toEqual({
    ...{ status: 'target_missed', shortest: 7 },
    ...{ schedules: expect.any(Number), timeLimited: false },
  });
});

test('the report follows its formulas', () => {
  const problem = plainProblem([4, 2], {
    resources: [{ capacity: 2, costPerUnitTime: 3 }, { capacity: 1 }],
    demands: Int32Array.of(1, 1, 1, 0),
    overheadPerUnitTime: 5,
  });
  const measures = measureSchedule(problem, Int32Array.of(0, 0), 4);
  expect(measures).toMatchObject({ makespan: 4, score: 1, constraintViolations: 0, cost: 38, levelling: 14 });
  expect(measures.resourceEfficiency).toBeCloseTo(10 / 12);
  // Uses 6/8 and 4/4: mean 7/8, standard deviation 1/8.
  expect(measures.loadBalanceScore).toBeCloseTo(1 - 1 / 7);
});

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { findViolations, optimizeSchedule, type SchedulingProblem } from '../../../subgraphs/plan/scheduling/index.ts';
import { hasSchedule } from './bruteForce.ts';
import { anyProblem } from './problems.ts';

function expectOptimum(problem: SchedulingProblem, algorithm: 'annealing' | 'genetic' = 'annealing'): void {
  const result = optimizeSchedule(problem, { seed: 1, maxSchedules: 2_000, algorithm });
  if (result.status === 'infeasible') throw new Error(JSON.stringify(result.infeasibility));
  const { makespan } = result.measures;
  expect(findViolations(problem, result.starts)).toEqual([]);
  expect(hasSchedule(problem, makespan - 1)).toBe(false);
  expect(result.lowerBound).toBeLessThanOrEqual(makespan);
}

test('small problems reach the optimum: brute force finds nothing shorter', () => {
  const problems = anyProblem({ most: 7, longestDuration: 3, types: ['finish_to_start', 'start_to_start'] });
  fc.assert(
    fc.property(problems, (problem) => expectOptimum(problem)),
    { numRuns: 100 },
  );
});

test('small problems with all dependency types reach the optimum', () => {
  fc.assert(
    fc.property(anyProblem({ most: 6, longestDuration: 3 }), (problem) => expectOptimum(problem)),
    { numRuns: 100 },
  );
});

test('a genetic search reaches it too, and finds the same with the same seed', () => {
  const problems = anyProblem({ most: 6, longestDuration: 3 });
  fc.assert(
    fc.property(problems, (problem) => expectOptimum(problem, 'genetic')),
    { numRuns: 100 },
  );
  const same = anyProblem({ most: 40, longestDuration: 9, types: ['finish_to_start'] });
  fc.assert(
    fc.property(same, (problem) => {
      const [one, other] = [1, 1].map((seed) =>
        optimizeSchedule(problem, { seed, maxSchedules: 500, algorithm: 'genetic' }),
      );
      expect({ ...one, elapsedMs: 0 }).toEqual({ ...other, elapsedMs: 0 });
    }),
    { numRuns: 20 },
  );
});

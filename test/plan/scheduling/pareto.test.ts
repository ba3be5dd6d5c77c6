import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  balancedWeights,
  findCompromise,
  findParetoFront,
  findViolations,
  type SchedulingProblem,
  targets,
} from '../../../subgraphs/plan/scheduling/index.ts';
import { dominates, sortIntoFronts, thinFront } from '../../../subgraphs/plan/scheduling/nondominated.ts';
import { anyProblem, plainProblem } from './problems.ts';

const small = { seed: 3, maxSchedules: 3_000, population: 20, generations: 8 };

/** Halves every duration at a price that differs by activity. */
function withCrashing(problem: SchedulingProblem): SchedulingProblem {
  const crashOptions = Array.from(problem.durations, (duration, activity) => ({
    activity,
    crashDuration: duration >> 1,
    costPerUnitTime: 1 + (activity % 3),
  }));
  return { ...problem, crashOptions, overheadPerUnitTime: 2 };
}

test('no schedule of the front is better than another in all targets, and each is feasible', () => {
  fc.assert(
    fc.property(anyProblem({ most: 8 }), fc.subarray([...targets], { minLength: 1 }), (problem, chosen) => {
      const crashable = withCrashing(problem);
      const result = findParetoFront(crashable, { ...small, targets: chosen });
      if (result.status === 'infeasible') throw new Error(JSON.stringify(result.infeasibility));
      expect(result.front.length).toBeGreaterThan(0);
      expect(result.front.length).toBeLessThanOrEqual(20);
      const scored = result.front.map(({ values }) => ({ objectives: values, violation: 0 }));
      for (const left of scored) for (const right of scored) expect(dominates(left, right)).toBe(false);
      for (const { starts, durations } of result.front)
        expect(findViolations({ ...crashable, durations }, starts)).toEqual([]);
    }),
    { numRuns: 40 },
  );
});

test('time is traded for cost by crashing', () => {
  const problem = plainProblem([6, 6], {
    crashOptions: [{ activity: 0, crashDuration: 2, costPerUnitTime: 10 }],
  });
  const result = findParetoFront(problem, { ...small, targets: ['time', 'cost'] });
  expect(result.status === 'feasible' && result.front.map(({ values }) => values)).toEqual([
    [8, 40],
    [9, 30],
    [10, 20],
    [11, 10],
    [12, 0],
  ]);
});

test('the same seed gives the same front', () => {
  const problem = withCrashing(plainProblem([4, 3, 5, 2, 6], { resources: [{ capacity: 2 }] }));
  const options = { ...small, targets } as const;
  expect(findParetoFront(problem, options)).toEqual(findParetoFront(structuredClone(problem), options));
});

test('a compromise is of the front, and none of it is nearer to the best of each target', () => {
  fc.assert(
    fc.property(anyProblem({ most: 8 }), fc.subarray([...targets], { minLength: 2 }), (problem, chosen) => {
      const result = findParetoFront(withCrashing(problem), { ...small, targets: chosen });
      if (result.status === 'infeasible') throw new Error(JSON.stringify(result.infeasibility));
      const picked = findCompromise(result.front, chosen);
      expect(result.front).toContain(picked);
      // Worked out target by target: the range first, then each schedule's share of it.
      const totals = new Map(result.front.map((entry) => [entry, 0]));
      for (const [at, target] of chosen.entries()) {
        const values = result.front.map((entry) => entry.values[at]!).sort((left, right) => left - right);
        const range = values.at(-1)! - values[0]!;
        for (const entry of result.front)
          if (range > 0)
            totals.set(
              entry,
              totals.get(entry)! + balancedWeights[target] * ((entry.values[at]! - values[0]!) / range),
            );
      }
      for (const total of totals.values()) expect(totals.get(picked)!).toBeLessThanOrEqual(total + 1e-9);
    }),
    { numRuns: 40 },
  );
  const entry = (...values: number[]) => ({ starts: new Int32Array(1), durations: new Int32Array(1), values });
  // Distances 0.2, 0.4/3 + 0.2/2 and 0.4.
  const front = [entry(0, 30), entry(1, 20), entry(3, 10)];
  expect(findCompromise(front, ['time', 'cost'])).toBe(front[0]);
  expect(findCompromise([entry(0, 30), entry(0.5, 11), entry(3, 10)], ['time', 'cost']).values).toEqual([0.5, 11]);
});

test('fronts are sorted by domination, and thinned without losing their ends', () => {
  const solution = (...objectives: number[]) => ({ objectives, violation: 0 });
  const front = [0, 1, 2, 3, 4, 5, 6, 7].map((x) => solution(x, 7 - x));
  const worse = solution(7, 8);
  const broken = { objectives: [0, 0], violation: 1 };
  expect(sortIntoFronts([broken, worse, ...front])).toEqual([front, [worse], [broken]]);
  const thinned = thinFront(front, 4);
  expect(thinned).toHaveLength(4);
  expect(thinned).toContain(front[0]);
  expect(thinned).toContain(front[7]);
});

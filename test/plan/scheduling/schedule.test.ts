import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createBuilder } from '../../../subgraphs/plan/scheduling/builder.ts';
import { findViolations, optimizeSchedule, type SchedulingProblem } from '../../../subgraphs/plan/scheduling/index.ts';
import { compileInstance, type Instance } from '../../../subgraphs/plan/scheduling/instance.ts';
import { createRandom } from '../../../subgraphs/plan/scheduling/random.ts';
import { createSampler } from '../../../subgraphs/plan/scheduling/sampling.ts';
import { anyProblem, fixedAt, plainProblem } from './problems.ts';

function requireInstance(problem: SchedulingProblem): Instance {
  const compiled = compileInstance(problem);
  if ('instance' in compiled) return compiled.instance;
  throw new Error(JSON.stringify(compiled.infeasibility));
}

function requireStarts(problem: SchedulingProblem, maxSchedules = 300, seed = 1): Int32Array {
  const result = optimizeSchedule(problem, { seed, maxSchedules });
  if (result.status === 'infeasible') throw new Error(JSON.stringify(result.infeasibility));
  return result.starts;
}

test('schedules keep dependencies of all types, releases and capacities, calendars included', () => {
  fc.assert(
    fc.property(anyProblem({ most: 15 }), (problem) => {
      expect(findViolations(problem, requireStarts(problem))).toEqual([]);
    }),
    { numRuns: 300 },
  );
});

test('long durations, kept by event instead of by cell, keep the same constraints', () => {
  fc.assert(
    fc.property(anyProblem({ most: 12, longestDuration: 200_000 }), (problem) => {
      expect(findViolations(problem, requireStarts(problem))).toEqual([]);
    }),
    { numRuns: 150 },
  );
});

test('resources that need several words of packed capacity keep the same constraints', () => {
  const wide = anyProblem({ most: 10 }).map((problem) => ({
    ...problem,
    demands: problem.demands.map((units) => units * 1_000_003),
    resources: problem.resources.map(({ capacity, calendar = [] }) => ({
      capacity: capacity * 1_000_003,
      calendar: calendar.map((step) => ({ ...step, capacity: step.capacity * 1_000_003 })),
    })),
  }));
  fc.assert(
    fc.property(wide, (problem) => {
      expect(findViolations(problem, requireStarts(problem))).toEqual([]);
    }),
    { numRuns: 150 },
  );
});

test('what runs already keeps its start, and its resources', () => {
  fc.assert(
    fc.property(anyProblem({ most: 10 }), fc.nat(9), (problem, chosen) => {
      const first = requireStarts(problem);
      const activity = chosen % problem.durations.length;
      const fixedStarts = fixedAt(problem.durations.length, { [activity]: first[activity]! });
      const result = optimizeSchedule({ ...problem, fixedStarts }, { seed: 2, maxSchedules: 300 });
      if (result.status === 'infeasible') {
        // A predecessor may be found too late for it; it is then named, and nothing else may be the reason.
        expect(result.infeasibility.kind).toBe('latest_start');
        return;
      }
      expect(result.starts[activity]).toBe(first[activity]);
      expect(findViolations({ ...problem, fixedStarts }, result.starts)).toEqual([]);
    }),
    { numRuns: 200 },
  );
});

test('deadlines are kept where a schedule that keeps them is found', () => {
  const problem = plainProblem([3, 3, 3], { deadlines: Int32Array.of(9, 6, 3) });
  expect([...requireStarts(problem)]).toEqual([6, 3, 0]);
});

test('double justification never makes a schedule longer, and keeps it feasible', () => {
  fc.assert(
    fc.property(anyProblem({ most: 15 }), fc.integer(), (problem, seed) => {
      const instance = requireInstance(problem);
      const builder = createBuilder(instance);
      const list = new Int32Array(instance.size);
      const starts = new Int32Array(instance.size);
      createSampler(instance, createRandom(seed)).biased(new Float64Array(instance.size), 1, list);
      const generated = builder.generate(list, starts);
      expect(builder.justify(starts)).toBeLessThanOrEqual(generated);
      expect(findViolations(problem, starts)).toEqual([]);
      // The list of the justified schedule does not lead back to a longer one where lists obey all arcs.
      builder.list(starts, list);
      if (!instance.hasReversibleArcs)
        expect(builder.generate(list, new Int32Array(instance.size))).toBeLessThanOrEqual(generated);
    }),
    { numRuns: 300 },
  );
});

test('the same seed and the same number of schedules give the same schedule', () => {
  fc.assert(
    fc.property(anyProblem({ most: 15 }), fc.integer(), (problem, seed) => {
      expect(requireStarts(problem, 400, seed)).toEqual(requireStarts(structuredClone(problem), 400, seed));
    }),
    { numRuns: 50 },
  );
});

test('a search stops when told to, and still answers with a schedule', () => {
  const problem = plainProblem(new Array(30).fill(2), {
    resources: [{ capacity: 2 }],
    demands: Int32Array.from({ length: 30 }, (_, at) => 1 + (at % 2)),
  });
  const result = optimizeSchedule(problem, { seed: 1, maxSchedules: 1_000_000_000, shouldStop: () => true });
  expect(result).toMatchObject({ schedules: 3 });
});

test('progress tells of ever shorter schedules, and results can be posted between threads', () => {
  const lengths: number[] = [];
  const problem = plainProblem([5, 4, 3, 3, 3, 2], { resources: [{ capacity: 2 }] });
  const result = optimizeSchedule(problem, {
    seed: 1,
    maxSchedules: 500,
    onProgress: ({ makespan }) => lengths.push(makespan),
  });
  expect(lengths).toEqual(lengths.toSorted((left, right) => right - left));
  expect(structuredClone(result)).toEqual(result);
  expect(result).toMatchObject({ status: 'optimal', lowerBound: 10, measures: { makespan: 10, score: 1 } });
});

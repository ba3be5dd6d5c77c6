import { describe, expect, test } from 'vitest';
import { findParetoFront, findViolations, optimizeSchedule } from '../../../subgraphs/plan/scheduling/index.ts';
import { loadPsplib, type PsplibInstance } from '../../support/psplib.ts';

const instances = loadPsplib();
if (instances === null)
  process.stderr.write('\nPSPLIB IS ABSENT (../shared/data/psplib): published optima are not tested.\n\n');

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value) / values.length;

describe.skipIf(instances === null)('published problems', () => {
  test.each(['annealing', 'genetic'] as const)(
    '%s: feasible, never below a proven optimum, bounds never above it',
    (algorithm) => {
      const gaps = instances!.map(({ file, problem, bestKnown, proven }) => {
        const result = optimizeSchedule(problem, { seed: 1, maxSchedules: 2_000, algorithm });
        if (result.status === 'infeasible') throw new Error(`${file}: ${JSON.stringify(result.infeasibility)}`);
        expect(findViolations(problem, result.starts)).toEqual([]);
        if (bestKnown !== null) expect(result.lowerBound, file).toBeLessThanOrEqual(bestKnown);
        return gapOf({ file, bestKnown, proven }, result.measures.makespan);
      });
      expect(mean(gaps)).toBeLessThan(0.04);
    },
  );

  test('NSGA-II: all of a front is feasible, its shortest never below a proven optimum', () => {
    const gaps = instances!.map(({ file, problem, bestKnown, proven }) => {
      const result = findParetoFront(problem, { seed: 1, maxSchedules: 2_000, targets: ['time', 'resource'] });
      if (result.status === 'infeasible') throw new Error(`${file}: ${JSON.stringify(result.infeasibility)}`);
      const ends = result.front.map(({ starts, durations }) => {
        expect(findViolations({ ...problem, durations }, starts)).toEqual([]);
        return starts.reduce((latest, start, at) => Math.max(latest, start + durations[at]!), 0);
      });
      return gapOf({ file, bestKnown, proven }, Math.min(...ends));
    });
    expect(mean(gaps)).toBeLessThan(0.06);
  });
});

function gapOf(
  { file, bestKnown, proven }: Pick<PsplibInstance, 'file' | 'bestKnown' | 'proven'>,
  makespan: number,
): number {
  if (proven) expect(makespan, file).toBeGreaterThanOrEqual(bestKnown!);
  return bestKnown === null ? 0 : makespan / bestKnown - 1;
}

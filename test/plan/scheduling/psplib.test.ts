import { expect, test } from 'vitest';
import { findViolations, optimizeSchedule } from '../../../subgraphs/plan/scheduling/index.ts';
import { loadPsplib } from '../../support/psplib.ts';

const instances = loadPsplib();
if (instances === null)
  process.stderr.write('\nPSPLIB IS ABSENT (../shared/data/psplib): published optima are not tested.\n\n');

test.skipIf(instances === null)(
  'published problems: feasible, never below a proven optimum, bounds never above it',
  () => {
    const gaps = instances!.map(({ file, problem, bestKnown, proven }) => {
      const result = optimizeSchedule(problem, { seed: 1, maxSchedules: 2_000 });
      if (result.status === 'infeasible') throw new Error(`${file}: ${JSON.stringify(result.infeasibility)}`);
      expect(findViolations(problem, result.starts)).toEqual([]);
      if (bestKnown !== null) expect(result.lowerBound, file).toBeLessThanOrEqual(bestKnown);
      if (proven) expect(result.measures.makespan, file).toBeGreaterThanOrEqual(bestKnown!);
      return bestKnown === null ? 0 : result.measures.makespan / bestKnown - 1;
    });
    expect(gaps.reduce((sum, gap) => sum + gap) / gaps.length).toBeLessThan(0.04);
  },
);

import { findParetoFront, optimizeSchedule, type SearchAlgorithm } from '../../subgraphs/plan/scheduling/index.ts';
import { loadPsplib, type PsplibInstance } from '../../test/support/psplib.ts';
import { figure } from '../figure.ts';
import { tellFigures } from './tellFigures.ts';

/**
 * Quality of schedules on PSPLIB, one instance after the other: `node perf/probes/scheduling.ts [milliseconds ...]`. Each is
 * looked for by simulated annealing over serial schedules, by the genetic algorithm and, as the shortest of a front of time
 * and resources, by NSGA-II. Budgets are CPU time, so that a busy machine measures the same. Bounds meant at 2 s: mean gap
 * to the best known makespan j30 0.5 %, j60 1.5 %, j120 4 %.
 */
const meantGaps: Readonly<Record<string, number>> = { j30: 0.5, j60: 1.5, j120: 4 };
const budgets = process.argv.length > 2 ? process.argv.slice(2).map(Number) : [2_000, 500];
const instances = loadPsplib();
if (instances === null) {
  console.log('PSPLIB is absent (../shared/data/psplib): nothing to measure.');
  process.exit(1);
}

interface Found {
  readonly makespan: number;
  readonly schedules: number;
  readonly cpuMs: number;
}

const now = () => {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
};
const limits = (maxMilliseconds: number) => ({ seed: 1, maxSchedules: Number.MAX_SAFE_INTEGER, maxMilliseconds, now });

function shortest(algorithm: SearchAlgorithm) {
  return ({ file, problem }: PsplibInstance, maxMilliseconds: number): Found => {
    const began = now();
    const result = optimizeSchedule(problem, { ...limits(maxMilliseconds), algorithm });
    if (result.status === 'infeasible') throw new Error(`${file}: ${JSON.stringify(result.infeasibility)}`);
    return { makespan: result.measures.makespan, schedules: result.schedules, cpuMs: now() - began };
  };
}

const ways: Readonly<Record<string, (instance: PsplibInstance, maxMilliseconds: number) => Found>> = {
  annealing: shortest('annealing'),
  genetic: shortest('genetic'),
  'NSGA-II': ({ file, problem }, maxMilliseconds) => {
    const began = now();
    const result = findParetoFront(problem, {
      ...limits(maxMilliseconds),
      targets: ['time', 'resource'],
      generations: Number.MAX_SAFE_INTEGER,
    });
    if (result.status === 'infeasible') throw new Error(`${file}: ${JSON.stringify(result.infeasibility)}`);
    const ends = result.front.map(({ starts, durations }) =>
      starts.reduce((latest, start, at) => Math.max(latest, start + durations[at]!), 0),
    );
    return { makespan: Math.min(...ends), schedules: result.schedules, cpuMs: now() - began };
  },
};

for (const budgetMs of budgets) {
  console.log(
    `\nbudget ${budgetMs} ms\n${'instance'.padEnd(14)}   best${Object.keys(ways)
      .map((name) => `   ${name}  gap %  schedules  CPU ms`)
      .join('')}`,
  );
  const gaps = new Map<string, number[]>();
  for (const instance of instances) {
    const { file, bestKnown } = instance;
    const set = file.startsWith('j120') ? 'j120' : file.slice(0, 3);
    const cells = Object.entries(ways).map(([name, find]) => {
      const { makespan, schedules, cpuMs } = find(instance, budgetMs);
      const gap = bestKnown === null ? null : (makespan / bestKnown - 1) * 100;
      const key = `${name.padEnd(11)}${set}`;
      if (gap !== null) gaps.set(key, [...(gaps.get(key) ?? []), gap]);
      const figures = [gap?.toFixed(2) ?? '-', String(schedules), cpuMs.toFixed(0)];
      return (
        String(makespan).padStart(name.length + 3) + figures.map((text, at) => text.padStart([7, 11, 8][at]!)).join('')
      );
    });
    console.log(`${file.padEnd(14)}${(bestKnown?.toString() ?? '-').padStart(7)}${cells.join('')}`);
  }
  for (const [key, values] of [...gaps].sort(([left], [right]) => left.localeCompare(right))) {
    const meanGap = values.reduce((sum, gap) => sum + gap) / values.length;
    console.log(`mean gap ${key.padEnd(16)}${meanGap.toFixed(3)} %`);
    const set = key.slice(11);
    tellFigures(
      figure(`plans of ${set} over the best known, ${key.slice(0, 11).trim()}`, meanGap, '%', {
        below: meantGaps[set]!,
        note: `mean of ${values.length} instances, ${budgetMs} ms of CPU each; perf/probes/scheduling.ts`,
      }),
    );
  }
}

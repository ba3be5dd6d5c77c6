import { optimizeSchedule } from '../../subgraphs/plan/scheduling/optimize.ts';
import { loadPsplib, type PsplibInstance } from '../../test/support/psplib.ts';

/** Quality of schedules on PSPLIB, one instance after the other: `node perf/probes/scheduling.ts [milliseconds ...]`. Budgets are CPU time, so that a busy machine measures the same. Bounds meant at 2 s: mean gap to the best known makespan j30 0.5 %, j60 1.5 %, j120 4 %. */
const budgets = process.argv.length > 2 ? process.argv.slice(2).map(Number) : [2_000, 500];
const instances = loadPsplib();
if (instances === null) {
  console.log('PSPLIB is absent (../shared/data/psplib): nothing to measure.');
  process.exit(1);
}
for (const budgetMs of budgets) {
  console.log(`\nbudget ${budgetMs} ms\n${'instance'.padEnd(14)}makespan  bound   best  gap %   schedules/s  CPU ms`);
  const gaps = new Map<string, number[]>();
  for (const instance of instances) {
    const gap = measure(instance, budgetMs);
    const set = instance.file.startsWith('j120') ? 'j120' : instance.file.slice(0, 3);
    if (gap !== null) gaps.set(set, [...(gaps.get(set) ?? []), gap]);
  }
  for (const [set, values] of gaps)
    console.log(`mean gap ${set.padEnd(5)}${(values.reduce((sum, gap) => sum + gap) / values.length).toFixed(3)} %`);
}

function measure({ file, problem, bestKnown }: PsplibInstance, maxMilliseconds: number): number | null {
  const now = () => {
    const { user, system } = process.threadCpuUsage();
    return (user + system) / 1_000;
  };
  const result = optimizeSchedule(problem, { seed: 1, maxSchedules: Number.MAX_SAFE_INTEGER, maxMilliseconds, now });
  if (result.status === 'infeasible') {
    console.log(`${file.padEnd(14)}${JSON.stringify(result.infeasibility)}`);
    return null;
  }
  const { makespan } = result.measures;
  const cpuMs = result.elapsedMs;
  const gap = bestKnown === null ? null : (makespan / bestKnown - 1) * 100;
  const cells = [
    makespan.toString().padStart(8),
    result.lowerBound.toString().padStart(7),
    (bestKnown?.toString() ?? '-').padStart(7),
    (gap?.toFixed(2) ?? '-').padStart(7),
    Math.round(result.schedules / (cpuMs / 1_000))
      .toString()
      .padStart(14),
    Math.round(cpuMs).toString().padStart(8),
  ];
  console.log(file.padEnd(14) + cells.join(''));
  return gap;
}

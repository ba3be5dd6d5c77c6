import {
  analyzePlan,
  checkQuality,
  createRandom,
  measureLoad,
  type PlanProblem,
  simulateFinish,
  suggestChanges,
  summarizePlan,
  threePointOf,
} from '../../subgraphs/plan/analysis/index.ts';
import { createReadyQueue, rankSteps, simulateDispatch } from '../../subgraphs/plan/dispatch/index.ts';
import {
  computeSchedule,
  createDynamicOrder,
  createNetwork,
  findCriticalPaths,
  findCycle,
  findCycleOfEdge,
  findRedundantDependencies,
  findTransitiveEdges,
  findWidestAntichain,
  requireTopology,
  sortTopologically,
} from '../../subgraphs/plan/network/index.ts';

/**
 * CPU of the plan analysis: `node perf/probes/planAnalysis.ts`. Bounds meant: plan_analysis 500 ms, creation of more
 * than 1,000 steps 5 s, a dispatch decision 100 ms.
 */
function makeProblem(count: number): PlanProblem {
  const random = createRandom(count);
  const integer = (bound: number) => Math.floor(random.next() * bound);
  const steps = Array.from({ length: count }, (_, n) => ({
    id: `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`,
    duration: 30 + integer(480),
    demands: [{ resourceId: `r${integer(4)}`, amount: 1 + integer(3) }],
    crash: { minDuration: 30, costPerUnit: 1 },
  }));
  const dependencies = Array.from({ length: 2 * count }, (_, n) => {
    const target = 1 + integer(count - 1);
    // Most dependencies of a plan are local.
    const source = Math.max(0, target - 1 - integer(Math.max(10, count / 20)));
    const type = (['finish_to_start', 'start_to_start', 'finish_to_finish'] as const)[Math.max(0, integer(10) - 7)]!;
    return { id: `d${n}`, source: steps[source]!.id, target: steps[target]!.id, type, lag: 0 };
  });
  return { steps, dependencies, resources: [0, 1, 2, 3].map((n) => ({ id: `r${n}`, capacity: 12, maxAdded: 6 })) };
}

function cpuMs(work: () => unknown): number {
  work();
  const runs: number[] = [];
  const until = performance.now() + 400;
  do {
    const before = process.cpuUsage();
    work();
    const { user, system } = process.cpuUsage(before);
    runs.push((user + system) / 1_000);
  } while (performance.now() < until && runs.length < 200);
  return runs.sort((left, right) => left - right)[runs.length >> 1]!;
}

const sizes = [100, 1_000, 10_000];
const rows = new Map<string, number[]>();
for (const count of sizes) {
  const problem = makeProblem(count);
  const { steps, dependencies } = problem;
  const network = createNetwork(steps, dependencies);
  const topology = requireTopology(network);
  const schedule = computeSchedule(network, { topology });
  const dates = { start: schedule.earlyStart, finish: schedule.earlyFinish };
  const estimates = steps.map((step) => threePointOf(step));
  const rank = rankSteps(network, schedule);
  const last = topology.order.at(-1)!;
  const first = topology.order[0]!;
  const back = {
    id: 'back',
    source: steps[last]!.id,
    target: steps[first]!.id,
    type: 'finish_to_start',
    lag: 0,
  } as const;
  const ring = createNetwork(steps, [...dependencies, back]);
  const tokens = {
    rank,
    capacities: new Map(problem.resources.map(({ id, capacity }) => [id, capacity])),
    demands: steps.map(({ demands = [] }) => demands),
    maxConcurrent: 50,
  };
  const scheduler = (changed: PlanProblem): number => {
    const other = createNetwork(changed.steps, changed.dependencies);
    return computeSchedule(other).finish;
  };
  const measure = (what: string, work: () => unknown, scale = 1): void => {
    const row = rows.get(what) ?? [];
    row.push(scale * cpuMs(work));
    rows.set(what, row);
  };
  measure('network of ids, ms', () => createNetwork(steps, dependencies));
  measure('topological order, ms', () => sortTopologically(network));
  measure('shortest cycle of a cyclic plan, ms', () => findCycle(ring));
  const pairs = Array.from({ length: 1_000 }, (_, n) => ({
    source: topology.order[Math.floor((n * count) / 1_000)]!,
    target: topology.order[Math.floor((((n * 7) % 1_000) * count) / 1_000)]!,
  }));
  measure('one more edge, us', () => pairs.map((pair) => findCycleOfEdge(network, topology, pair)), 1);
  measure('dynamic order and 1,000 edges, ms', () => {
    const order = createDynamicOrder(network, topology);
    return pairs.map(({ source, target }) => order.addEdge(source, target));
  });
  measure('critical path method, ms', () => computeSchedule(network, { topology }));
  measure('critical paths, count and first 20, ms', () => {
    const { count: paths, paths: list } = findCriticalPaths(network, schedule);
    return [paths, [...list({ limit: 20 })]];
  });
  measure('transitive reduction, ms', () => findTransitiveEdges(network, topology));
  measure('redundant dependencies, ms', () => findRedundantDependencies(network));
  measure('width, ms', () => findWidestAntichain(network));
  measure('resource load, ms', () => measureLoad(problem, dates, schedule.critical));
  measure('Monte Carlo, one sample, us', () => simulateFinish(network, estimates, { topology, samples: 100 }), 10);
  measure('quality checks, ms', () => checkQuality(network, schedule, []));
  measure('summary of createPlan, ms', () => summarizePlan(problem));
  measure('20 suggestions tried by CPM, ms', () => suggestChanges(problem, scheduler, { maxEvaluations: 20 }));
  measure('ready queue opened, first wave, ms', () => createReadyQueue(network, tokens).dispatch(0));
  measure('dry run, one step, us', () => simulateDispatch(network, tokens), 1_000 / count);
  measure('analysis, sampling capped at 200 ms, ms', () => {
    const until = performance.now() + 200;
    return analyzePlan(problem, { samples: 2_000, stopSampling: () => performance.now() > until });
  });
}
console.log(`${'CPU, median'.padEnd(44)}${sizes.map((size) => size.toLocaleString('en').padStart(12)).join('')}`);
for (const [what, values] of rows)
  console.log(`${what.padEnd(44)}${values.map((value) => value.toFixed(2).padStart(12)).join('')}`);

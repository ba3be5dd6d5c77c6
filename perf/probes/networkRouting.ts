import { analyze } from '../../subgraphs/network/analysisThread.ts';
import { createDigraph } from '../../subgraphs/network/graph/digraph.ts';
import { readGml } from '../../subgraphs/network/readers/gml.ts';
import { readSndlib } from '../../subgraphs/network/readers/sndlib.ts';
import { latencyRoutes } from '../../subgraphs/network/routing/initialRoutes.ts';
import { boundUtilization } from '../../subgraphs/network/routing/lowerBound.ts';
import { type OptimizedRoutes, optimizeRoutes } from '../../subgraphs/network/routing/optimize.ts';
import type { RoutingProblem } from '../../subgraphs/network/routing/problem.ts';
import { networkFiles, readNetworkFile } from '../../test/support/networkData.ts';
import { type Figure, figure, figuresMarkdown } from '../figure.ts';
import { tellFigures } from './tellFigures.ts';

/**
 * Analysis of Kdl (754 nodes; meant below 1 s) and routes of germany50 with the least multiple of 40 as capacity for which
 * the linear program is feasible (meant below 2 s and within 1.05 of its bound): `node perf/probes/networkRouting.ts`.
 * Kdl comes first, in a process that has just started, as threads of the compute pool may have; figures are the worst of all.
 */
export async function measureNetworkRouting(): Promise<Figure[]> {
  if (networkFiles('sndlib') === null)
    throw new Error('the networks are absent (../shared/data/networks): nothing to measure');
  return [await measureKdl(), ...(await measureGermany50())];
}

const cpuMs = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
};

interface Timed<Result> {
  readonly result: Result;
  readonly wallMs: number;
}

async function timed<Result>(title: string, work: () => Result | Promise<Result>): Promise<Timed<Result>> {
  const [wall, cpu] = [performance.now(), cpuMs()];
  const result = await work();
  const wallMs = performance.now() - wall;
  console.log(`${title}: ${wallMs.toFixed(0)} ms, ${(cpuMs() - cpu).toFixed(0)} ms CPU`);
  return { result, wallMs };
}

const worst = <Result>(runs: readonly Result[], of: (run: Result) => number) =>
  runs.reduce((most, run) => Math.max(most, of(run)), Number.NEGATIVE_INFINITY);

async function measureKdl(): Promise<Figure> {
  const { nodes, links } = readGml(readNetworkFile('topology-zoo', 'Kdl.gml'));
  const ones = new Float64Array(links.length).fill(1);
  const title = `Kdl, ${nodes.length} nodes and ${links.length} links, analysed`;
  const runs = [];
  for (const round of ['first', 'again'])
    runs.push(
      await timed(`${title} (${round})`, () =>
        analyze({
          ...{ nodeCount: nodes.length, links, latencyMs: ones, capacityMbps: ones.map(() => 1_000) },
          ...{ reservedMbps: ones.map(() => 0), nodesDown: 0, hotSpotUtilization: 0.8, exact: true, seed: 1 },
        }),
      ),
    );
  const { bridges, cutNodes, diameterHops, minimumCut, healthScore } = runs[0]!.result;
  const note = `exact; ${bridges.length} bridges, ${cutNodes.length} cut nodes, diameter ${diameterHops}, least cut ${minimumCut?.weight}, health ${healthScore.toFixed(1)}; the worse of ${runs.length}`;
  console.log(`  ${note}`);
  return figure(title, worst(runs, ({ wallMs }) => wallMs) / 1_000, 's', { below: 1, note });
}

async function measureGermany50(): Promise<Figure[]> {
  const { nodes, links, demands } = readSndlib(readNetworkFile('sndlib', 'germany50.json'));
  const graph = createDigraph(nodes.length, links);
  const problemOf = (capacity: number): RoutingProblem => ({
    graph,
    capacity: new Float64Array(graph.linkCount).fill(capacity),
    latencyMs: new Float64Array(graph.linkCount).fill(1),
    costPerGb: new Float64Array(graph.linkCount),
    demands,
  });
  const unit = problemOf(1);
  const program = await boundUtilization(unit, { isOver: () => false, start: latencyRoutes(unit) });
  if (!program.isTight)
    throw new Error('the linear program of germany50 was not solved: there is nothing to compare with');
  const capacity = 40 * Math.ceil(program.maxUtilization / 40 - 1e-9);
  // Utilisations scale with the capacity that all links have in common.
  const bound = program.maxUtilization / capacity;
  console.log(
    `germany50, ${demands.length} demands: the least common capacity is ${capacity}, the bound ${bound.toFixed(4)}`,
  );
  const problem = problemOf(capacity);
  const runs: Timed<OptimizedRoutes>[] = [];
  for (const seed of [1, 2, 3]) {
    const run = await timed(`germany50 routed (seed ${seed})`, () =>
      optimizeRoutes(problem, latencyRoutes(problem), {
        goals: { latency: 0.2, throughput: 1, balance: 1, cost: 0 },
        ...{ seed, timeBudgetMs: 1_500, maxMoves: Number.POSITIVE_INFINITY, isHard: false },
      }),
    );
    const { before, after, lowerBound, isBoundTight } = run.result;
    if (after.unroutedDemands > 0)
      throw new Error(`germany50: ${after.unroutedDemands} demands are left without a route`);
    console.log(
      `  maximum utilisation ${before.maxUtilization.toFixed(4)} -> ${after.maxUtilization.toFixed(4)}, bound ${lowerBound.toFixed(4)}${isBoundTight ? '' : ' (not tight)'}, ratio to the program's ${(after.maxUtilization / bound).toFixed(4)}, latency ${before.meanLatencyMs.toFixed(2)} -> ${after.meanLatencyMs.toFixed(2)} hops`,
    );
    runs.push(run);
  }
  const greatest = worst(runs, ({ result }) => result.after.maxUtilization);
  const note = `${demands.length} demands, each link ${capacity}: the least multiple of 40 for which the linear program is feasible; the worst of ${runs.length} seeds`;
  return [
    figure('germany50, routes optimised', worst(runs, ({ wallMs }) => wallMs) / 1_000, 's', { below: 2, note }),
    figure('germany50, maximum utilisation over the bound of the linear program', 100 * (greatest / bound - 1), '%', {
      below: 5,
      note: `${greatest.toFixed(4)} of ${bound.toFixed(4)}; ${note}`,
    }),
  ];
}

if (import.meta.main) {
  const figures = await measureNetworkRouting();
  console.log(figuresMarkdown(figures));
  tellFigures(...figures);
}

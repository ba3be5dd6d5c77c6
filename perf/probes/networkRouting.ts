import { analyze } from '../../subgraphs/network/analysisThread.ts';
import { createDigraph } from '../../subgraphs/network/graph/digraph.ts';
import { readGml } from '../../subgraphs/network/readers/gml.ts';
import { readSndlib } from '../../subgraphs/network/readers/sndlib.ts';
import { latencyRoutes } from '../../subgraphs/network/routing/initialRoutes.ts';
import { boundUtilization } from '../../subgraphs/network/routing/lowerBound.ts';
import { optimizeRoutes } from '../../subgraphs/network/routing/optimize.ts';
import type { RoutingProblem } from '../../subgraphs/network/routing/problem.ts';
import { networkFiles, readNetworkFile } from '../../test/support/networkData.ts';

/**
 * Analysis of Kdl (754 nodes; meant below 1 s) and routes of germany50 with the least multiple of 40 as capacity for which
 * the linear program is feasible (meant below 2 s and within 1.05 of its bound): `node perf/probes/networkRouting.ts`.
 * The first line of each is a thread that has just started, as the compute pool's are; the second the same once more.
 */
if (networkFiles('sndlib') === null) {
  console.log('the networks are absent (../shared/data/networks): nothing to measure.');
  process.exit(1);
}
const cpuMs = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
};

async function timed<Result>(title: string, work: () => Result | Promise<Result>): Promise<Result> {
  const [wall, cpu] = [performance.now(), cpuMs()];
  const result = await work();
  console.log(`${title}: ${(performance.now() - wall).toFixed(0)} ms, ${(cpuMs() - cpu).toFixed(0)} ms CPU`);
  return result;
}

const kdl = readGml(readNetworkFile('topology-zoo', 'Kdl.gml'));
const ones = new Float64Array(kdl.links.length).fill(1);
for (const round of ['first', 'again']) {
  const found = await timed(`Kdl, ${kdl.nodes.length} nodes and ${kdl.links.length} links, analysed (${round})`, () =>
    analyze({
      ...{ nodeCount: kdl.nodes.length, links: kdl.links, latencyMs: ones, capacityMbps: ones.map(() => 1_000) },
      ...{ reservedMbps: ones.map(() => 0), nodesDown: 0, hotSpotUtilization: 0.8, exact: true, seed: 1 },
    }),
  );
  console.log(
    `  ${found.bridges.length} bridges, ${found.cutNodes.length} cut nodes, diameter ${found.diameterHops}, least cut ${found.minimumCut?.weight}, health ${found.healthScore.toFixed(1)}`,
  );
}

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
const bound = await boundUtilization(unit, { isOver: () => false, start: latencyRoutes(unit) });
const capacity = 40 * Math.ceil(bound.maxUtilization / 40 - 1e-9);
console.log(
  `germany50, ${demands.length} demands: the least common capacity is ${capacity} (bound ${bound.maxUtilization})`,
);
const problem = problemOf(capacity);
for (const seed of [1, 2, 3]) {
  const found = await timed(`germany50 routed (seed ${seed})`, () =>
    optimizeRoutes(problem, latencyRoutes(problem), {
      goals: { latency: 0.2, throughput: 1, balance: 1, cost: 0 },
      ...{ seed, timeBudgetMs: 1_500, maxMoves: Number.POSITIVE_INFINITY, isHard: false },
    }),
  );
  const { before, after, lowerBound } = found;
  console.log(
    `  maximum utilisation ${before.maxUtilization.toFixed(4)} -> ${after.maxUtilization.toFixed(4)}, bound ${lowerBound.toFixed(4)}${found.isBoundTight ? '' : ' (not tight)'}, ratio ${(after.maxUtilization / lowerBound).toFixed(4)}, latency ${before.meanLatencyMs.toFixed(2)} -> ${after.meanLatencyMs.toFixed(2)} hops`,
  );
}

import { PlatformError } from '#shared/errors.ts';
import { hashInput } from '#shared/idempotency.ts';
import type * as inputs from './inputs.ts';
import type { OptimizeOutcome, OptimizeTask } from './optimizeThread.ts';
import { toMbps, usableKbps } from './reservations.ts';
import type { InfeasibilityProof } from './routing/infeasibility.ts';
import type { RoutingGoals } from './routing/optimize.ts';
import type { Demand, Route, RoutingMeasures, RoutingProblem } from './routing/problem.ts';
import type { InfeasibilityValue, NetworkConnectionRow, OptimizationResult } from './rows.ts';
import { type Db, findOpenConnections } from './store.ts';
import type { NetworkSnapshot } from './topologies.ts';
import { arcsOf, avoiding, linkIdsOf, type Topology } from './topology.ts';

const algorithm = 'rip-up-and-reroute on Fortz-Thorup cost; bound by column generation (HiGHS)';

/** @default of a run */
export const defaultGoals: RoutingGoals = { latency: 0.2, throughput: 1, balance: 1, cost: 0 };

/** Demands with the ways they have. */
export interface Matrix {
  readonly demands: readonly Demand[];
  readonly before: OptimizeTask['before'];
  /** Of the demands that are connections. */
  readonly connections: readonly NetworkConnectionRow[] | null;
}

/** @throws {NOT_FOUND} */
export function demandsOf(snapshot: NetworkSnapshot, given: NonNullable<inputs.OptimizeInput['demands']>): Demand[] {
  const { nodeIndex } = snapshot.topology;
  return given.map(({ source, target, mbps, maxLatencyMs }, at) => {
    const [from, to] = [source, target].map((nodeId, end) => {
      const place = nodeIndex.get(nodeId);
      if (place !== undefined) return place;
      throw new PlatformError('NOT_FOUND', `demand ${at + 1} names a node ${nodeId} that is not there`, {
        path: ['input', 'demands', at, end === 0 ? 'source' : 'target'],
      });
    }) as [number, number];
    if (from === to)
      throw new PlatformError('VALIDATION_FAILED', `demand ${at + 1}: expected two nodes, got one`, {
        path: ['input', 'demands', at],
      });
    return { source: from, target: to, mbps, ...(maxLatencyMs == null ? {} : { maxLatencyMs }) };
  });
}

/** The connections that are open, on the ways they have. */
export async function liveMatrix(db: Db, tenantId: string, { networkId, topology }: NetworkSnapshot): Promise<Matrix> {
  const open = (await findOpenConnections(db, tenantId, networkId)).filter(
    ({ bandwidthKbps, sourceId, targetId, waitUntil }) =>
      waitUntil === null && bandwidthKbps > 0 && topology.nodeIndex.has(sourceId) && topology.nodeIndex.has(targetId),
  );
  return {
    connections: open,
    demands: open.map(({ sourceId, targetId, bandwidthKbps, requirements: { latencyMaxMs } }) => ({
      source: topology.nodeIndex.get(sourceId)!,
      target: topology.nodeIndex.get(targetId)!,
      mbps: toMbps(bandwidthKbps),
      ...(latencyMaxMs == null ? {} : { maxLatencyMs: latencyMaxMs }),
    })),
    before: open.map(({ linkIds, nodeIds }) => arcsOf(topology, linkIds, nodeIds)),
  };
}

/** Mbps by link: those that are down are closed, of the others open connections may use what the reserve leaves. */
export function capacityOf({ topology, config }: NetworkSnapshot, { connections }: Matrix): Float64Array {
  return topology.capacityKbps.map((kbps, link) =>
    topology.isLinkUp[link] === 1 ? toMbps(connections === null ? kbps : usableKbps(kbps, config)) : 0,
  );
}

export function problemOf(snapshot: NetworkSnapshot, matrix: Matrix): RoutingProblem {
  const { graph, latencyMs, costPerGb } = snapshot.topology;
  return { graph, latencyMs, costPerGb, demands: matrix.demands, capacity: capacityOf(snapshot, matrix) };
}

/** Of open connections: equal where what was computed for the one matrix, its bound too, is true of the other. */
export function matrixHashOf(snapshot: NetworkSnapshot, { connections }: Matrix): string | null {
  if (connections === null) return null;
  const { structure, config } = snapshot;
  const ids = connections.map(({ id, bandwidthKbps }) => `${id} ${bandwidthKbps}`).sort();
  return hashInput({ structure, reserveShare: config.reserveShare, ids });
}

/** Demands that may be put elsewhere, by the count and by the share of them that the caller bears. */
export function mostMoves(
  { maxMoves, disruptionTolerance }: Pick<inputs.OptimizeInput, 'maxMoves' | 'disruptionTolerance'>,
  demands: number,
): number {
  return Math.min(maxMoves ?? Number.POSITIVE_INFINITY, shareOf(disruptionTolerance ?? 1, demands));
}

/** Whole demands of a share: a third of three is one, whatever its digits. */
export const shareOf = (share: number, count: number) => Math.floor(share * count + 1e-9);

/** Nothing is put on links of nodes to avoid. */
export function toTask(
  snapshot: NetworkSnapshot,
  matrix: Matrix,
  input: inputs.OptimizeInput & { readonly avoidedNodes: readonly string[] },
): OptimizeTask {
  const { topology } = snapshot;
  const { graph, isLinkUp, latencyMs, costPerGb } = topology;
  const around = avoiding(topology, new Set(input.avoidedNodes));
  const isLive = matrix.connections !== null;
  const links = new Array<OptimizeTask['links'][number]>(graph.linkCount);
  for (let arc = 0; arc < graph.arcCount; arc += 1)
    links[graph.link[arc]!] ??= {
      source: graph.from[arc]!,
      target: graph.to[arc]!,
      isTwoWay: graph.reverse[arc] !== -1,
    };
  return {
    nodeCount: graph.nodeCount,
    links,
    capacity: capacityOf(snapshot, matrix),
    ...{ latencyMs, costPerGb, demands: matrix.demands, before: matrix.before },
    goals: input.goals ?? defaultGoals,
    maxMoves: mostMoves(input, matrix.demands.length),
    ...{ seed: input.seed, timeBudgetMs: input.timeBudgetMs, isHard: isLive },
    ...(around !== topology && {
      avoided: isLinkUp.map((up, link) => Number(up === 1 && around.isLinkUp[link] === 0)),
    }),
  };
}

export function toResult(snapshot: NetworkSnapshot, matrix: Matrix, outcome: OptimizeOutcome): OptimizationResult {
  const { topology } = snapshot;
  return {
    before: finite(outcome.before),
    after: finite(outcome.after),
    lowerBound: outcome.lowerBound,
    boundIsTight: outcome.isBoundTight,
    gap: Number.isFinite(outcome.gap) ? outcome.gap : Number.MAX_VALUE,
    optimal: outcome.isOptimal,
    changes: changesOf(snapshot, matrix, { ...outcome, before: outcome.home }),
    unrouted: unroutedOf(snapshot, matrix, outcome.routes),
    infeasibility: outcome.proof && infeasibilityOf(topology, outcome.proof),
    ...{ boundKind: outcome.boundKind, feasibility: outcome.feasibility },
    algorithm,
    iterations: outcome.changes,
    timeBudgetExhausted: outcome.isBudgetUsedUp,
    matrixHash: matrixHashOf(snapshot, matrix),
    ...{ movesMade: 0, movesDropped: 0 },
  };
}

function infeasibilityOf({ linkIds, nodeIds }: Topology, proof: InfeasibilityProof): InfeasibilityValue {
  const { kind, capacityMbps, demandedMbps } = proof;
  return {
    linkIds: proof.links.map((link) => linkIds[link]!),
    nodeIds: kind === 'PRICES' ? [] : proof.nodes.map((node) => nodeIds[node]!),
    ...{ kind, capacityMbps, demandedMbps, demands: [...proof.demands] },
    ...(kind === 'PRICES' && { prices: [...proof.prices] }),
    ...(kind === 'LATENCY' && { latencyMs: proof.latencyMs, maxLatencyMs: proof.maxLatencyMs }),
  };
}

interface Moved {
  /** Places of the demands. */
  readonly moved: readonly number[];
  readonly before: readonly Route[];
  readonly routes: readonly Route[];
}

export function changesOf(
  { topology }: NetworkSnapshot,
  { connections }: Matrix,
  { moved, before, routes }: Moved,
): OptimizationResult['changes'] {
  const pathOf = (route: Route) => (route === null ? null : linkIdsOf(topology, route));
  return moved.map((at) => ({
    demand: at,
    connectionId: connections?.[at]?.id ?? null,
    oldPath: pathOf(before[at]!),
    newPath: pathOf(routes[at]!),
  }));
}

export function unroutedOf(
  { topology }: NetworkSnapshot,
  { demands }: Matrix,
  routes: readonly Route[],
): OptimizationResult['unrouted'] {
  return [...routes.keys()]
    .filter((at) => routes[at] === null)
    .map((at) => ({
      demand: at,
      source: topology.nodeIds[demands[at]!.source]!,
      target: topology.nodeIds[demands[at]!.target]!,
      mbps: demands[at]!.mbps,
    }));
}

/** Loads on links without capacity have no finite utilisation: the greatest number stands for it. */
export function finite(measures: RoutingMeasures): RoutingMeasures {
  return Object.fromEntries(
    Object.entries(measures).map(([name, value]) => [name, Number.isFinite(value) ? value : Number.MAX_VALUE]),
  ) as unknown as RoutingMeasures;
}

import { PlatformError } from '#shared/errors.ts';
import type * as inputs from './inputs.ts';
import type { OptimizeOutcome, OptimizeTask } from './optimizeThread.ts';
import { toMbps, usableKbps } from './reservations.ts';
import type { RoutingGoals } from './routing/optimize.ts';
import type { Demand } from './routing/problem.ts';
import type { NetworkConnectionRow, OptimizationResult } from './rows.ts';
import { type Db, findOpenConnections } from './store.ts';
import type { NetworkSnapshot } from './topologies.ts';
import { arcsOf, avoiding, linkIdsOf } from './topology.ts';

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
    ({ bandwidthKbps, sourceId, targetId }) =>
      bandwidthKbps > 0 && topology.nodeIndex.has(sourceId) && topology.nodeIndex.has(targetId),
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
    maxMoves: input.maxMoves ?? Number.POSITIVE_INFINITY,
    ...{ seed: input.seed, timeBudgetMs: input.timeBudgetMs, isHard: isLive },
    ...(around !== topology && {
      avoided: isLinkUp.map((up, link) => Number(up === 1 && around.isLinkUp[link] === 0)),
    }),
  };
}

export function toResult(
  { topology }: NetworkSnapshot,
  { demands, connections }: Matrix,
  outcome: OptimizeOutcome,
): OptimizationResult {
  const pathOf = (route: readonly number[] | null) => (route === null ? null : linkIdsOf(topology, route));
  const { cut } = outcome;
  const isInfeasible = outcome.lowerBound > 1 + 1e-9;
  return {
    before: finite(outcome.before),
    after: finite(outcome.after),
    lowerBound: outcome.lowerBound,
    boundIsTight: outcome.isBoundTight,
    gap: Number.isFinite(outcome.gap) ? outcome.gap : Number.MAX_VALUE,
    optimal: outcome.isOptimal,
    changes: outcome.moved.map((at) => ({
      demand: at,
      connectionId: connections?.[at]?.id ?? null,
      oldPath: pathOf(outcome.home[at]!),
      newPath: pathOf(outcome.routes[at]!),
    })),
    unrouted: [...outcome.routes.keys()]
      .filter((at) => outcome.routes[at] === null)
      .map((at) => ({
        demand: at,
        source: topology.nodeIds[demands[at]!.source]!,
        target: topology.nodeIds[demands[at]!.target]!,
        mbps: demands[at]!.mbps,
      })),
    infeasibility: isInfeasible
      ? {
          linkIds: (cut?.links ?? []).map((link) => topology.linkIds[link]!),
          nodeIds: (cut?.nodes ?? []).map((node) => topology.nodeIds[node]!),
          capacityMbps: cut?.capacityMbps ?? 0,
          demandedMbps: cut?.demandedMbps ?? 0,
          demands: cut?.demands ?? [],
        }
      : null,
    algorithm,
    iterations: outcome.changes,
    timeBudgetExhausted: outcome.isBudgetUsedUp,
  };
}

/** Loads on links without capacity have no finite utilisation: the greatest number stands for it. */
function finite<Measures extends object>(measures: Measures): Measures {
  return Object.fromEntries(
    Object.entries(measures).map(([name, value]) => [name, Number.isFinite(value) ? value : Number.MAX_VALUE]),
  ) as Measures;
}

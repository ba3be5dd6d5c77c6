import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { hashInput } from '#shared/idempotency.ts';
import { newId } from '#shared/ids.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput } from '#shared/validation.ts';
import { requireVisible, unknownNetwork } from './access.ts';
import { applyRoutes } from './applyRoutes.ts';
import type { Commands } from './commands.ts';
import * as inputs from './inputs.ts';
import { notActive } from './nodes.ts';
import type { OptimizeOutcome, OptimizeTask } from './optimizeThread.ts';
import { toMbps, usableKbps } from './reservations.ts';
import type { Demand } from './routing/problem.ts';
import type { NetworkConnectionRow, NetworkOptimizationRow, OptimizationResult } from './rows.ts';
import { openStatuses } from './states.ts';
import { findOpenConnections, findRun, insertRun } from './store.ts';
import type { NetworkSnapshot, Topologies } from './topologies.ts';
import { arcsOf, avoiding, linkIdsOf } from './topology.ts';

const thread = new URL('./optimizeThread.ts', import.meta.url);
const algorithm = 'rip-up-and-reroute on Fortz-Thorup cost; bound by column generation (HiGHS)';

interface Matrix {
  readonly demands: readonly Demand[];
  readonly before: OptimizeTask['before'];
  /** Of the demands that are connections. */
  readonly connections: readonly NetworkConnectionRow[] | null;
}

export interface OptimizeAnswer {
  readonly runId: string;
  /** The demands do not fit, however they are routed. */
  readonly isInfeasible: boolean;
}

/** Better routes for demands, or for the connections that are open. */
export function createOptimizations({ sql, compute }: ModuleRuntime, commands: Commands, topologies: Topologies) {
  /** @throws {NOT_FOUND} */
  function demandsOf(snapshot: NetworkSnapshot, given: NonNullable<inputs.OptimizeInput['demands']>): Demand[] {
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

  async function liveMatrix(tenantId: string, { networkId, topology }: NetworkSnapshot): Promise<Matrix> {
    const open = (await findOpenConnections(sql, tenantId, networkId)).filter(
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

  return {
    find: (tenantId: string, runId: string) => findRun(sql, tenantId, runId),

    /** @throws {NOT_FOUND} {NETWORK_NOT_ACTIVE} {VALIDATION_FAILED} {CONFLICT} where the network changed under an apply. */
    async optimize(scope: RequestScope, raw: unknown): Promise<OptimizeAnswer> {
      const input = parseInput(inputs.optimize, raw, ['input']);
      const { principal } = scope;
      const { tenantId } = principal;
      if (input.apply && input.demands != null)
        throw new PlatformError('VALIDATION_FAILED', 'apply: expected no demands, open connections alone are moved', {
          path: ['input', 'apply'],
        });
      const call = { operation: 'optimizeRoutes', input, idempotencyKey: input.idempotencyKey };
      const known = await commands.known<OptimizeAnswer>(scope, call);
      if (known) return known;
      const snapshot = await topologies.find(sql, tenantId, input.networkId);
      if (!snapshot) throw unknownNetwork();
      const avoidedNodes = input.demands == null ? [...snapshot.blocked, ...snapshot.trials] : [];
      await requireVisible(sql, principal, input.networkId);
      if (input.apply && !openStatuses.includes(snapshot.status)) throw notActive(snapshot.status);
      const matrix: Matrix =
        input.demands == null
          ? await liveMatrix(tenantId, snapshot)
          : { demands: demandsOf(snapshot, input.demands), before: null, connections: null };
      const task = toTask(snapshot, matrix, { ...input, avoidedNodes });
      const outcome = await compute.run<OptimizeOutcome>(thread, 'optimize', task, {
        lane: 'interactive',
        signal: scope.signal,
        timeoutMs: input.timeBudgetMs * 3 + 10_000,
      });
      const result = { ...toResult(snapshot, matrix, outcome), avoidedNodes };
      const isInfeasible = result.lowerBound > 1 + 1e-9;
      const apply = input.apply && outcome.moved.length > 0;
      const answer = await commands.run<OptimizeAnswer>(scope, call, async (tx) => {
        const applied = apply
          ? await applyRoutes(tx, scope, {
              snapshot,
              moved: outcome.moved.map((at) => ({
                connection: matrix.connections![at]!,
                arcs: outcome.routes[at]!,
              })),
            })
          : null;
        const now = new Date().toISOString();
        const row: NetworkOptimizationRow = {
          ...{ tenantId, id: newId(), networkId: input.networkId, structure: snapshot.structure },
          inputsHash: hashInput({
            demands: task.demands,
            goals: task.goals,
            seed: input.seed,
            structure: snapshot.structure,
            before: task.before,
          }),
          ...{ seed: input.seed, result, appliedAt: applied === null ? null : now },
          ...{ createdAt: now, createdBy: principal.subject },
        };
        await insertRun(tx, row);
        return {
          response: { runId: row.id, isInfeasible },
          events: [
            {
              streamId: input.networkId,
              type: 'routes.optimized',
              data: {
                run: { id: row.id, networkId: row.networkId, contextId: snapshot.contextId },
                ...{ before: result.before, after: result.after, lowerBound: result.lowerBound },
                applied: applied !== null,
              },
              tags: [`NetworkOptimization:${row.id}`],
            },
            ...(applied ?? []),
          ],
          audit: [
            { action: 'network.optimize', resource: 'Network', resourceId: input.networkId, detail: { runId: row.id } },
          ],
        };
      });
      topologies.forgetReserved(tenantId, input.networkId);
      return answer;
    },
  };
}

/** Links that are down are closed; of the others what the reserve leaves may be used, but nothing is put on those of nodes to avoid. */
function toTask(
  { topology, config }: NetworkSnapshot,
  matrix: Matrix,
  input: inputs.OptimizeInput & { readonly avoidedNodes: readonly string[] },
): OptimizeTask {
  const { graph, isLinkUp, capacityKbps, latencyMs, costPerGb } = topology;
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
    capacity: capacityKbps.map((kbps, link) =>
      isLinkUp[link] === 1 ? toMbps(isLive ? usableKbps(kbps, config) : kbps) : 0,
    ),
    ...{ latencyMs, costPerGb, demands: matrix.demands, before: matrix.before },
    goals: input.goals ?? { latency: 0.2, throughput: 1, balance: 1, cost: 0 },
    maxMoves: input.maxMoves ?? Number.POSITIVE_INFINITY,
    ...{ seed: input.seed, timeBudgetMs: input.timeBudgetMs, isHard: isLive },
    ...(around !== topology && {
      avoided: isLinkUp.map((up, link) => Number(up === 1 && around.isLinkUp[link] === 0)),
    }),
  };
}

function toResult(
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

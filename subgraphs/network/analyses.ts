import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { isId } from '#shared/ids.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput } from '#shared/validation.ts';
import { requireVisible, unknownNetwork } from './access.ts';
import type { AnalyzeOutcome, AnalyzeTask } from './analysisThread.ts';
import { toLinks } from './creation.ts';
import { unknownNode } from './events.ts';
import * as inputs from './inputs.ts';
import { toMbps } from './reservations.ts';
import type { NetworkLinkRow, NetworkNodeRow, NetworkRow } from './rows.ts';
import { findLinks, findNetworks, findNodes, read } from './store.ts';
import { isUp } from './topology.ts';

const thread = new URL('./analysisThread.ts', import.meta.url);
/** Nodes up to which betweenness from all of them may be asked for. */
const exactNodes = 5_000;

/** What is computed about networks as they are, or as they would be. */
export function createAnalyses({ sql, compute }: ModuleRuntime) {
  return {
    /** @throws {NOT_FOUND} {NETWORK_TOO_LARGE_FOR_EXACT} {DANGLING_LINK} {SHAPE_MISMATCH} {VALIDATION_FAILED} */
    async analyze(
      scope: RequestScope,
      networkId: string,
      { exact, seed, whatIf: raw }: { readonly exact: boolean; readonly seed: number; readonly whatIf: unknown },
    ) {
      const { tenantId } = scope.principal;
      const change = raw == null ? {} : parseInput(inputs.change, raw, ['whatIf']);
      const [network] = isId(networkId) ? await findNetworks(sql, tenantId, [networkId]) : [];
      if (!network) throw unknownNetwork();
      await requireVisible(sql, scope.principal, networkId);
      const [nodes, links, passing] = await Promise.all([
        findNodes(sql, tenantId, [networkId]),
        findLinks(sql, tenantId, [networkId]),
        countPassing(tenantId, networkId),
      ]);
      if (exact && nodes.length > exactNodes)
        throw new PlatformError(
          'NETWORK_TOO_LARGE_FOR_EXACT',
          `expected at most ${exactNodes} nodes, got ${nodes.length}; leave \`exact\` out for an estimate`,
          { path: ['exact'], details: { nodes: nodes.length } },
        );
      const world = changed(network, { nodes, links }, change);
      const { task, nodeIds, linkIds } = toTask(network, world, { exact, seed });
      const outcome = await compute.run<AnalyzeOutcome>(thread, 'analyze', task, {
        lane: 'interactive',
        signal: scope.signal,
        timeoutMs: 60_000,
      });
      const ids = (places: readonly number[], of: readonly string[]) => places.map((place) => of[place]!);
      const cutOf = (cut: AnalyzeOutcome['minimumCut']) =>
        cut && { linkIds: ids(cut.links, linkIds), nodeIds: ids(cut.nodes, nodeIds), weight: cut.weight };
      return {
        ...outcome,
        networkId: network.id,
        structure: network.structure,
        nodes: task.nodeCount,
        links: task.links.length,
        bridges: outcome.bridges.map(({ link, pairsLost }) => ({ linkId: linkIds[link]!, pairsLost })),
        cutNodes: outcome.cutNodes.map(({ node, ...rest }) => ({ nodeId: nodeIds[node]!, ...rest })),
        central: outcome.central.map(({ node, ...rest }) => ({ nodeId: nodeIds[node]!, ...rest })),
        minimumCut: cutOf(outcome.minimumCut),
        minimumCapacityCut: cutOf(outcome.minimumCapacityCut),
        singleFailures: outcome.failures.map(({ kind, place, pairsLost }) => {
          const id = (kind === 'NODE' ? nodeIds : linkIds)[place]!;
          return { kind: kind as string, id, pairsLost, connections: passing.get(id) ?? 0 };
        }),
        hotSpots: outcome.hotSpots.map(({ link, utilization }) => ({ linkId: linkIds[link]!, utilization })),
        recommendations: [
          ...outcome.recommendations.map(({ kind, message, nodes: near, links: on, gain }) => ({
            ...{ kind: kind as string, message, gain },
            ...{ nodeIds: ids(near, nodeIds), linkIds: ids(on, linkIds) },
          })),
          ...restored(world.nodes, outcome),
        ],
      };
    },
  };

  /** Open connections by the links and nodes that they pass. */
  async function countPassing(tenantId: string, networkId: string): Promise<ReadonlyMap<string, number>> {
    const rows = await read<{ id: string; count: number }>(
      sql,
      `SELECT p.id, count(*)::int AS count FROM network.connection c, unnest(c.link_ids || c.node_ids) AS p(id)
       WHERE c.tenant_id = $1 AND c.network_id = $2 AND c.closed_at IS NULL GROUP BY p.id`,
      [tenantId, networkId],
    );
    return new Map(rows.map(({ id, count }) => [id, count]));
  }
}

interface World {
  readonly nodes: readonly NetworkNodeRow[];
  readonly links: readonly NetworkLinkRow[];
}

/** The network after the change asked about. @throws {NOT_FOUND} {DANGLING_LINK} {SHAPE_MISMATCH} */
function changed({ tenantId, id: networkId }: NetworkRow, { nodes, links }: World, change: inputs.ChangeInput): World {
  const [goneNodes, goneLinks] = [new Set(change.removeNodes), new Set(change.removeLinks)];
  const known = { nodes: new Set(nodes.map(({ id }) => id)), links: new Set(links.map(({ id }) => id)) };
  for (const id of goneNodes) if (!known.nodes.has(id)) throw unknownNode(['whatIf', 'removeNodes']);
  for (const id of goneLinks)
    if (!known.links.has(id))
      throw new PlatformError('NOT_FOUND', 'the network has no such link', { path: ['whatIf', 'removeLinks'] });
  const left = nodes.filter(({ id }) => !goneNodes.has(id));
  const options = { tenantId, networkId, firstPlace: links.length, path: ['whatIf', 'addLinks'] };
  return {
    nodes: left,
    links: [
      ...links.filter(
        (link) => !goneLinks.has(link.id) && !goneNodes.has(link.sourceId) && !goneNodes.has(link.targetId),
      ),
      ...toLinks(change.addLinks ?? [], left, options),
    ],
  };
}

/** What is up, as a thread takes it. */
function toTask({ config }: NetworkRow, { nodes, links }: World, options: Pick<AnalyzeTask, 'exact' | 'seed'>) {
  const up = nodes.filter(({ status }) => isUp(status));
  const places = new Map(up.map(({ id }, at) => [id, at]));
  const open = links.filter(
    ({ status, sourceId, targetId }) => status === 'active' && places.has(sourceId) && places.has(targetId),
  );
  const reservedKbps = (link: NetworkLinkRow) =>
    link.reservedRealTime + link.reservedInteractive + link.reservedBulk + link.reservedManagement;
  const task: AnalyzeTask = {
    nodeCount: up.length,
    links: open.map(({ sourceId, targetId, direction }) => ({
      source: places.get(sourceId)!,
      target: places.get(targetId)!,
      isTwoWay: direction === 'bidirectional',
    })),
    latencyMs: Float64Array.from(open, ({ latencyMs }) => latencyMs),
    capacityMbps: Float64Array.from(open, ({ capacityKbps }) => toMbps(capacityKbps)),
    reservedMbps: Float64Array.from(open, (link) => toMbps(reservedKbps(link))),
    nodesDown: nodes.filter(({ status }) => !isUp(status) && status !== 'retired').length,
    hotSpotUtilization: config.hotSpotUtilization,
    ...options,
  };
  return { task, nodeIds: up.map(({ id }) => id), linkIds: open.map(({ id }) => id) };
}

/** Required nodes that are down; what each is worth is the share of health that counts nodes. */
function restored(nodes: readonly NetworkNodeRow[], { healthScore }: AnalyzeOutcome) {
  const down = nodes.filter(({ required, status }) => required && !isUp(status) && status !== 'retired');
  const all = nodes.filter(({ status }) => status !== 'retired').length;
  return down.map(({ id }) => ({
    kind: 'RESTORE_NODE',
    message: 'a required node is down',
    ...{ nodeIds: [id], linkIds: [] as string[] },
    gain: Math.min(100 - healthScore, 10 / Math.max(1, all)),
  }));
}

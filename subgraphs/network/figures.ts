import { strongComponents, weakComponents } from './graph/components.ts';
import { vertexConnectivity } from './graph/connectivity.ts';
import { createDigraph, type Digraph, type LinkEnds } from './graph/digraph.ts';
import type { NetworkStatsValue } from './rows.ts';

export interface FiguresTask {
  readonly nodeCount: number;
  readonly links: readonly LinkEnds[];
  /** Connectivity is counted up to this, where the network is small enough. @default 4 */
  readonly mostConnectivity?: number | undefined;
}

/** Nodes up to which connectivity is counted. */
export const connectivityNodes = 500;
/** Nodes up to which the diameter is exact. */
const exactNodes = 2_000;

/** Figures of a structure, whatever is up; runs in a thread for all but small networks. */
export function describeStructure({ nodeCount, links, mostConnectivity = 4 }: FiguresTask): NetworkStatsValue {
  const graph = createDigraph(nodeCount, links);
  const weak = weakComponents(graph);
  const areAllTwoWay = links.every(({ isTwoWay }) => isTwoWay);
  const reach = areAllTwoWay ? pairsOf(weak.sizes) : null;
  const hops = hopsFrom(graph, nodeCount <= exactNodes ? 1 : Math.ceil(nodeCount / 100));
  return {
    nodeCount,
    linkCount: links.length,
    diameter: hops.diameter,
    components: weak.count,
    vertexConnectivity: nodeCount <= connectivityNodes ? vertexConnectivity(graph, mostConnectivity) : null,
    // Of one-way links those pairs that were seen, else an estimate by what reaches each other.
    routingTableSize: reach ?? (hops.isExact ? hops.pairs : pairsOf(strongComponents(graph).sizes)),
  };
}

const pairsOf = (sizes: Int32Array) => sizes.reduce((sum, size) => sum + size * (size - 1), 0);

/** Breadth first from every `step`th node. */
function hopsFrom({ nodeCount, first, to }: Digraph, step: number) {
  const depth = new Int32Array(nodeCount);
  const queue = new Int32Array(nodeCount);
  let [diameter, pairs] = [0, 0];
  for (let source = 0; source < nodeCount; source += step) {
    depth.fill(-1);
    depth[source] = 0;
    queue[0] = source;
    let length = 1;
    for (let at = 0; at < length; at += 1) {
      const node = queue[at]!;
      for (let arc = first[node]!; arc < first[node + 1]!; arc += 1) {
        const head = to[arc]!;
        if (depth[head] !== -1) continue;
        depth[head] = depth[node]! + 1;
        queue[length] = head;
        length += 1;
      }
    }
    diameter = Math.max(diameter, depth[queue[length - 1]!]!);
    pairs += length - 1;
  }
  return { diameter, pairs, isExact: step === 1 };
}

import type { Digraph } from './digraph.ts';
import type { Topology } from './topology.ts';

/** A topological order kept while edges come and go. */
export interface DynamicOrder {
  /** The cycle the edge would close, beginning with its source; null when it may be added. Changes nothing. */
  findCycle(source: number, target: number): number[] | null;
  /** Adds the edge unless it closes a cycle, which is then answered; null when added. */
  addEdge(source: number, target: number): number[] | null;
  /** Removes one edge between the two; false when there is none. The order stays valid as it is. */
  removeEdge(source: number, target: number): boolean;
  /** A new node without edges, placed last; answers its index. */
  addNode(): number;
  topology(): Topology;
}

/**
 * Pearce & Kelly 2006 ("A dynamic topological sort algorithm for directed acyclic graphs"): an edge costs only the
 * nodes placed between its ends that are reachable from the target or reach the source.
 */
export function createDynamicOrder(graph: Digraph, topology: Topology): DynamicOrder {
  const position = Array.from(topology.position);
  const order = Array.from(topology.order);
  const successors: number[][] = Array.from({ length: graph.count }, () => []);
  const predecessors: number[][] = Array.from({ length: graph.count }, () => []);
  for (let edge = 0; edge < graph.edgeCount; edge += 1) {
    successors[graph.edgeSource[edge]!]!.push(graph.edgeTarget[edge]!);
    predecessors[graph.edgeTarget[edge]!]!.push(graph.edgeSource[edge]!);
  }

  /** Nodes reachable from the target and not placed behind the source, or the cycle. */
  const searchForward = (source: number, target: number): { cycle: number[] } | { reached: number[] } => {
    const last = position[source]!;
    const cameFrom = new Map<number, number>([[target, source]]);
    const pending = [target];
    const reached: number[] = [];
    for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
      reached.push(node);
      for (const next of successors[node]!) {
        if (next === source) {
          const cycle: number[] = [];
          for (let back = node; back !== source; back = cameFrom.get(back)!) cycle.push(back);
          return { cycle: [source, ...cycle.reverse()] };
        }
        if (position[next]! > last || cameFrom.has(next)) continue;
        cameFrom.set(next, node);
        pending.push(next);
      }
    }
    return { reached };
  };

  const searchBackward = (source: number, first: number): number[] => {
    const seen = new Set([source]);
    const pending = [source];
    for (let node = pending.pop(); node !== undefined; node = pending.pop())
      for (const previous of predecessors[node]!) {
        if (position[previous]! < first || seen.has(previous)) continue;
        seen.add(previous);
        pending.push(previous);
      }
    return [...seen];
  };

  /** What reaches the source goes, in its old order, before what the target reaches, into the places of both. */
  const reorder = (before: number[], after: number[]): void => {
    const byPosition = (left: number, right: number): number => position[left]! - position[right]!;
    const nodes = [...before.sort(byPosition), ...after.sort(byPosition)];
    const places = nodes.map((node) => position[node]!).sort((left, right) => left - right);
    for (const [index, node] of nodes.entries()) {
      position[node] = places[index]!;
      order[places[index]!] = node;
    }
  };

  const link = (source: number, target: number): null => {
    successors[source]!.push(target);
    predecessors[target]!.push(source);
    return null;
  };

  return {
    findCycle(source, target) {
      if (source === target) return [source];
      if (position[target]! > position[source]!) return null;
      const found = searchForward(source, target);
      return 'cycle' in found ? found.cycle : null;
    },
    addEdge(source, target) {
      if (source === target) return [source];
      if (position[target]! > position[source]!) return link(source, target);
      const found = searchForward(source, target);
      if ('cycle' in found) return found.cycle;
      reorder(searchBackward(source, position[target]!), found.reached);
      return link(source, target);
    },
    removeEdge(source, target) {
      const at = successors[source]!.indexOf(target);
      if (at === -1) return false;
      successors[source]!.splice(at, 1);
      predecessors[target]!.splice(predecessors[target]!.indexOf(source), 1);
      return true;
    },
    addNode() {
      const node = order.length;
      order.push(node);
      position.push(node);
      successors.push([]);
      predecessors.push([]);
      return node;
    },
    topology: () => ({ order: Int32Array.from(order), position: Int32Array.from(position) }),
  };
}

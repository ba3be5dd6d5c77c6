import { type Active, choosePlace, isSuited, type Node, type Request } from './scheduler.ts';
import { add, dominantShare, fits, scale, subtract, type Vector, zero } from './vector.ts';

export interface Move {
  readonly allocationId: string;
  readonly from: string;
  readonly to: string;
  /** Time the lease has been held, ms, times its dominant share: what starting anew somewhere else may cost. */
  readonly cost: number;
}

export interface Rebalancing {
  readonly moves: readonly Move[];
  /** Requests that fit after them, and did not before. */
  readonly admitted: readonly string[];
}

export interface RebalanceSituation {
  readonly nodes: readonly Node[];
  /** In the order in which they are to be served. */
  readonly queue: readonly Request[];
  /** Leases that may be moved. */
  readonly movable: readonly Active[];
  readonly maxMoves: number;
  readonly nowMs: number;
}

/**
 * Moves leases so that waiting requests fit where the room is there, but scattered: vector packing by best fit with the cost
 * of moving (Panigrahy et al., 2011, score by dot products; here by dominant share, as placement does). For each request the
 * node that the cheapest moves clear; leases go where they leave the least room.
 */
export function findMoves({ nodes, queue, movable, maxMoves, nowMs }: RebalanceSituation): Rebalancing {
  let state: readonly Node[] = nodes;
  const at = new Map(movable.map((lease) => [lease.id, lease]));
  const total = nodes.reduce<Vector>((sum, { capacity, overcommit }) => add(sum, scale(capacity, overcommit)), zero);
  const costOf = (lease: Active) => (nowMs - lease.allocatedAtMs + 1) * dominantShare(lease.wanted, total);
  const moves: Move[] = [];
  const admitted: string[] = [];
  for (const request of queue) {
    if (choosePlace(state, request) !== null) continue;
    let best: { readonly moves: readonly Move[]; readonly state: readonly Node[]; readonly cost: number } | null = null;
    for (const node of state) {
      if (!node.healthy || !isSuited(node, request)) continue;
      const plan = clear(node, request);
      if (plan !== null && moves.length + plan.moves.length <= maxMoves && (best === null || plan.cost < best.cost))
        best = plan;
    }
    if (best === null) continue;
    state = best.state;
    admitted.push(request.id);
    for (const move of best.moves) {
      moves.push(move);
      // Once is enough for a lease.
      at.delete(move.allocationId);
    }
  }
  return { moves, admitted };

  function clear(target: Node, request: Request) {
    const planned: Move[] = [];
    let after = state;
    let cost = 0;
    const roomOf = ({ id }: Node) => {
      const { capacity, overcommit, used } = after.find((one) => one.id === id)!;
      return subtract(scale(capacity, overcommit), used);
    };
    const held = [...at.values()].filter(({ nodeId }) => nodeId === target.id);
    // What clears the most room for its cost goes first.
    const worth = (lease: Active) => dominantShare(lease.wanted, target.capacity) / costOf(lease);
    for (const lease of held.toSorted((one, two) => worth(two) - worth(one))) {
      if (fits(request.wanted, roomOf(target))) break;
      const others = after.filter(({ id }) => id !== target.id);
      const to = choosePlace(others, lease);
      if (to === null) continue;
      planned.push({ allocationId: lease.id, from: target.id, to: to.id, cost: costOf(lease) });
      cost += costOf(lease);
      after = after.map((node) => {
        if (node.id === target.id) return { ...node, used: subtract(node.used, lease.wanted) };
        return node.id === to.id ? { ...node, used: add(node.used, lease.wanted) } : node;
      });
    }
    if (!fits(request.wanted, roomOf(target))) return null;
    const taken = after.map((node) =>
      node.id === target.id ? { ...node, used: add(node.used, request.wanted) } : node,
    );
    return { moves: planned, state: taken, cost };
  }
}

import { addBits, type Bits, equalBits, noBits, setBit } from './bits.ts';
import { editNode, type GraphDraft } from './draft.ts';
import { isRuled, type RoleNode } from './roleGraph.ts';

/**
 * Makes `up`, `plainUp`, `ruledUp` and `depth` right again after the links or the plainness of the `dirty` roles changed.
 * The region that can change is the dirty roles and their descendants. It is gone through in topological order (Kahn,
 * 1962); a role is recomputed from its parents only if it is dirty or a parent's value changed, so work stops where
 * changes stop. Bounded incremental computation by change propagation: Ramalingam and Reps, "On the computational
 * complexity of dynamic graph problems" (1996). Recomputing from all parents makes removal right in a DAG, where an
 * ancestor may be reached by another way; additions need no other code.
 */
export function propagateClosure(draft: GraphDraft, dirty: Iterable<number>): void {
  const stale = new Set(dirty);
  for (const index of orderRegion(draft, stale)) {
    if (!stale.has(index) || !recompute(draft, index)) continue;
    for (const child of draft.nodes[index]!.children) stale.add(child);
  }
}

/** The roles given and all their descendants, parents before children. */
export function orderRegion(
  graph: { readonly nodes: readonly (RoleNode | undefined)[] },
  roots: Iterable<number>,
): number[] {
  const pending = new Map<number, number>();
  const found = [...roots];
  for (const index of found) pending.set(index, 0);
  for (let at = 0; at < found.length; at += 1) {
    for (const child of graph.nodes[found[at]!]!.children) {
      const parents = pending.get(child);
      pending.set(child, (parents ?? 0) + 1);
      if (parents === undefined) found.push(child);
    }
  }
  const order = found.filter((index) => pending.get(index) === 0);
  for (let at = 0; at < order.length; at += 1) {
    for (const child of graph.nodes[order[at]!]!.children) {
      const left = pending.get(child)! - 1;
      pending.set(child, left);
      if (left === 0) order.push(child);
    }
  }
  return order;
}

/** Computes the values of one role from its parents; true when any of them changed. */
function recompute(draft: GraphDraft, index: number): boolean {
  const node = draft.nodes[index]!;
  const up = joinParents(draft, node, false);
  const isOwn = isRuled(node);
  let plainUp = node.plain && !isOwn ? joinParents(draft, node, true) : noBits;
  if (equalBits(plainUp, up)) plainUp = up;
  let depth = 0;
  let ruledUp = isOwn;
  for (const link of node.links) {
    const parent = draft.nodes[link.index]!;
    depth = Math.max(depth, parent.depth + 1);
    ruledUp ||= parent.ruledUp;
  }
  const isSame =
    depth === node.depth && ruledUp === node.ruledUp && equalBits(up, node.up) && equalBits(plainUp, node.plainUp);
  if (isSame) return false;
  const target = editNode(draft, index);
  target.up = equalBits(up, node.up) ? node.up : up;
  target.plainUp = plainUp === up ? target.up : plainUp;
  target.ruledUp = ruledUp;
  target.depth = depth;
  return true;
}

function joinParents(draft: GraphDraft, node: RoleNode, onlyPlain: boolean): Bits {
  let length = (node.index >>> 5) + 1;
  const sets: Bits[] = [];
  for (const link of node.links) {
    const parent = draft.nodes[link.index]!;
    if (onlyPlain && link.edge.type !== 'full') continue;
    const set = onlyPlain ? parent.plainUp : parent.up;
    sets.push(set);
    length = Math.max(length, set.length);
  }
  const joined = new Uint32Array(length);
  for (const set of sets) addBits(joined, set);
  setBit(joined, node.index);
  return joined;
}

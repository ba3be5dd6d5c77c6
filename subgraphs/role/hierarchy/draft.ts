import { hasBit, noBits } from './bits.ts';
import { compareText } from './order.ts';
import type { PersistentMap } from './persistentMap.ts';
import type { HierarchyRole, ParentLink, RoleGraph, RoleNode } from './roleGraph.ts';

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** A graph while it is changed: nodes are copied at the first write, everything else is shared with the base. */
export interface GraphDraft {
  readonly nodes: (RoleNode | undefined)[];
  indexes: PersistentMap<number>;
  waiting: PersistentMap<readonly string[]>;
  readonly free: number[];
  readonly parked: Set<string>;
  readonly owned: Set<number>;
}

export function openDraft(graph: RoleGraph): GraphDraft {
  return {
    nodes: graph.nodes.slice(),
    indexes: graph.indexes,
    waiting: graph.waiting,
    free: graph.free.slice(),
    parked: new Set(graph.parked),
    owned: new Set(),
  };
}

export function closeDraft(draft: GraphDraft, version: number): RoleGraph {
  return {
    version,
    nodes: draft.nodes,
    indexes: draft.indexes,
    free: draft.free,
    waiting: draft.waiting,
    parked: [...draft.parked].sort(compareText),
  };
}

/** A copy of the node that this draft may write to. */
export function editNode(draft: GraphDraft, index: number): Writable<RoleNode> {
  const node = draft.nodes[index];
  if (node === undefined) throw new Error(`expected a role at index ${index}, got none`);
  if (draft.owned.has(index)) return node;
  const copy = { ...node };
  draft.nodes[index] = copy;
  draft.owned.add(index);
  return copy;
}

/** Puts the role into the draft, without edges. */
export function insertNode(draft: GraphDraft, role: HierarchyRole): number {
  const index = draft.free.pop() ?? draft.nodes.length;
  draft.nodes[index] = {
    ...role,
    index,
    links: [],
    children: [],
    up: noBits,
    plainUp: noBits,
    ruledUp: false,
    depth: 0,
  };
  draft.owned.add(index);
  draft.indexes = draft.indexes.set(role.roleId, index);
  return index;
}

/** Takes the node's edges away, and it from the lists of those that wait or are parked. */
export function unlinkParents(draft: GraphDraft, index: number): void {
  const node = editNode(draft, index);
  for (const link of node.links) {
    const parent = editNode(draft, link.index);
    parent.children = parent.children.filter((child) => child !== index);
  }
  node.links = [];
  draft.parked.delete(node.roleId);
  for (const { parentId } of node.parents) {
    const waiting = draft.waiting.get(parentId);
    if (waiting === undefined) continue;
    const rest = waiting.filter((roleId) => roleId !== node.roleId);
    draft.waiting = rest.length === 0 ? draft.waiting.delete(parentId) : draft.waiting.set(parentId, rest);
  }
}

/** Brings the declared edges into force, those to unknown parents and those that would close a cycle left out and noted. */
export function linkParents(draft: GraphDraft, index: number): void {
  const node = editNode(draft, index);
  const links: ParentLink[] = [];
  for (const edge of node.parents) {
    const parentIndex = draft.indexes.get(edge.parentId);
    if (parentIndex === undefined) {
      const waiting = draft.waiting.get(edge.parentId) ?? [];
      if (!waiting.includes(node.roleId)) draft.waiting = draft.waiting.set(edge.parentId, [...waiting, node.roleId]);
    } else if (parentIndex === index || hasBit(draft.nodes[parentIndex]!.up, index)) {
      draft.parked.add(node.roleId);
    } else if (!links.some((link) => link.index === parentIndex)) {
      links.push({ index: parentIndex, edge });
      const parent = editNode(draft, parentIndex);
      parent.children = [...parent.children, index];
    }
  }
  node.links = links.sort((left, right) => compareText(left.edge.parentId, right.edge.parentId));
}

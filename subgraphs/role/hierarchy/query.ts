import { hasBit } from './bits.ts';
import { findNode, type InheritanceType, type RoleGraph, type RoleNode, requireNode } from './roleGraph.ts';

export type HierarchyDirection = 'ANCESTORS' | 'DESCENDANTS' | 'BOTH';

export interface HierarchyQuery {
  readonly direction: HierarchyDirection;
  /** Levels away from the role. @default all */
  readonly depth?: number;
}

export interface HierarchyEntry {
  readonly roleId: string;
  readonly relation: 'SELF' | 'ANCESTOR' | 'DESCENDANT';
  /** Edges of the shortest way to the role asked for. */
  readonly level: number;
}

export interface HierarchyEdge {
  readonly roleId: string;
  readonly parentId: string;
  readonly type: InheritanceType;
  /** Taking the edge away would take nothing from the role. */
  readonly redundant: boolean;
}

export interface HierarchyResult {
  readonly version: number;
  /** By level, ancestors before descendants. */
  readonly entries: readonly HierarchyEntry[];
  /** All edges between the entries. */
  readonly edges: readonly HierarchyEdge[];
}

/** The part of the hierarchy above and below one role; undefined when there is no such role. */
export function queryHierarchy(graph: RoleGraph, roleId: string, query: HierarchyQuery): HierarchyResult | undefined {
  const root = findNode(graph, roleId);
  if (root === undefined) return undefined;
  const maxLevel = query.depth ?? Number.POSITIVE_INFINITY;
  const found = new Map<number, HierarchyEntry>([[root.index, { roleId, relation: 'SELF', level: 0 }]]);
  if (query.direction !== 'DESCENDANTS') {
    walk(graph, root, { relation: 'ANCESTOR', maxLevel, found, next: (node) => node.links.map((link) => link.index) });
  }
  if (query.direction !== 'ANCESTORS') {
    walk(graph, root, { relation: 'DESCENDANT', maxLevel, found, next: (node) => node.children });
  }
  const edges: HierarchyEdge[] = [];
  for (const index of found.keys()) {
    const node = requireNode(graph, index);
    for (const { index: parentIndex, edge } of node.links) {
      if (!found.has(parentIndex)) continue;
      const redundant = isRedundantEdge(graph, node, parentIndex);
      edges.push({ roleId: node.roleId, parentId: edge.parentId, type: edge.type, redundant });
    }
  }
  return { version: graph.version, entries: [...found.values()], edges };
}

interface Walk {
  readonly relation: 'ANCESTOR' | 'DESCENDANT';
  readonly maxLevel: number;
  readonly found: Map<number, HierarchyEntry>;
  next(node: RoleNode): readonly number[];
}

function walk(graph: RoleGraph, root: RoleNode, { relation, maxLevel, found, next }: Walk): void {
  let level = 1;
  for (let front = [root]; front.length > 0 && level <= maxLevel; level += 1) {
    const reached: RoleNode[] = [];
    for (const node of front) {
      for (const index of next(node)) {
        if (found.has(index)) continue;
        const other = requireNode(graph, index);
        found.set(index, { roleId: other.roleId, relation, level });
        reached.push(other);
      }
    }
    front = reached;
  }
}

/**
 * True when the role has another parent through which everything of this one comes, whole and unconditionally: the
 * edges outside the transitive reduction (Aho, Garey, Ullman, 1972), counted only where full inheritance replaces them.
 */
export function isRedundantEdge(graph: RoleGraph, node: RoleNode, parentIndex: number): boolean {
  return node.links.some(
    (other) =>
      other.index !== parentIndex &&
      other.edge.type === 'full' &&
      hasBit(requireNode(graph, other.index).plainUp, parentIndex),
  );
}

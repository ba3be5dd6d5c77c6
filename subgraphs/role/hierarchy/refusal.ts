import { hasBit } from './bits.ts';
import { orderRegion } from './closure.ts';
import { findPath } from './paths.ts';
import { findNode, type RoleGraph } from './roleGraph.ts';

export interface HierarchyLimits {
  /** Edges of the longest chain. @default 10 */
  readonly maxDepth: number;
  /** @default 5 */
  readonly maxParents: number;
}

export const defaultHierarchyLimits: HierarchyLimits = { maxDepth: 10, maxParents: 5 };

export type HierarchyRefusal =
  | { readonly code: 'PARENT_NOT_FOUND'; readonly message: string; readonly parentId: string }
  | { readonly code: 'TOO_MANY_PARENTS'; readonly message: string }
  | { readonly code: 'CYCLIC_INHERITANCE'; readonly message: string; readonly cycle: readonly string[] }
  | { readonly code: 'DEPTH_EXCEEDED'; readonly message: string; readonly depth: number };

/** Why the role may not have these parents, in the order parents, cycle, depth; undefined when it may. */
export function findHierarchyRefusal(
  graph: RoleGraph,
  roleId: string,
  parentIds: readonly string[],
  limits: HierarchyLimits = defaultHierarchyLimits,
): HierarchyRefusal | undefined {
  const parents = [...new Set(parentIds)];
  if (parents.length > limits.maxParents) {
    const message = `expected at most ${limits.maxParents} parents, got ${parents.length}`;
    return { code: 'TOO_MANY_PARENTS', message };
  }
  for (const parentId of parents) {
    if (parentId !== roleId && findNode(graph, parentId) === undefined) {
      return { code: 'PARENT_NOT_FOUND', message: `expected parents that exist, got ${parentId}`, parentId };
    }
  }
  for (const parentId of parents) {
    const cycle = findCycle(graph, roleId, parentId);
    if (cycle !== undefined) {
      return { code: 'CYCLIC_INHERITANCE', message: `expected no cycle, got ${cycle.join(' -> ')}`, cycle };
    }
  }
  const depth = depthWith(graph, roleId, parents);
  if (depth <= limits.maxDepth) return undefined;
  return { code: 'DEPTH_EXCEEDED', message: `expected a depth of at most ${limits.maxDepth}, got ${depth}`, depth };
}

/** The cycle that an edge from the role to this parent would close, from the role back to itself. One bit decides. */
export function findCycle(graph: RoleGraph, roleId: string, parentId: string): string[] | undefined {
  if (roleId === parentId) return [roleId, roleId];
  const role = findNode(graph, roleId);
  const parent = findNode(graph, parentId);
  if (role === undefined || parent === undefined || !hasBit(parent.up, role.index)) return undefined;
  const path = findPath(graph, [parent.index], role.index) ?? [];
  return [roleId, ...path.map((index) => graph.nodes[index]!.roleId)];
}

/** Length of the longest chain through the role if these were its parents. */
function depthWith(graph: RoleGraph, roleId: string, parentIds: readonly string[]): number {
  let above = 0;
  for (const parentId of parentIds) above = Math.max(above, (findNode(graph, parentId)?.depth ?? 0) + 1);
  const role = findNode(graph, roleId);
  if (role === undefined) return above;
  const below = new Map<number, number>([[role.index, 0]]);
  let deepest = 0;
  for (const index of orderRegion(graph, [role.index])) {
    const distance = below.get(index)!;
    deepest = Math.max(deepest, distance);
    for (const child of graph.nodes[index]!.children) {
      below.set(child, Math.max(below.get(child) ?? 0, distance + 1));
    }
  }
  return above + deepest;
}

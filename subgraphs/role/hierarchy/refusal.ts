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

export interface DepthBounds {
  readonly limits?: HierarchyLimits;
  /** The role's own bound, as it is about to be. @default that of its stored rules */
  readonly maxDepth?: number | undefined;
}

/** Why the role may not have these parents, in the order parents, cycle, depth; undefined when it may. */
export function findHierarchyRefusal(
  graph: RoleGraph,
  roleId: string,
  parentIds: readonly string[],
  { limits = defaultHierarchyLimits, maxDepth }: DepthBounds = {},
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
  for (const { roleId: below, depth, bound } of depthsWith(graph, { roleId, parents, maxDepth })) {
    const most = Math.min(limits.maxDepth, bound ?? limits.maxDepth);
    if (depth <= most) continue;
    const place = below === roleId ? '' : ` above ${below}`;
    return { code: 'DEPTH_EXCEEDED', message: `expected a depth of at most ${most}${place}, got ${depth}`, depth };
  }
  return undefined;
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

interface DepthQuery {
  readonly roleId: string;
  readonly parents: readonly string[];
  readonly maxDepth: number | undefined;
}

/** Length of the longest chain above the role and above each below it, if these were its parents, with their own bounds. */
function* depthsWith(
  graph: RoleGraph,
  { roleId, parents, maxDepth }: DepthQuery,
): Generator<{ readonly roleId: string; readonly depth: number; readonly bound: number | undefined }> {
  let above = 0;
  for (const parentId of parents) above = Math.max(above, (findNode(graph, parentId)?.depth ?? 0) + 1);
  const role = findNode(graph, roleId);
  yield { roleId, depth: above, bound: maxDepth ?? role?.rules?.maxDepth };
  if (role === undefined) return;
  const depths = new Map<number, number>([[role.index, above]]);
  for (const index of orderRegion(graph, [role.index])) {
    if (index === role.index) continue;
    const node = graph.nodes[index]!;
    let depth = 0;
    for (const link of node.links) {
      depth = Math.max(depth, (depths.get(link.index) ?? graph.nodes[link.index]!.depth) + 1);
    }
    depths.set(index, depth);
    yield { roleId: node.roleId, depth, bound: node.rules?.maxDepth };
  }
}

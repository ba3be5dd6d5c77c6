import { hasBit } from './bits.ts';
import { type ParentLink, type RoleGraph, type RoleNode, requireNode } from './roleGraph.ts';

/** Which roles and edges a path may use. */
export interface PathRules {
  enters(node: RoleNode): boolean;
  passes(link: ParentLink, child: RoleNode): boolean;
}

/**
 * The shortest path up from one of the roles at `from` to the one at `target`, both included; undefined when there is
 * none. Breadth first (Moore, 1959), entering only roles that the closure says lie below the target; roles in the order
 * given and parents in order of their ids, so of equally short paths always the same is found.
 */
export function findPath(
  graph: RoleGraph,
  from: readonly number[],
  target: number,
  rules?: PathRules,
): number[] | undefined {
  const queue: number[] = [];
  const cameFrom: number[] = [];
  const seen = new Set<number>();
  for (const index of from) {
    const start = requireNode(graph, index);
    if (seen.has(index) || !hasBit(start.up, target) || rules?.enters(start) === false) continue;
    if (index === target) return [index];
    seen.add(index);
    queue.push(index);
    cameFrom.push(-1);
  }
  for (let at = 0; at < queue.length; at += 1) {
    const child = requireNode(graph, queue[at]!);
    for (const link of child.links) {
      if (seen.has(link.index)) continue;
      const parent = requireNode(graph, link.index);
      if (!hasBit(parent.up, target)) continue;
      // An edge that is refused leaves the parent open: another edge may reach it.
      if (rules !== undefined && !rules.passes(link, child)) continue;
      seen.add(link.index);
      if (rules !== undefined && !rules.enters(parent)) continue;
      queue.push(link.index);
      cameFrom.push(at);
      if (link.index === target) return readBack(queue, cameFrom);
    }
  }
  return undefined;
}

function readBack(queue: readonly number[], cameFrom: readonly number[]): number[] {
  const path: number[] = [];
  for (let at = queue.length - 1; at !== -1; at = cameFrom[at]!) path.unshift(queue[at]!);
  return path;
}

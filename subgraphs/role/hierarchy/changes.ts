import { hasBit } from './bits.ts';
import { orderRegion, propagateClosure } from './closure.ts';
import { closeDraft, editNode, type GraphDraft, insertNode, linkParents, openDraft, unlinkParents } from './draft.ts';
import { compareText } from './order.ts';
import { PersistentMap } from './persistentMap.ts';
import { emptyRoleGraph, findNode, type HierarchyRole, type InheritanceEdge, type RoleGraph } from './roleGraph.ts';

/**
 * Adds the role, or puts it in the place of the one with its id. Never refuses: an edge to an unknown parent waits for
 * it, and one that closes a cycle is parked until the cycle is gone, so that changes may arrive in any order. Which edge
 * of a cycle is parked depends on that order; without a cycle the result does not.
 * `findHierarchyRefusal` is what a writer asks before.
 */
export function saveRole(graph: RoleGraph, role: HierarchyRole): RoleGraph {
  const draft = openDraft(graph);
  const known = draft.indexes.get(role.roleId);
  const index = known ?? insertNode(draft, role);
  if (known !== undefined) {
    unlinkParents(draft, known);
    Object.assign(editNode(draft, known), { plain: role.plain, rules: role.rules, parents: role.parents });
  }
  relink(draft, [index]);
  const waiting = known === undefined ? (draft.waiting.get(role.roleId) ?? []) : [];
  relinkByName(draft, waiting);
  retryParked(draft);
  return closeDraft(draft, graph.version + 1);
}

/** Removes the role; roles that name it as parent keep that edge waiting. */
export function removeRole(graph: RoleGraph, roleId: string): RoleGraph {
  const node = findNode(graph, roleId);
  if (node === undefined) return graph;
  const draft = openDraft(graph);
  unlinkParents(draft, node.index);
  draft.indexes = draft.indexes.delete(roleId);
  for (const child of node.children) unlinkParents(draft, child);
  for (const child of node.children) linkParents(draft, child);
  const orphans = [...draft.parked].filter((name) => declaresParent(draft, name, roleId));
  propagateClosure(draft, node.children);
  draft.nodes[node.index] = undefined;
  draft.free.push(node.index);
  relinkByName(draft, orphans);
  retryParked(draft);
  return closeDraft(draft, graph.version + 1);
}

/** Adds one edge, or changes the edge to that parent. */
export function addEdge(graph: RoleGraph, roleId: string, edge: InheritanceEdge): RoleGraph {
  const node = findNode(graph, roleId);
  if (node === undefined) throw new Error(`expected the role ${roleId}, got none of this id`);
  const others = node.parents.filter(({ parentId }) => parentId !== edge.parentId);
  return saveRole(graph, { roleId, plain: node.plain, rules: node.rules, parents: [...others, edge] });
}

export function removeEdge(graph: RoleGraph, roleId: string, parentId: string): RoleGraph {
  const node = findNode(graph, roleId);
  if (!node?.parents.some((edge) => edge.parentId === parentId)) return graph;
  const parents = node.parents.filter((edge) => edge.parentId !== parentId);
  return saveRole(graph, { roleId, plain: node.plain, rules: node.rules, parents });
}

/** The graph of these roles from nothing: one pass in topological order; edges on cycles are dealt with last, by id. */
export function buildRoleGraph(roles: Iterable<HierarchyRole>): RoleGraph {
  const draft = openDraft(emptyRoleGraph);
  const byId = new Map<string, HierarchyRole>();
  for (const role of roles) byId.set(role.roleId, role);
  draft.indexes = PersistentMap.from([...byId.keys()].map((roleId, index) => [roleId, index] as const));
  for (const role of byId.values()) {
    const index = draft.nodes.length;
    draft.nodes.push({
      ...role,
      index,
      links: [],
      children: [],
      up: new Uint32Array(0),
      plainUp: new Uint32Array(0),
      ruledUp: false,
      depth: 0,
    });
    draft.owned.add(index);
  }
  // No closure is known yet, so every edge between known roles links; what is then on a cycle is taken out again.
  for (let index = 0; index < draft.nodes.length; index += 1) linkParents(draft, index);
  const all = draft.nodes.map((_, index) => index);
  const ordered = new Set(orderAll(draft, all));
  const cyclic = all.filter((index) => !ordered.has(index));
  for (const index of cyclic) unlinkParents(draft, index);
  propagateClosure(draft, all);
  cyclic.sort((left, right) => compareText(draft.nodes[left]!.roleId, draft.nodes[right]!.roleId));
  for (const index of cyclic) relink(draft, [index]);
  return closeDraft(draft, 1);
}

/** Roles not on or below a cycle. */
function orderAll(draft: GraphDraft, all: readonly number[]): number[] {
  const roots = all.filter((index) => draft.nodes[index]!.links.length === 0);
  return orderRegion(draft, roots);
}

function relink(draft: GraphDraft, indexes: readonly number[]): void {
  for (const index of indexes) {
    unlinkParents(draft, index);
    linkParents(draft, index);
    propagateClosure(draft, [index]);
  }
}

function relinkByName(draft: GraphDraft, roleIds: readonly string[]): void {
  const indexes = [...roleIds].sort(compareText).map((roleId) => draft.indexes.get(roleId));
  relink(
    draft,
    indexes.filter((index) => index !== undefined),
  );
}

/** Gives every parked role another try; ends, because a role leaves the list or the rest stays as it is. */
function retryParked(draft: GraphDraft): void {
  if (draft.parked.size > 0) relinkByName(draft, [...draft.parked]);
}

function declaresParent(draft: GraphDraft, roleId: string, parentId: string): boolean {
  const index = draft.indexes.get(roleId);
  return index !== undefined && draft.nodes[index]!.parents.some((edge) => edge.parentId === parentId);
}

/** True when `ancestorId` is the role itself or stands above it. */
export function inherits(graph: RoleGraph, roleId: string, ancestorId: string): boolean {
  const node = findNode(graph, roleId);
  const ancestor = graph.indexes.get(ancestorId);
  return node !== undefined && ancestor !== undefined && hasBit(node.up, ancestor);
}

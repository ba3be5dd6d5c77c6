import { isId } from '#shared/ids.ts';
import { findPath, hasBit, type RoleGraph } from './hierarchy/index.ts';
import { compareText } from './hierarchy/order.ts';
import type { RoleAssignmentRow } from './rows.ts';

/**
 * What comes with an assignment: whoever holds a role holds those above it, for as long and wherever it holds that one. It
 * is stored nowhere and follows the hierarchy as it is; its id is that of the assignment it comes from and of the role.
 */
export interface InheritedAssignmentRow extends RoleAssignmentRow {
  readonly type: 'inherited';
  readonly inheritedFrom: string;
  /** Roles from the one assigned up to this one. */
  readonly path: readonly string[];
}

const separator = ':';

/** The parts of an id of what is inherited; null for any other text. */
export function readInheritedId(id: string): { readonly assignmentId: string; readonly roleId: string } | null {
  const [assignmentId, roleId, ...rest] = id.split(separator);
  return rest.length === 0 && isId(assignmentId) && isId(roleId) ? { assignmentId, roleId } : null;
}

/** All that comes with an assignment, the nearest roles first. */
export function listInherited(graph: RoleGraph, row: RoleAssignmentRow): InheritedAssignmentRow[] {
  const held = graph.indexes.get(row.roleId);
  const node = held === undefined ? undefined : graph.nodes[held];
  if (held === undefined || node === undefined || row.type === 'inherited') return [];
  return graph.nodes
    .flatMap((above) => {
      if (above === undefined || above.index === held || !hasBit(node.up, above.index)) return [];
      const path = findPath(graph, [held], above.index)!.map((index) => graph.nodes[index]!.roleId);
      return [toInherited(row, path)];
    })
    .sort((one, two) => one.path.length - two.path.length || compareText(one.roleId, two.roleId));
}

/** One of them; null where the role does not lie above the one assigned. */
export function findInherited(graph: RoleGraph, row: RoleAssignmentRow, roleId: string): InheritedAssignmentRow | null {
  const [held, wanted] = [graph.indexes.get(row.roleId), graph.indexes.get(roleId)];
  if (held === undefined || wanted === undefined || held === wanted) return null;
  const path = findPath(graph, [held], wanted);
  return path === undefined
    ? null
    : toInherited(
        row,
        path.map((index) => graph.nodes[index]!.roleId),
      );
}

function toInherited(row: RoleAssignmentRow, path: readonly string[]): InheritedAssignmentRow {
  const roleId = path.at(-1)!;
  return { ...row, id: `${row.id}${separator}${roleId}`, roleId, type: 'inherited', inheritedFrom: row.id, path };
}

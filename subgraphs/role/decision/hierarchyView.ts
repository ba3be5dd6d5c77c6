import {
  findNode,
  type HierarchyEntry,
  type HierarchyQuery,
  type HierarchyResult,
  queryHierarchy,
} from '../hierarchy/index.ts';
import type { GrantUnit, PermissionSet, PermissionSets } from './permissionSets.ts';
import { findSeparationViolations, type SeparationViolation } from './separation.ts';

export interface HierarchyViewEntry extends HierarchyEntry {
  /** Its own permissions, an action each. */
  readonly own: readonly GrantUnit[];
  /** Own and inherited ones; `unit.grant.roleId` says from where, `findPath` by which way. */
  readonly permissions: PermissionSet;
}

export interface HierarchyView extends Omit<HierarchyResult, 'entries'> {
  readonly entries: readonly HierarchyViewEntry[];
  /** Rules of separation that the role violates by itself, through what it inherits. */
  readonly conflicts: readonly SeparationViolation[];
}

/**
 * The hierarchy about a role with what each of its roles confers, computed when read, for a page shows a hundred of
 * them; undefined when there is no such role.
 */
export function readHierarchy(sets: PermissionSets, roleId: string, query: HierarchyQuery): HierarchyView | undefined {
  const { snapshot } = sets;
  const result = queryHierarchy(snapshot.graph, roleId, query);
  if (result === undefined) return undefined;
  const entries = result.entries.map(({ roleId: name, relation, level }): HierarchyViewEntry => {
    const indexOf = () => findNode(snapshot.graph, name)!.index;
    return {
      roleId: name,
      relation,
      level,
      get own() {
        return sets.ownOf(indexOf());
      },
      get permissions() {
        return sets.setOf(indexOf());
      },
    };
  });
  return { ...result, entries, conflicts: findSeparationViolations(snapshot, [roleId], { dynamic: true }) };
}

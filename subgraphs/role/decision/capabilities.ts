import { findNode } from '../hierarchy/index.ts';
import { compareText } from '../hierarchy/order.ts';
import { includesPattern, isUnconditional, type PermissionSets, patternOf } from './permissionSets.ts';

/**
 * The frozen `capabilities[]` of a role: `resource.action` of each allow permission, its own or inherited, that applies
 * to all resources of the type without condition, limit or approval, and that no such denial takes away. Sorted.
 */
export function listCapabilities(sets: PermissionSets, roleId: string): string[] {
  const node = findNode(sets.snapshot.graph, roleId);
  if (node === undefined) return [];
  const units = sets
    .setOf(node.index)
    .certain.filter((unit) => isUnconditional(unit) && unit.grant.resourceId === undefined);
  const denied = units.filter(({ grant }) => grant.permission.effect === 'deny').map(patternOf);
  const tags = new Set<string>();
  for (const unit of units) {
    if (unit.grant.permission.effect === 'deny') continue;
    const pattern = patternOf(unit);
    if (!denied.some((denial) => includesPattern(denial, pattern)))
      tags.add(`${pattern.resourceType}.${pattern.action}`);
  }
  return [...tags].sort(compareText);
}

import { hasBit, listBits, unionBits } from '../hierarchy/bits.ts';
import { findNode, findPath } from '../hierarchy/index.ts';
import { compareText } from '../hierarchy/order.ts';
import { type Delegation, isStanding, isWithin, type SeparationRule } from './assignment.ts';
import { parsePermissionPattern } from './permission.ts';
import { overlaps, type PermissionSets, patternOf } from './permissionSets.ts';
import type { SeparationSeverity } from './role.ts';
import type { Snapshot } from './snapshot.ts';

/** How a role of a violated rule is held. */
export interface ConflictingHold {
  readonly roleId: string;
  /** From a role assigned or delegated up to it, both included. */
  readonly path: readonly string[];
}

export interface SeparationViolation {
  readonly ruleId: string;
  readonly severity: SeparationSeverity;
  readonly exceptionApprovalRequired: boolean;
  /** Holding this many of the rule's roles violates it. */
  readonly limit: number;
  readonly holds: readonly ConflictingHold[];
}

/**
 * Violations of static separation of duties by a set of roles held together: a rule (roles, n) is kept while fewer than
 * n of its roles are authorised, inherited ones included (ANSI INCITS 359, SSD with a general role hierarchy). Rules
 * are those of the tenant and, for each role in the closure, the pairs it forms with its `conflictingRoles`.
 */
export function findSeparationViolations(snapshot: Snapshot, roleIds: readonly string[]): SeparationViolation[] {
  const { graph } = snapshot;
  const held = [...new Set(roleIds)].sort(compareText).flatMap((roleId) => graph.indexes.get(roleId) ?? []);
  const closure = unionBits(held.map((index) => graph.nodes[index]!.up));
  const violations: SeparationViolation[] = [];
  for (const rule of listRules(snapshot, listBits(closure))) {
    const met = [...new Set(rule.roleIds)].filter((roleId) => {
      const node = findNode(graph, roleId);
      return node !== undefined && hasBit(closure, node.index);
    });
    if (met.length < rule.limit) continue;
    const holds = met.sort(compareText).map((roleId) => {
      const path = findPath(graph, held, graph.indexes.get(roleId)!) ?? [];
      return { roleId, path: path.map((index) => graph.nodes[index]!.roleId) };
    });
    const { ruleId, severity, limit, exceptionApprovalRequired = false } = rule;
    violations.push({ ruleId, severity, limit, exceptionApprovalRequired, holds });
  }
  return violations.sort((left, right) => compareText(left.ruleId, right.ruleId));
}

function listRules(snapshot: Snapshot, closure: readonly number[]): SeparationRule[] {
  const rules = new Map<string, SeparationRule>();
  for (const rule of snapshot.separationRules.values()) rules.set(rule.ruleId, rule);
  for (const index of closure) {
    const { role } = snapshot.roles[index]!;
    for (const { conflictingRoles, severity, exceptionApprovalRequired = false } of role.separationOfDuties ?? []) {
      for (const other of conflictingRoles) {
        if (other === role.roleId) continue;
        const ruleId = `${role.roleId}/${other}`;
        rules.set(ruleId, { ruleId, roleIds: [role.roleId, other], limit: 2, severity, exceptionApprovalRequired });
      }
    }
  }
  return [...rules.values()];
}

/** Roles that a subject holds for separation of duties: by standing assignments in any context and by delegation. */
export function listRolesHeld(sets: PermissionSets, subjectId: string, timeMs: number): string[] {
  const record = sets.snapshot.subjects.get(subjectId);
  if (record === undefined) return [];
  const assigned = record.assignments
    .filter(({ row }) => isStanding(row) && isWithin(timeMs, undefined, row.expiresAtMs))
    .map(({ row }) => row.roleId);
  const delegated = record.incoming
    .filter(({ status, approval, endMs }) => {
      const isDead = status === 'revoked' || status === 'expired' || approval === 'rejected';
      return !isDead && isWithin(timeMs, undefined, endMs);
    })
    .flatMap((delegation) => listRolesDelegated(sets, delegation));
  return [...new Set([...assigned, ...delegated])].sort(compareText);
}

/** The roles it names; else those assigned to the delegator that confer some of the permissions it names. */
function listRolesDelegated(
  sets: PermissionSets,
  { roleIds, permissions, delegatorId }: Delegation,
): readonly string[] {
  if (roleIds !== undefined) return roleIds;
  const { snapshot } = sets;
  const patterns = permissions.map(parsePermissionPattern).filter((pattern) => pattern !== undefined);
  const standing = (snapshot.subjects.get(delegatorId)?.assignments ?? []).filter(({ row }) => isStanding(row));
  return standing.flatMap(({ row }) => {
    const node = findNode(snapshot.graph, row.roleId);
    if (node === undefined) return [];
    const { certain, conditional } = sets.setOf(node.index);
    const confers = [...certain, ...conditional].some(
      (unit) =>
        unit.grant.permission.effect === 'allow' && patterns.some((pattern) => overlaps(pattern, patternOf(unit))),
    );
    return confers ? [row.roleId] : [];
  });
}

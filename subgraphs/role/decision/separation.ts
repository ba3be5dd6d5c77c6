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
  /** The context in which they are held together, of a rule that counts by context. */
  readonly contextId?: string;
}

export interface SeparationQuery {
  /** Only rules of this scope. @default all */
  readonly scope?: 'tenant' | 'context';
  /** Pairs that may be held together but not be active together count as well: for one role that unites them. @default false */
  readonly dynamic?: boolean;
}

/**
 * Violations of static separation of duties by a set of roles held together: a rule (roles, n) is kept while fewer than
 * n of its roles are authorised, inherited ones included (ANSI INCITS 359, SSD with a general role hierarchy). Rules
 * are those of the tenant and, for each role in the closure, the pairs it forms with its `conflictingRoles`.
 */
export function findSeparationViolations(
  snapshot: Snapshot,
  roleIds: readonly string[],
  query: SeparationQuery = {},
): SeparationViolation[] {
  const { graph } = snapshot;
  const held = [...new Set(roleIds)].sort(compareText).flatMap((roleId) => graph.indexes.get(roleId) ?? []);
  const closure = unionBits(held.map((index) => graph.nodes[index]!.up));
  const violations: SeparationViolation[] = [];
  for (const rule of listRules(snapshot, listBits(closure), query)) {
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

function listRules(
  snapshot: Snapshot,
  closure: readonly number[],
  { scope, dynamic = false }: SeparationQuery,
): SeparationRule[] {
  const rules = new Map<string, SeparationRule>();
  for (const rule of snapshot.separationRules.values()) rules.set(rule.ruleId, rule);
  for (const index of closure) {
    const { role } = snapshot.roles[index]!;
    for (const rule of role.separationOfDuties ?? []) {
      const { conflictingRoles, severity, exceptionApprovalRequired = false, scope: ruleScope = 'tenant' } = rule;
      if (rule.kind === 'dynamic' && !dynamic) continue;
      for (const other of conflictingRoles) {
        if (other === role.roleId) continue;
        const ruleId = `${role.roleId}/${other}`;
        rules.set(ruleId, {
          ruleId,
          roleIds: [role.roleId, other],
          limit: 2,
          severity,
          exceptionApprovalRequired,
          scope: ruleScope,
        });
      }
    }
  }
  return [...rules.values()].filter((rule) => scope === undefined || (rule.scope ?? 'tenant') === scope);
}

/** A role held, and where: everywhere, or in one context. */
export interface PlacedRole {
  readonly roleId: string;
  readonly contextId?: string | undefined;
}

/**
 * Static violations of a subject, by all it holds and what it might come to hold beside that: rules of the tenant over all
 * of it, rules by context over what is held in each context and everywhere.
 */
export function findSubjectViolations(
  sets: PermissionSets,
  { subjectId, timeMs, proposed = [] }: { subjectId: string; timeMs: number; proposed?: readonly PlacedRole[] },
): SeparationViolation[] {
  const { snapshot } = sets;
  const held = [...listRolesHeld(sets, subjectId, timeMs), ...proposed];
  const found = findSeparationViolations(
    snapshot,
    held.map(({ roleId }) => roleId),
    { scope: 'tenant' },
  );
  for (const place of new Set(held.map(({ contextId }) => contextId))) {
    const there = held.filter(({ contextId }) => contextId === undefined || contextId === place);
    const violations = findSeparationViolations(
      snapshot,
      there.map(({ roleId }) => roleId),
      { scope: 'context' },
    );
    found.push(...violations.map((one) => (place === undefined ? one : { ...one, contextId: place })));
  }
  return found;
}

/** Those that are not among the earlier ones, each rule once. */
export function listFreshViolations(
  before: readonly SeparationViolation[],
  after: readonly SeparationViolation[],
): SeparationViolation[] {
  const keyOf = ({ ruleId, contextId }: SeparationViolation) => `${ruleId} ${contextId ?? ''}`;
  const known = new Set(before.map(keyOf));
  const fresh = after.filter((violation) => !known.has(keyOf(violation)));
  return [...new Map(fresh.map((violation) => [violation.ruleId, violation])).values()];
}

/** Roles that a subject holds for separation of duties: by standing assignments and by delegation, and where. */
export function listRolesHeld(sets: PermissionSets, subjectId: string, timeMs: number): PlacedRole[] {
  const record = sets.snapshot.subjects.get(subjectId);
  if (record === undefined) return [];
  const assigned = record.assignments
    .filter(({ row }) => isStanding(row) && isWithin(timeMs, undefined, row.expiresAtMs))
    .map(({ row }): PlacedRole => ({ roleId: row.roleId, contextId: row.contextId }));
  const delegated = record.incoming
    .filter(({ status, approval, endMs }) => {
      const isDead = status === 'revoked' || status === 'expired' || approval === 'rejected';
      return !isDead && isWithin(timeMs, undefined, endMs);
    })
    .flatMap((delegation) =>
      listRolesDelegated(sets, delegation).map((roleId): PlacedRole => ({ roleId, contextId: delegation.contextId })),
    );
  return [...assigned, ...delegated];
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

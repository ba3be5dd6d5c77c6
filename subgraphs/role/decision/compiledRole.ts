import { compileStoredConditions } from '../conditions/compile.ts';
import { compileStoredConstraints } from '../conditions/constraints.ts';
import type { CompiledCondition, CompiledConstraints } from '../conditions/index.ts';
import type { HierarchyRole } from '../hierarchy/index.ts';
import { compareText } from '../hierarchy/order.ts';
import type { Permission, Relation } from './permission.ts';
import type { Role } from './role.ts';

/** A permission of a role with what is asked of it compiled. */
export interface CompiledGrant {
  readonly permission: Permission;
  readonly roleId: string;
  /** Undefined for all resources of the type. */
  readonly resourceId: string | undefined;
  readonly contextIds: ReadonlySet<string> | undefined;
  readonly planIds: ReadonlySet<string> | undefined;
  readonly relation: Relation | undefined;
  readonly condition: CompiledCondition | undefined;
  /** Neither condition nor relation: the names in the request decide. */
  readonly isStatic: boolean;
}

export interface GrantsOfKey {
  readonly allow: readonly CompiledGrant[];
  readonly deny: readonly CompiledGrant[];
}

export interface CompiledRole {
  readonly role: Role;
  /** By permission id. */
  readonly grants: readonly CompiledGrant[];
  /** Active or deprecated: old assignments of a deprecated role work on. */
  readonly hasForce: boolean;
  readonly contextIds: ReadonlySet<string> | undefined;
  readonly planIds: ReadonlySet<string> | undefined;
  readonly constraints: CompiledConstraints | undefined;
  readonly hierarchy: HierarchyRole;
  /** The grants indexed under a key (`grantKey`). */
  grantsFor(key: string): GrantsOfKey;
}

const noGrants: GrantsOfKey = { allow: [], deny: [] };

export function grantKey(resourceType: string, action: string): string {
  return `${resourceType}:${action}`;
}

/** The actions a grant is indexed under: `*` stands for all others beside it. */
export function indexedActions(permission: Permission): readonly string[] {
  return permission.actions.includes('*') ? ['*'] : [...new Set(permission.actions)];
}

/** Compiles a stored role. What no longer compiles can never be decided, and so denies. */
export function compileRole(role: Role): CompiledRole {
  const permissions = [...role.permissions].sort((a, b) => compareText(a.permissionId, b.permissionId));
  const grants = permissions.map((permission) => compileGrant(role.roleId, permission));
  const constraints = compileStoredConstraints(role.constraints);
  const hasForce = role.status === 'active' || role.status === 'deprecated';
  const contextIds = toSet(role.scope?.contextIds);
  const planIds = toSet(role.scope?.planIds);
  const isBounded = role.effectiveMs !== undefined || role.expirationMs !== undefined;
  const plain =
    hasForce && !isBounded && constraints === undefined && contextIds === undefined && planIds === undefined;
  let byKey: Map<string, GrantsOfKey> | undefined;
  return {
    role,
    grants,
    hasForce,
    contextIds,
    planIds,
    constraints,
    hierarchy: {
      roleId: role.roleId,
      plain,
      parents: compileParents(role),
      ...(role.inheritanceRules === undefined ? {} : { rules: role.inheritanceRules }),
    },
    // Made when first asked: most roles of a large tenant are never asked.
    grantsFor: (key) => {
      byKey ??= groupByKey(grants);
      return byKey.get(key) ?? noGrants;
    },
  };
}

function compileGrant(roleId: string, permission: Permission): CompiledGrant {
  const { scope } = permission;
  const condition = compileStoredConditions(permission.conditions);
  return {
    permission,
    roleId,
    resourceId: permission.resourceId === '*' ? undefined : permission.resourceId,
    contextIds: toSet(scope?.contextIds),
    planIds: toSet(scope?.planIds),
    relation: scope?.relation,
    condition,
    isStatic: condition === undefined && scope?.relation === undefined,
  };
}

function compileParents(role: Role): HierarchyRole['parents'] {
  return role.parents.map((parent) => {
    const condition = compileStoredConditions(parent.conditions);
    const excludedPermissions = parent.excludedPermissions ?? [];
    const isFull = parent.type === 'full' && condition === undefined && excludedPermissions.length === 0;
    const type = isFull ? 'full' : condition === undefined ? 'partial' : 'conditional';
    return { parentId: parent.roleId, type, excludedPermissions, ...(condition === undefined ? {} : { condition }) };
  });
}

function groupByKey(grants: readonly CompiledGrant[]): Map<string, GrantsOfKey> {
  const byKey = new Map<string, { allow: CompiledGrant[]; deny: CompiledGrant[] }>();
  for (const grant of grants) {
    for (const action of indexedActions(grant.permission)) {
      const key = grantKey(grant.permission.resourceType, action);
      const group = byKey.get(key) ?? { allow: [], deny: [] };
      group[grant.permission.effect].push(grant);
      byKey.set(key, group);
    }
  }
  return byKey;
}

function toSet(values: readonly string[] | undefined): ReadonlySet<string> | undefined {
  return values === undefined ? undefined : new Set(values);
}

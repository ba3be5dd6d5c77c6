import { PlatformError } from '#shared/errors.ts';
import { newId } from '#shared/ids.ts';
import type { Principal } from '#shared/principal.ts';
import { requireConditions, requireConstraints, requireExpression } from './conditionInputs.ts';
import type { Inheritance, Permission } from './decision/index.ts';
import { defined } from './givenValue.ts';
import type { InheritanceRules } from './hierarchy/index.ts';
import type { CreateRoleInput, PermissionInput, RolePatch } from './inputs.ts';
import { planLife } from './lifecycle.ts';
import type { RoleRow, RoleScopeValue } from './rows.ts';

/** What names are unique in. */
export function scopeKeyOf({ level, contextIds = [], planIds = [] }: RoleScopeValue): string {
  return [level, ...[...contextIds].sort(), ...[...planIds].sort()].join(' ');
}

export function newRole(id: string, principal: Principal, input: CreateRoleInput, now: string): RoleRow {
  const { level = 'global', contextIds, planIds } = input.scope ?? {};
  const scope: RoleScopeValue = {
    level,
    ...(contextIds === undefined ? {} : { contextIds }),
    ...(planIds === undefined ? {} : { planIds }),
  };
  const empty: RoleRow = {
    tenantId: principal.tenantId,
    id,
    name: input.name,
    scopeKey: scopeKeyOf(scope),
    displayName: null,
    description: null,
    roleType: input.roleType,
    status: 'active',
    scope,
    securityLevel: 'medium',
    permissions: [],
    capabilities: [],
    capabilityProfiles: [],
    parents: [],
    inheritanceRules: null,
    attributes: {},
    separationOfDuties: [],
    assignmentRules: [],
    delegationRules: null,
    constraints: null,
    maxHolders: null,
    autoAssign: false,
    effectiveAt: null,
    expiresAt: null,
    begunAt: null,
    reviewEveryDays: null,
    nextReviewAt: null,
    reviewToldAt: null,
    reviewedAt: null,
    reviewedBy: null,
    governance: input.governance ?? null,
    protocol: null,
    version: 1,
    revision: 0,
    deletedAt: null,
    createdAt: now,
    createdBy: principal.subject,
    updatedAt: now,
    updatedBy: principal.subject,
  };
  return planLife(empty, applyContent(empty, input, ['input']).row, now);
}

/** Applies what is given of a role's content and names the fields that changed. @throws {VALIDATION_FAILED} {INVALID_PERMISSION} */
export function applyContent(
  current: RoleRow,
  input: RolePatch | CreateRoleInput,
  path: readonly string[],
): { readonly row: RoleRow; readonly changed: readonly string[] } {
  requireContent(input, path);
  const next: { -readonly [Key in keyof RoleRow]: RoleRow[Key] } = { ...current };
  const changed: string[] = [];
  const set = <Key extends keyof RoleRow>(key: Key, value: RoleRow[Key] | undefined) => {
    if (value === undefined || JSON.stringify(current[key]) === JSON.stringify(value)) return;
    next[key] = value;
    changed.push(key);
  };
  set('name', input.name);
  set('displayName', input.displayName);
  set('description', input.description);
  set('securityLevel', input.securityLevel);
  set('permissions', input.permissions && toPermissions(input.permissions, path));
  set('parents', input.parents && toParents(input.parents, path));
  set('inheritanceRules', toRules(input.inheritanceRules, path));
  set('capabilityProfiles', input.capabilityProfiles);
  set('attributes', input.attributes);
  set('separationOfDuties', input.separationOfDuties);
  set(
    'assignmentRules',
    input.assignmentRules?.map(({ condition, action, approverRoles }) => ({
      action,
      ...(condition === undefined ? {} : { condition }),
      ...(approverRoles === undefined ? {} : { approverRoles }),
    })),
  );
  set('delegationRules', input.delegationRules);
  set('constraints', input.constraints);
  set('maxHolders', input.maxHolders);
  set('autoAssign', input.autoAssign);
  set('effectiveAt', toText(input.effectiveAt));
  set('expiresAt', toText(input.expiresAt));
  set('reviewEveryDays', input.reviewEveryDays);
  set('governance', input.governance && { ...current.governance, ...input.governance });
  if (next.autoAssign && next.capabilityProfiles.length === 0) {
    const field = [...path, 'autoAssign'];
    throw new PlatformError('VALIDATION_FAILED', `${field.join('.')}: expected capabilityProfiles to go by`, {
      path: field,
    });
  }
  const { effectiveAt, expiresAt } = next;
  if (effectiveAt !== null && expiresAt !== null && effectiveAt >= expiresAt) {
    const field = [...path, 'expiresAt'];
    throw new PlatformError('VALIDATION_FAILED', `${field.join('.')}: expected a time after effectiveAt`, {
      path: field,
    });
  }
  return { row: next, changed };
}

/** What makes no sense is found before anything is stored, not when it is asked. */
function requireContent(input: RolePatch | CreateRoleInput, path: readonly string[]): void {
  input.permissions?.forEach((permission, at) => {
    const place = [...path, 'permissions', at];
    requireConditions(permission.conditions, place);
    const { validFrom, expiresAt } = permission;
    if (validFrom !== undefined && expiresAt !== undefined && validFrom >= expiresAt)
      throw new PlatformError('INVALID_PERMISSION', `${place.join('.')}: expected expiresAt after validFrom`, {
        path: place,
      });
  });
  for (const [at, parent] of (input.parents ?? []).entries())
    requireConditions(parent.conditions, [...path, 'parents', at]);
  requireConstraints(input.constraints, path);
  for (const [at, { condition }] of (input.assignmentRules ?? []).entries())
    requireExpression(condition, [...path, 'assignmentRules', at]);
}

function toPermissions(inputs: readonly PermissionInput[], path: readonly string[]): Permission[] {
  const taken = new Set<string>();
  return inputs.map((input, at) => {
    const { permissionId = newId(), validFrom, expiresAt, resourceId, ...rest } = input;
    if (taken.has(permissionId)) {
      const place = [...path, 'permissions', at, 'permissionId'];
      throw new PlatformError('INVALID_PERMISSION', `${place.join('.')}: expected each id once`, { path: place });
    }
    taken.add(permissionId);
    return defined({
      ...rest,
      permissionId,
      resourceId: resourceId === '*' ? undefined : resourceId,
      validFromMs: validFrom?.getTime(),
      expiresAtMs: expiresAt?.getTime(),
    }) as unknown as Permission;
  });
}

function toParents(inputs: NonNullable<RolePatch['parents']>, path: readonly string[]): Inheritance[] {
  const ids = new Set(inputs.map(({ roleId }) => roleId));
  if (ids.size < inputs.length) {
    const place = [...path, 'parents'];
    throw new PlatformError('VALIDATION_FAILED', `${place.join('.')}: expected each parent once`, { path: place });
  }
  return inputs.map((input) => defined(input) as unknown as Inheritance);
}

/** @throws {VALIDATION_FAILED} for a merge that only code of the client's could make. */
function toRules(rules: RolePatch['inheritanceRules'], path: readonly string[]): InheritanceRules | null | undefined {
  if (rules == null) return rules;
  const { mergeStrategy } = rules;
  if (mergeStrategy !== 'custom') return { ...rules, mergeStrategy };
  const field = [...path, 'inheritanceRules', 'mergeStrategy'];
  throw new PlatformError(
    'VALIDATION_FAILED',
    `${field.join('.')}: expected UNION, INTERSECTION or PRIORITY, got CUSTOM: a merge of one's own would be code, and none is run here`,
    { path: field },
  );
}

function toText(value: Date | null | undefined): string | null | undefined {
  return value == null ? value : value.toISOString();
}

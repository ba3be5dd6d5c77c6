import { permissionDenied } from '#shared/auth.ts';
import { PlatformError } from '#shared/errors.ts';
import { hasScope, isWithinBounds } from '#shared/principal.ts';
import {
  decide,
  defaultDecideOptions,
  judgeAdministration,
  listEffectivePermissions,
  type Permission,
  parsePermissionPattern,
  toDecision,
} from './decision/index.ts';
import { overlaps } from './decision/permissionSets.ts';
import { findNode } from './hierarchy/index.ts';
import { isDenied } from './rights.ts';
import type { RoleWork } from './work.ts';

export interface AdministrationDemand {
  readonly roleId: string;
  readonly contextId?: string | null;
  /** What the role is about to have, in the place of what it has itself. */
  readonly permissions?: readonly Permission[];
  /** False where nothing is granted: a revocation. @default true */
  readonly grants?: boolean;
  /** True where denials of the role end for somebody: lifting a denial is granting what it denies. */
  readonly lifts?: boolean;
}

/** @throws {PERMISSION_DENIED} without `role:admin` on the role, of a role or of the token. */
export function requireRoleAdmin(work: RoleWork, roleId: string, contextId: string | null = null): void {
  if (!isRoleAdmin(work, roleId, contextId)) throw permissionDenied('role:admin');
}

/** Whether the caller has `role:admin` on the role, or on roles at large where none is given, as of the locked revision. */
export function isRoleAdmin(work: RoleWork, roleId: string | null, contextId: string | null): boolean {
  const { principal, timeMs, snapshot } = work;
  if (!isWithinBounds(principal, 'role:admin')) return false;
  const request = {
    subjectId: principal.subject,
    action: 'admin',
    resource: { type: 'role', ...(roleId === null ? {} : { id: roleId }) },
    ...(contextId === null ? {} : { contextId }),
  };
  const decision = toDecision(decide(snapshot, { request, timeMs, options: defaultDecideOptions }));
  return decision.granted || (!isDenied(decision) && hasScope(principal, 'role:admin'));
}

/**
 * Nobody may grant what they cannot administer: `role:admin` on the role, and every permission it confers, held or
 * administered by a role of their own or by their token. What a role denies them, a token does not give back.
 * @throws {PERMISSION_DENIED} without `role:admin`. @throws {ESCALATION_REFUSED} naming what is missing.
 */
export function requireAdministration(work: RoleWork, demand: AdministrationDemand): void {
  const { principal, timeMs } = work;
  const { roleId, contextId } = demand;
  const sets = work.sets();
  const place = contextId == null ? {} : { contextId };
  const common = { subjectId: principal.subject, timeMs, ...place };
  const granted =
    demand.grants === false
      ? []
      : judgeAdministration(sets, {
          ...common,
          roleId,
          ...(demand.permissions === undefined ? {} : { permissions: demand.permissions }),
        }).missing;
  const lifted = demand.lifts === true ? listDenied(work, roleId) : [];
  const ended =
    lifted.length === 0 ? [] : judgeAdministration(sets, { ...common, roleId, permissions: lifted }).missing;
  const asked = new Set([...granted, ...ended]);
  if (asked.size === 0) return;
  const denials = listEffectivePermissions(sets, common).filter(({ source }) => source.effect === 'deny');
  const byToken = (text: string): boolean => {
    const pattern = parsePermissionPattern(text);
    if (pattern === undefined || denials.some((denial) => overlaps(denial, pattern))) return false;
    const { resourceType, action } = pattern;
    return hasScope(principal, `${resourceType}:${action}`) || hasScope(principal, `${resourceType}:admin`);
  };
  const missing = [...asked].filter((text) => !byToken(text));
  if (missing.includes('role:admin')) throw permissionDenied('role:admin');
  if (missing.length > 0) {
    throw new PlatformError(
      'ESCALATION_REFUSED',
      `this would grant what you do not administer: ${missing.join(', ')}`,
      {
        details: { missing },
      },
    );
  }
}

/** What the role denies, itself or by inheritance, turned into what its end would give. */
function listDenied({ sets }: RoleWork, roleId: string): Permission[] {
  const all = sets();
  const node = findNode(all.snapshot.graph, roleId);
  if (node === undefined) return [];
  const { certain, conditional } = all.setOf(node.index);
  return [...certain, ...conditional]
    .filter(({ grant }) => grant.permission.effect === 'deny')
    .map((unit) => asGrant(unit.grant.permission, [unit.action]));
}

/** Denials among the permissions that are not among the others. */
export function listLifted(before: readonly Permission[], after: readonly Permission[]): Permission[] {
  const kept = new Set(after.map((permission) => JSON.stringify(permission)));
  return before
    .filter((permission) => permission.effect === 'deny' && !kept.has(JSON.stringify(permission)))
    .map((permission) => asGrant(permission, permission.actions));
}

function asGrant({ permissionId, resourceType, resourceId }: Permission, actions: readonly string[]): Permission {
  return {
    permissionId,
    resourceType,
    ...(resourceId === undefined ? {} : { resourceId }),
    actions,
    effect: 'allow',
  };
}

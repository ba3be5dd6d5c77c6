import { findNode } from '../hierarchy/index.ts';
import { compileRole } from './compiledRole.ts';
import { type DecideOptions, decide, defaultDecideOptions } from './decide.ts';
import { type EffectivePermission, listEffectivePermissions } from './effectivePermissions.ts';
import type { Permission } from './permission.ts';
import { type GrantUnit, includesPattern, overlaps, type PermissionSets, patternOf } from './permissionSets.ts';

export interface AdministrationQuery {
  /** Who wants to grant or change. */
  readonly subjectId: string;
  readonly roleId: string;
  /** Where the assignment is to hold; absent for everywhere. */
  readonly contextId?: string;
  readonly timeMs: number;
  readonly options?: DecideOptions;
  /** Permissions the role is about to have, judged in the place of those it has itself. */
  readonly permissions?: readonly Permission[];
}

export interface AdministrationVerdict {
  readonly allowed: boolean;
  /** `role:admin` on this role, and what the role confers that the subject neither holds nor administers. */
  readonly missing: readonly string[];
}

/**
 * Nobody may grant what they cannot administer: whoever assigns or changes a role needs `role:admin` on it and, for
 * each allow permission the role confers, the same permission or `admin` of its resource type: unconditional, at least
 * as wide, and touched by no denial of their own. After the administrative model of Sandhu, Bhamidipati and Munawer
 * (ARBAC97, 1999), with ranges of permissions instead of ranges of roles. Giving a role a new parent is granting that
 * parent: judge it as well.
 */
export function judgeAdministration(sets: PermissionSets, query: AdministrationQuery): AdministrationVerdict {
  const { snapshot } = sets;
  const { subjectId, roleId, contextId, timeMs, options = defaultDecideOptions } = query;
  const place = contextId === undefined ? {} : { contextId };
  const request = { subjectId, action: 'admin', resource: { type: 'role', id: roleId }, ...place };
  const missing: string[] = [];
  if (decide(snapshot, { request, timeMs, options }).ruling?.outcome !== 'PERMIT') missing.push('role:admin');
  const held = listEffectivePermissions(sets, { subjectId, timeMs, options, ...place });
  for (const unit of listConferred(sets, query)) {
    if (unit.grant.permission.effect === 'deny' || canAdminister(held, unit)) continue;
    const { resourceType, action, resourceId } = patternOf(unit);
    missing.push(`${resourceType}:${action}${resourceId === undefined ? '' : `:${resourceId}`}`);
  }
  const names = [...new Set(missing)];
  return { allowed: names.length === 0, missing: names };
}

function listConferred(sets: PermissionSets, { roleId, permissions }: AdministrationQuery): readonly GrantUnit[] {
  const node = findNode(sets.snapshot.graph, roleId);
  const set = node === undefined ? undefined : sets.setOf(node.index);
  const current = [...(set?.certain ?? []), ...(set?.conditional ?? [])];
  if (permissions === undefined) return current;
  const inherited = current.filter(({ grant }) => grant.roleId !== roleId);
  const proposed = compileRole({ roleId, name: roleId, status: 'active', parents: [], permissions });
  const units = proposed.grants.flatMap((grant) =>
    grant.permission.actions.map((action, at) => ({ id: -1 - at, grant, action })),
  );
  return [...units, ...inherited];
}

function canAdminister(held: readonly EffectivePermission[], unit: GrantUnit): boolean {
  const wanted = patternOf(unit);
  if (held.some((own) => own.source.effect === 'deny' && overlaps(own, wanted))) return false;
  return held.some((own) => {
    if (own.source.effect === 'deny' || own.deniedBy !== undefined || own.needsApproval) return false;
    if (own.conditional && !hasSameScope(own, unit)) return false;
    return includesPattern(own, wanted) || (own.action === 'admin' && includesPattern({ ...own, action: '*' }, wanted));
  });
}

/** A permission limited to contexts or plans covers one that is limited to some of them; other conditions cover nothing. */
function hasSameScope({ unit: own, certain }: EffectivePermission, { grant }: GrantUnit): boolean {
  if (!certain || !own.grant.isStatic) return false;
  return isSubset(grant.contextIds, own.grant.contextIds) && isSubset(grant.planIds, own.grant.planIds);
}

function isSubset(inner: ReadonlySet<string> | undefined, outer: ReadonlySet<string> | undefined): boolean {
  return outer === undefined || (inner !== undefined && [...inner].every((id) => outer.has(id)));
}

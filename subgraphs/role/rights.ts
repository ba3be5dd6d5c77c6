import type { AuthTarget } from '#shared/auth.ts';
import { isId } from '#shared/ids.ts';
import { hasScope, isWithinBounds, type Principal } from '#shared/principal.ts';
import type { Rights } from '#shared/rights.ts';
import type { Decision, PermissionRequest } from './decision/index.ts';
import { hasRights, listContexts } from './decision/places.ts';
import type { TenantReplica } from './replicas.ts';

/** What a permission of a module asks of roles. */
export function requestOf(principal: Principal, permission: string, target: AuthTarget | undefined): PermissionRequest {
  const colon = permission.indexOf(':');
  const action = permission.slice(colon + 1);
  const type = permission.slice(0, colon);
  // The object may be of another kind than what is permitted on it: an override of a context cites a Confirm.
  const isOfType = target !== undefined && target.type.toLowerCase() === type;
  return {
    subjectId: principal.subject,
    action,
    resource: isOfType ? { type, id: target.id } : { type },
    ...(target?.contextId === undefined ? {} : { contextId: target.contextId }),
    ...(target?.planId === undefined ? {} : { planId: target.planId }),
  };
}

export function holdsSomething({ snapshot }: TenantReplica, { subject }: Principal): boolean {
  const record = snapshot.subjects.get(subject);
  return record !== undefined && hasRights(record);
}

/** A denial of a role, also one that could not be evaluated; not the mere lack of a grant. */
export function isDenied(decision: Decision): boolean {
  return decision.decision === 'DENY' && decision.source !== undefined;
}

/** Rights of one who holds roles, by the replica that `read` answers: the newest there is. */
export function createRights(principal: Principal, read: () => TenantReplica): Rights {
  return {
    holds(permission, target) {
      if (!isWithinBounds(principal, permission)) return false;
      const replica = read();
      const scoped = hasScope(principal, permission);
      if (!holdsSomething(replica, principal)) return scoped;
      const decision = replica.point.checkPermission(requestOf(principal, permission, target));
      return decision.granted || (scoped && !isDenied(decision));
    },
    contexts() {
      const { snapshot } = read();
      const record = snapshot.subjects.get(principal.subject);
      return record === undefined ? [] : listContexts(snapshot, record).filter(isId);
    },
  };
}

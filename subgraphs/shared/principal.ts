/** Who asks: read from a verified token once, at the door, and carried unchanged from there. */
export interface Principal {
  /** Tenant of the token. Every key, query and cache entry begins with it. */
  readonly tenantId: string;
  /** Stable id of the agent, person or service (`sub`). */
  readonly subject: string;
  readonly subjectType: 'agent' | 'human' | 'service';
  readonly displayName?: string;
  readonly roles: readonly string[];
  /** Permissions as `resource:action`; `*` matches one part, a lone `*` everything. Sorted, without repeats. */
  readonly scopes: readonly string[];
  /** Identifies the permission set: equal strings decide every ROLE-scoped question alike. */
  readonly permissionKey: string;
  /** Epoch milliseconds at which the token ends; absent for the development principal. */
  readonly expiresAtMs?: number;
  /** `jti` of the token, or id of the API token; what is revoked by it. */
  readonly tokenId?: string;
  /** Epoch milliseconds at which the token was issued. */
  readonly issuedAtMs?: number;
  /** Epoch milliseconds until which the authentication counts as stepped up; absent where it never did. */
  readonly steppedUpUntilMs?: number;
  /** True for an API token: its scopes are the most it may do, whatever roles grant its subject. */
  readonly isBounded?: true;
}

/** False where the token forbids it whatever else grants it. */
export function isWithinBounds(principal: Principal, permission: string): boolean {
  return principal.isBounded !== true || hasScope(principal, permission);
}

/** Permissions asked of a principal, which lives as long as its token is remembered; their names are the code's own. */
const decided = new WeakMap<Principal, Map<string, boolean>>();

/** True when the scopes grant `permission` (`resource:action`). */
export function hasScope(principal: Principal, permission: string): boolean {
  let known = decided.get(principal);
  if (!known) {
    known = new Map();
    decided.set(principal, known);
  }
  let granted = known.get(permission);
  if (granted === undefined) {
    granted = grants(principal, permission);
    known.set(permission, granted);
  }
  return granted;
}

function grants(principal: Principal, permission: string): boolean {
  const [resource, action] = permission.split(':');
  for (const scope of principal.scopes) {
    if (scope === '*' || scope === permission) return true;
    const [grantedResource, grantedAction] = scope.split(':');
    if (
      (grantedResource === '*' || grantedResource === resource) &&
      (grantedAction === '*' || grantedAction === action)
    ) {
      return true;
    }
  }
  return false;
}

/** True when everything that `scope` grants, its `*` included, lies within what the principal's scopes grant. */
export function coversScope(principal: Principal, scope: string): boolean {
  const [resource, action] = scope === '*' ? ['*', '*'] : scope.split(':');
  return principal.scopes.some((own) => {
    const [ownResource, ownAction] = own === '*' ? ['*', '*'] : own.split(':');
    return (ownResource === '*' || ownResource === resource) && (ownAction === '*' || ownAction === action);
  });
}

export interface PrincipalInput {
  tenantId: string;
  subject: string;
  subjectType?: Principal['subjectType'];
  displayName?: string;
  roles?: readonly string[];
  scopes?: readonly string[];
  expiresAtMs?: number;
  tokenId?: string;
  issuedAtMs?: number;
  steppedUpUntilMs?: number;
  isBounded?: boolean;
}

/** Builds a frozen principal; scopes are sorted so that `permissionKey` is canonical. */
export function createPrincipal(input: PrincipalInput): Principal {
  const scopes = [...new Set(input.scopes ?? [])].sort();
  const roles = [...new Set(input.roles ?? [])].sort();
  return Object.freeze({
    tenantId: input.tenantId,
    subject: input.subject,
    subjectType: input.subjectType ?? 'agent',
    ...(input.displayName === undefined ? {} : { displayName: input.displayName }),
    roles: Object.freeze(roles),
    scopes: Object.freeze(scopes),
    permissionKey: `${roles.join(',')}|${scopes.join(',')}${input.isBounded === true ? '|bounded' : ''}`,
    ...(input.expiresAtMs === undefined ? {} : { expiresAtMs: input.expiresAtMs }),
    ...(input.tokenId === undefined ? {} : { tokenId: input.tokenId }),
    ...(input.issuedAtMs === undefined ? {} : { issuedAtMs: input.issuedAtMs }),
    ...(input.steppedUpUntilMs === undefined ? {} : { steppedUpUntilMs: input.steppedUpUntilMs }),
    ...(input.isBounded === true ? { isBounded: true } : {}),
  });
}

import type { Conditions } from '../conditions/index.ts';

export type Effect = 'allow' | 'deny';

/** How the subject must stand to the resource. */
export type Relation = 'own' | 'assigned' | 'department';

export interface PermissionScope {
  readonly contextIds?: readonly string[];
  readonly planIds?: readonly string[];
  /**
   * `own`: `resource.ownerId` is the subject; `assigned`: `resource.assigneeIds` names it; `department`: both have the
   * same `department`.
   */
  readonly relation?: Relation;
}

export interface ApprovalRule {
  /** @default all actions of the permission */
  readonly forActions?: readonly string[];
  /** Approvals needed. @default 1 */
  readonly threshold?: number;
  readonly approverRoles?: readonly string[];
}

export interface Permission {
  readonly permissionId: string;
  /** A resource type, or `*`. */
  readonly resourceType: string;
  /** One resource; absent or `*` for all of the type. */
  readonly resourceId?: string;
  /** Actions, or `*` among them. */
  readonly actions: readonly string[];
  readonly effect: Effect;
  readonly scope?: PermissionScope;
  readonly conditions?: Conditions;
  readonly approvalRequired?: ApprovalRule;
  /** Epoch ms, inclusive. */
  readonly validFromMs?: number;
  /** Epoch ms, exclusive. */
  readonly expiresAtMs?: number;
}

/** `resource:action` or `resource.action`, either part `*`, with an id as third part; a lone `*` is everything. */
export interface PermissionPattern {
  readonly resourceType: string;
  readonly action: string;
  /** Undefined for all. */
  readonly resourceId: string | undefined;
}

const patternText = /^([A-Za-z0-9_-]{1,64}|\*)[:.]([A-Za-z0-9_-]{1,64}|\*)(?::([^:]{1,128}))?$/;

/** Undefined when the text is no permission. */
export function parsePermissionPattern(text: string): PermissionPattern | undefined {
  if (text === '*') return { resourceType: '*', action: '*', resourceId: undefined };
  const match = patternText.exec(text);
  if (match === null) return undefined;
  const [, resourceType = '', action = '', resourceId] = match;
  return { resourceType, action, resourceId: resourceId === '*' ? undefined : resourceId };
}

/** True when the pattern takes in the request. */
export function matchesPattern(
  pattern: PermissionPattern,
  resourceType: string,
  action: string,
  resourceId?: string,
): boolean {
  return (
    (pattern.resourceType === '*' || pattern.resourceType === resourceType) &&
    (pattern.action === '*' || pattern.action === action) &&
    (pattern.resourceId === undefined || pattern.resourceId === resourceId)
  );
}

export function demandsApproval(permission: Permission, action: string): boolean {
  const rule = permission.approvalRequired;
  return rule !== undefined && (rule.forActions === undefined || rule.forActions.includes(action));
}

import type { Effect } from './permission.ts';

export type Outcome = 'PERMIT' | 'DENY' | 'NEEDS_APPROVAL';

export type Reason =
  | 'permission_granted'
  | 'approval_required'
  | 'explicit_deny'
  | 'no_roles'
  | 'no_matching_permissions'
  | 'scope_violation'
  | 'time_restriction'
  | 'evaluation_error'
  | 'evaluation_timeout'
  | `condition_failed:${string}`;

/** The rule that decided and how the subject comes by it. */
export interface GrantSource {
  readonly permissionId: string;
  readonly effect: Effect;
  readonly grantingRoleId: string;
  readonly assignmentId: string;
  /** The role assigned, to whom the subject or the delegator. */
  readonly heldRoleId: string;
  /** Roles from the one assigned up to the one that grants, both included. */
  readonly path: readonly string[];
  /** Delegations from the subject to the one who holds the right; empty when it holds it itself. */
  readonly delegationIds: readonly string[];
  /** `temporary`: its own, but given for a time. */
  readonly grantType: 'direct' | 'inherited' | 'delegated' | 'temporary';
  /** Epoch ms at which the first thing on the way ends; undefined where nothing does. */
  readonly expiresAtMs: number | undefined;
}

/** A rule for the request that did not come to bear. */
export interface NearMiss {
  readonly permissionId: string;
  readonly grantingRoleId: string;
  readonly reason: Reason;
  /** Conditions, constraints and scopes that do not hold, by name. */
  readonly failing: readonly string[];
}

export interface ConstraintResult {
  readonly name: string;
  readonly source: 'role' | 'assignment';
  readonly sourceId: string;
  readonly satisfied: boolean;
}

/** The least of the limits met on the way. */
export interface EffectiveLimit {
  readonly attribute: string;
  readonly max: number;
}

export interface Obligation {
  /** `escalation`: an allow and a denial meet, and inheritance rules leave it to a person. */
  readonly type: 'approval' | 'escalation';
  /** That asks for it; of an escalation the one that denies. */
  readonly permissionId: string;
  readonly approvals: number;
  readonly approverRoles: readonly string[];
}

export interface Decision {
  readonly granted: boolean;
  readonly decision: Outcome;
  readonly reason: Reason;
  /** Absent where nothing decided and the default did. */
  readonly source?: GrantSource;
  /** Where the default decided: the rule that came nearest. */
  readonly nearest?: NearMiss;
  readonly failingConditions: readonly string[];
  readonly errors: readonly string[];
  readonly constraints: readonly ConstraintResult[];
  readonly limits: readonly EffectiveLimit[];
  /** `partial` where an approval is missing. */
  readonly overallAccess: 'full' | 'partial' | 'none';
  readonly obligations: readonly Obligation[];
  /** The request whose approval has fulfilled the obligation of the rule that decided. */
  readonly approvedRequestId?: string;
  /** No time, address or attribute had a part in it: until `validUntilMs` the same names give the same answer. */
  readonly cacheable: boolean;
  /** Which object of its type was meant had a part in it, or may have had. */
  readonly readsResourceId: boolean;
  /** Epoch ms of the next bound of an assignment, permission, role or delegation looked at; infinity when none. */
  readonly validUntilMs: number;
  readonly snapshotVersion: number;
}

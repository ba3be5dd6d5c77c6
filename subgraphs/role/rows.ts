import type { Connection, Edge } from '#shared/connection.ts';
import type { CapableSubjectFound, RecommendedRole } from './capabilities.ts';
import type { Constraints } from './conditions/index.ts';
import type {
  AssignmentStatus,
  CapabilityLevel,
  DelegationStatus,
  EffectivePermission,
  GrantSource,
  Inheritance,
  Permission,
  RequiredCapability,
  RoleSeparation,
  RoleStatus,
  SubjectCapability,
} from './decision/index.ts';
import type { GivenDecision } from './decisions.ts';
import type { InheritanceRules } from './hierarchy/index.ts';

export interface RoleScopeValue {
  readonly level: 'global' | 'organization' | 'project' | 'team' | 'individual';
  readonly contextIds?: readonly string[];
  readonly planIds?: readonly string[];
}

export interface AssignmentRuleValue {
  readonly condition?: string;
  readonly action: 'allow' | 'deny' | 'require_approval';
  readonly approverRoles?: readonly string[];
}

/** Frozen fields the columns cannot give back to the letter, and which optional ones were present. */
export interface RoleProtocol {
  readonly meta?: unknown;
  readonly trace?: unknown;
  readonly events?: unknown;
  readonly createdAt?: string;
  readonly updatedAt?: string;
  readonly hasCapabilities?: true;
}

/** A role as it is stored; times are ISO 8601. */
export interface RoleRow {
  readonly tenantId: string;
  readonly id: string;
  readonly name: string;
  readonly scopeKey: string;
  readonly displayName: string | null;
  readonly description: string | null;
  readonly roleType: string;
  readonly status: RoleStatus;
  readonly scope: RoleScopeValue;
  readonly securityLevel: string;
  readonly permissions: readonly Permission[];
  readonly capabilities: readonly string[];
  readonly capabilityProfiles: readonly RequiredCapability[];
  readonly parents: readonly Inheritance[];
  /** Null: the default ones. */
  readonly inheritanceRules: InheritanceRules | null;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly separationOfDuties: readonly RoleSeparation[];
  readonly assignmentRules: readonly AssignmentRuleValue[];
  /** Null: the default ones. */
  readonly delegationRules: DelegationRulesValue | null;
  readonly constraints: Constraints | null;
  readonly maxHolders: number | null;
  /** Given to whoever has the capabilities that it asks for. */
  readonly autoAssign: boolean;
  readonly effectiveAt: string | null;
  readonly expiresAt: string | null;
  /** When its effective time was told to its holders; null before. */
  readonly begunAt: string | null;
  readonly reviewEveryDays: number | null;
  readonly nextReviewAt: string | null;
  /** When the next review was told as due; null before. */
  readonly reviewToldAt: string | null;
  readonly reviewedAt: string | null;
  readonly reviewedBy: string | null;
  readonly governance: Readonly<Record<string, unknown>> | null;
  readonly protocol: RoleProtocol | null;
  readonly version: number;
  readonly revision: number;
  readonly deletedAt: string | null;
  readonly createdAt: string;
  readonly createdBy: string;
  readonly updatedAt: string;
  readonly updatedBy: string;
}

/** What holders may do with a role's permissions beside using them. */
export interface DelegationRulesValue {
  readonly allowed: boolean;
  /** Subjects one after the other. */
  readonly maxDepth: number;
  readonly maxHours?: number | undefined;
  readonly requiresApproval: boolean;
  readonly approverRoles?: readonly string[] | undefined;
}

export interface ApprovalValue {
  readonly required: true;
  readonly status: 'pending' | 'approved' | 'rejected';
  readonly confirmId?: string;
}

export interface RoleAssignmentRow {
  readonly tenantId: string;
  readonly id: string;
  readonly roleId: string;
  readonly subjectId: string;
  readonly contextId: string | null;
  readonly type: string;
  readonly status: AssignmentStatus;
  readonly assignedBy: string;
  readonly reason: string | null;
  readonly statusReason: string | null;
  readonly validFrom: string | null;
  readonly expiresAt: string | null;
  readonly constraints: Constraints | null;
  /** Contexts, or `*` for everywhere, in which it was activated. */
  readonly activeIn: readonly string[];
  readonly approval: ApprovalValue | null;
  readonly version: number;
  readonly revision: number;
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly updatedBy: string;
  /** Of what comes with another assignment: that one, and the roles from it up to this one. */
  readonly inheritedFrom?: string | undefined;
  readonly path?: readonly string[] | undefined;
}

export interface RoleDelegationRow {
  readonly tenantId: string;
  readonly id: string;
  readonly delegatorId: string;
  readonly delegateId: string;
  readonly permissions: readonly string[];
  readonly contextId: string | null;
  readonly status: DelegationStatus;
  readonly reason: string | null;
  readonly statusReason: string | null;
  readonly approval: ApprovalValue | null;
  readonly maxDepth: number;
  readonly startsAt: string | null;
  readonly endsAt: string;
  readonly version: number;
  readonly revision: number;
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly updatedBy: string;
}

export type PermissionRequestStatus = 'pending' | 'approved' | 'rejected' | 'revoked' | 'expired';

/** What a subject asked an approval for, and what became of it. */
export interface PermissionRequestRow {
  readonly tenantId: string;
  readonly id: string;
  readonly subjectId: string;
  readonly permissionId: string;
  readonly grantingRoleId: string;
  readonly action: string;
  readonly resourceType: string;
  /** Null: any of the type. */
  readonly resourceId: string | null;
  /** Null: everywhere. */
  readonly contextId: string | null;
  readonly planId: string | null;
  readonly status: PermissionRequestStatus;
  readonly reason: string | null;
  readonly statusReason: string | null;
  readonly threshold: number;
  readonly approverRoles: readonly string[];
  readonly approval: ApprovalValue;
  readonly endsAt: string;
  readonly version: number;
  readonly revision: number;
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly updatedBy: string;
}

/** What is stored of a subject; one that nothing was recorded of has version 0. */
export interface SubjectRow {
  readonly tenantId: string;
  readonly id: string;
  readonly type: string | null;
  readonly displayName: string | null;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly capabilities: readonly (SubjectCapability & { readonly level: CapabilityLevel })[];
  readonly version: number;
  readonly revision: number;
}

/** A decision as it was given. */
export interface PermissionAuditEntryRow {
  readonly tenantId: string;
  readonly id: string;
  readonly subjectId: string;
  readonly askedBy: string;
  readonly source: 'check' | 'access';
  readonly action: string;
  readonly resourceType: string;
  readonly resourceId: string | null;
  readonly contextId: string | null;
  readonly decision: 'PERMIT' | 'DENY' | 'NEEDS_APPROVAL';
  readonly reason: string;
  readonly grantingRoleId: string | null;
  readonly permissionId: string | null;
  readonly evaluationUs: number;
  readonly createdAt: string;
}

/** A list whose total is counted when somebody asks for it. */
type Counted<Row> = Connection<Row> & { count(): Promise<number> };

export type RoleConnectionRow = Counted<RoleRow>;
export type RoleAssignmentConnectionRow = Counted<RoleAssignmentRow>;
export type RoleDelegationConnectionRow = Counted<RoleDelegationRow>;
export type PermissionRequestConnectionRow = Counted<PermissionRequestRow>;
export interface SubjectConnectionRow extends Omit<Counted<SubjectRow>, 'edges'> {
  readonly edges: readonly (Edge<SubjectRow> & { readonly distance: number })[];
}
export type PermissionDecisionRow = GivenDecision;
export type PermissionSourceRow = GrantSource;
export type EffectivePermissionRow = EffectivePermission;
export type CapableSubjectRow = CapableSubjectFound;
export type RoleRecommendationRow = RecommendedRole;
export interface RoleHolderCountRow {
  readonly roleId: string;
  readonly holders: number;
}
export interface RoleHierarchyRow {
  readonly roleId: string;
  readonly nodes: readonly HierarchyNode[];
  readonly edges: readonly {
    readonly roleId: string;
    readonly parentId: string;
    readonly type: string;
    readonly redundant: boolean;
  }[];
  readonly conflicts: readonly {
    readonly ruleId: string;
    readonly severity: string;
    readonly holds: readonly { readonly roleId: string }[];
  }[];
}
export interface HierarchyNode {
  readonly roleId: string;
  readonly relation: 'SELF' | 'ANCESTOR' | 'DESCENDANT';
  readonly level: number;
  readonly directPermissions: readonly string[];
  readonly inheritedPermissions: readonly {
    readonly permission: string;
    readonly fromRoleId: string;
    readonly conditional: boolean;
  }[];
  readonly effectivePermissions: readonly {
    readonly permission: string;
    readonly fromRoleId: string;
    readonly conditional: boolean;
    readonly except: readonly string[];
  }[];
  readonly directHolders: number;
  readonly inheritedHolders: number;
}
export type RoleHierarchyNodeRow = HierarchyNode;
/** An edge upwards. */
export type RoleInheritanceRow = Inheritance;
export interface SubjectCapabilitiesRow {
  readonly subjectId: string;
  readonly capabilities: readonly SubjectCapability[];
  readonly tags: readonly string[];
}
/** What the graph tells of a context. */
export interface ContextRow {
  readonly id: string;
  readonly ownerRoleId?: string | null;
}
/** What the graph tells of a confirm. */
export interface ConfirmRow {
  readonly id: string;
  readonly requestedByRole?: string;
}
/** What the graph tells of a decision of a confirm. */
export interface ConfirmDecisionRow {
  readonly id: string;
  readonly decidedByRole?: string;
}

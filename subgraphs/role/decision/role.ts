import type { Clearance, Conditions, Constraints } from '../conditions/index.ts';
import type { InheritanceRules, InheritanceType } from '../hierarchy/index.ts';
import type { Permission } from './permission.ts';
import type { Seniority } from './seniority.ts';

export type RoleStatus = 'active' | 'inactive' | 'suspended' | 'deprecated' | 'archived';

export interface Inheritance {
  readonly roleId: string;
  readonly type: InheritanceType;
  /** Permission ids or `resource:action` patterns that do not pass. */
  readonly excludedPermissions?: readonly string[];
  readonly conditions?: Conditions;
}

export type SeparationSeverity = 'warning' | 'error' | 'critical';

export interface RoleSeparation {
  readonly conflictingRoles: readonly string[];
  readonly severity: SeparationSeverity;
  readonly exceptionApprovalRequired?: boolean;
  /** `dynamic`: held together, but active in one place only one at a time. @default static */
  readonly kind?: 'static' | 'dynamic';
  /** `context`: only where both are held in one context. @default tenant */
  readonly scope?: 'tenant' | 'context';
}

export type CapabilityLevel = 'beginner' | 'intermediate' | 'advanced' | 'expert' | 'master';

export interface RequiredCapability {
  readonly name: string;
  readonly level: CapabilityLevel;
  /** @default 1 */
  readonly weight?: number;
}

/** A role as the decision needs it; times are epoch ms. */
export interface Role {
  readonly roleId: string;
  readonly name: string;
  readonly status: RoleStatus;
  readonly permissions: readonly Permission[];
  /** First to last in the order of their priority. */
  readonly parents: readonly Inheritance[];
  /** @default a denial overrides, and what any parent gives comes */
  readonly inheritanceRules?: InheritanceRules;
  /** Inclusive. */
  readonly effectiveMs?: number;
  /** Exclusive. */
  readonly expirationMs?: number;
  /** Where the role is in force at all, denials included. */
  readonly scope?: { readonly contextIds?: readonly string[]; readonly planIds?: readonly string[] };
  /** What narrows the allow permissions that come through it. */
  readonly constraints?: Constraints;
  /** Conferred on holders whose own attributes name none. */
  readonly securityClearance?: Clearance;
  /** Holders of whom another is recorded must have at least this one. */
  readonly seniority?: Seniority;
  /** Names of certifications that holders must have. */
  readonly certificationRequirements?: readonly string[];
  readonly separationOfDuties?: readonly RoleSeparation[];
  readonly capabilityProfiles?: readonly RequiredCapability[];
  /** @default the limit of the platform */
  readonly maxHolders?: number;
  /** Given to whoever has the capabilities of its profiles. */
  readonly autoAssign?: true;
}

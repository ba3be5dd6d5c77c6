export { type AdministrationQuery, type AdministrationVerdict, judgeAdministration } from './administration.ts';
export { applyChange, applyChanges, type Change } from './applyChange.ts';
export {
  type Assignment,
  type AssignmentStatus,
  type Delegation,
  type DelegationStatus,
  isStanding,
  type SeparationRule,
  type Subject,
  type SubjectCapability,
} from './assignment.ts';
export {
  type AssignmentLimits,
  type AssignmentProposal,
  type AssignmentRefusal,
  type AssignmentVerdict,
  defaultAssignmentLimits,
  judgeAssignment,
} from './assignmentRefusals.ts';
export { listCapabilities } from './capabilities.ts';
export {
  type CapabilityMatch,
  capabilityLevels,
  listRequiredCapabilities,
  matchCapabilities,
} from './capabilityMatch.ts';
export { type DecideOptions, decide, defaultDecideOptions } from './decide.ts';
export {
  type BatchDecision,
  createDecisionPoint,
  type DecisionPoint,
  type DecisionPointDeps,
  type DecisionPointStats,
} from './decisionPoint.ts';
export { type EffectivePermission, type EffectiveQuery, listEffectivePermissions } from './effectivePermissions.ts';
export type { GivenApproval } from './givenApproval.ts';
export { type HierarchyView, type HierarchyViewEntry, readHierarchy } from './hierarchyView.ts';
export {
  type HoldersQuery,
  listHolders,
  listSubjectsWithPermission,
  type PermissionHolder,
  type RoleHolders,
} from './holders.ts';
export {
  type ApprovalRule,
  type Effect,
  type Permission,
  type PermissionPattern,
  type PermissionScope,
  parsePermissionPattern,
  type Relation,
} from './permission.ts';
export {
  carryPermissionSets,
  createPermissionSets,
  type GrantUnit,
  type PermissionSet,
  type PermissionSets,
} from './permissionSets.ts';
export type { Environment, PermissionRequest } from './request.ts';
export type {
  ConstraintResult,
  Decision,
  EffectiveLimit,
  GrantSource,
  NearMiss,
  Obligation,
  Outcome,
  Reason,
} from './result.ts';
export type {
  CapabilityLevel,
  Inheritance,
  RequiredCapability,
  Role,
  RoleSeparation,
  RoleStatus,
  SeparationSeverity,
} from './role.ts';
export {
  type ConflictingHold,
  findSeparationViolations,
  findSubjectViolations,
  listFreshViolations,
  listRolesHeld,
  type SeparationViolation,
} from './separation.ts';
export { buildSnapshot, emptySnapshot, findRole, readWorld, type Snapshot, type World } from './snapshot.ts';
export { toDecision } from './toDecision.ts';

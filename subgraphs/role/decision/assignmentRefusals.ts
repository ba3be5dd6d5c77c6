import { isStanding, isWithin } from './assignment.ts';
import {
  type CapabilityMatch,
  defaultPassMark,
  listRequiredCapabilities,
  matchCapabilities,
} from './capabilityMatch.ts';
import type { PermissionSets } from './permissionSets.ts';
import { describeMissing, findMissingPrerequisites, type MissingPrerequisites } from './prerequisites.ts';
import { findSubjectViolations, listFreshViolations, type SeparationViolation } from './separation.ts';
import { findRole } from './snapshot.ts';

export interface AssignmentLimits {
  /** Roles of one subject. @default 20 */
  readonly maxRolesPerSubject: number;
  /** Subjects with one role. @default 10,000 */
  readonly maxHoldersPerRole: number;
  /** Least capability score. @default 0.8 */
  readonly passMark: number;
}

export const defaultAssignmentLimits: AssignmentLimits = {
  maxRolesPerSubject: 20,
  maxHoldersPerRole: 10_000,
  passMark: defaultPassMark,
};

export interface AssignmentProposal {
  readonly roleId: string;
  readonly subjectId: string;
  readonly contextId?: string;
  readonly timeMs: number;
}

export type AssignmentRefusal =
  | { readonly code: 'ROLE_NOT_FOUND'; readonly message: string }
  | { readonly code: 'ROLE_NOT_ACTIVE'; readonly message: string }
  | { readonly code: 'CARDINALITY_EXCEEDED'; readonly message: string; readonly limit: number }
  | { readonly code: 'SOD_VIOLATION'; readonly message: string; readonly violation: SeparationViolation }
  | { readonly code: 'PREREQUISITES_MISSING'; readonly message: string; readonly missing: MissingPrerequisites }
  | { readonly code: 'INSUFFICIENT_CAPABILITIES'; readonly message: string; readonly match: CapabilityMatch };

export interface AssignmentVerdict {
  readonly refusals: readonly AssignmentRefusal[];
  /** New violations of severity `warning`: allowed and to be told. */
  readonly warnings: readonly SeparationViolation[];
  /** New violations that an approval of the exception would allow; each is among the refusals. */
  readonly needsException: readonly SeparationViolation[];
}

/** Everything that speaks against an assignment. One that exists for subject, role and context counts once. */
export function judgeAssignment(
  sets: PermissionSets,
  proposal: AssignmentProposal,
  limits: AssignmentLimits = defaultAssignmentLimits,
): AssignmentVerdict {
  const { snapshot } = sets;
  const { roleId, subjectId, timeMs } = proposal;
  const role = findRole(snapshot, roleId)?.role;
  if (role === undefined) {
    const message = `expected a role that exists, got ${roleId}`;
    return { refusals: [{ code: 'ROLE_NOT_FOUND', message }], warnings: [], needsException: [] };
  }
  const refusals: AssignmentRefusal[] = [];
  if (role.status !== 'active') {
    refusals.push({ code: 'ROLE_NOT_ACTIVE', message: `expected an active role, got one that is ${role.status}` });
  }
  refusals.push(...findCardinalityRefusals(sets, proposal, limits));
  const proposed = [{ roleId, contextId: proposal.contextId }];
  const before = findSubjectViolations(sets, { subjectId, timeMs });
  const fresh = listFreshViolations(before, findSubjectViolations(sets, { subjectId, timeMs, proposed }));
  const blocking = fresh.filter(({ severity }) => severity !== 'warning');
  for (const violation of blocking) {
    const names = violation.holds.map((hold) => hold.roleId).join(', ');
    refusals.push({ code: 'SOD_VIOLATION', message: `expected fewer than ${violation.limit} of ${names}`, violation });
  }
  const missing = findMissingPrerequisites(snapshot, roleId, subjectId);
  if (missing !== undefined)
    refusals.push({ code: 'PREREQUISITES_MISSING', message: describeMissing(missing), missing });
  const held = snapshot.subjects.get(subjectId)?.subject?.capabilities ?? [];
  const match = matchCapabilities(listRequiredCapabilities(snapshot, roleId), held, limits.passMark);
  if (!match.passes) {
    const message = `expected capabilities of at least ${limits.passMark}, got ${match.score.toFixed(2)}`;
    refusals.push({ code: 'INSUFFICIENT_CAPABILITIES', message, match });
  }
  return {
    refusals,
    warnings: fresh.filter(({ severity }) => severity === 'warning'),
    needsException: blocking.filter((violation) => violation.exceptionApprovalRequired),
  };
}

function* findCardinalityRefusals(
  { snapshot }: PermissionSets,
  { roleId, subjectId, timeMs }: AssignmentProposal,
  limits: AssignmentLimits,
): Generator<AssignmentRefusal> {
  const rows = snapshot.subjects.get(subjectId)?.assignments ?? [];
  const roles = new Set(
    rows
      .filter(({ row }) => isStanding(row) && isWithin(timeMs, undefined, row.expiresAtMs))
      .map(({ row }) => row.roleId),
  );
  roles.add(roleId);
  if (roles.size > limits.maxRolesPerSubject) {
    const limit = limits.maxRolesPerSubject;
    yield { code: 'CARDINALITY_EXCEEDED', message: `expected at most ${limit} roles of a subject`, limit };
  }
  const own = findRole(snapshot, roleId)?.role.maxHolders ?? Number.POSITIVE_INFINITY;
  const limit = Math.min(limits.maxHoldersPerRole, own);
  const rowsOfRole = snapshot.holders.get(roleId);
  // A subject has at least one row each: far from the limit they need not be told apart.
  if ((rowsOfRole?.size ?? 0) + 1 <= limit) return;
  const holders = new Set(rowsOfRole?.values());
  holders.add(subjectId);
  if (holders.size > limit) {
    yield { code: 'CARDINALITY_EXCEEDED', message: `expected at most ${limit} holders of a role`, limit };
  }
}

import { evaluateParts } from '../conditions/index.ts';
import type { Conclusion, Ruling } from './decide.ts';
import { reasonOf } from './evaluation.ts';
import type { Permission } from './permission.ts';
import { readProvenance } from './provenance.ts';
import type { ConstraintResult, Decision, EffectiveLimit, GrantSource, Obligation } from './result.ts';

/** Says a conclusion in ids and reasons. */
export function toDecision({ evaluation, ruling, isBare }: Conclusion): Decision {
  const common = {
    cacheable: !evaluation.isDynamic,
    readsResourceId: evaluation.readsResourceId,
    validUntilMs: evaluation.untilMs,
    snapshotVersion: evaluation.snapshot.version,
    errors: evaluation.errors,
  };
  if (ruling === undefined) {
    const { near } = evaluation;
    const reason = near?.reason ?? (isBare ? 'no_roles' : 'no_matching_permissions');
    return {
      ...common,
      granted: false,
      decision: 'DENY',
      reason,
      ...(near === undefined ? {} : { nearest: withoutRank(near) }),
      failingConditions: near?.failing ?? [],
      constraints: [],
      limits: [],
      overallAccess: 'none',
      obligations: [],
    };
  }
  const { permission } = ruling.candidate.grant;
  const isPermit = ruling.outcome === 'PERMIT';
  return {
    ...common,
    granted: isPermit,
    decision: ruling.outcome,
    reason: reasonOfRuling(ruling),
    source: readSource(ruling),
    ...(ruling.approval === undefined ? {} : { approvedRequestId: ruling.approval.requestId }),
    failingConditions: [],
    constraints: ruling.outcome === 'DENY' ? [] : readConstraints(ruling),
    limits: ruling.outcome === 'DENY' ? [] : readLimits(ruling),
    overallAccess: isPermit ? 'full' : ruling.outcome === 'DENY' ? 'none' : 'partial',
    obligations:
      ruling.outcome === 'NEEDS_APPROVAL' ? [readObligation(permission, ruling.escalates?.grant.permission)] : [],
  };
}

function withoutRank({ permissionId, grantingRoleId, failing, reason }: NonNullable<Decision['nearest']>) {
  return { permissionId, grantingRoleId, reason, failing };
}

function reasonOfRuling({ outcome, isUndecided }: Ruling): Decision['reason'] {
  if (outcome === 'PERMIT') return 'permission_granted';
  if (outcome === 'NEEDS_APPROVAL') return 'approval_required';
  return isUndecided ? reasonOf([], 'undecided') : 'explicit_deny';
}

function readSource({ candidate, way, holder, delegationIds, delegatedUntilMs }: Ruling): GrantSource {
  const { permission, roleId } = candidate.grant;
  const { assignment } = way.holding;
  return {
    permissionId: permission.permissionId,
    effect: permission.effect,
    grantingRoleId: roleId,
    assignmentId: assignment.assignmentId,
    heldRoleId: assignment.roleId,
    path: way.path.map((index) => holder.snapshot.graph.nodes[index]!.roleId),
    delegationIds,
    ...readProvenance(holder.snapshot, {
      permission,
      assignment,
      path: way.path,
      isDelegated: delegationIds.length > 0,
      delegatedUntilMs,
    }),
  };
}

function readConstraints({ way, holder }: Ruling): ConstraintResult[] {
  const results: ConstraintResult[] = [];
  const { assignment, constraints } = way.holding;
  for (const part of constraints?.parts ?? []) {
    const { failing, error } = evaluateParts([part], holder.facts);
    const satisfied = failing.length === 0 && error === undefined;
    results.push({ name: part.name, source: 'assignment', sourceId: assignment.assignmentId, satisfied });
  }
  for (const index of way.path) {
    const role = holder.snapshot.roles[index]!;
    for (const part of role.constraints?.parts ?? []) {
      const { failing, error } = evaluateParts([part], holder.facts);
      const satisfied = failing.length === 0 && error === undefined;
      results.push({ name: part.name, source: 'role', sourceId: role.role.roleId, satisfied });
    }
  }
  return results;
}

/** Most restrictive wins: of the limits on one attribute along the way, the least. */
function readLimits({ way, holder }: Ruling): EffectiveLimit[] {
  const least = new Map<string, number>();
  const met = [way.holding.constraints, ...way.path.map((index) => holder.snapshot.roles[index]!.constraints)];
  for (const constraints of met) {
    for (const { attribute, max } of constraints?.limits ?? []) {
      least.set(attribute, Math.min(least.get(attribute) ?? Number.POSITIVE_INFINITY, max));
    }
  }
  return [...least].map(([attribute, max]) => ({ attribute, max }));
}

function readObligation({ permissionId, approvalRequired }: Permission, denied: Permission | undefined): Obligation {
  return {
    type: denied === undefined ? 'approval' : 'escalation',
    permissionId: denied?.permissionId ?? permissionId,
    approvals: approvalRequired?.threshold ?? 1,
    approverRoles: approvalRequired?.approverRoles ?? [],
  };
}

import type { PlanApprovalQuorum, PlanDemand, PlanFailureResolver } from './resolvers.generated.ts';
import type { FailurePolicy, PlanApproval, PlanDefinition, StepDemand } from './rows.ts';

/** What a plan is given beyond its columns, as the API answers it; what is worked out of it has resolvers of its own. */
export function shapeDefinition({
  resources,
  deadlineMs,
  failureResolver,
  maxConcurrentTasks,
  approval,
  customData,
}: PlanDefinition) {
  return {
    resources: resources.map(({ id, capacity, unit, costPerHour, maxAdded, calendar }) => ({
      ...{ id, capacity, unit: unit ?? null, costPerHour: costPerHour ?? null, maxAdded: maxAdded ?? null },
      calendar: [...(calendar ?? [])],
    })),
    deadlineMs: deadlineMs ?? null,
    failureResolver: shapeFailurePolicy(failureResolver),
    maxConcurrentTasks,
    approval: approval === undefined ? null : shapeApproval(approval),
    customData: customData ?? null,
  };
}

export const shapeDemands = (demands: readonly StepDemand[] | null | undefined): PlanDemand[] =>
  (demands ?? []).map(({ resourceId, amount, availability }) => ({
    ...{ resourceId, amount, availability: availability ?? 'REQUIRED' },
  }));

function shapeFailurePolicy(policy: FailurePolicy): PlanFailureResolver {
  const { strategies, maxAttempts, delayMs, backoffFactor, maxDelayMs, rollbackDepth } = policy;
  return {
    ...{ strategies: [...strategies], maxAttempts, delayMs, backoffFactor, maxDelayMs, rollbackDepth },
    enabled: policy.enabled ?? true,
    checkpointFrequency: policy.checkpointFrequency ?? null,
    lapsesCount: policy.lapsesCount ?? true,
    manualTimeoutMs: policy.manualTimeoutMs ?? null,
    skipDependents: policy.skipDependents ?? false,
    approvalRequired: policy.approvalRequired ?? true,
    escalationLevels: (policy.escalationLevels ?? []).map(({ afterMs, approverRoles, approvers }) => ({
      ...{ afterMs, approverRoles: [...approverRoles], approvers: [...approvers] },
    })),
  };
}

function shapeApproval({ approverRoles, approvers, quorum }: PlanApproval) {
  return {
    ...{ approverRoles: [...approverRoles], approvers: [...approvers] },
    quorum: quorum.kind.toUpperCase() as PlanApprovalQuorum,
    required: quorum.required ?? null,
  };
}

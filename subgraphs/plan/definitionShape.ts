import type { PlanApprovalQuorum, PlanDemand, PlanFailureResolver, PlanWorkWeek } from './resolvers.generated.ts';
import type { FailurePolicy, PlanApproval, PlanDefinition, StepDemand } from './rows.ts';
import type { DayHours, WorkWeek } from './workWeek.ts';

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
    resources: resources.map(({ id, capacity, unit, costPerHour, maxAdded, calendar, workWeek }) => ({
      ...{ id, capacity, unit: unit ?? null, costPerHour: costPerHour ?? null, maxAdded: maxAdded ?? null },
      calendar: [...(calendar ?? [])],
      workWeek: shapeWorkWeek(workWeek),
    })),
    deadlineMs: deadlineMs ?? null,
    failureResolver: shapeFailurePolicy(failureResolver),
    maxConcurrentTasks,
    approval: approval === undefined ? null : shapeApproval(approval),
    customData: customData ?? null,
  };
}

export const shapeWorkWeek = (week: WorkWeek | null | undefined): PlanWorkWeek | null =>
  week == null
    ? null
    : {
        timezone: week.timezone,
        hours: week.hours.map(({ days, ...hours }) => ({ ...shapeHours(hours), days: [...days] })),
        exceptions: week.exceptions.map(({ date, until, hours, reason }) => ({
          ...{ date, until: until ?? null, hours: hours.map(shapeHours), reason: reason ?? null },
        })),
      };

const shapeHours = ({ start, end, capacity }: DayHours) => ({ start, end, capacity: capacity ?? null });

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

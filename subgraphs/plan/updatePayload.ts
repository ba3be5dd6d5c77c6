import { shapeChange } from './collaboration/changeShape.ts';
import type { ContributionRow, SessionRow, VoteRow } from './collaboration/rows.ts';
import { shapeDefinition } from './definitionShape.ts';
import type { PlanExecutionRow, PlanRow, PlanStepExecutionRow } from './rows.ts';

/**
 * What updates carry of the rows in their events, in the shape of the API. Fields of an entity that are not here are
 * asked of it by its key, as it stands by then.
 */
export function planPayload({ id, contextId, status, archivedAt, ...row }: PlanRow): Record<string, unknown> {
  const { title, objective, type, priority, requiresApproval, confirmId, statusReason, definition } = row;
  const { stepCount, version, createdAt, createdBy, updatedAt, updatedBy } = row;
  return {
    ...{ id, planId: id, contextId, context: { id: contextId }, title, objective, status: status.toUpperCase() },
    ...{ type, priority, requiresApproval, confirmId, statusReason, stepCount, ...shapeDefinition(definition) },
    ...{ archived: archivedAt !== null, archivedAt, version, createdAt, createdBy, updatedAt, updatedBy },
  };
}

export function executionPayload(row: PlanExecutionRow): Record<string, unknown> {
  const { id, planId, contextId, status, maxConcurrent, totalSteps, endedSteps, runningSteps } = row;
  const { pausedBy, statusReason, version, startedAt, startedBy, completedAt, deadlineAt } = row;
  // Events are kept from when it was any word.
  const mode = row.mode === 'SEQUENTIAL' ? row.mode : 'PARALLEL';
  return {
    ...{ id, executionId: id, planId, contextId, status, mode, maxConcurrentTasks: maxConcurrent },
    ...{ totalSteps, endedSteps, runningSteps, overallProgress: overallProgressOf(row), pausedBy, statusReason },
    ...{ version, startedAt, startedBy, completedAt, deadlineAt },
    ...{ checkpointAt: row.checkpointAt, checkpoints: row.checkpoints },
  };
}

export function stepExecutionPayload(row: PlanStepExecutionRow): Record<string, unknown> {
  const { executionId, stepId, planId, status, attempt, failures, leaseOwner, leaseUntil, retryAt, progress } = row;
  const { result, error, waived, startedAt, finishedAt } = row;
  return {
    ...{ executionId, stepId, planId, status: status.toUpperCase(), ready: isReady(row), attempt, failures },
    ...{ agentId: leaseOwner, leaseUntil, retryAt, progress, result, error, waivedDependencies: waived },
    ...{ openReviews: openReviewsOf(row), startedAt, finishedAt },
  };
}

export function sessionPayload(row: SessionRow): Record<string, unknown> {
  const { id, planId, contextId, status, outcome, statusReason, deadlineAt, version } = row;
  return {
    ...{ id, sessionId: id, planId, plan: { id: planId }, contextId, status, outcome, statusReason },
    ...{ participants: participantsOf(row), consensusThreshold: row.threshold / shares, quorum: row.quorum / shares },
    ...{ deadlineAt, version, createdAt: row.createdAt, createdBy: row.createdBy, closedAt: row.closedAt },
  };
}

/** The event leaves out what only the module itself needs of the row. */
export function contributionPayload(
  row: Omit<ContributionRow, 'trail' | 'electorate' | 'ordinal'>,
): Record<string, unknown> {
  const { tenantId, id, sessionId, planId, change, ...told } = row;
  return {
    ...{ id, contributionId: id, sessionId, session: { id: sessionId }, planId, ...told },
    change: change && toldChange(shapeChange(change, { tenantId, planId })),
  };
}

const toldChange = ({ addDependencies, ...change }: ReturnType<typeof shapeChange>) => ({
  ...change,
  addDependencies: addDependencies.map(({ type, criticality, ...link }) => ({
    ...{ ...link, type: type.toUpperCase(), criticality: criticality.toUpperCase() },
  })),
});

export function votePayload({ subject, vote, weight, comment, castAt }: VoteRow): Record<string, unknown> {
  return { subject, vote, votingWeight: weight / weights, comment, castAt };
}

/** Weights are kept in thousandths, shares in ten-thousandths. */
export const weights = 1_000;
export const shares = 10_000;

export const participantsOf = ({ participants }: Pick<SessionRow, 'participants'>) =>
  participants.map(({ subject, weight }) => ({ subject, votingWeight: weight / weights }));

/** Share of the work done, weighted by duration, 0 to 1. */
export const overallProgressOf = ({ totalWorkMs, doneWorkMs, totalSteps, endedSteps }: PlanExecutionRow): number =>
  totalWorkMs > 0 ? Math.min(1, doneWorkMs / totalWorkMs) : endedSteps / totalSteps;

/** Nothing but a free agent holds it back. */
export function isReady({ status, composite, waits, readyAt, retryAt }: PlanStepExecutionRow): boolean {
  const past = (at: string | null) => at === null || Date.parse(at) <= Date.now();
  return status === 'pending' && !composite && waits === 0 && past(readyAt) && past(retryAt);
}

export const openReviewsOf = ({ status, openReviews }: PlanStepExecutionRow): number =>
  status === 'finishing' ? openReviews : 0;

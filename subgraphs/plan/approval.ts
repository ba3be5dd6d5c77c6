import type { NewEvent } from '#shared/outbox.ts';
import type { AcceptanceCriterion } from './acceptance.ts';
import type { ApprovalInput } from './inputs.ts';
import type { EscalationLevel, PlanApproval, PlanExecutionRow, PlanRow, PlanStepExecutionRow } from './rows.ts';

/** In whose name the engine asks: who works on a step may be the one to decide about it. */
const engineSubject = 'system:plan';

export function toApproval({ approverRoles, approvers, quorum, required }: ApprovalInput): PlanApproval {
  return {
    approverRoles: approverRoles ?? [],
    approvers: approvers ?? [],
    quorum: { kind: (quorum ?? 'SINGLE').toLowerCase(), ...(required == null ? {} : { required }) },
  };
}

/** What the confirm module opens a Confirm for: who decides goes by its rules, those named here are proposed beside them. */
export function askForApproval(
  plan: PlanRow,
  by: { readonly subject: string; readonly role: string | undefined; readonly approval: PlanApproval | null },
): NewEvent {
  const approval = by.approval ?? plan.definition.approval;
  return {
    streamId: plan.id,
    type: 'approval.requested',
    data: {
      approval: {
        targetType: 'plan',
        targetId: plan.id,
        contextId: plan.contextId,
        planId: plan.id,
        confirmationType: 'plan_approval',
        title: `Approve plan "${plan.title}"`,
        reason: plan.objective.slice(0, 5_000),
        requestedBy: by.subject,
        requestedByRole: by.role ?? 'agent',
        author: plan.createdBy,
        approverRoles: approval?.approverRoles ?? [],
        approvers: approval?.approvers ?? [],
        quorum: approval?.quorum ?? null,
        // What it costs by its own figures, which nobody has to be believed: templates look at it.
        ...(plan.summary.cost > 0 ? { subject: { amount: plan.summary.cost } } : {}),
        reference: { kind: 'plan', planId: plan.id, version: plan.version },
      },
    },
    tags: [],
  };
}

/** Asks those who are asked about the run for the reviews that the end of a step waits for: anybody but who did the work. */
export function askForReview(
  step: PlanStepExecutionRow,
  run: PlanExecutionRow,
  criteria: readonly AcceptanceCriterion[],
): NewEvent {
  const { approval } = run.policy;
  const approvers = [...new Set([run.startedBy, ...(approval?.approvers ?? [])])];
  const approverRoles = approval?.approverRoles ?? [];
  // Who did the work is asked by nobody: without another, those who may review by hand are.
  const isAlone = approverRoles.length === 0 && approvers.every((subject) => subject === step.leaseSubject);
  return {
    streamId: run.id,
    type: 'approval.requested',
    data: {
      approval: {
        targetType: 'plan',
        targetId: run.planId,
        contextId: run.contextId,
        planId: run.planId,
        confirmationType: 'step_review',
        title: 'The work on a step of a plan needs a review',
        reason: criteria
          .map(({ description }) => description)
          .join('; ')
          .slice(0, 5_000),
        requestedBy: engineSubject,
        requestedByRole: 'service',
        author: step.leaseSubject,
        approverRoles,
        approvers,
        approverPermission: isAlone ? 'plan:execute' : null,
        reference: {
          kind: 'plan.step.review',
          planId: run.planId,
          executionId: run.id,
          stepId: step.stepId,
          attempt: step.attempt,
          criteria: criteria.map(({ id }) => id),
        },
      },
    },
    tags: [],
  };
}

/** Asks about a step that nothing else mends; the outcome comes back with the reference. */
export function askForHelp(
  step: PlanStepExecutionRow,
  run: PlanExecutionRow,
  level: EscalationLevel | null = null,
): NewEvent {
  const approval = level ?? run.policy.approval;
  return {
    streamId: run.id,
    type: 'approval.requested',
    data: {
      approval: {
        targetType: 'plan',
        targetId: run.planId,
        contextId: run.contextId,
        planId: run.planId,
        confirmationType: 'manual_intervention',
        title: level === null ? 'A step of a plan needs a decision' : 'A step of a plan still needs a decision',
        reason: (step.error ?? 'the step failed').slice(0, 5_000),
        requestedBy: engineSubject,
        requestedByRole: 'service',
        approverRoles: approval?.approverRoles ?? [],
        // Who started the run has been asked first.
        approvers: level?.approvers ?? [...new Set([run.startedBy, ...(approval?.approvers ?? [])])],
        reference: {
          kind: 'plan.step',
          planId: run.planId,
          executionId: run.id,
          stepId: step.stepId,
          failures: step.failures,
          attempt: step.attempt,
          ...(level === null ? {} : { escalation: step.escalations }),
        },
      },
    },
    tags: [],
  };
}

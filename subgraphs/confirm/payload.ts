import { maxDelegations } from './decide.ts';
import { impactPayload } from './impact.ts';
import { notificationsPayload } from './notifications.ts';
import type { Scores } from './quorum/index.ts';
import { riskPayload } from './risk.ts';
import type { ConfirmApproverRow, ConfirmDecisionRow, ConfirmRow, StepState } from './rows.ts';
import { subjectPayload } from './subject.ts';
import type { StepDefinition } from './workflow/index.ts';

/** Rows as subscribers get them: GraphQL's names, enums in SCREAMING_SNAKE. */
export function confirmPayload(row: ConfirmRow): Readonly<Record<string, unknown>> {
  const {
    tenantId,
    workflow,
    steps,
    decisionCount,
    chainHead,
    gateKey,
    requestEventId,
    protocol,
    governance,
    result,
    conditions,
    resubmissionOf,
    requester,
    impact,
    subject,
    notifications,
    ...shown
  } = row;
  return {
    __typename: 'Confirm',
    ...shown,
    confirmId: row.id,
    targetType: row.targetType.toUpperCase(),
    status: row.status.toUpperCase(),
    phase: row.phase.toUpperCase(),
    priority: row.priority.toUpperCase(),
    urgency: row.urgency.toUpperCase(),
    plan: row.planId === null ? null : { id: row.planId },
    requester: requesterPayload(row),
    subject: subjectPayload(subject),
    notifications: notificationsPayload(row),
    riskAssessment: riskPayload(row.riskAssessment),
    impactAssessment: impactPayload(impact),
    attachments: row.attachments ?? [],
    conditions: conditionPayloads(row),
    resubmissionOf: previousOf(row),
    steps: stepPayloads(row),
  };
}

/** Who asked, as the request says. */
export function requesterPayload({ requestedBy, requestedByRole, requester }: ConfirmRow) {
  if (requestedBy === null) return null;
  const { department, requestReason } = (requester ?? {}) as {
    readonly department?: string;
    readonly requestReason?: string;
  };
  return {
    subject: requestedBy,
    role: requestedByRole,
    department: department ?? null,
    reason: requestReason ?? null,
  };
}

export function conditionPayloads({ conditions }: Pick<ConfirmRow, 'conditions'>) {
  return (conditions ?? []).map((condition) => ({ ...condition, status: condition.status.toUpperCase() }));
}

export const previousOf = ({ resubmissionOf }: Pick<ConfirmRow, 'resubmissionOf'>) =>
  resubmissionOf === null ? null : { __typename: 'Confirm' as const, id: resubmissionOf };

/** Whose part it was, from who was asked first; the rows are those of its confirm. */
export function delegationChain(row: ConfirmApproverRow, rows: readonly ConfirmApproverRow[]): string[] {
  const chain: string[] = [];
  for (let from = row.delegatedFrom; from !== null && chain.length <= rows.length; ) {
    chain.unshift(from);
    const subject = from;
    from = rows.find((one) => one.stepId === row.stepId && one.subject === subject)?.delegatedFrom ?? null;
  }
  return chain;
}

export function decisionPayload(row: ConfirmDecisionRow) {
  return {
    __typename: 'ConfirmDecision' as const,
    id: row.id,
    confirmId: row.confirmId,
    sequence: row.sequence,
    stepId: row.stepId,
    approver: row.approver,
    decidedByRole: row.role,
    outcome: row.outcome.toUpperCase(),
    rationale: row.rationale,
    conditions: row.conditions,
    delegateTo: row.delegateTo,
    optionId: row.ballot?.optionId ?? null,
    scores: toScores(row.ballot?.scores),
    riskAssessment: riskPayload(row.risk),
    signature: row.signature,
    decidedAt: row.decidedAt,
    previousHash: row.previousHash,
    hash: row.hash,
  };
}

export function toScores(scores: Scores | undefined) {
  return Object.entries(scores ?? {}).map(([criterionId, score]) => ({ criterionId, score }));
}

export function approverPayload(row: ConfirmApproverRow) {
  return {
    stepId: row.stepId,
    subject: row.subject,
    role: row.role,
    weight: row.weight,
    required: row.required,
    state: row.state.toUpperCase(),
    delegatedFrom: row.delegatedFrom,
    level: row.level,
    dueAt: row.dueAt,
    decidedAt: row.decidedAt,
  };
}

/** Whether it decides; who is responsible for a condition does not. */
export const isDecider = ({ conditionId }: Pick<ConfirmApproverRow, 'conditionId'>) => conditionId === null;

/** The step that a part belongs to: that of the decision which set the condition, where it is one. */
export function stepOfPart(row: ConfirmApproverRow, { conditions }: Pick<ConfirmRow, 'conditions'>): string {
  if (row.conditionId === null) return row.stepId;
  return conditions?.find(({ id }) => id === row.conditionId)?.stepId ?? row.stepId;
}

export function stepPayloads(row: ConfirmRow) {
  const definitions = new Map((row.workflow?.steps ?? []).map((step) => [step.id, step]));
  return row.steps.flatMap((state) => {
    const definition = definitions.get(state.id);
    return definition ? [stepPayload(state, definition)] : [];
  });
}

export function stepPayload(state: StepState, definition: StepDefinition) {
  const { rules, ...defined } = definitionPayload(definition);
  return {
    ...defined,
    maxDelegations: rules.maxDelegations,
    // What can never be met any more is skipped, as seen from outside.
    status: (state.status === 'blocked' ? 'skipped' : state.status).toUpperCase(),
    rules,
    level: state.level,
    startedAt: state.startedAt,
    dueAt: state.dueAt,
    decidedAt: state.decidedAt,
    reason: state.reason,
  };
}

const approverPayloads = (approvers: StepDefinition['approvers'] = []) =>
  approvers.map(({ subject = null, role = null, permission = null, weight, required }) => ({
    ...{ subject, role, permission },
    ...{ weight, required },
  }));

/** A step as its workflow defines it, complete with defaults. */
export function definitionPayload(definition: StepDefinition) {
  const { quorum, timeout, capabilities = [], condition = null, skipCondition = null, check = null } = definition;
  return {
    id: definition.id,
    name: definition.name,
    kind: definition.kind.toUpperCase(),
    dependsOn: [...definition.dependsOn],
    join: definition.join.toUpperCase(),
    quorum: {
      kind: quorum.kind.toUpperCase(),
      threshold: quorum.threshold ?? null,
      minimumParticipation: quorum.minimumParticipation ?? null,
      required: quorum.required ?? null,
      allowAbstention: quorum.allowAbstention ?? true,
      criteria: (quorum.criteria ?? []).map(({ id, name, weight, required, minimum }) => ({
        id,
        name,
        weight,
        required,
        minimum: minimum ?? null,
      })),
    },
    rules: {
      maxDelegations: definition.delegationAllowed ? (definition.maxDelegations ?? maxDelegations) : 0,
      ...{ condition, skipCondition, check, capabilities: [...capabilities] },
      approvers: approverPayloads(definition.approvers),
      approverSelection: (definition.selection ?? 'role_based').toUpperCase(),
      fallbackApprovers: approverPayloads(definition.fallbackApprovers),
      timeout: timeout === undefined ? null : { durationMs: timeout.durationMs, action: timeout.action.toUpperCase() },
      escalation: definition.escalation.map(({ role = null, subject = null, timeoutMs, notificationDelayMs = 0 }) => ({
        ...{ role, subject, timeoutMs, notificationDelayMs },
      })),
      onRejection: definition.onRejection.toUpperCase(),
      minimumRationale: definition.minimumRationale,
    },
  };
}

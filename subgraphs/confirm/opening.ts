import { chainStart } from './chain/chain.ts';
import { createDraft, type Draft, tell } from './draft.ts';
import { proceed } from './engine.ts';
import { type Eligible, noEligibleApprover } from './routing.ts';
import type { ConfirmApproverRow, ConfirmRow, StepState } from './rows.ts';
import type { WorkflowDefinition } from './workflow/index.ts';

/** What is asked for; everything else of a confirm follows from its workflow. */
export type OpeningRequest = Pick<
  ConfirmRow,
  | 'tenantId'
  | 'id'
  | 'contextId'
  | 'planId'
  | 'targetType'
  | 'targetId'
  | 'confirmationType'
  | 'title'
  | 'description'
  | 'priority'
  | 'urgency'
  | 'requestedBy'
  | 'requestedByRole'
  | 'reason'
  | 'requester'
  | 'subject'
  | 'riskAssessment'
  | 'notifications'
  | 'reference'
  | 'templateId'
  | 'templateVersion'
  | 'gateKey'
  | 'requestEventId'
> & { readonly createdBy: string; readonly workflow: WorkflowDefinition };

/**
 * Opens a confirm: steps that need nobody are done at once, the first that need people wait for theirs.
 * @throws {NO_ELIGIBLE_APPROVER} when a step that is not skipped has nobody to decide it.
 */
export function openConfirm(request: OpeningRequest, routes: ReadonlyMap<string, readonly Eligible[]>): Draft {
  const at = new Date().toISOString();
  const expiresAt = new Date(Date.parse(at) + request.workflow.globalTimeoutMs).toISOString();
  const confirm: ConfirmRow = {
    ...request,
    status: 'pending',
    phase: 'submitted',
    requestedAt: at,
    resolution: null,
    steps: request.workflow.steps.map(({ id }) => newStep(id)),
    decisionCount: 0,
    chainHead: chainStart,
    governance: null,
    protocol: null,
    result: null,
    nextDeadlineAt: null,
    expiresAt,
    resolvedAt: null,
    version: 1,
    createdAt: at,
    updatedAt: at,
    updatedBy: request.createdBy,
  };
  const approvers = request.workflow.steps.flatMap(({ id }) =>
    (routes.get(id) ?? []).map(
      (eligible, position): ConfirmApproverRow => ({
        ...eligible,
        tenantId: request.tenantId,
        confirmId: request.id,
        stepId: id,
        position,
        state: 'queued',
        vote: null,
        ballot: null,
        delegatedFrom: null,
        depth: 0,
        level: 0,
        dueAt: expiresAt,
        waitingSince: null,
        decidedAt: null,
      }),
    ),
  );
  const draft: Draft = { ...createDraft(confirm, approvers, { isNew: true }), at };
  tell(draft, 'confirm.created', {});
  proceed(draft);
  for (const { id, status } of draft.confirm.steps) {
    const step = draft.workflow?.byId.get(id)?.definition;
    if (step?.kind !== 'human_approval' || (status !== 'pending' && status !== 'active')) continue;
    const least = step.quorum.kind === 'at_least' ? (step.quorum.required ?? 1) : 1;
    if ((routes.get(id) ?? []).length < least) throw noEligibleApprover(id);
  }
  if (draft.confirm.status === 'pending') draft.confirm = { ...draft.confirm, phase: 'under_review' };
  return draft;
}

export function newStep(id: string): StepState {
  return {
    id,
    status: 'pending',
    level: 0,
    startedAt: null,
    dueAt: null,
    reminders: 0,
    extensions: 0,
    decidedAt: null,
    reason: null,
  };
}

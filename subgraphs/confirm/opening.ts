import { chainStart } from './chain/chain.ts';
import { type Aggregate, createDraft, type Draft, tell } from './draft.ts';
import { proceed } from './engine.ts';
import { type Eligible, leastApprovers, noEligibleApprover } from './routing.ts';
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
  | 'impact'
  | 'attachments'
  | 'notifications'
  | 'reference'
  | 'templateId'
  | 'templateVersion'
  | 'gateKey'
  | 'requestEventId'
> &
  Partial<Pick<ConfirmRow, 'resubmissionOf' | 'attempt'>> & {
    readonly createdBy: string;
    readonly workflow: WorkflowDefinition;
  };

/** Writes a confirm down without asking anybody. */
export function writeDraft(request: OpeningRequest, atMs: number): Draft {
  const at = new Date(atMs).toISOString();
  const draft = createDraft(rowOf({ ...request, gateKey: null }, at), [], { isNew: true, atMs });
  tell(draft, 'confirm.drafted');
  return draft;
}

/**
 * Opens a confirm: steps that need nobody are done at once, the first that need people wait for theirs.
 * @throws {NO_ELIGIBLE_APPROVER} when a step that is not skipped has nobody to decide it.
 */
export function openConfirm(
  request: OpeningRequest,
  routes: ReadonlyMap<string, readonly Eligible[]>,
  atMs: number,
): Draft {
  const confirm: ConfirmRow = { ...rowOf(request, new Date(atMs).toISOString()), phase: 'submitted' };
  return ask({ confirm, before: null, atMs }, request.workflow, routes);
}

/** Opens what was written down, with the workflow that it has now. @throws {NO_ELIGIBLE_APPROVER} as `openConfirm`. */
export function openDraft(
  before: Aggregate,
  routes: ReadonlyMap<string, readonly Eligible[]>,
  {
    atMs,
    ...change
  }: Partial<ConfirmRow> & { readonly gateKey: string; readonly workflow: WorkflowDefinition; readonly atMs: number },
): Draft {
  const confirm: ConfirmRow = {
    ...before.confirm,
    ...change,
    phase: 'submitted',
    requestedAt: new Date(atMs).toISOString(),
  };
  return ask({ confirm, before, atMs }, change.workflow, routes);
}

function ask(
  { confirm: written, before, atMs }: { confirm: ConfirmRow; before: Aggregate | null; atMs: number },
  workflow: WorkflowDefinition,
  routes: ReadonlyMap<string, readonly Eligible[]>,
): Draft {
  const expiresAt = new Date(atMs + workflow.globalTimeoutMs).toISOString();
  const confirm: ConfirmRow = { ...written, expiresAt };
  const approvers = workflow.steps.flatMap(({ id }) =>
    (routes.get(id) ?? []).map(
      (eligible, position): ConfirmApproverRow => ({
        ...eligible,
        tenantId: confirm.tenantId,
        confirmId: confirm.id,
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
        conditionId: null,
      }),
    ),
  );
  const draft: Draft = {
    ...createDraft(confirm, approvers, { isNew: true, atMs }),
    before,
    isRewritten: before !== null,
  };
  tell(draft, 'confirm.created', {});
  proceed(draft);
  for (const { id, status } of draft.confirm.steps) {
    const step = draft.workflow?.byId.get(id)?.definition;
    if (step?.kind !== 'human_approval' || (status !== 'pending' && status !== 'active')) continue;
    if ((routes.get(id) ?? []).length < leastApprovers(step)) throw noEligibleApprover(id);
  }
  if (draft.confirm.status === 'pending') draft.confirm = { ...draft.confirm, phase: 'under_review' };
  return draft;
}

function rowOf(request: OpeningRequest, at: string): ConfirmRow {
  return {
    resubmissionOf: null,
    attempt: 1,
    ...request,
    status: 'pending',
    phase: 'draft',
    requestedAt: at,
    resolution: null,
    steps: request.workflow.steps.map(({ id }) => newStep(id)),
    decisionCount: 0,
    chainHead: chainStart,
    governance: null,
    protocol: null,
    result: null,
    conditions: null,
    nextDeadlineAt: null,
    expiresAt: null,
    resolvedAt: null,
    version: 1,
    createdAt: at,
    updatedAt: at,
    updatedBy: request.createdBy,
  };
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

import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { findIdempotentResponse, type IdempotentCall } from '#shared/idempotency.ts';
import { newId } from '#shared/ids.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput, requireVersion } from '#shared/validation.ts';
import type { CommandResult, CommandRunner } from './commands.ts';
import type { Contexts } from './contexts.ts';
import { escalateByHand, type ResolvedLevels } from './deadlines.ts';
import { cancel, decide } from './decide.ts';
import { type Aggregate, compiledOf, createDraft, type Draft } from './draft.ts';
import * as inputs from './inputs.ts';
import { type OpeningRequest, openConfirm } from './opening.ts';
import { createRequestChecks } from './requestChecks.ts';
import type { Routing } from './routing.ts';
import type { ConfirmRow, DecisionOutcome, TargetType } from './rows.ts';
import { findConfirms } from './store.ts';
import type { Templates } from './templates.ts';

export interface ApprovalsDeps {
  readonly commands: CommandRunner;
  readonly routing: Routing;
  readonly templates: Templates;
  readonly contexts: Contexts;
}

export interface DecisionOptions {
  readonly expectedVersion?: number | null | undefined;
  readonly idempotencyKey?: string | null | undefined;
}

export function unknownConfirm(id: string): PlatformError {
  return new PlatformError('NOT_FOUND', 'no such confirm', { path: ['confirmId'], details: { confirmId: id } });
}

export function callOf(
  scope: RequestScope,
  key: string | null | undefined,
  operation: string,
  input: unknown,
): IdempotentCall | null {
  const { tenantId, subject } = scope.principal;
  return key == null ? null : { tenantId, subject, key, operation, input };
}

/** Gates asked for and decided by people. */
export function createApprovals(runtime: ModuleRuntime, { commands, routing, templates, contexts }: ApprovalsDeps) {
  const { sql, authorizer } = runtime;

  /** Runs a change of an existing confirm. */
  function change(
    scope: RequestScope,
    confirmId: string,
    {
      expectedVersion,
      idempotent,
      action,
    }: {
      readonly expectedVersion: number | null | undefined;
      readonly idempotent: IdempotentCall | null;
      readonly action: string;
    },
    work: (draft: Draft) => void,
  ): Promise<CommandResult> {
    return commands.run({
      scope,
      principal: scope.principal,
      confirmId,
      idempotent,
      gateKey: null,
      action,
      decide(current: Aggregate | null) {
        if (current === null) throw unknownConfirm(confirmId);
        requireVersion(expectedVersion, current.confirm.version);
        const draft = createDraft(current.confirm, current.approvers);
        work(draft);
        return draft;
      },
    });
  }

  const { chooseWorkflow, contextOf } = createRequestChecks(runtime, { templates, contexts });

  async function create(scope: RequestScope, raw: unknown, operation = 'createApproval'): Promise<CommandResult> {
    const { idempotencyKey, ...input } = parseInput(inputs.approval, raw);
    const { principal } = scope;
    const { tenantId, subject } = principal;
    const idempotent = callOf(scope, idempotencyKey, operation, input);
    const known = await findIdempotentResponse(sql, 'confirm', idempotent);
    if (known) {
      // Whatever has become of the target since.
      const { confirmId } = known.response as { readonly confirmId: string };
      return { confirmId, confirm: null, approvers: null, decisions: [], changed: false };
    }
    // One after the other, so that of two faults always the same one is told.
    const contextId = await contextOf(scope, input);
    const chosen = await chooseWorkflow(scope, input);
    const routes = await routing.route({ tenantId, contextId, requestedBy: subject }, chosen.definition);
    const request: OpeningRequest = {
      tenantId,
      id: newId(),
      contextId,
      planId: input.planId ?? (input.targetType === 'plan' ? input.targetId : null),
      targetType: input.targetType as TargetType,
      targetId: input.targetId,
      confirmationType: input.confirmationType,
      title: input.title,
      description: input.description ?? null,
      priority: input.priority ?? 'normal',
      urgency: input.urgency ?? 'normal',
      requestedBy: subject,
      requestedByRole: input.requestedByRole ?? principal.roles[0] ?? principal.subjectType,
      reason: input.reason ?? null,
      requester: {
        ...(input.department == null ? {} : { department: input.department }),
        ...(input.requestReason == null ? {} : { requestReason: input.requestReason }),
      },
      subject: input.subject ?? null,
      riskAssessment: input.riskAssessment ?? null,
      notifications: input.notifications ?? null,
      reference: input.reference ?? null,
      templateId: chosen.templateId,
      templateVersion: chosen.templateVersion,
      gateKey: `${input.targetType}:${input.targetId}:${input.confirmationType}`,
      requestEventId: null,
      createdBy: subject,
      workflow: chosen.definition,
    };
    return commands.run({
      scope,
      principal,
      confirmId: request.id,
      idempotent,
      gateKey: request.gateKey,
      action: 'confirm.create',
      decide: () => openConfirm(request, routes),
    });
  }

  async function requireConfirm(scope: RequestScope, confirmId: string): Promise<ConfirmRow> {
    const [row] = await findConfirms(sql, scope.principal.tenantId, [confirmId]);
    if (!row) throw unknownConfirm(confirmId);
    return row;
  }

  return {
    /**
     * Opens a gate on an object.
     * @throws {TARGET_NOT_FOUND} {DUPLICATE_REQUEST} {NO_ELIGIBLE_APPROVER} {INVALID_WORKFLOW} {VALIDATION_FAILED}
     */
    create: (scope: RequestScope, raw: unknown) => create(scope, raw),

    startWorkflow: (scope: RequestScope, templateId: string, raw: object) =>
      create(scope, { ...raw, templateId, workflow: null, approvers: null }, 'startApprovalWorkflow'),

    /**
     * Decides a step; the same idempotency key answers what the first call did.
     * @throws {NOT_AN_APPROVER} {STEP_NOT_ACTIVE} {ALREADY_DECIDED} {RATIONALE_REQUIRED} {SELF_APPROVAL_FORBIDDEN} {VERSION_CONFLICT}
     */
    async process(scope: RequestScope, raw: unknown): Promise<CommandResult> {
      const { idempotencyKey, expectedVersion, ...input } = parseInput(inputs.decision, raw);
      return change(
        scope,
        input.confirmId,
        {
          expectedVersion,
          idempotent: callOf(scope, idempotencyKey, 'processApproval', { ...input, expectedVersion }),
          action: 'confirm.decide',
        },
        (draft) =>
          decide(draft, scope.principal, {
            stepId: input.stepId ?? null,
            outcome: input.decision.toLowerCase() as Exclude<
              DecisionOutcome,
              'voted' | 'escalated' | 'cancelled' | 'expired'
            >,
            rationale: input.rationale ?? null,
            conditions: (input.conditions ?? []).map((entry) => ({
              text: entry.text,
              required: entry.required ?? true,
              dueDate: entry.dueDate?.toISOString() ?? null,
              responsible: entry.responsible ?? null,
              status: 'open',
            })),
            delegateTo: input.delegateTo ?? null,
            scores: input.scores ?? null,
            risk: input.riskAssessment ?? null,
            signature: input.signature ?? null,
          }),
      );
    },

    /** @throws {PERMISSION_DENIED} {INVALID_STATE} {NOT_FOUND} */
    async cancel(
      scope: RequestScope,
      confirmId: string,
      { reason: given, ...options }: DecisionOptions & { readonly reason?: string | null | undefined },
    ): Promise<CommandResult> {
      const reason = given == null ? null : parseInput(inputs.reason, given, ['reason']);
      const key = parseInput(inputs.approval.shape.idempotencyKey, options.idempotencyKey, ['idempotencyKey']);
      const isAdmin = await authorizer.allows(scope.principal, 'confirm:admin', { type: 'Confirm', id: confirmId });
      const input = { confirmId, reason, expectedVersion: options.expectedVersion ?? null };
      return change(
        scope,
        confirmId,
        {
          expectedVersion: options.expectedVersion,
          idempotent: callOf(scope, key, 'cancelConfirm', input),
          action: 'confirm.cancel',
        },
        (draft) => cancel(draft, scope.principal, { isAdmin, reason }),
      );
    },

    /** Hands a step to the next level by hand: who asked, who is to decide it, or an administrator. */
    async escalate(
      scope: RequestScope,
      confirmId: string,
      {
        reason: given,
        stepId,
        ...options
      }: DecisionOptions & { readonly reason: string; readonly stepId?: string | null | undefined },
    ): Promise<CommandResult> {
      const reason = parseInput(inputs.reason, given, ['reason']);
      const key = parseInput(inputs.approval.shape.idempotencyKey, options.idempotencyKey, ['idempotencyKey']);
      const { principal } = scope;
      const [confirm, isAdmin] = await Promise.all([
        requireConfirm(scope, confirmId),
        authorizer.allows(principal, 'confirm:admin', { type: 'Confirm', id: confirmId }),
      ]);
      const levels: ResolvedLevels = await levelsOf(routing, confirm, (id) => stepId == null || id === stepId);
      const input = { confirmId, reason, stepId: stepId ?? null, expectedVersion: options.expectedVersion ?? null };
      return change(
        scope,
        confirmId,
        {
          expectedVersion: options.expectedVersion,
          idempotent: callOf(scope, key, 'escalateApproval', input),
          action: 'confirm.escalate',
        },
        (draft) => {
          const active = draft.confirm.steps.find(({ status }) => status === 'active');
          const step = stepId ?? active?.id;
          if (step === undefined) throw new PlatformError('STEP_NOT_ACTIVE', 'no step is open for decisions now');
          const waits = [...draft.approvers.values()].some(
            (row) => row.stepId === step && row.subject === principal.subject && row.state === 'waiting',
          );
          if (!isAdmin && !waits && draft.confirm.requestedBy !== principal.subject)
            throw new PlatformError(
              'PERMISSION_DENIED',
              'only who asked, who is to decide, or confirm:admin escalates',
            );
          escalateByHand(draft, step, levels, {
            actor: principal.subject,
            role: principal.roles[0] ?? principal.subjectType,
            reason,
          });
        },
      );
    },

    requireConfirm,
  };
}

export type Approvals = ReturnType<typeof createApprovals>;

/** Levels above the present one of the active steps asked for. */
export async function levelsOf(
  routing: Routing,
  confirm: ConfirmRow,
  isWanted: (stepId: string) => boolean,
): Promise<ResolvedLevels> {
  const workflow = compiledOf(confirm);
  const scope = { tenantId: confirm.tenantId, contextId: confirm.contextId, requestedBy: confirm.requestedBy };
  const levels = new Map<string, Awaited<ReturnType<Routing['levels']>>>();
  for (const step of confirm.steps) {
    if (step.status !== 'active' || !isWanted(step.id) || workflow === null) continue;
    levels.set(step.id, await routing.levels(scope, workflow.byId.get(step.id)!.definition, step));
  }
  return levels;
}

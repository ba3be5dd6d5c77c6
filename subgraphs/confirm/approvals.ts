import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { readOverride } from '#shared/governanceOverride.ts';
import { findIdempotentResponse } from '#shared/idempotency.ts';
import { newId } from '#shared/ids.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput } from '#shared/validation.ts';
import type { ConfirmAccess } from './access.ts';
import { type Change, callOf, repeatOf } from './changes.ts';
import { archive, cancel } from './closing.ts';
import type { CommandResult, CommandRunner } from './commands.ts';
import { type Settlement, settleCondition } from './conditions/conditions.ts';
import { decide, type GivenDecision, type GivenOutcome } from './decide.ts';
import type { FindAble } from './delegates.ts';
import type { Aggregate } from './draft.ts';
import { toAttachments, toImpact } from './impact.ts';
import * as inputs from './inputs.ts';
import { escalateByHand, levelsOf, type ResolvedLevels } from './levels.ts';
import { readConfirmLimits } from './limits.ts';
import { type OpeningRequest, openConfirm, writeDraft } from './opening.ts';
import { type RequestChecks, recordedDepartment } from './requestChecks.ts';
import type { Returns } from './returns.ts';
import { assessRisk } from './risk.ts';
import { type Routing, routingScopeOf } from './routing.ts';
import type { ConfirmRow, TargetType } from './rows.ts';
import { administers } from './standing.ts';
import { withCost } from './templates.ts';

export interface ApprovalsDeps {
  readonly access: ConfirmAccess;
  readonly commands: CommandRunner;
  readonly change: Change;
  readonly routing: Routing;
  readonly checks: RequestChecks;
  readonly findAble: FindAble;
  readonly returns: Pick<Returns, 'checkConfirms'>;
}

export interface DecisionOptions {
  readonly expectedVersion?: number | null | undefined;
  readonly idempotencyKey?: string | null | undefined;
}

/** Gates asked for and decided by people. */
export function createApprovals(
  runtime: ModuleRuntime,
  { access, commands, change, routing, checks, findAble, returns }: ApprovalsDeps,
) {
  const { sql, logger } = runtime;
  const limits = readConfirmLimits(runtime.config);

  /** The protocol has no confirm among the kinds of targets. */
  const claimOf = ({ principal }: RequestScope, id: string, override: unknown) =>
    readOverride(runtime, principal, { target: { type: 'OTHER', id, noun: 'confirm' }, override });

  /** Whether one to whom a part is to be passed on can decide it, asked before the lock is taken. */
  async function findDelegate({ principal }: RequestScope, confirmId: string, to: string | null) {
    if (to === null) return undefined;
    const confirm = await access.requireConfirm(principal, confirmId);
    return findAble(confirm, [to]);
  }

  /** The next change of rights looks too: what fails here is no failure of the call. */
  async function lookAgain({ principal }: RequestScope, confirmId: string): Promise<void> {
    try {
      await returns.checkConfirms(principal.tenantId, [confirmId]);
    } catch (error) {
      logger.warn({ confirmId, error: String(error) }, 'whether delegates may still decide could not be asked');
    }
  }

  async function create(scope: RequestScope, raw: unknown, operation = 'createApproval'): Promise<CommandResult> {
    const { idempotencyKey, ...input } = parseInput(inputs.approval, raw);
    const { principal } = scope;
    const { tenantId, subject } = principal;
    const idempotent = callOf(scope, idempotencyKey, operation, input);
    const known = await findIdempotentResponse(sql, 'confirm', idempotent);
    if (known) return repeatOf(known);
    // One after the other, so that of two faults always the same one is told.
    const { contextId, author, cost } = await checks.placeOf(scope, input);
    const barred = author === null ? [subject] : [subject, author];
    const about = withCost(input.subject ?? null, cost);
    const department = recordedDepartment(principal) ?? input.department;
    const chosen = await checks.chooseWorkflow(scope, { ...input, contextId, barred, subject: about, department });
    const isDraft = input.draft === true;
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
        ...(department == null ? {} : { department }),
        ...(input.requestReason == null ? {} : { requestReason: input.requestReason }),
        ...(author === null ? {} : { author }),
      },
      subject: about,
      riskAssessment: assessRisk(input.riskAssessment, limits.riskCutoffs),
      impact: toImpact(input.impactAssessment),
      attachments: toAttachments(input.attachments),
      notifications: input.notifications ?? null,
      reference: input.reference ?? null,
      templateId: chosen.templateId,
      templateVersion: chosen.templateVersion,
      gateKey: `${input.targetType}:${input.targetId}:${input.confirmationType}`,
      requestEventId: null,
      createdBy: subject,
      workflow: chosen.definition,
    };
    const routes = isDraft ? null : await routing.route(routingScopeOf(request), chosen.definition);
    const command = {
      ...{ scope, principal, idempotent },
      confirmId: request.id,
      gateKey: isDraft ? null : request.gateKey,
      action: isDraft ? 'confirm.draft' : 'confirm.create',
      decide: (_current: Aggregate | null, atMs: number) =>
        routes === null ? writeDraft(request, atMs) : openConfirm(request, routes, atMs),
    };
    return isDraft ? commands.run(command) : checks.inRoom(principal, () => commands.run(command));
  }

  return {
    /**
     * Opens a gate on an object.
     * @throws {TARGET_NOT_FOUND} {DUPLICATE_REQUEST} {NO_ELIGIBLE_APPROVER} {INVALID_WORKFLOW} {VALIDATION_FAILED} {QUOTA_EXCEEDED}
     */
    create: (scope: RequestScope, raw: unknown) => create(scope, raw),

    startWorkflow: (scope: RequestScope, templateId: string, raw: object) =>
      create(scope, { ...raw, templateId, workflow: null, approvers: null }, 'startApprovalWorkflow'),

    /**
     * Decides a step; the same idempotency key answers what the first call did.
     * @throws {NOT_AN_APPROVER} {STEP_NOT_ACTIVE} {ALREADY_DECIDED} {RATIONALE_REQUIRED} {SELF_APPROVAL_FORBIDDEN} {VERSION_CONFLICT}
     */
    async process(scope: RequestScope, raw: unknown): Promise<CommandResult> {
      const { idempotencyKey, expectedVersion, override, ...input } = parseInput(inputs.decision, raw);
      const given: GivenDecision = {
        stepId: input.stepId ?? null,
        outcome: input.decision.toLowerCase() as GivenOutcome,
        rationale: input.rationale ?? null,
        conditions: (input.conditions ?? []).map((entry) => ({
          text: entry.text,
          required: entry.required ?? true,
          dueDate: entry.dueDate?.toISOString() ?? null,
          responsible: entry.responsible ?? null,
        })),
        delegateTo: input.delegateTo ?? null,
        scores: input.scores ?? null,
        risk: assessRisk(input.riskAssessment, limits.riskCutoffs),
        signature: input.signature ?? null,
      };
      const { confirmId } = input;
      // As calls were kept before there was an override.
      const call = { ...input, expectedVersion, ...(override == null ? {} : { override }) };
      const idempotent = callOf(scope, idempotencyKey, 'processApproval', call);
      const claim = await claimOf(scope, confirmId, override);
      const options = { expectedVersion, idempotent, action: 'confirm.decide', claim };
      const able = given.outcome === 'delegated' ? await findDelegate(scope, confirmId, given.delegateTo) : undefined;
      let refused: ConfirmRow | null = null;
      try {
        const decided = await change(scope, confirmId, options, (draft) => {
          const isDone = decide(draft, scope.principal, given, { able });
          refused = isDone ? null : draft.before!.confirm;
          return isDone;
        });
        if (refused === null) {
          // The right may have been lost between the question and the commit, when nobody looked for the part yet.
          if (given.outcome === 'delegated') await lookAgain(scope, confirmId);
          return decided;
        }
      } catch (error) {
        // One without the right may have had the part from somebody who has it.
        if (error instanceof PlatformError && error.code === 'PERMISSION_DENIED') await lookAgain(scope, confirmId);
        throw error;
      }
      // A rejection that goes to the next level: its people are looked up outside of the lock.
      const levels = await levelsOf(routing, refused, () => true);
      return change(scope, confirmId, options, (draft) => decide(draft, scope.principal, given, { levels }));
    },

    /** @throws {PERMISSION_DENIED} {INVALID_STATE} {NOT_FOUND} */
    async cancel(
      scope: RequestScope,
      confirmId: string,
      {
        reason: given,
        override,
        ...options
      }: DecisionOptions & { readonly reason?: string | null | undefined; readonly override?: unknown },
    ): Promise<CommandResult> {
      const reason = given == null ? null : parseInput(inputs.reason, given, ['reason']);
      const key = parseInput(inputs.approval.shape.idempotencyKey, options.idempotencyKey, ['idempotencyKey']);
      const input = {
        ...{ confirmId, reason, expectedVersion: options.expectedVersion ?? null },
        ...(override == null ? {} : { override }),
      };
      const claim = await claimOf(scope, confirmId, override);
      return change(
        scope,
        confirmId,
        {
          expectedVersion: options.expectedVersion,
          idempotent: callOf(scope, key, 'cancelConfirm', input),
          action: 'confirm.cancel',
          claim,
        },
        (draft) => {
          cancel(draft, scope.principal, { isAdmin: administers(scope.principal, draft.confirm), reason });
          return true;
        },
      );
    },

    /** @throws {PERMISSION_DENIED} {INVALID_STATE} {NOT_FOUND} */
    async archive(scope: RequestScope, confirmId: string, given: DecisionOptions): Promise<CommandResult> {
      const key = parseInput(inputs.approval.shape.idempotencyKey, given.idempotencyKey, ['idempotencyKey']);
      const expectedVersion = given.expectedVersion ?? null;
      const idempotent = callOf(scope, key, 'archiveConfirm', { confirmId, expectedVersion });
      return change(scope, confirmId, { expectedVersion, idempotent, action: 'confirm.archive' }, (draft) => {
        archive(draft, scope.principal, { isAdmin: administers(scope.principal, draft.confirm) });
        return true;
      });
    },

    /** @throws {NOT_FOUND} {SELF_APPROVAL_FORBIDDEN} {PERMISSION_DENIED} {INVALID_STATE} {RATIONALE_REQUIRED} */
    async settleCondition(scope: RequestScope, raw: unknown): Promise<CommandResult> {
      const { idempotencyKey, expectedVersion, ...input } = parseInput(inputs.settlement, raw);
      const { confirmId, conditionId, note } = input;
      const idempotent = callOf(scope, idempotencyKey, 'settleCondition', { ...input, expectedVersion });
      const status = input.status.toLowerCase() as Settlement['status'];
      return change(scope, confirmId, { expectedVersion, idempotent, action: 'confirm.condition.settle' }, (draft) => {
        const isAdmin = administers(scope.principal, draft.confirm);
        settleCondition(draft, scope.principal, { conditionId, status, note: note ?? null, isAdmin });
        return true;
      });
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
      const confirm = await access.requireConfirm(principal, confirmId);
      const isAdmin = administers(principal, confirm);
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
          return true;
        },
      );
    },
  };
}

export type Approvals = ReturnType<typeof createApprovals>;

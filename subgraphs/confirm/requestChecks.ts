import { requirePermission } from '#shared/auth.ts';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { Principal } from '#shared/principal.ts';
import { attributesOf } from '#shared/rights.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import type { Contexts } from './contexts.ts';
import { decidesPlan, planApproval } from './deciders.ts';
import { noProposal, type Proposal, planWorkflow } from './governed.ts';
import type * as inputs from './inputs.ts';
import { readConfirmLimits } from './limits.ts';
import { createOpenConfirms } from './openConfirms.ts';
import type { TargetType } from './rows.ts';
import { requireTarget, unknownTarget } from './targets.ts';
import { amountOf, type Templates } from './templates.ts';
import type { WorkflowDefinition } from './workflow/index.ts';
import { requireWorkflow, singleStep, toApprovers, toDefinition, toQuorum } from './workflowInput.ts';

type RoutingInput = Pick<inputs.ApprovalInput, 'workflow' | 'templateId' | 'approvers' | 'quorum' | 'timeout'> & {
  readonly targetType: string;
  readonly contextId: string | null;
  /** Who asked and who wrote what is to be approved. */
  readonly barred: readonly string[];
  readonly confirmationType: string;
  readonly subject?: Readonly<Record<string, unknown>> | null | undefined;
  readonly department?: string | null | undefined;
};

interface ChosenWorkflow {
  readonly definition: WorkflowDefinition;
  readonly templateId: string | null;
  readonly templateVersion: number | null;
}

/** Where what is to be approved lies, and who wrote it. */
export interface ApprovalPlace {
  readonly contextId: string;
  readonly author: string | null;
  /** What it costs by figures of its own; null where it has none. */
  readonly cost: number | null;
}

/** What a request for an approval means: which workflow it takes and whose context its target is in. */
export function createRequestChecks(
  { sql, graph, authorizer, config }: Pick<ModuleRuntime, 'sql' | 'graph' | 'authorizer' | 'config'>,
  { templates, contexts }: { readonly templates: Templates; readonly contexts: Contexts },
) {
  const limits = readConfirmLimits(config);
  const inRoom = createOpenConfirms({ sql, config });

  const findBound = (tenantId: string, input: RoutingInput) =>
    templates.match(tenantId, {
      confirmationType: input.confirmationType,
      contextId: input.contextId,
      amount: amountOf(input.subject),
      department: input.department ?? null,
    });

  /**
   * Of a plan whoever asks chooses nothing: approvers that are named are proposed beside those whom the rules name.
   * @throws {VALIDATION_FAILED} {SELF_APPROVAL_FORBIDDEN}
   */
  async function choosePlanWorkflow(
    tenantId: string,
    input: RoutingInput,
    proposal: Proposal,
  ): Promise<ChosenWorkflow> {
    const path = ['input'];
    if (input.workflow)
      throw new PlatformError(
        'VALIDATION_FAILED',
        'workflow: a plan is approved by a template, or by those who hold plan:approve; others are proposed as approvers',
        { path: [...path, 'workflow'] },
      );
    const bound = await findBound(tenantId, input);
    if (input.templateId && input.templateId !== bound?.id)
      throw new PlatformError('VALIDATION_FAILED', 'templateId: another template, or none, is bound to this approval', {
        path: [...path, 'templateId'],
        details: { templateId: bound?.id ?? null },
      });
    const options = { maxDelegations: limits.maxDelegations, barred: input.barred, path };
    return {
      definition: planWorkflow(bound, proposal, options),
      templateId: bound?.id ?? null,
      templateVersion: bound?.version ?? null,
    };
  }

  /** @param earlier what was proposed before, where the input does not say. @default nothing */
  async function chooseWorkflow(
    scope: RequestScope,
    input: RoutingInput,
    earlier: Proposal = noProposal,
  ): Promise<ChosenWorkflow> {
    const { tenantId } = scope.principal;
    if (decidesPlan({ targetType: input.targetType as TargetType, confirmationType: input.confirmationType }))
      return choosePlanWorkflow(tenantId, input, {
        approvers: input.approvers == null ? earlier.approvers : toApprovers(input.approvers),
        quorum: input.quorum == null ? earlier.quorum : toQuorum(input.quorum, 'single'),
        timeout: input.timeout ?? earlier.timeout,
      });
    const fromTemplate = (row: { id: string; version: number; definition: WorkflowDefinition }) => ({
      definition: row.definition,
      templateId: row.id,
      templateVersion: row.version,
    });
    if (input.workflow) {
      const definition = toDefinition(input.workflow, ['input', 'workflow'], limits);
      return { definition, templateId: null, templateVersion: null };
    }
    if (input.templateId) {
      const row = await templates.find(tenantId, input.templateId);
      if (!row?.active)
        throw new PlatformError('NOT_FOUND', 'no such active workflow template', { path: ['input', 'templateId'] });
      return fromTemplate(row);
    }
    if (input.approvers && input.approvers.length > 0) {
      const definition = singleStep({
        approvers: toApprovers(input.approvers),
        maxDelegations: limits.maxDelegations,
        quorum: toQuorum(input.quorum, 'single'),
        ...(input.timeout ? { timeout: input.timeout } : {}),
      });
      requireWorkflow(definition, ['input']);
      return { definition, templateId: null, templateVersion: null };
    }
    const matched = await findBound(tenantId, input);
    if (matched) return fromTemplate(matched);
    throw new PlatformError(
      'VALIDATION_FAILED',
      'expected approvers, a workflow or a templateId: no template is for such a request',
      { path: ['input'] },
    );
  }

  /** @throws {TARGET_NOT_FOUND} unless the caller may see the context. */
  async function requireContext(scope: RequestScope, id: string, path: readonly string[]): Promise<void> {
    const isOpen = await contexts.isOpen(scope.principal, id);
    if (isOpen === null) await requireTarget(graph, scope.principal, { type: 'context', id }, path);
    if (isOpen === false) throw unknownTarget({ type: 'context', id }, path);
  }

  /**
   * The context of the target, in which the caller may ask for approvals, and the target's author. The door has asked about
   * the context that the caller named, which may be another one, or none. The approval of a plan proposes it: that takes the
   * right to change the plan.
   * @throws {TARGET_NOT_FOUND} {VALIDATION_FAILED} {PERMISSION_DENIED}
   */
  async function placeOf(
    scope: RequestScope,
    input: Pick<inputs.ApprovalInput, 'targetType' | 'targetId' | 'contextId'> & {
      readonly confirmationType?: string | null;
    },
    path: readonly string[] = ['input', 'targetId'],
  ): Promise<ApprovalPlace> {
    const found = await findPlace(scope, input, path);
    // Other questions about a plan have amounts of their own.
    const place = input.confirmationType === planApproval ? found : { ...found, cost: null };
    const { contextId } = place;
    if (contextId !== input.contextId)
      await requirePermission(authorizer, scope.principal, 'confirm:create', {
        type: 'Context',
        id: contextId,
        contextId,
      });
    if (input.targetType === 'plan' && input.confirmationType === planApproval)
      await requirePermission(authorizer, scope.principal, 'plan:update', {
        ...{ type: 'Plan', id: input.targetId },
        ...{ contextId, planId: input.targetId },
      });
    return place;
  }

  async function findPlace(
    scope: RequestScope,
    input: Pick<inputs.ApprovalInput, 'targetType' | 'targetId' | 'contextId'>,
    path: readonly string[],
  ): Promise<ApprovalPlace> {
    if (input.targetType === 'context') {
      await requireContext(scope, input.targetId, path);
      return { contextId: input.targetId, author: null, cost: null };
    }
    const about = { type: input.targetType as TargetType, id: input.targetId };
    const target = await requireTarget(graph, scope.principal, about, path);
    const contextId = input.contextId ?? target?.contextId ?? null;
    if (contextId === null)
      throw new PlatformError('VALIDATION_FAILED', 'input.contextId: expected the context of the target', {
        path: ['input', 'contextId'],
      });
    if (input.contextId != null && target?.contextId != null && target.contextId !== input.contextId)
      throw new PlatformError('VALIDATION_FAILED', 'input.contextId: the target is in another context', {
        path: ['input', 'contextId'],
      });
    if (input.contextId != null && target?.contextId == null)
      await requireContext(scope, contextId, ['input', 'contextId']);
    return { contextId, author: target?.author ?? null, cost: target?.cost ?? null };
  }

  return { chooseWorkflow, placeOf, inRoom };
}

/** The department that is recorded of the caller, whatever it says; null where none is. */
export function recordedDepartment(principal: Principal): string | null {
  const department = attributesOf(principal)?.['department'];
  return typeof department === 'string' ? department : null;
}

export type RequestChecks = ReturnType<typeof createRequestChecks>;

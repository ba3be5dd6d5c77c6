import { requirePermission } from '#shared/auth.ts';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import type { Contexts } from './contexts.ts';
import type * as inputs from './inputs.ts';
import { readConfirmLimits } from './limits.ts';
import { createOpenConfirms } from './openConfirms.ts';
import type { TargetType } from './rows.ts';
import { requireTarget, unknownTarget } from './targets.ts';
import { amountOf, type Templates } from './templates.ts';
import type { WorkflowDefinition } from './workflow/index.ts';
import { requireWorkflow, singleStep, toApprovers, toDefinition, toQuorum } from './workflowInput.ts';

type RoutingInput = Pick<inputs.ApprovalInput, 'workflow' | 'templateId' | 'approvers' | 'quorum' | 'timeout'> & {
  readonly confirmationType: string;
  readonly subject?: Readonly<Record<string, unknown>> | null | undefined;
  readonly department?: string | null | undefined;
};

interface ChosenWorkflow {
  readonly definition: WorkflowDefinition;
  readonly templateId: string | null;
  readonly templateVersion: number | null;
}

/** What a request for an approval means: which workflow it takes and whose context its target is in. */
export function createRequestChecks(
  { sql, graph, authorizer, config }: Pick<ModuleRuntime, 'sql' | 'graph' | 'authorizer' | 'config'>,
  { templates, contexts }: { readonly templates: Templates; readonly contexts: Contexts },
) {
  const limits = readConfirmLimits(config);
  const inRoom = createOpenConfirms({ sql, config });

  async function chooseWorkflow(scope: RequestScope, input: RoutingInput): Promise<ChosenWorkflow> {
    const { tenantId } = scope.principal;
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
    const matched = await templates.match(tenantId, {
      confirmationType: input.confirmationType,
      amount: amountOf(input.subject),
      department: input.department ?? null,
    });
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
   * The context of the target, in which the caller may ask for approvals. The door has asked about the one that the caller
   * named, which may be another one, or none. The approval of a plan proposes it: that takes the right to change the plan.
   * @throws {TARGET_NOT_FOUND} {VALIDATION_FAILED} {PERMISSION_DENIED}
   */
  async function contextOf(
    scope: RequestScope,
    input: Pick<inputs.ApprovalInput, 'targetType' | 'targetId' | 'contextId'> & {
      readonly confirmationType?: string | null;
    },
    path: readonly string[] = ['input', 'targetId'],
  ): Promise<string> {
    const contextId = await findContext(scope, input, path);
    if (contextId !== input.contextId)
      await requirePermission(authorizer, scope.principal, 'confirm:create', {
        type: 'Context',
        id: contextId,
        contextId,
      });
    if (input.targetType === 'plan' && input.confirmationType === 'plan_approval')
      await requirePermission(authorizer, scope.principal, 'plan:update', {
        ...{ type: 'Plan', id: input.targetId },
        ...{ contextId, planId: input.targetId },
      });
    return contextId;
  }

  async function findContext(
    scope: RequestScope,
    input: Pick<inputs.ApprovalInput, 'targetType' | 'targetId' | 'contextId'>,
    path: readonly string[],
  ): Promise<string> {
    if (input.targetType === 'context') {
      await requireContext(scope, input.targetId, path);
      return input.targetId;
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
    return contextId;
  }

  return { chooseWorkflow, contextOf, inRoom };
}

export type RequestChecks = ReturnType<typeof createRequestChecks>;

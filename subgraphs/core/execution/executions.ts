import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { isId, newId, requireId } from '#shared/ids.ts';
import type { Principal } from '#shared/principal.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput } from '#shared/validation.ts';
import { type Learn, requireVisible } from '../access.ts';
import { used as usedInput } from '../allocation/inputs.ts';
import { toVector } from '../allocation/vector.ts';
import { type CallOptions, toIdempotentCall } from '../commands.ts';
import type { Contexts } from '../contexts.ts';
import * as inputs from '../inputs.ts';
import type { Manifests } from '../manifest/manifests.ts';
import { disabledIn } from '../manifest/needs.ts';
import type { StoredPrincipal } from '../rows.ts';
import { holdsResources, startsWorkflows, type WorkflowDefinition } from '../workflow/definition.ts';
import { findVersion, findWorkflows, type Workflows } from '../workflow/workflows.ts';
import type { ExecutionCommand, RecoveryStrategy } from './decide.ts';
import { createValidator } from './inputSchema.ts';
import { newExecution } from './newExecution.ts';
import { findExecutions } from './reads.ts';
import type { Transitions } from './transitions.ts';
import type { EndWaiter } from './waiter.ts';

export const priorityOf = (priority: (typeof inputs.priorities)[number]): number => inputs.priorities.indexOf(priority);

/** Decisions of orchestration that led to something, one after the other, and their rules. */
export interface RuleCause {
  readonly depth: number;
  readonly chain: readonly string[];
}

export const noCause: RuleCause = { depth: 0, chain: [] };

export type Executions = ReturnType<typeof createExecutions>;

export interface ExecutionsDeps {
  readonly transitions: Transitions;
  readonly workflows: Workflows;
  readonly contexts: Contexts;
  readonly waiter: EndWaiter;
  readonly manifests: Manifests;
}

/** Modules that steps call, those of loops too. */
function modulesOf(steps: WorkflowDefinition['steps']): readonly string[] {
  return steps.flatMap(({ call, body }) => [...(call === null ? [] : [call.module]), ...modulesOf(body)]);
}

/** What people and agents do with executions. */
export function createExecutions(
  { sql, authorizer }: ModuleRuntime,
  { transitions, workflows, contexts, waiter, manifests }: ExecutionsDeps,
) {
  const learn: Learn = contexts.learn;

  async function send(
    scope: RequestScope,
    executionId: string,
    {
      operation,
      command,
      input,
      idempotencyKey,
    }: {
      readonly operation: string;
      readonly command: ExecutionCommand;
      readonly input: Readonly<Record<string, unknown>>;
      readonly idempotencyKey?: string | null | undefined;
    },
  ): Promise<string> {
    const id = requireId(executionId, ['executionId']);
    const { tenantId, subject } = scope.principal;
    await requireVisible(sql, scope.principal, { table: 'execution', id, learn });
    const call = toIdempotentCall(scope, { operation, input: { id, ...input }, idempotencyKey });
    await transitions.send({ tenantId, executionId: id }, command, {
      subject,
      scope,
      audit: { action: `workflow.${command.kind}`, resource: 'CoreWorkflowExecution', resourceId: id, detail: input },
      idempotent: call,
    });
    return id;
  }

  return {
    /**
     * Starts a workflow and, where that is asked, waits for its end. @param cause decisions that led to it
     * @throws {NOT_FOUND} {INVALID_STATE} {CONTEXT_NOT_ACTIVE} {VALIDATION_FAILED} {MODULE_DISABLED}
     */
    async start(scope: RequestScope, raw: unknown, cause: RuleCause = noCause): Promise<string> {
      const { idempotencyKey, wait, waitMs, ...input } = parseInput(inputs.executeWorkflow, raw);
      const { principal } = scope;
      if (input.contextId != null) {
        await contexts.requireActive(principal, input.contextId);
      }
      const workflowId =
        input.workflowId ??
        (await workflows.create(scope, {
          name: 'inline',
          definition: (raw as { definition: unknown }).definition,
          ...(idempotencyKey == null ? {} : { idempotencyKey: `${idempotencyKey.slice(0, 180)}#definition` }),
        }));
      const [[workflow], version] = await Promise.all([
        findWorkflows(sql, principal.tenantId, [workflowId]),
        findVersion(sql, principal.tenantId, workflowId, input.version ?? null),
      ]);
      if (!workflow || !version)
        throw new PlatformError('NOT_FOUND', workflow ? 'the workflow has no such version' : 'no such workflow', {
          path: ['input', workflow ? 'version' : 'workflowId'],
        });
      if (workflow.status === 'retired')
        throw new PlatformError('INVALID_STATE', 'the workflow is RETIRED', { path: ['input', 'workflowId'] });
      const closed = disabledIn(await manifests.current(principal.tenantId));
      const module = modulesOf([...version.definition.steps, ...(version.definition.cleanupSteps ?? [])]).find((one) =>
        closed.has(one),
      );
      if (module !== undefined)
        throw new PlatformError('MODULE_DISABLED', `the manifest disables ${module}, which a step calls`, {
          path: ['input', 'workflowId'],
          details: { module },
        });
      const steps = [...version.definition.steps, ...(version.definition.cleanupSteps ?? [])];
      const holds = holdsResources(version.definition);
      const mayAllocate =
        (holds || startsWorkflows(steps)) && (await authorizer.allows(principal, 'allocation:create'));
      if (holds && !mayAllocate)
        throw new PlatformError('PERMISSION_DENIED', 'it or its steps hold resources: this needs allocation:create', {
          details: { permission: 'allocation:create' },
        });
      const given = input.input ?? {};
      if (version.definition.inputSchema !== null) createValidator(version.definition.inputSchema)(given);
      const execution = newExecution(
        {
          ...{ id: newId(), tenantId: principal.tenantId, workflowId, workflowVersion: version.version, body: [] },
          ...{ contextId: input.contextId ?? null, parentId: null, parentStepId: null, depth: 0 },
          ...{ priority: priorityOf(input.priority), input: given },
          principal: { ...storedPrincipal(principal), ...(mayAllocate ? { mayAllocate } : {}) },
          ...{ timeoutMs: input.timeoutMs ?? null, createdBy: principal.subject },
          ...{ ruleDepth: cause.depth, ruleChain: cause.chain },
        },
        version.definition,
        new Date().toISOString(),
      );
      const call = toIdempotentCall(scope, {
        operation: 'executeWorkflow',
        input: { ...input, workflowId, definition: null },
        idempotencyKey,
      });
      const waiting = wait === true ? waiter.watch(execution.row.id) : null;
      try {
        const { executionId } = await transitions.start(execution, {
          subject: principal.subject,
          scope,
          audit: { action: 'workflow.execute', resource: 'CoreWorkflowExecution', resourceId: execution.row.id },
          idempotent: call,
        });
        if (input.contextId != null)
          await contexts.recheck(transitions, {
            tenantId: principal.tenantId,
            executionId,
            contextId: input.contextId,
          });
        // A repeat of the key means an execution that began before.
        if (waiting !== null && executionId === execution.row.id)
          await waiting.ended(principal.tenantId, waitMs ?? 10_000);
        return executionId;
      } finally {
        waiting?.stop();
      }
    },

    pause: (scope: RequestScope, id: string, { reason, idempotencyKey }: CallOptions) =>
      send(scope, id, {
        operation: 'pauseWorkflow',
        command: { kind: 'pause', reason: parseInput(inputs.statusReason, reason, ['reason']) ?? null },
        input: { reason },
        idempotencyKey,
      }),
    /** @throws {CONTEXT_NOT_ACTIVE} where it would go on in a context that does not */
    async resume(scope: RequestScope, id: string, { idempotencyKey }: CallOptions): Promise<string> {
      const [row] = isId(id) ? await findExecutions(sql, scope.principal.tenantId, [id]) : [];
      if (row?.status === 'paused' && row.contextId !== null) {
        await requireVisible(sql, scope.principal, { table: 'execution', id, learn });
        await contexts.requireActive(scope.principal, row.contextId, ['executionId']);
      }
      return send(scope, id, {
        operation: 'resumeWorkflow',
        command: { kind: 'resume', reason: null },
        input: {},
        idempotencyKey,
      });
    },
    cancel: (scope: RequestScope, id: string, { reason, idempotencyKey }: CallOptions) =>
      send(scope, id, {
        operation: 'cancelWorkflow',
        command: { kind: 'cancel', reason: parseInput(inputs.statusReason, reason, ['reason']) ?? null },
        input: { reason },
        idempotencyKey,
      }),
    signal(scope: RequestScope, id: string, raw: unknown, { idempotencyKey }: CallOptions) {
      const { name, payload } = parseInput(inputs.signal, raw, ['signal']);
      const command: ExecutionCommand = { kind: 'signal', id: newId(), name, payload: payload ?? null };
      return send(scope, id, {
        operation: 'signalWorkflow',
        command,
        input: { name, payload: payload ?? null },
        idempotencyKey,
      });
    },
    heartbeat(
      scope: RequestScope,
      id: string,
      { stepId, usage, idempotencyKey }: CallOptions & { readonly stepId: string; readonly usage?: unknown },
    ) {
      const used = parseInput(usedInput, usage, ['usage']);
      const step = parseInput(inputs.requiredStepId, stepId, ['stepId']);
      return send(scope, id, {
        operation: 'heartbeatWorkflowStep',
        command: { kind: 'heard', stepId: step, used: used == null ? null : toVector(used) },
        input: { stepId: step, ...(used == null ? {} : { usage: used }) },
        idempotencyKey,
      });
    },
    recover(
      scope: RequestScope,
      id: string,
      {
        strategy,
        stepId,
        idempotencyKey,
      }: CallOptions & { readonly strategy: RecoveryStrategy; readonly stepId?: string | null | undefined },
    ) {
      const step = parseInput(inputs.stepId, stepId, ['stepId']) ?? null;
      return send(scope, id, {
        operation: 'recoverWorkflow',
        command: { kind: 'recover', strategy, stepId: step },
        input: { strategy, stepId: step },
        idempotencyKey,
      });
    },
  };
}

export function storedPrincipal({ subject, subjectType, roles, scopes, isBounded }: Principal): StoredPrincipal {
  return { subject, subjectType, roles, scopes, ...(isBounded === undefined ? {} : { isBounded }) };
}

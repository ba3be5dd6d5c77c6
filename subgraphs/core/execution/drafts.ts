import type { SqlTransaction } from '#shared/sql.ts';
import { findStates } from '../allocation/store.ts';
import type { WorkflowDefinition } from '../workflow/definition.ts';
import type { Definitions } from '../workflow/definitions.ts';
import type { Draft, ExecutionDraft, NewChild, StepDraft, TransitionSettings } from './draft.ts';
import { newExecution } from './newExecution.ts';
import { findChildren, findSignals, findSteps, keyOf, type LockedExecution, type NewExecution } from './store.ts';

export interface DraftOptions {
  readonly definitions: Definitions;
  readonly settings: Omit<TransitionSettings, 'latestVersions'>;
}

/** Workflows that steps of a definition start without naming a version. */
function subWorkflowsOf(definition: WorkflowDefinition): readonly string[] {
  const visit = (steps: WorkflowDefinition['steps']): string[] =>
    steps.flatMap(({ kind, workflowId, workflowVersion, body }) => [
      ...(kind === 'workflow' && workflowVersion === null && workflowId !== null ? [workflowId] : []),
      ...visit(body),
    ]);
  return [...visit(definition.steps), ...visit(definition.cleanupSteps ?? [])];
}

const hasChildren = (definition: WorkflowDefinition): boolean =>
  (definition.cleanupSteps ?? []).length > 0 ||
  definition.steps.some(({ kind, body }) => kind === 'workflow' || kind === 'loop' || body.length > 0);

/** Everything about locked executions that a transition looks at, by key. */
export async function openDrafts(
  tx: SqlTransaction,
  locked: readonly LockedExecution[],
  options: DraftOptions,
): Promise<ReadonlyMap<string, Draft>> {
  const keys = locked.map(({ tenantId, id }) => ({ tenantId, executionId: id }));
  if (keys.length === 0) return new Map();
  const workflows = await Promise.all(locked.map((row) => options.definitions.compiled(tx, row)));
  const parents = keys.filter((_key, at) => hasChildren(workflows[at]!.definition));
  const [steps, signals, children] = await Promise.all([
    findSteps(tx, keys),
    findSignals(tx, keys),
    parents.length === 0 ? [] : findChildren(tx, parents),
  ]);
  const held = [...steps, ...locked].flatMap(({ tenantId, allocationId }) =>
    allocationId === null ? [] : [{ tenantId, allocationId }],
  );
  const allocations = new Map((held.length === 0 ? [] : await findStates(tx, held)).map((row) => [row.id, row]));
  const stepsBy = Map.groupBy(steps, keyOf);
  const signalsBy = Map.groupBy(signals, keyOf);
  const childrenBy = Map.groupBy(children, keyOf);
  const drafts = new Map<string, Draft>();
  for (const [at, { now, ...row }] of locked.entries()) {
    const key = keyOf(keys[at]!);
    drafts.set(
      key,
      await createDraft(tx, options, {
        execution: { ...row },
        steps: (stepsBy.get(key) ?? []).map((step) => ({ ...step })),
        allocations,
        workflow: workflows[at]!,
        signals: [...(signalsBy.get(key) ?? [])],
        children: childrenBy.get(key) ?? [],
        now,
      }),
    );
  }
  return drafts;
}

type DraftParts = Pick<Draft, 'workflow' | 'signals' | 'children' | 'now' | 'allocations'> & {
  readonly execution: ExecutionDraft;
  readonly steps: readonly StepDraft[];
};

async function createDraft(
  tx: SqlTransaction,
  { definitions, settings }: DraftOptions,
  { steps, ...parts }: DraftParts,
): Promise<Draft> {
  const wanted = subWorkflowsOf(parts.workflow.definition);
  return {
    ...parts,
    steps: new Map(steps.map((step) => [step.stepId, step])),
    settings: { ...settings, latestVersions: await definitions.latest(tx, parts.execution.tenantId, wanted) },
    actor: 'system',
    changed: new Set(),
    history: [],
    leases: [],
    newChildren: [],
    messages: [],
    released: [],
    ...{ reported: [], usages: [] },
    taken: [],
    kept: [],
    touched: false,
    again: false,
  };
}

/** The draft of an execution that is stored with this transition. */
export async function openNewDraft(
  tx: SqlTransaction,
  { row, steps }: NewExecution,
  options: DraftOptions & { readonly now: string; readonly actor: string },
): Promise<Draft> {
  const draft = await createDraft(tx, options, {
    execution: { ...row },
    steps: steps.map((step) => ({ ...step })),
    allocations: new Map(),
    workflow: await options.definitions.compiled(tx, row),
    signals: [],
    children: [],
    now: options.now,
  });
  return Object.assign(draft, { actor: options.actor, touched: true });
}

/** A sub-execution of a draft, with the rights and the context of its parent. */
export async function openChildDraft(
  tx: SqlTransaction,
  parent: Draft,
  child: NewChild,
  options: DraftOptions,
): Promise<Draft> {
  const { execution } = parent;
  const compiled = await options.definitions.compiled(tx, { tenantId: execution.tenantId, ...child });
  const whole =
    child.body.length === 0
      ? compiled
      : await options.definitions.compiled(tx, { tenantId: execution.tenantId, ...child, body: [] });
  const created = newExecution(
    {
      ...{
        id: child.id,
        tenantId: execution.tenantId,
        workflowId: child.workflowId,
        workflowVersion: child.workflowVersion,
      },
      ...{ body: child.body, contextId: execution.contextId, parentId: execution.id, parentStepId: child.stepId },
      ...{
        depth: execution.depth + 1,
        priority: execution.priority,
        input: child.input,
        principal: execution.principal,
      },
      ...{ timeoutMs: null, createdBy: execution.createdBy },
      ...{ ruleDepth: execution.ruleDepth, ruleChain: execution.ruleChain },
    },
    whole.definition,
    parent.now,
  );
  return openNewDraft(tx, created, { ...options, now: parent.now, actor: parent.actor });
}

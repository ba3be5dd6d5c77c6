import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { parseInput } from '#shared/validation.ts';
import { rollUpSteps, withDescendants } from './composites.ts';
import { mergeDefinition } from './definition.ts';
import * as inputs from './inputs.ts';
import { requireNetwork, summarize, toDependency, toStep } from './network.ts';
import { compareNetworks, type Network, tellChange } from './networkChange.ts';
import { type PlanChanges, touch, type WriteOptions } from './planChanges.ts';
import type { PlanRow, PlanStepRow } from './rows.ts';
import { changeNetwork, findDependencies, findSteps } from './store.ts';

/** What changes a draft: its fields, its steps, their dependencies. */
export function createPlanEdits({ change }: PlanChanges) {
  /** Edits of a draft's network; checked as a whole before anything is stored. */
  function edit(
    scope: RequestScope,
    planId: string,
    options: WriteOptions & { readonly operation: string; readonly input: unknown },
    decide: (network: Network, plan: PlanRow) => Partial<Network> & { readonly plan?: Partial<PlanRow> },
  ): Promise<string> {
    return change(scope, planId, options, async (plan, tx) => {
      if (plan.status !== 'draft')
        throw new PlatformError('PLAN_NOT_EDITABLE', `expected a draft, the plan is ${plan.status.toUpperCase()}`, {
          path: ['planId'],
        });
      const [steps, dependencies] = await Promise.all([
        findSteps(tx, plan.tenantId, [planId]),
        findDependencies(tx, plan.tenantId, [planId]),
      ]);
      const before = { steps, dependencies };
      const { plan: fields = {}, ...changed } = decide(before, plan);
      const edited = { ...before, ...changed };
      const moved = Object.keys(changed).length > 0;
      if (moved) requireNetwork(edited.steps, edited.dependencies, ['planId']);
      const network = { ...edited, steps: rollUpSteps(edited.steps) };
      const definition = fields.definition ?? plan.definition;
      const row = touch(plan, scope, {
        ...fields,
        stepCount: network.steps.length,
        summary: summarize(definition, network.steps, network.dependencies),
        schedule: null,
      });
      if (!moved) return { row, type: 'plan.updated' };
      const difference = compareNetworks(before, network);
      await changeNetwork(tx, row, difference);
      return { row, type: 'plan.updated', changes: { network: tellChange(difference) } };
    });
  }

  return {
    /** @throws {PLAN_NOT_EDITABLE} {VERSION_CONFLICT} {NOT_FOUND} */
    update(scope: RequestScope, planId: string, raw: unknown, options: WriteOptions): Promise<string> {
      const patch = parseInput(inputs.planPatch, raw, ['patch']);
      return edit(scope, planId, { ...options, operation: 'updatePlan', input: patch }, (_network, plan) => ({
        plan: {
          title: patch.title ?? plan.title,
          objective: patch.objective ?? plan.objective,
          type: patch.type ?? plan.type,
          priority: patch.priority ?? plan.priority,
          requiresApproval: patch.requiresApproval ?? plan.requiresApproval,
          definition: mergeDefinition(patch, plan.definition),
        },
      }));
    },

    addStep(scope: RequestScope, planId: string, raw: unknown, options: WriteOptions): Promise<string> {
      const given = parseInput(inputs.step, raw, ['step']);
      return edit(
        scope,
        planId,
        { ...options, operation: 'addStep', input: given },
        ({ steps, dependencies }, plan) => {
          const of = { tenantId: plan.tenantId, planId };
          if (steps.length >= 10_000)
            throw new PlatformError('VALIDATION_FAILED', 'step: expected at most 10000 steps', { path: ['step'] });
          const step = toStep(given, { ...of, place: (steps.at(-1)?.place ?? -1) + 1 });
          const next = (dependencies.at(-1)?.place ?? -1) + 1;
          const implied = (given.dependsOn ?? []).map((sourceId, index) =>
            toDependency({ sourceId, targetId: step.id }, { ...of, place: next + index }),
          );
          return { steps: [...steps, step], dependencies: [...dependencies, ...implied] };
        },
      );
    },

    updateStep(
      scope: RequestScope,
      planId: string,
      { stepId, patch: raw }: { readonly stepId: string; readonly patch: unknown },
      options: WriteOptions,
    ): Promise<string> {
      const patch = parseInput(inputs.stepPatch, raw, ['patch']);
      const input = { stepId, patch };
      return edit(scope, planId, { ...options, operation: 'updateStep', input }, ({ steps }) => {
        const before = requireStep(steps, stepId);
        const given = Object.fromEntries(Object.entries(patch).filter(([, value]) => value !== undefined));
        const { requiredCapabilities, ...kept } = {
          parentId: before.parentId,
          name: before.name,
          description: before.description,
          type: before.type,
          priority: before.priority,
          agentRole: before.agentRole,
          orderIndex: before.orderIndex,
          durationMs: before.durationMs,
          requiredCapabilities: [...before.capabilities],
          assignedAgents: [...before.assignedAgents],
          ...before.details,
          demands: before.details.demands === undefined ? undefined : [...before.details.demands],
        };
        const merged = {
          ...kept,
          requiredCapabilities,
          ...given,
          id: stepId,
          description: patch.description ?? before.description,
        };
        const changed = toStep(merged, { tenantId: before.tenantId, planId, place: before.place });
        return { steps: steps.map((step) => (step.id === stepId ? { ...changed, protocol: before.protocol } : step)) };
      });
    },

    removeStep(scope: RequestScope, planId: string, stepId: string, options: WriteOptions): Promise<string> {
      return edit(
        scope,
        planId,
        { ...options, operation: 'removeStep', input: { stepId } },
        ({ steps, dependencies }) => {
          requireStep(steps, stepId);
          const gone = withDescendants(steps, [stepId]);
          if (steps.length === gone.size)
            throw new PlatformError('VALIDATION_FAILED', 'stepId: a plan keeps at least one step', {
              path: ['stepId'],
            });
          return {
            steps: steps.filter(({ id }) => !gone.has(id)),
            dependencies: dependencies.filter(({ sourceId, targetId }) => !gone.has(sourceId) && !gone.has(targetId)),
          };
        },
      );
    },

    addDependency(scope: RequestScope, planId: string, raw: unknown, options: WriteOptions): Promise<string> {
      const given = parseInput(inputs.dependency, raw, ['dependency']);
      return edit(
        scope,
        planId,
        { ...options, operation: 'addDependency', input: given },
        ({ dependencies }, plan) => ({
          dependencies: [
            ...dependencies,
            toDependency(given, {
              tenantId: plan.tenantId,
              planId,
              place: (dependencies.at(-1)?.place ?? -1) + 1,
            }),
          ],
        }),
      );
    },

    removeDependency(
      scope: RequestScope,
      planId: string,
      dependencyId: string,
      options: WriteOptions,
    ): Promise<string> {
      const input = { dependencyId };
      return edit(scope, planId, { ...options, operation: 'removeDependency', input }, ({ dependencies }) => {
        if (!dependencies.some(({ id }) => id === dependencyId))
          throw new PlatformError('NOT_FOUND', 'no such dependency in this plan', { path: ['dependencyId'] });
        return { dependencies: dependencies.filter(({ id }) => id !== dependencyId) };
      });
    },
  };
}

function requireStep(steps: readonly PlanStepRow[], stepId: string): PlanStepRow {
  const step = steps.find(({ id }) => id === stepId);
  if (!step) throw new PlatformError('NOT_FOUND', 'no such step in this plan', { path: ['stepId'] });
  return step;
}

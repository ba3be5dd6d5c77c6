import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { parseInput } from '#shared/validation.ts';
import { withDescendants } from './composites.ts';
import { requireConstrained } from './constraints/index.ts';
import { mergeDefinition } from './definition.ts';
import * as inputs from './inputs.ts';
import { requireGoalSteps } from './monitoring/goals.ts';
import { summarize, toDependency, toStep } from './network.ts';
import type { Network } from './networkChange.ts';
import { readNetwork, requireDraft, writeNetwork } from './networkWrite.ts';
import { type PlanChanges, touch, type WriteOptions } from './planChanges.ts';
import { requirePlannedResources } from './planDefaults.ts';
import type { PlanRow, PlanStepRow } from './rows.ts';
import { patchStep } from './stepPatch.ts';

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
      requireDraft(plan);
      const before = await readNetwork(tx, plan);
      const { plan: fields = {}, ...changed } = decide(before, plan);
      if (Object.keys(changed).length === 0) {
        const definition = fields.definition ?? plan.definition;
        const summary = summarize(definition, before.steps, before.dependencies);
        return { row: touch(plan, scope, { ...fields, summary, schedule: null }), type: 'plan.updated' };
      }
      const after = { ...before, ...changed };
      const { row, network } = await writeNetwork(tx, plan, { before, after }, { author: scope, fields });
      return { row, type: 'plan.updated', changes: { network } };
    });
  }

  return {
    /** @throws {PLAN_NOT_EDITABLE} {VERSION_CONFLICT} {NOT_FOUND} */
    update(scope: RequestScope, planId: string, raw: unknown, options: WriteOptions): Promise<string> {
      const patch = parseInput(inputs.planPatch, raw, ['patch']);
      return edit(scope, planId, { ...options, operation: 'updatePlan', input: patch }, ({ steps }, plan) => {
        requireGoalSteps(patch, steps, ['patch']);
        const definition = mergeDefinition(patch, plan.definition);
        if (patch.constraints !== undefined || patch.resources !== undefined)
          requireConstrained(definition, steps, ['patch']);
        if (patch.optimization !== undefined || patch.resources !== undefined || patch.timeline !== undefined)
          requirePlannedResources(definition, ['patch']);
        const changed: Partial<PlanRow> = {
          title: patch.title ?? plan.title,
          objective: patch.objective ?? plan.objective,
          type: patch.type ?? plan.type,
          priority: patch.priority ?? plan.priority,
          requiresApproval: patch.requiresApproval ?? plan.requiresApproval,
          definition,
        };
        return { plan: changed };
      });
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
        const changed = patchStep(requireStep(steps, stepId), patch);
        return { steps: steps.map((step) => (step.id === stepId ? changed : step)) };
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

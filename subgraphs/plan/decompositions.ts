import { z } from 'zod';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { newId } from '#shared/ids.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { jsonObject, parseInput } from '#shared/validation.ts';
import type { DecomposeOutcome, DecomposeTask } from './decomposeThread.ts';
import { type DecompositionFailure, maxDepth, maxMatches, maxSteps, maxTries } from './decomposition/index.ts';
import type { CreatePlanInput, DependencyInput, StepInput } from './inputs.ts';
import type { Methods } from './methods.ts';
import { createPlanningThreads } from './planningThreads.ts';
import { taskArguments } from './taskInputs.ts';

const thread = new URL('./decomposeThread.ts', import.meta.url);

const objectives = z
  .array(
    z
      .object({
        task: z.string('expected a task to decompose, since there are no steps'),
        arguments: taskArguments.nullish(),
      })
      .transform(({ task, arguments: given }) => ({ task, arguments: given ?? {} })),
  )
  .min(1, 'expected a list of tasks to decompose, since there are no steps')
  .max(100, 'expected at most 100 tasks to decompose');

const facts = jsonObject({ maxBytes: 65_536, maxDepth: 8 });

export interface PlannedSteps {
  readonly steps: readonly StepInput[];
  readonly dependencies: readonly DependencyInput[];
  /** In the order in which they were taken; null where the steps were given. */
  readonly methodIds: readonly string[] | null;
}

/** The steps of new plans: as given, or found by decomposing the objectives. */
export function createDecompositions(runtime: Pick<ModuleRuntime, 'compute' | 'logger'>, methods: Methods) {
  const planning = createPlanningThreads(runtime);
  return {
    /** @throws {VALIDATION_FAILED} {DECOMPOSITION_FAILED} {PLANNING_ALGORITHM_ERROR} */
    async plan({ principal, signal }: RequestScope, input: CreatePlanInput): Promise<PlannedSteps> {
      if (input.steps != null) return { steps: input.steps, dependencies: input.dependencies ?? [], methodIds: null };
      const task: DecomposeTask = {
        objectives: parseInput(objectives, input.objectives, ['input', 'objectives']),
        order: input.objectiveOrder ?? 'ORDERED',
        facts: parseInput(facts, input.facts ?? {}, ['input', 'facts']),
        methods: (await methods.findAll(principal.tenantId)).map(
          ({ id, task: of, name, parameters, bindings, precondition, subtaskOrder, subtasks, step }) => ({
            ...{ id, task: of, name, parameters, bindings, precondition, order: subtaskOrder, subtasks, step },
          }),
        ),
      };
      const found = await planning.run<DecomposeOutcome>(thread, 'decomposeObjectives', task, {
        lane: 'interactive',
        signal,
        timeoutMs: 30_000,
      });
      if ('failure' in found) throw toError(found.failure);
      const steps = found.steps.map(({ template: { effects: _effects, ...template }, name, description }) => ({
        ...template,
        ...{ id: newId(), name: name.slice(0, 255), description },
      }));
      const dependencies = found.precedences.map(([earlier, later]) => ({
        sourceId: steps[earlier]!.id,
        targetId: steps[later]!.id,
      }));
      return { steps, dependencies, methodIds: found.methodIds };
    },
  };
}

export type Decompositions = ReturnType<typeof createDecompositions>;

function toError({ kind, ...failure }: DecompositionFailure): PlatformError {
  const { objective, task, depth, methods } = failure;
  const where = `objective ${objective}: ${task} at depth ${depth}`;
  const refusals = methods.map(({ name, reason }) => `${name}: ${reason}`).join('; ');
  const messages: Readonly<Record<DecompositionFailure['kind'], string>> = {
    no_method: `${where}: no method applies${refusals === '' ? '' : ` (${refusals})`}`,
    too_deep: `${where}: expected at most ${maxDepth} levels`,
    too_long: `${where}: expected at most ${maxSteps} steps`,
    gave_up: `${where}: found nothing within ${maxTries} tries of methods and ${maxMatches} of facts`,
    empty: `objective 0: expected at least one step, got methods that need none`,
  };
  return new PlatformError('DECOMPOSITION_FAILED', messages[kind].slice(0, 2_000), {
    path: ['input', 'objectives', objective],
    details: { kind, ...failure },
  });
}

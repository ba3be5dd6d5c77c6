import type { RequestContext } from './context.ts';
import { shapeDefinition, shapeDemands } from './definitionShape.ts';
import { measureKeptSchedule } from './keptSchedule.ts';
import type { PlanResolvers, PlanStepResolvers } from './resolvers.generated.ts';
import type { PlanRow, PlanScheduleRow } from './rows.ts';

type DefinitionField = keyof ReturnType<typeof shapeDefinition>;

/** Fields that a plan is given beyond its columns. */
export const definitionFields: Pick<PlanResolvers, DefinitionField> = {
  resources: ({ definition }) => shapeDefinition(definition).resources,
  deadlineMs: ({ definition }) => definition.deadlineMs ?? null,
  failureResolver: ({ definition }) => shapeDefinition(definition).failureResolver,
  maxConcurrentTasks: ({ definition }) => definition.maxConcurrentTasks,
  approval: ({ definition }) => shapeDefinition(definition).approval,
  customData: ({ definition }) => definition.customData ?? null,
};

/** Fields that a step is given beyond its columns. */
export const stepDetailFields: Pick<
  PlanStepResolvers,
  'costPerHour' | 'crash' | 'deadlineMs' | 'demands' | 'earliestStartMs' | 'estimate' | 'estimatedEffort' | 'timeoutMs'
> = {
  estimate: ({ details }) => details.estimate ?? null,
  earliestStartMs: ({ details }) => details.earliestStartMs ?? null,
  deadlineMs: ({ details }) => details.deadlineMs ?? null,
  demands: ({ details }) => shapeDemands(details.demands),
  costPerHour: ({ details }) => details.costPerHour ?? null,
  crash: ({ details }) => details.crash ?? null,
  estimatedEffort: ({ details }) => details.estimatedEffort ?? null,
  timeoutMs: ({ details }) => details.timeoutMs ?? null,
};

export function keptSchedule(plan: PlanRow, { loaders }: RequestContext): PlanScheduleRow {
  let measured: ReturnType<PlanScheduleRow['measured']> | undefined;
  const measure = async () => {
    const [steps, dependencies] = await Promise.all([loaders.steps.load(plan.id), loaders.dependencies.load(plan.id)]);
    return measureKeptSchedule({ plan, steps, dependencies });
  };
  return {
    plan,
    measured() {
      measured ??= measure();
      return measured;
    },
  };
}

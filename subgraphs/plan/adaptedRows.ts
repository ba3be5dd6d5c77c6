import { type AdaptInput, isUnstarted, type Loaded } from './adaptationBases.ts';
import type { AdaptationOption } from './adaptThread.ts';
import { withAdded } from './analysis/calendar.ts';
import { rollUpSteps, withDescendants } from './composites.ts';
import { crashStep } from './crashedStep.ts';
import type { PlanDefinition, PlanStepRow } from './rows.ts';
import type { DayHours, WorkWeek } from './workWeek.ts';

/** The rows with the trigger and the option in them. */
export function changeRows(
  { plan, steps, dependencies }: Loaded,
  input: AdaptInput,
  { kind, target, parameters }: AdaptationOption,
) {
  const gone = withDescendants(steps, (input.trigger === 'SCOPE_CHANGED' && input.removeStepIds) || []);
  let definition: PlanDefinition = plan.definition;
  if (input.trigger === 'DEADLINE_MOVED') definition = { ...definition, deadlineMs: input.deadlineMs! };
  const lost = input.trigger === 'AGENT_LOST' ? input.agentId! : null;
  let changed = steps.filter(({ id }) => !gone.has(id));
  let relations = dependencies.filter(({ sourceId, targetId }) => !gone.has(sourceId) && !gone.has(targetId));
  if (lost !== null) {
    changed = changed.map((step) =>
      isUnstarted(step) ? { ...step, assignedAgents: step.assignedAgents.filter((agent) => agent !== lost) } : step,
    );
    definition = withCapacity(definition, lost, -1);
  }
  const given = parameters as {
    readonly amount?: number;
    readonly duration?: number;
    readonly earliestStart?: number;
    readonly lag?: number;
  };
  const withStep = (change: (step: PlanStepRow) => PlanStepRow) =>
    changed.map((step) => (step.id === target ? change(step) : step));
  switch (kind) {
    case 'add_capacity':
      definition = withCapacity(definition, target, given.amount!);
      break;
    case 'crash':
      changed = withStep((step) => crashStep(step, given.duration!));
      break;
    case 'release_start':
      changed = withStep((step) => ({ ...step, details: { ...step.details, earliestStartMs: given.earliestStart! } }));
      break;
    case 'fast_track':
      relations = relations.map((entry) => (entry.id === target ? { ...entry, lagMs: given.lag! } : entry));
      break;
  }
  return { definition, steps: plan.status === 'in_progress' ? changed : rollUpSteps(changed), dependencies: relations };
}

function withCapacity(definition: PlanDefinition, id: string, amount: number): PlanDefinition {
  const resources = definition.resources.map((resource) =>
    resource.id === id
      ? {
          ...withAdded(resource, amount),
          ...(resource.workWeek == null ? {} : { workWeek: withAddedHours(resource.workWeek, amount) }),
          ...(amount > 0 ? { maxAdded: Math.max(0, (resource.maxAdded ?? 0) - amount) } : {}),
        }
      : resource,
  );
  return { ...definition, resources };
}

/** Hours that do not say how much there is go by the capacity. */
function withAddedHours({ hours, exceptions, ...week }: WorkWeek, amount: number): WorkWeek {
  const added = <Hours extends DayHours>(given: readonly Hours[]): Hours[] =>
    given.map((one) =>
      one.capacity == null || one.capacity === 0 ? one : { ...one, capacity: Math.max(0, one.capacity + amount) },
    );
  return {
    ...week,
    hours: added(hours),
    exceptions: exceptions.map((exception) => ({ ...exception, hours: added(exception.hours) })),
  };
}

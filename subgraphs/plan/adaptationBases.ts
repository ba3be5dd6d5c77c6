import { PlatformError } from '#shared/errors.ts';
import type { AdaptationBase } from './adaptThread.ts';
import { withAdded } from './analysis/calendar.ts';
import type { PlanProblem } from './analysis/index.ts';
import { stepOf } from './compositeNodes.ts';
import { withDescendants } from './composites.ts';
import type * as inputs from './inputs.ts';
import { toPlanProblem } from './planProblem.ts';
import { atMoment, calendarAge } from './planTimes.ts';
import type { PlanDependencyRow, PlanRow, PlanStepRow } from './rows.ts';

export type AdaptInput = ReturnType<(typeof inputs.adaptPlan)['parse']>;

export interface Loaded {
  readonly plan: PlanRow;
  readonly steps: readonly PlanStepRow[];
  readonly dependencies: readonly PlanDependencyRow[];
}

export const isUnstarted = ({ status }: PlanStepRow) => status === 'pending' || status === 'blocked';

/**
 * What is still to be done: ended steps are gone, and of those at work the rest; time 0 is now.
 * @param begun when the run began; null before one
 */
export function remaining({ plan, steps, dependencies }: Loaded, begun: number | null, now: number): PlanProblem {
  const open = steps.filter(({ status }) => status !== 'completed' && status !== 'skipped');
  const ids = new Set(open.map(({ id }) => id));
  const left = dependencies.filter(({ sourceId, targetId }) => ids.has(sourceId) && ids.has(targetId));
  const rest = open.map((step) =>
    step.status === 'in_progress'
      ? { ...step, durationMs: Math.ceil(step.durationMs * (1 - step.progress)), details: withoutEstimate(step) }
      : step,
  );
  const runMs = begun === null ? 0 : now - begun;
  const calendarMs = calendarAge(plan.definition, begun, now);
  const problem = atMoment(toPlanProblem(plan.definition, rest, left, calendarMs), { runMs, calendarMs });
  const running = new Set(open.flatMap(({ id, status }) => (status === 'in_progress' ? [id] : [])));
  return {
    ...problem,
    steps: problem.steps.map((step) => (running.has(step.id) ? { ...step, running: true } : step)),
  };
}

function withoutEstimate({ details: { estimate: _estimate, crash: _crash, ...details } }: PlanStepRow) {
  return details;
}

/** What the trigger leads to without any change, and what it opens besides. @throws {VALIDATION_FAILED} {NOT_FOUND} */
export function basesOf({ plan, steps }: Loaded, problem: PlanProblem, input: AdaptInput): AdaptationBase[] {
  const same = { target: plan.id, parameters: {}, problem };
  switch (input.trigger) {
    case 'DEADLINE_MOVED':
      return [{ ...same, kind: 'reschedule' }];
    case 'STEP_FAILED': {
      if (plan.status !== 'in_progress')
        throw new PlatformError('INVALID_STATE', 'no step of a plan that does not run has failed', {
          path: ['input', 'trigger'],
        });
      const step = steps.find(({ id }) => id === input.stepId);
      if (!step || step.status === 'completed' || step.status === 'skipped')
        throw new PlatformError('NOT_FOUND', 'no such open step in this plan', { path: ['input', 'stepId'] });
      const skipped = problem.steps.map((entry) =>
        entry.id === step.id ? { id: entry.id, duration: 0, earliestStart: undefined, deadline: undefined } : entry,
      );
      const retry = { ...same, target: step.id, kind: 'retry' };
      // Only a step that waits for a decision can be given up by one.
      return step.status === 'blocked'
        ? [retry, { ...retry, kind: 'skip', problem: { ...problem, steps: skipped } }]
        : [retry];
    }
    case 'AGENT_LOST': {
      const stepIds = steps
        .filter((step) => isUnstarted(step) && step.assignedAgents.includes(input.agentId!))
        .map(({ id }) => id);
      // An agent that is kept as a resource is one unit less of it.
      const resources = problem.resources.map((resource) =>
        resource.id === input.agentId ? withAdded(resource, -1) : resource,
      );
      const lost = { ...problem, resources };
      return [{ target: input.agentId!, kind: 'reassign', parameters: { stepIds }, problem: lost }];
    }
    case 'SCOPE_CHANGED': {
      if (plan.status === 'in_progress')
        throw new PlatformError('INVALID_STATE', 'the scope of a plan that runs is not changed', {
          path: ['input', 'trigger'],
        });
      const ids = input.removeStepIds ?? [];
      const unknown = ids.find((id) => !steps.some((step) => step.id === id));
      if (unknown !== undefined || withDescendants(steps, ids).size >= steps.length)
        throw new PlatformError('VALIDATION_FAILED', 'removeStepIds: expected steps of the plan, and one that stays', {
          path: ['input', 'removeStepIds'],
        });
      const gone = withDescendants(steps, ids);
      const kept = {
        ...problem,
        steps: problem.steps.filter(({ id }) => !gone.has(stepOf(id))),
        dependencies: problem.dependencies.filter(
          ({ source, target }) => !gone.has(stepOf(source)) && !gone.has(stepOf(target)),
        ),
      };
      return [{ ...same, kind: 'descope', parameters: { stepIds: ids }, problem: kept }];
    }
  }
}

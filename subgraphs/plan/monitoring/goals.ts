import { PlatformError } from '#shared/errors.ts';
import { isComposite } from '../composites.ts';
import { measureProgress } from '../dispatch/index.ts';
import type { PlanDefinition, PlanStepRow } from '../rows.ts';
import { type Forecast, forecastPlan, type PlanState } from './forecast.ts';

export type MilestoneStatus = 'UPCOMING' | 'AT_RISK' | 'ACHIEVED' | 'MISSED';
export type ObjectivePriority = 'LOW' | 'MEDIUM' | 'HIGH' | 'CRITICAL';
export type ObjectiveStatus = 'PENDING' | 'IN_PROGRESS' | 'ACHIEVED' | 'FAILED';

export interface MilestoneValue {
  readonly id: string;
  readonly name: string;
  /** Instants in milliseconds of the epoch. */
  readonly targetAt: number | null;
  /** As given, from the start of the plan. */
  readonly targetMs: number | null;
  readonly forecastAt: number | null;
  readonly achievedAt: number | null;
  readonly status: MilestoneStatus;
  readonly stepIds: readonly string[];
  readonly successCriteria: readonly string[];
}

export interface ObjectiveValue {
  readonly id: string;
  readonly description: string;
  readonly task: string | null;
  readonly arguments: unknown;
  readonly priority: ObjectivePriority | null;
  readonly successCriteria: readonly string[];
  readonly stepIds: readonly string[];
  readonly status: ObjectiveStatus;
  /** 0 to 1, weighted by duration. */
  readonly progress: number;
}

interface GivenMilestone {
  readonly id?: string | null;
  readonly name: string;
  readonly targetDate?: string | null;
  readonly targetMs?: number | null;
  readonly stepIds?: readonly string[] | null;
  readonly successCriteria?: readonly string[] | null;
}

/** What is given of a definition's milestones; the door has checked it. */
function milestonesOf({ milestones }: PlanDefinition): readonly GivenMilestone[] {
  return Array.isArray(milestones) ? (milestones as GivenMilestone[]) : [];
}

/** @throws {VALIDATION_FAILED} where milestones or objectives name steps that the plan does not have. */
export function requireGoalSteps(
  definition: Pick<PlanDefinition, 'milestones' | 'objectives'>,
  steps: readonly { readonly id: string }[],
  path: readonly string[],
): void {
  const known = new Set(steps.map(({ id }) => id));
  for (const field of ['milestones', 'objectives'] as const) {
    const list = definition[field];
    for (const [at, entry] of (Array.isArray(list) ? list : []).entries()) {
      const missing = stepIdsIn(entry).find((id) => !known.has(id));
      if (missing !== undefined)
        throw new PlatformError('VALIDATION_FAILED', `${field}.${at}.stepIds: ${missing} is not in this plan`, {
          path: [...path, field],
        });
    }
  }
}

function stepIdsIn(entry: unknown): readonly string[] {
  const ids = typeof entry === 'object' && entry !== null ? (entry as { readonly stepIds?: unknown }).stepIds : null;
  return Array.isArray(ids) ? ids.filter((id) => typeof id === 'string') : [];
}

/**
 * The milestones given, and the steps of the type MILESTONE. Reached with the last of their steps; missed when their time
 * has passed before, at risk when it will pass by the forecast.
 * @param startedAt when the plan's times begin; null before a run
 */
export function trackMilestones(state: PlanState, startedAt: number | null, now: number): MilestoneValue[] {
  const byId = new Map(state.steps.map((step) => [step.id, step]));
  const forecast = forecastPlan(state, startedAt, now);
  const begin = startedAt ?? now;
  const given = milestonesOf(state.plan.definition).map((milestone, at) => ({
    id: milestone.id ?? `milestone-${at + 1}`,
    name: milestone.name,
    targetAt:
      milestone.targetDate != null
        ? Date.parse(milestone.targetDate)
        : milestone.targetMs == null
          ? null
          : begin + milestone.targetMs,
    targetMs: milestone.targetMs ?? null,
    stepIds: milestone.stepIds ?? state.steps.map(({ id }) => id),
    successCriteria: milestone.successCriteria ?? [],
  }));
  const own = state.steps
    .filter(({ type }) => type === 'MILESTONE')
    .map((step) => ({
      id: step.id,
      name: step.name ?? step.description,
      targetAt: step.details.deadlineMs === undefined ? null : begin + step.details.deadlineMs,
      targetMs: step.details.deadlineMs ?? null,
      stepIds: [step.id],
      successCriteria: [],
    }));
  return [...given, ...own].map((milestone) => {
    const steps = milestone.stepIds.flatMap((id) => byId.get(id) ?? []);
    return { ...milestone, ...dateMilestone(steps, milestone.targetAt, { forecast, now }) };
  });
}

const hasEnded = ({ status }: PlanStepRow) => status === 'completed' || status === 'skipped';

function dateMilestone(
  steps: readonly PlanStepRow[],
  targetAt: number | null,
  { forecast, now }: { readonly forecast: Forecast; readonly now: number },
): Pick<MilestoneValue, 'forecastAt' | 'achievedAt' | 'status'> {
  if (steps.length > 0 && steps.every(hasEnded)) {
    const ends = steps.flatMap(({ completedAt }) => (completedAt === null ? [] : [Date.parse(completedAt)]));
    return { forecastAt: null, achievedAt: ends.length === 0 ? null : Math.max(...ends), status: 'ACHIEVED' };
  }
  const forecastAt = steps.reduce((latest, { id }) => Math.max(latest, forecast.finishOf.get(id) ?? now), now);
  if (targetAt === null) return { forecastAt, achievedAt: null, status: 'UPCOMING' };
  const status = now > targetAt ? 'MISSED' : forecastAt > targetAt ? 'AT_RISK' : 'UPCOMING';
  return { forecastAt, achievedAt: null, status };
}

const priorities = ['LOW', 'MEDIUM', 'HIGH', 'CRITICAL'] as const;

/** Objectives by the progress of their steps; one that names none is served by all. */
export function trackObjectives({ plan, steps }: PlanState): ObjectiveValue[] {
  const { objectives } = plan.definition;
  if (!Array.isArray(objectives)) return [];
  return objectives.map((entry: unknown, at) => {
    const given = (typeof entry === 'object' && entry !== null ? entry : {}) as Readonly<Record<string, unknown>>;
    const text = (value: unknown) => (typeof value === 'string' ? value : null);
    const named = stepIdsIn(entry);
    const wanted = new Set(named);
    const serving = named.length === 0 ? steps : steps.filter(({ id }) => wanted.has(id));
    const criteria = given['successCriteria'];
    return {
      id: text(given['objectiveId']) ?? `objective-${at + 1}`,
      description: text(entry) ?? text(given['description']) ?? text(given['task']) ?? '',
      task: text(given['task']),
      arguments: given['arguments'] ?? null,
      priority: priorities.find((one) => one === text(given['priority'])?.toUpperCase()) ?? null,
      successCriteria: Array.isArray(criteria) ? criteria.filter((value) => typeof value === 'string') : [],
      stepIds: serving.map(({ id }) => id),
      ...measureObjective(serving),
    };
  });
}

function measureObjective(serving: readonly PlanStepRow[]): Pick<ObjectiveValue, 'status' | 'progress'> {
  // A composite step's work is that of its parts, which may be among them too.
  const ids = new Set(serving.map(({ id }) => id));
  const counted = serving.filter(
    (step) => step.status !== 'skipped' && !(isComposite(step) && serving.some(({ parentId }) => parentId === step.id)),
  );
  const progress =
    counted.length === 0
      ? 0
      : measureProgress(counted.map(({ durationMs, progress: done }) => ({ duration: durationMs, progress: done })));
  if (serving.some(({ status }) => status === 'failed')) return { status: 'FAILED', progress };
  if (ids.size > 0 && serving.every(hasEnded))
    return { status: serving.some(({ status }) => status === 'completed') ? 'ACHIEVED' : 'FAILED', progress };
  const begun = serving.some(({ status }) => status !== 'pending');
  return { status: begun ? 'IN_PROGRESS' : 'PENDING', progress };
}

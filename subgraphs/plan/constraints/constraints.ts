import { PlatformError } from '#shared/errors.ts';
import type { PlanDefinition, PlanStepRow } from '../rows.ts';
import { timeline as givenTimeline, constraints as listOfConstraints, type PlanConstraint } from './inputs.ts';

type Given = Pick<PlanDefinition, 'constraints' | 'timeline'>;

/** The constraints of a plan; what was kept in another form before they had one binds nothing. */
export function constraintsOf({ constraints }: Given): readonly PlanConstraint[] {
  return listOfConstraints.safeParse(constraints ?? []).data ?? [];
}

/** Instants in milliseconds of the epoch. */
export interface TimeWindow {
  readonly start: number | null;
  readonly end: number | null;
}

export function timelineOf({ timeline }: Given): TimeWindow {
  const given = givenTimeline.safeParse(timeline).data;
  const instant = (text: string | null | undefined) => (text == null ? null : Date.parse(text));
  return { start: instant(given?.start), end: instant(given?.end) };
}

/** @throws {VALIDATION_FAILED} where a constraint names a step or resource that the plan does not have. */
export function requireConstrained(
  definition: Pick<PlanDefinition, 'constraints' | 'timeline' | 'resources'>,
  steps: readonly { readonly id: string }[],
  path: readonly string[],
): void {
  for (const [at, { type, parameters }] of constraintsOf(definition).entries()) {
    const missing =
      type === 'RESOURCE' && !definition.resources.some(({ id }) => id === parameters.resourceId)
        ? parameters.resourceId
        : type === 'TEMPORAL' && parameters.stepId != null && !steps.some(({ id }) => id === parameters.stepId)
          ? parameters.stepId
          : null;
    if (missing !== null)
      throw new PlatformError('VALIDATION_FAILED', `constraints.${at}: ${missing} is not in this plan`, {
        path: [...path, 'constraints'],
      });
  }
}

/** What hard constraints and the timeline leave of a plan: narrower resources and times, an earlier deadline. */
export function bindConstraints(
  definition: PlanDefinition,
  steps: readonly PlanStepRow[],
): { readonly definition: PlanDefinition; readonly steps: readonly PlanStepRow[] } {
  const hard = constraintsOf(definition).filter((entry) => entry.hard);
  const { start, end } = timelineOf(definition);
  if (hard.length === 0 && (start === null || end === null)) return { definition, steps };
  let deadline = definition.deadlineMs ?? Infinity;
  if (start !== null && end !== null) deadline = Math.min(deadline, end - start);
  let release = 0;
  const capacities = new Map(definition.resources.map(({ id, capacity }) => [id, capacity]));
  const most = new Map<string, number>();
  const times = new Map<string, { readonly from: number; readonly to: number }>();
  for (const { type, parameters } of hard) {
    if (type === 'RESOURCE') {
      const { resourceId, maxAmount } = parameters;
      most.set(resourceId, Math.min(maxAmount, most.get(resourceId) ?? Infinity));
      capacities.set(resourceId, Math.min(maxAmount, capacities.get(resourceId) ?? Infinity));
    }
    if (type !== 'TEMPORAL') continue;
    const { stepId, notBeforeMs, notAfterMs } = parameters;
    const { from, to } = (stepId == null ? undefined : times.get(stepId)) ?? { from: 0, to: Infinity };
    const narrowed = { from: Math.max(from, notBeforeMs ?? 0), to: Math.min(to, notAfterMs ?? Infinity) };
    if (stepId != null) times.set(stepId, narrowed);
    else {
      release = Math.max(release, narrowed.from);
      deadline = Math.min(deadline, narrowed.to);
    }
  }
  const resources = definition.resources.map((resource) => ({
    ...resource,
    capacity: capacities.get(resource.id)!,
    ...(most.has(resource.id) ? { most: most.get(resource.id)! } : {}),
    calendar: resource.calendar?.map(({ fromMs, capacity }) => ({
      fromMs,
      capacity: Math.min(capacity, most.get(resource.id) ?? Infinity),
    })),
  }));
  return {
    definition: { ...definition, resources, deadlineMs: deadline === Infinity ? null : deadline },
    steps: steps.map((step) => narrowStep(step, { from: release, to: Infinity }, times.get(step.id))),
  };
}

type Times = { readonly from: number; readonly to: number };

function narrowStep(step: PlanStepRow, all: Times, own: Times = { from: 0, to: Infinity }): PlanStepRow {
  const { earliestStartMs = 0, deadlineMs = Infinity, ...details } = step.details;
  const from = Math.max(earliestStartMs, all.from, own.from);
  const to = Math.min(deadlineMs, own.to);
  return {
    ...step,
    details: {
      ...details,
      ...(from > 0 || step.details.earliestStartMs !== undefined ? { earliestStartMs: from } : {}),
      ...(to < Infinity ? { deadlineMs: to } : {}),
    },
  };
}

/** The least of what hard constraints allow to be spent, and the most they ask of quality; null where they say nothing. */
export function limitsByConstraints(definition: Given): {
  readonly maxCost: number | null;
  readonly minQuality: number | null;
} {
  let maxCost: number | null = null;
  let minQuality: number | null = null;
  for (const { type, parameters, hard } of constraintsOf(definition)) {
    if (!hard) continue;
    if (type === 'FINANCIAL') maxCost = Math.min(maxCost ?? Infinity, parameters.maxCost);
    if (type === 'QUALITY') minQuality = Math.max(minQuality ?? 0, parameters.minQuality);
  }
  return { maxCost, minQuality };
}

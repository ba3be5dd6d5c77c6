import { PlatformError } from '#shared/errors.ts';
import { constraintsOf, timelineOf } from './constraints/index.ts';
import { type ReadyQueueOptions, type ResourceTimes, type Staffing, simulateDispatch } from './dispatch/index.ts';
import type { ActivityNetwork } from './network/index.ts';
import type { PlanDefinition } from './rows.ts';

/**
 * Whether a run that starts now keeps the plan's timeline and hard constraints of time, as it would go by the estimated
 * durations with the room that it has.
 * @throws {SCHEDULING_CONFLICT}
 */
export function requireTimes(
  definition: PlanDefinition,
  {
    network,
    options,
    staffing,
    times,
  }: {
    readonly network: ActivityNetwork;
    readonly options: ReadyQueueOptions;
    readonly staffing: Staffing | null;
    readonly times: ResourceTimes | null;
  },
  now: number,
): void {
  const { start, end } = timelineOf(definition);
  if (start !== null && now < start)
    throw conflict(`the plan's time begins at ${new Date(start).toISOString()}`, { start }, start - now);
  const bounds = constraintsOf(definition).flatMap(({ id, type, hard, parameters }) =>
    type === 'TEMPORAL' && hard && parameters.notAfterMs != null
      ? [{ constraintId: id, stepId: parameters.stepId ?? null, notAfterMs: parameters.notAfterMs }]
      : [],
  );
  if (end === null && bounds.length === 0) return;
  const { finish, makespan, complete } = simulateDispatch(network, options, { staffing, times });
  if (!complete) throw conflict('the agents and the resources are not there for as long as the plan would take', {});
  if (end !== null && now + makespan > end)
    throw conflict(
      `the plan's time ends at ${new Date(end).toISOString()}, started now it would end at ${new Date(now + makespan).toISOString()}`,
      { end, makespanMs: makespan },
    );
  for (const { constraintId, stepId, notAfterMs } of bounds) {
    const ends = stepId === null ? makespan : (finish[network.indexOf.get(stepId) ?? -1] ?? 0);
    if (ends > notAfterMs)
      throw conflict(`constraint ${constraintId}: expected an end after ${notAfterMs} ms, it would be ${ends} ms`, {
        ...{ constraintId, stepId, notAfterMs, finishMs: ends },
      });
  }
}

function conflict(message: string, details: Readonly<Record<string, unknown>>, retryAfterMs?: number): PlatformError {
  return new PlatformError('SCHEDULING_CONFLICT', message, {
    path: ['input', 'planId'],
    details,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs: Math.ceil(retryAfterMs) }),
  });
}

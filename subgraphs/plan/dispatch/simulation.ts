import { createIntegerHeap } from '#shared/integerHeap.ts';
import type { ActivityNetwork } from '../network/index.ts';
import { createReadyQueue, type ReadyQueueOptions } from './readyQueue.ts';
import type { ResourceTimes } from './resourceTimes.ts';
import type { Staffing } from './staffing.ts';

export interface SimulatedRun {
  /** By node; NaN for a step that never started or finished. */
  readonly start: Float64Array;
  readonly finish: Float64Array;
  readonly makespan: number;
  readonly complete: boolean;
  /** By node; null for what nobody does, and without agents everywhere. */
  readonly agents: readonly (string | null)[];
}

/**
 * Runs the ready queue against the estimated durations: the schedule of a dry run. It is the parallel schedule
 * generation scheme (Kelley 1963), extended to four relations; a step waits for its finish relations after its work.
 * With agents a step also waits for one who can do it and is free, with calendars until what it needs is there for all of
 * its work; where that is never so, the run does not complete.
 */
export function simulateDispatch(
  network: ActivityNetwork,
  options: ReadyQueueOptions,
  {
    staffing = null,
    times = null,
  }: { readonly staffing?: Staffing | null; readonly times?: ResourceTimes | null } = {},
): SimulatedRun {
  const { count, ids, indexOf, duration } = network;
  const queue = createReadyQueue(network, options);
  const start = new Float64Array(count).fill(Number.NaN);
  const finish = new Float64Array(count).fill(Number.NaN);
  const workEnd = new Float64Array(count);
  const active = createIntegerHeap((left, right) => workEnd[left]! - workEnd[right]! || left - right);
  const note = (completed: readonly string[], now: number): void => {
    for (const id of completed) finish[indexOf.get(id)!] = now;
  };
  let now = options.now ?? 0;
  const accept = (id: string): boolean => {
    const node = indexOf.get(id)!;
    const needs = { now, duration: duration[node]!, inUse: queue.inUse };
    if (times?.allow(options.demands?.[node] ?? [], needs) === false) return false;
    return staffing === null || staffing.take(node, now, duration[node]!);
  };
  for (;;) {
    note(queue.advance(now).completed, now);
    const { started, completed } = queue.dispatch(now, accept);
    note(completed, now);
    for (const id of started) {
      const node = indexOf.get(id)!;
      start[node] = now;
      workEnd[node] = now + duration[node]!;
      active.push(node);
    }
    const next = active.peek();
    const release = queue.nextRelease();
    const arrival = queue.done ? null : (staffing?.nextArrival(now) ?? null);
    const change = queue.done ? null : (times?.nextChange(now) ?? null);
    if (next === undefined && release === null && arrival === null && change === null) break;
    const soonest = Math.min(release ?? Infinity, arrival ?? Infinity, change ?? Infinity);
    now = Math.min(next === undefined ? Infinity : workEnd[next]!, soonest);
    for (let node = active.peek(); node !== undefined && workEnd[node]! <= now; node = active.peek()) {
      active.pop();
      staffing?.release(node);
      note(queue.complete(ids[node]!, now).completed, now);
    }
  }
  return {
    ...{ start, finish, complete: queue.done },
    agents: ids.map((_, node) => staffing?.agentOf(node) ?? null),
    makespan: finish.reduce((latest, time) => (time > latest ? time : latest), 0),
  };
}

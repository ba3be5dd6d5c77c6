import { createIntegerHeap } from '#shared/integerHeap.ts';
import type { ActivityNetwork } from '../network/index.ts';
import { createReadyQueue, type ReadyQueueOptions } from './readyQueue.ts';

export interface SimulatedRun {
  /** By node; NaN for a step that never started or finished. */
  readonly start: Float64Array;
  readonly finish: Float64Array;
  readonly makespan: number;
  readonly complete: boolean;
}

/**
 * Runs the ready queue against the estimated durations: the schedule of a dry run. It is the parallel schedule
 * generation scheme (Kelley 1963), extended to four relations; a step waits for its finish relations after its work.
 */
export function simulateDispatch(network: ActivityNetwork, options: ReadyQueueOptions): SimulatedRun {
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
  for (;;) {
    note(queue.advance(now).completed, now);
    const { started, completed } = queue.dispatch(now);
    note(completed, now);
    for (const id of started) {
      const node = indexOf.get(id)!;
      start[node] = now;
      workEnd[node] = now + duration[node]!;
      active.push(node);
    }
    const next = active.peek();
    const release = queue.nextRelease();
    if (next === undefined && release === null) break;
    now = Math.min(next === undefined ? Infinity : workEnd[next]!, release ?? Infinity);
    for (let node = active.peek(); node !== undefined && workEnd[node]! <= now; node = active.peek()) {
      active.pop();
      note(queue.complete(ids[node]!, now).completed, now);
    }
  }
  return {
    ...{ start, finish, complete: queue.done },
    makespan: finish.reduce((latest, time) => (time > latest ? time : latest), 0),
  };
}

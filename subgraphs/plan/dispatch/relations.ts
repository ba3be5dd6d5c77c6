import { createIntegerHeap } from '#shared/integerHeap.ts';
import { sourceIsFinish, targetIsFinish } from '../network/dependency.ts';
import type { ActivityNetwork } from '../network/index.ts';

export interface RelationCallbacks {
  /** Nothing holds the start of the node any more. */
  readonly mayStart: (node: number) => void;
  /** Nothing holds the finish of the node any more. */
  readonly mayFinish: (node: number) => void;
}

/** What still holds the start and the finish of every step, counted down as events happen. */
export interface Relations {
  readonly startHeld: (node: number) => boolean;
  readonly finishHeld: (node: number) => boolean;
  /** The node started: its start-to-start and start-to-finish relations run. O(out-degree). */
  started(node: number, at: number): void;
  /** The node finished: its finish-to-start and finish-to-finish relations run. O(out-degree). */
  finished(node: number, at: number): void;
  /** The node will not happen: everything that waits for it is satisfied at once, without lag. */
  dropped(node: number): void;
  /** Satisfies the lags and imposed starts that are over by now. */
  advance(now: number): void;
  /** When the next lag or imposed start is over; null when none runs. */
  nextRelease(): number | null;
}

/**
 * In-degree counters by event. A lead (negative lag) counts from the predecessor's event like no lag: an execution
 * cannot know beforehand when a step will finish.
 */
export function createRelations(network: ActivityNetwork, { mayStart, mayFinish }: RelationCallbacks): Relations {
  const { count, edgeCount, edgeTarget, edgeType, edgeLag, outStart, outEdges, earliestStart } = network;
  const startWaits = new Int32Array(count);
  const finishWaits = new Int32Array(count);
  for (let edge = 0; edge < edgeCount; edge += 1)
    (edgeType[edge]! & targetIsFinish ? finishWaits : startWaits)[edgeTarget[edge]!]! += 1;
  /** Release times; an imposed start is a relation of its own, behind the dependencies. */
  const due = new Float64Array(edgeCount + count);
  const satisfied = new Uint8Array(edgeCount + count);
  const timed = new Uint8Array(edgeCount + count);
  const timers = createIntegerHeap((left, right) => due[left]! - due[right]! || left - right);
  /** A step that is started again after a failure does not start the lag again. */
  const runUntil = (relation: number, time: number): void => {
    if (timed[relation] === 1) return;
    timed[relation] = 1;
    due[relation] = time;
    timers.push(relation);
  };
  for (let node = 0; node < count; node += 1) {
    if (earliestStart[node]! === -Infinity) continue;
    startWaits[node]! += 1;
    runUntil(edgeCount + node, earliestStart[node]!);
  }

  const satisfy = (relation: number): void => {
    if (satisfied[relation] === 1) return;
    satisfied[relation] = 1;
    const imposed = relation >= edgeCount;
    const node = imposed ? relation - edgeCount : edgeTarget[relation]!;
    if (!imposed && edgeType[relation]! & targetIsFinish) {
      finishWaits[node]! -= 1;
      if (finishWaits[node] === 0) mayFinish(node);
    } else {
      startWaits[node]! -= 1;
      if (startWaits[node] === 0) mayStart(node);
    }
  };
  const happen = (node: number, at: number, bit: number): void => {
    for (let place = outStart[node]!; place < outStart[node + 1]!; place += 1) {
      const edge = outEdges[place]!;
      if ((edgeType[edge]! & sourceIsFinish) !== bit) continue;
      if (edgeLag[edge]! > 0) runUntil(edge, at + edgeLag[edge]!);
      else satisfy(edge);
    }
  };
  return {
    startHeld: (node) => startWaits[node]! > 0,
    finishHeld: (node) => finishWaits[node]! > 0,
    started: (node, at) => happen(node, at, 0),
    finished: (node, at) => happen(node, at, sourceIsFinish),
    dropped(node) {
      for (let place = outStart[node]!; place < outStart[node + 1]!; place += 1) satisfy(outEdges[place]!);
    },
    advance(now) {
      for (let next = timers.peek(); next !== undefined && due[next]! <= now; next = timers.peek()) {
        timers.pop();
        satisfy(next);
      }
    },
    nextRelease() {
      for (let next = timers.peek(); next !== undefined; next = timers.peek()) {
        if (satisfied[next] === 0) return due[next]!;
        timers.pop();
      }
      return null;
    },
  };
}

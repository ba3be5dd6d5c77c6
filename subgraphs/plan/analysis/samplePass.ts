import { sourceIsFinish, targetIsFinish } from '../network/dependency.ts';
import { type ActivityNetwork, earliestFit, isLast, latestFit, type Topology } from '../network/index.ts';

/** One forward pass over changing durations, its arrays laid out in topological order and used again and again. */
export interface SamplePass {
  /** Input of `run`, by place in the order. */
  readonly duration: Float64Array;
  /** How many runs had the step at this place on a longest path. */
  readonly timesCritical: Uint32Array;
  /** Computes the finish for the current durations and counts the critical steps. */
  run(): number;
}

/**
 * For contiguous steps: `computeSchedule` without late dates. A step with times of its own begins where what it is planned
 * to take fits, and then takes what it takes: nobody knows better when it begins.
 */
export function compilePass(network: ActivityNetwork, { order, position }: Topology): SamplePass {
  const { count, edgeCount, inStart, inEdges, edgeSource, edgeType, edgeLag, earliestStart } = network;
  const first = new Int32Array(count + 1);
  const sourceEvent = new Int32Array(edgeCount);
  const toFinish = new Uint8Array(edgeCount);
  const lag = new Float64Array(edgeCount);
  let length = 0;
  for (const [place, node] of order.entries()) {
    for (let at = inStart[node]!; at < inStart[node + 1]!; at += 1) {
      const edge = inEdges[at]!;
      const type = edgeType[edge]!;
      sourceEvent[length] = 2 * position[edgeSource[edge]!]! + (type & sourceIsFinish ? 1 : 0);
      toFinish[length] = type & targetIsFinish ? 1 : 0;
      lag[length] = edgeLag[edge]!;
      length += 1;
    }
    first[place + 1] = length;
  }
  const planned = Float64Array.from(order, (node) => network.planned[node]!);
  const open = network.open === null ? null : Array.from(order, (node) => network.open![node]);
  /** Last starts, for steps with times of their own: `lastStarts`. */
  const last = open === null ? null : new Float64Array(count);
  const release = Float64Array.from(order, (node) => Math.max(0, earliestStart[node]!));
  const duration = new Float64Array(count);
  const timesCritical = new Uint32Array(count);
  /** Start and finish of the step at place p, at 2p and 2p + 1. */
  const date = new Float64Array(2 * count);
  const critical = new Uint8Array(count);

  const bound = (at: number, place: number): number => {
    const reached = date[sourceEvent[at]!]! + lag[at]!;
    return toFinish[at] === 1 ? reached - duration[place]! : reached;
  };
  const countByFloat = (ends: Float64Array, finish: number): void => {
    for (let place = 0; place < count; place += 1) ends[place] = finish - duration[place]!;
    for (let place = count - 1; place >= 0; place -= 1) {
      const own = open![place];
      const latest = own === undefined ? ends[place]! : latestFit(own, ends[place]!, planned[place]!);
      if (isLast(date[2 * place]!, latest)) timesCritical[place]! += 1;
      for (let at = first[place]!; at < first[place + 1]!; at += 1) {
        const source = sourceEvent[at]! >> 1;
        const event = latest + (toFinish[at] === 1 ? duration[place]! : 0) - lag[at]!;
        const end = sourceEvent[at]! & 1 ? event - duration[source]! : event;
        if (end < ends[source]!) ends[source] = end;
      }
    }
  };
  return {
    duration,
    timesCritical,
    run() {
      let finish = 0;
      for (let place = 0; place < count; place += 1) {
        let start = release[place]!;
        for (let at = first[place]!; at < first[place + 1]!; at += 1) {
          const candidate = bound(at, place);
          if (candidate > start) start = candidate;
        }
        const own = open?.[place];
        if (own !== undefined) start = earliestFit(own, start, planned[place]!);
        const end = start + duration[place]!;
        date[2 * place] = start;
        date[2 * place + 1] = end;
        if (end > finish) finish = end;
      }
      if (last !== null) {
        countByFloat(last, finish);
        return finish;
      }
      critical.fill(0);
      for (let place = count - 1; place >= 0; place -= 1) {
        if (critical[place] === 0 && date[2 * place + 1] !== finish) continue;
        timesCritical[place]! += 1;
        for (let at = first[place]!; at < first[place + 1]!; at += 1)
          if (bound(at, place) === date[2 * place]) critical[sourceEvent[at]! >> 1] = 1;
      }
      return finish;
    },
  };
}

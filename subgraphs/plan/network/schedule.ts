import { sourceIsFinish, targetIsFinish } from './dependency.ts';
import { isLast, lastStarts } from './lastStarts.ts';
import type { ActivityNetwork } from './network.ts';
import { earliestFit, latestFit, leastDelay } from './openTimes.ts';
import { requireTopology, type Topology } from './topology.ts';

/**
 * `contiguous`: a step runs without a break, so that its start and its finish have the same float.
 * `interruptible`: a bound on the finish stretches the step instead of pushing its start (Crandall 1973; Moder, Phillips
 * & Davis 1983), and the two floats differ.
 */
export type Continuity = 'contiguous' | 'interruptible';

export interface ScheduleOptions {
  /** Computed by the caller already. @default sorted here */
  readonly topology?: Topology | undefined;
  /** @default 'contiguous' */
  readonly continuity?: Continuity | undefined;
  /** No step starts before. @default 0 */
  readonly projectStart?: number | undefined;
  /** What the late dates count back from. @default the early finish of the project */
  readonly horizon?: number | undefined;
}

/** Dates and floats by node. */
export interface Schedule {
  readonly continuity: Continuity;
  readonly topology: Topology;
  readonly projectStart: number;
  /** Early finish of the last step; the project's start when there is no step. */
  readonly finish: number;
  readonly horizon: number;
  readonly earlyStart: Float64Array;
  readonly earlyFinish: Float64Array;
  readonly lateStart: Float64Array;
  readonly lateFinish: Float64Array;
  /** Late less early start: how long the start may wait. */
  readonly startFloat: Float64Array;
  /** Late less early finish: how long the finish may wait. */
  readonly finishFloat: Float64Array;
  /** The smaller of the two; below zero where a deadline or the horizon cannot be kept. */
  readonly totalFloat: Float64Array;
  /** Longest delay of the step that moves no other step's early dates and not the finish of the project. Never below zero. */
  readonly freeFloat: Float64Array;
  /** How far the step moves at least when it moves later, by the times it may be at work; 0 where it moves freely. */
  readonly leastDelay: Float64Array;
  /** 1 on a longest path, whatever deadlines say: any delay of the step delays the project. */
  readonly critical: Uint8Array;
  /** The same by event: start of node n at 2n, finish at 2n + 1. Alike in a contiguous schedule. */
  readonly criticalEvent: Uint8Array;
  /** Longest path from the start of the step, itself included, to the end of the project: of work and lags. */
  readonly longestRemaining: Float64Array;
}

/**
 * Critical path method (Kelley & Walker 1959) over the four relations of the precedence diagramming method with lags
 * (Fondahl 1961): a forward and a backward pass, O(steps + dependencies). Steps with times of their own begin at the first,
 * at the latest at the last moment from which they fit (calendars of resources: Zhan 1992; Franck, Neumann & Schwindt 2001).
 * @throws {RangeError} on a cycle.
 */
export function computeSchedule(network: ActivityNetwork, options: ScheduleOptions = {}): Schedule {
  const { topology = requireTopology(network), continuity = 'contiguous', projectStart = 0 } = options;
  const { earlyStart, earlyFinish, finish } = passForward(network, { topology, continuity, projectStart });
  const horizon = options.horizon ?? finish;
  const { count } = network;
  const lateStart = new Float64Array(count);
  const lateFinish = new Float64Array(count);
  const freeFloat = new Float64Array(count);
  const longestRemaining = new Float64Array(count);
  const longestAfterFinish = new Float64Array(count);
  const criticalEvent = new Uint8Array(2 * count);
  const { edgeTarget, edgeType, edgeLag, outStart, outEdges, duration, deadline, open, planned } = network;
  const delay = new Float64Array(count);
  const early = { earlyStart, earlyFinish, continuity };
  const rigid = continuity === 'contiguous';

  for (let place = count - 1; place >= 0; place -= 1) {
    const node = topology.order[place]!;
    const length = duration[node]!;
    const own = open?.[node];
    if (own !== undefined) delay[node] = leastDelay(own, earlyStart[node]!, planned[node]!);
    let startBound = Infinity;
    let finishBound = Math.min(horizon, deadline[node]!);
    let free = finish - earlyFinish[node]!;
    let startTail = -Infinity;
    let finishTail = 0;
    let startCritical = 0;
    let finishCritical = earlyFinish[node] === finish ? 1 : 0;
    for (let at = outStart[node]!; at < outStart[node + 1]!; at += 1) {
      const edge = outEdges[at]!;
      const next = edgeTarget[edge]!;
      const lag = edgeLag[edge]!;
      const toFinish = edgeType[edge]! & targetIsFinish;
      const late = (toFinish ? lateFinish[next]! : lateStart[next]!) - lag;
      const tail = (toFinish ? longestAfterFinish[next]! : longestRemaining[next]!) + lag;
      const fromFinish = edgeType[edge]! & sourceIsFinish;
      const slack = edgeSlack(network, early, edge);
      const driving = slack === 0 ? criticalEvent[2 * next + (toFinish ? 1 : 0)]! : 0;
      free = Math.min(free, slack);
      if (fromFinish) {
        finishBound = Math.min(finishBound, late);
        finishTail = Math.max(finishTail, tail);
        finishCritical |= driving;
      } else {
        startBound = Math.min(startBound, late);
        startTail = Math.max(startTail, tail);
        startCritical |= driving;
      }
    }
    if (finishCritical && earlyFinish[node] === earlyStart[node]! + length) startCritical = 1;
    if (rigid) {
      finishBound = Math.min(finishBound, startBound + length);
      if (startCritical) finishCritical = 1;
    }
    lateFinish[node] = finishBound;
    lateStart[node] = Math.min(startBound, finishBound - length);
    freeFloat[node] = free;
    if (own !== undefined) {
      lateStart[node] = latestFit(own, lateStart[node]!, planned[node]!);
      if (rigid) lateFinish[node] = lateStart[node]! + length;
      freeFloat[node] = Math.max(0, latestFit(own, earlyStart[node]! + free, planned[node]!) - earlyStart[node]!);
    }
    longestRemaining[node] = Math.max(startTail, finishTail + length);
    longestAfterFinish[node] = rigid ? longestRemaining[node]! - length : finishTail;
    criticalEvent[2 * node] = startCritical;
    criticalEvent[2 * node + 1] = finishCritical;
  }

  if (open !== null) {
    const last = lastStarts(network, topology, finish);
    for (let node = 0; node < count; node += 1)
      criticalEvent.fill(isLast(earlyStart[node]!, last[node]!) ? 1 : 0, 2 * node, 2 * node + 2);
  }
  const startFloat = lateStart.map((late, node) => late - earlyStart[node]!);
  const finishFloat = lateFinish.map((late, node) => late - earlyFinish[node]!);
  return {
    ...{ continuity, topology, projectStart, finish, horizon, earlyStart, earlyFinish, lateStart, lateFinish },
    ...{ startFloat, finishFloat, freeFloat, criticalEvent, longestRemaining, leastDelay: delay },
    totalFloat: startFloat.map((float, node) => Math.min(float, finishFloat[node]!)),
    critical: Uint8Array.from(startFloat, (_, node) => criticalEvent[2 * node]! | criticalEvent[2 * node + 1]!),
  };
}

type EarlyDates = Pick<Schedule, 'earlyStart' | 'earlyFinish' | 'continuity'>;

/** How far the edge's successor lies behind where the edge alone would put it; zero is a driving edge. */
export function edgeSlack(network: ActivityNetwork, { earlyStart, earlyFinish, continuity }: EarlyDates, edge: number) {
  const source = network.edgeSource[edge]!;
  const target = network.edgeTarget[edge]!;
  const type = network.edgeType[edge]!;
  const bound = (type & sourceIsFinish ? earlyFinish[source]! : earlyStart[source]!) + network.edgeLag[edge]!;
  if (!(type & targetIsFinish)) return earlyStart[target]! - bound;
  // The same expression as in the forward pass, so that fractions round alike and a driving edge shows exactly zero.
  return continuity === 'contiguous'
    ? earlyStart[target]! - (bound - network.duration[target]!)
    : earlyFinish[target]! - bound;
}

/** Whether any delay of the edge's predecessor moves its successor. */
export function isDriving(
  network: ActivityNetwork,
  schedule: EarlyDates & Pick<Schedule, 'leastDelay'>,
  edge: number,
): boolean {
  const slack = edgeSlack(network, schedule, edge);
  return slack === 0 || slack < schedule.leastDelay[network.edgeSource[edge]!]!;
}

function passForward(
  network: ActivityNetwork,
  { topology, continuity, projectStart }: Pick<Schedule, 'topology' | 'continuity' | 'projectStart'>,
): Pick<Schedule, 'earlyStart' | 'earlyFinish' | 'finish'> {
  const { count, edgeSource, edgeType, edgeLag, inStart, inEdges, duration, earliestStart, open, planned } = network;
  const earlyStart = new Float64Array(count);
  const earlyFinish = new Float64Array(count);
  let finish = projectStart;
  for (const node of topology.order) {
    const length = duration[node]!;
    let start = Math.max(projectStart, earliestStart[node]!);
    let end = -Infinity;
    for (let at = inStart[node]!; at < inStart[node + 1]!; at += 1) {
      const edge = inEdges[at]!;
      const source = edgeSource[edge]!;
      const bound = (edgeType[edge]! & sourceIsFinish ? earlyFinish[source]! : earlyStart[source]!) + edgeLag[edge]!;
      if (!(edgeType[edge]! & targetIsFinish)) start = Math.max(start, bound);
      else if (continuity === 'contiguous') start = Math.max(start, bound - length);
      else end = Math.max(end, bound);
    }
    const own = open?.[node];
    if (own !== undefined) start = earliestFit(own, start, planned[node]!);
    earlyStart[node] = start;
    earlyFinish[node] = Math.max(start + length, end);
    finish = Math.max(finish, earlyFinish[node]!);
  }
  return { earlyStart, earlyFinish, finish };
}

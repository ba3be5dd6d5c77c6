import { createRandom } from '../graph/random.ts';
import { congestionCost } from './congestionCost.ts';
import { groupDemands } from './demandGroups.ts';
import { type InfeasibilityProof, proveInfeasible } from './infeasibility.ts';
import { boundUtilization, noBound, type UtilizationBound } from './lowerBound.ts';
import { isNoWorse, leastHopMbps, measureRoutes } from './measures.ts';
import { loadsOf, type Route, type RoutingMeasures, type RoutingProblem, utilization } from './problem.ts';
import {
  fortzThorup,
  isSameRoute,
  type LinkCost,
  type RerouteGuard,
  type RerouteOptions,
  reroute,
  sharpCost,
} from './reroute.ts';
import { findWorstCut } from './worstCut.ts';

/** Weights of what is to be small; each counts by its value relative to before. */
export interface RoutingGoals {
  readonly latency: number;
  /** Of demands without a way. */
  readonly throughput: number;
  /** Of the greatest utilisation. */
  readonly balance: number;
  readonly cost: number;
}

export interface OptimizeOptions {
  readonly goals: RoutingGoals;
  readonly seed: number;
  /** The search ends when it is used up; what is best so far is the answer. */
  readonly timeBudgetMs: number;
  /** Demands that may be put elsewhere. */
  readonly maxMoves: number;
  /** No link takes more than its capacity, unless it does so before. */
  readonly isHard: boolean;
  /** By link, 1 where no demand is put that is not there before. @default none */
  readonly avoided?: Uint8Array | undefined;
  /** @default performance.now */
  readonly now?: () => number;
}

export interface OptimizedRoutes {
  readonly routes: readonly Route[];
  readonly before: RoutingMeasures;
  readonly after: RoutingMeasures;
  /** Score of `after` where that of `before` is 1 for each weight; never greater than it. */
  readonly score: number;
  readonly scoreBefore: number;
  /** No routing has a smaller maximum utilisation. */
  readonly lowerBound: number;
  readonly boundKind: BoundKind;
  /** A greater bound of the kind is not there to be found: the program was solved, or the routes reach the bound. */
  readonly isBoundTight: boolean;
  /** Maximum utilisation over its bound, less 1; 0 without load. */
  readonly gap: number;
  /** Within a thousandth of the bound. */
  readonly isOptimal: boolean;
  readonly moved: readonly number[];
  readonly changes: number;
  readonly isBudgetUsedUp: boolean;
  readonly feasibility: Feasibility;
  /** Set where they do not fit. */
  readonly proof: InfeasibilityProof | null;
}

/**
 * What bounds the maximum utilisation. LINEAR_PROGRAM and LINK_PRICES: what demands pay at least by prices of links, those of the
 * program or such as loads suggest; CUT: what has to cross one. These hold for demands that are split too. ONE_PATH: a demand on
 * the widest of its paths.
 */
export type BoundKind = 'LINEAR_PROGRAM' | 'LINK_PRICES' | 'CUT' | 'ONE_PATH';

/** Whether all demands fit at once: on the routes found, if they are split, not at all, or not known. */
export type Feasibility = 'FEASIBLE' | 'SPLIT_ONLY' | 'INFEASIBLE' | 'UNKNOWN';

const sharpnesses = [10, 20, 40, 80, 160, 320] as const;
/** Of links that are emptier than the fullest by this much over the sharpness, emptying one is worth a twentieth of it at most. */
const hotDepth = 3;
/** Of the time, for the first search, and until the linear program has to begin. */
const firstShare = 0.5;
const sharpShare = 0.75;
/** Of the time beside it, for the cut that proves what may not fit. */
const cutShare = 0.25;
/** So close to the bound, relatively: what is left is not worth the time; and as good as the best there is. */
const closeEnough = 0.002;
const optimalWithin = 0.001;

/**
 * Better routes for a matrix of demands. Rip up and reroute on the Fortz-Thorup cost, then on ever sharper costs of the
 * fullest link until it is close to the bound of the linear program, then for latency below the utilisation reached. Of
 * everything seen on the way, `before` included, what scores best is the answer, if it is no worse by what `isNoWorse` says.
 */
export async function optimizeRoutes(
  problem: RoutingProblem,
  before: readonly Route[],
  options: OptimizeOptions,
): Promise<OptimizedRoutes> {
  const { goals, timeBudgetMs, now = () => performance.now() } = options;
  const startedAt = now();
  const isOverAt = (share: number) => () => now() >= startedAt + share * timeBudgetMs;
  const isOver = isOverAt(1);
  const scale = leastHopMbps(problem);
  const measuresBefore = measureRoutes(problem, before, scale);
  const scoreOf = createScore(goals, measuresBefore);
  let best = { routes: before, measures: measuresBefore, score: scoreOf(measuresBefore) };
  const see = (routes: readonly Route[]) => {
    const measures = measureRoutes(problem, routes, scale);
    const score = scoreOf(measures);
    if (score < best.score && isNoWorse(measures, measuresBefore)) best = { routes: [...routes], measures, score };
    return measures;
  };
  const preference = preferenceOf(problem, goals);
  const base: Omit<RerouteOptions, 'cost'> = {
    preference,
    random: createRandom(options.seed),
    isOver,
    home: before,
    maxMoves: options.maxMoves,
    isHard: options.isHard,
    avoided: options.avoided,
    onPass: see,
  };
  const routes = [...before];
  // The bound and what it leads to need their part of the time on networks where a pass takes seconds.
  let changes = reroute(problem, routes, { ...base, isOver: isOverAt(firstShare), cost: fortzThorup });
  let reached = see(routes);

  const groups = groupDemands(problem);
  const onePath = groups.reduce((most, { greatestMbps, widthMbps }) => Math.max(most, greatestMbps / widthMbps), 0);
  let program = noBound(problem);
  const isWithin = (share: number) =>
    best.measures.maxUtilization <= Math.max(onePath, program.maxUtilization) * (1 + share);
  /** Ever sharper costs of the fullest link, until it is close enough to what is known to be the least. */
  const sharpen = (isEnd: () => boolean, isHotOnly: boolean) => {
    for (const sharpness of sharpnesses) {
      const greatest = reached.maxUtilization;
      if (isEnd() || isWithin(closeEnough) || !Number.isFinite(greatest) || greatest === 0) break;
      const hot = greatest * (1 - hotDepth / sharpness);
      changes += reroute(problem, routes, {
        ...base,
        preference: preference.map((value) => value * 1e-9),
        cost: sharpCost(greatest, sharpness),
        ...(isHotOnly && { isHot: (load, link) => utilization(load, problem.capacity[link]!) >= hot }),
        ...{ maxPasses: 8, isOver: isEnd },
      });
      reached = see(routes);
    }
  };
  if (goals.balance > 0) sharpen(isOverAt(sharpShare), true);
  // Where a demand alone has the fullest link that full, there is nothing left to find out.
  if (best.measures.unroutedDemands > 0 || best.measures.maxUtilization > 1 || !isWithin(optimalWithin))
    program = await boundUtilization(problem, {
      ...{ groups, isOver, start: routes },
      leftMs: () => startedAt + timeBudgetMs - now(),
    });
  if (goals.balance > 0) sharpen(isOver, false);
  const ceiling = () => ({
    ...problem,
    capacity: problem.capacity.map((limit) => limit * Math.min(best.measures.maxUtilization, Number.MAX_VALUE)),
  });
  const under = { ...base, isHard: true, maxPasses: 4 };
  if (best.routes === before) {
    // Nothing that was seen is no worse: once more from the beginning, without ever getting past it.
    const careful = [...before];
    const cost: LinkCost = (load, _ceiling, link) => fortzThorup(load, problem.capacity[link]!, link);
    changes += reroute(ceiling(), careful, { ...under, guard: congestionGuard(problem, [before]), cost });
    see(careful);
  }
  // Below the utilisation reached whatever is shorter or cheaper is a gain.
  const polished = [...best.routes];
  changes += reroute(ceiling(), polished, {
    ...under,
    guard: congestionGuard(problem, [before, best.routes]),
    cost: () => 0,
  });
  see(polished);

  const isBudgetUsedUp = isOver();
  const isFit = best.measures.unroutedDemands === 0 && best.measures.maxUtilization <= 1;
  const isReached = isFit && isWithin(optimalWithin);
  // Of a program that was solved no cut says more, unless it is to prove what does not fit.
  const cut =
    (program.isTight && program.maxUtilization <= 1) || isReached
      ? null
      : findWorstCut(problem, {
          ...{ groups, prices: program.prices },
          isOver: isFit ? isOver : isOverAt(1 + cutShare),
        });
  const bound = greatestBound({ program, cutRatio: cut?.ratio ?? 0, onePath });
  const proof = proveInfeasible(problem, { groups, side: cut?.side ?? null, prices: program.prices });
  const { maxUtilization } = best.measures;
  const isOptimal = best.measures.unroutedDemands === 0 && maxUtilization <= bound.value * (1 + optimalWithin);
  return {
    routes: best.routes,
    before: measuresBefore,
    after: best.measures,
    score: best.score,
    scoreBefore: scoreOf(measuresBefore),
    lowerBound: bound.value,
    boundKind: bound.kind,
    isBoundTight: program.isTight || isOptimal,
    gap: bound.value > 0 ? Math.max(0, maxUtilization / bound.value - 1) : 0,
    isOptimal,
    moved: [...before.keys()].filter((at) => !isSameRoute(before[at]!, best.routes[at]!)),
    changes,
    isBudgetUsedUp,
    feasibility: feasibilityOf(problem, { proof, measures: best.measures, reached: program.reached }),
    proof,
  };
}

/** Keeps the Fortz-Thorup cost of open links from rising above that of the dearest of these; closed ones take nothing. */
function congestionGuard(problem: RoutingProblem, all: readonly (readonly Route[])[]): RerouteGuard {
  const { capacity } = problem;
  const cost = (load: number, link: number) => (capacity[link]! > 0 ? congestionCost(load, capacity[link]!) : 0);
  const costOf = (routes: readonly Route[]) =>
    loadsOf(problem, routes).reduce((sum, load, link) => sum + cost(load, link), 0);
  return { cost, most: Math.max(...all.map(costOf)) * (1 + 1e-10) };
}

interface Bounds {
  readonly program: UtilizationBound;
  readonly cutRatio: number;
  readonly onePath: number;
}

/** Of equal bounds the one that says more of split routings too. */
function greatestBound({ program, cutRatio, onePath }: Bounds): { readonly value: number; readonly kind: BoundKind } {
  const bounds = [
    { value: program.maxUtilization, kind: program.isOfProgram || program.isTight ? 'LINEAR_PROGRAM' : 'LINK_PRICES' },
    { value: cutRatio, kind: 'CUT' },
    { value: onePath, kind: 'ONE_PATH' },
  ] as const;
  return bounds.reduce<(typeof bounds)[number]>((most, one) => (one.value > most.value ? one : most), bounds[0]);
}

interface Findings {
  readonly proof: InfeasibilityProof | null;
  readonly measures: RoutingMeasures;
  readonly reached: number;
}

function feasibilityOf({ demands }: RoutingProblem, { proof, measures, reached }: Findings): Feasibility {
  const isWithin = (greatest: number) => greatest <= 1 + 1e-9;
  if (proof !== null) return 'INFEASIBLE';
  if (measures.unroutedDemands === 0 && isWithin(measures.maxUtilization)) return 'FEASIBLE';
  // The program knows nothing of bounds of latency.
  const isOfProgram = demands.every(({ maxLatencyMs }) => maxLatencyMs === undefined);
  return isOfProgram && isWithin(reached) ? 'SPLIT_ONLY' : 'UNKNOWN';
}

/** What goals are about. */
export type ScoredMeasures = Pick<
  RoutingMeasures,
  'maxUtilization' | 'meanLatencyMs' | 'transportCost' | 'unroutedMbps'
>;

/** Each measure relative to what it was, weighted; what was nothing counts absolutely. */
export function createScore(goals: RoutingGoals, before: RoutingMeasures) {
  const total = before.routedMbps + before.unroutedMbps;
  const relative = (value: number, was: number) => (was > 0 && Number.isFinite(was) ? value / was : value);
  return (measures: ScoredMeasures): number =>
    goals.balance * relative(measures.maxUtilization, before.maxUtilization) +
    goals.latency * relative(measures.meanLatencyMs, before.meanLatencyMs) +
    goals.cost * relative(measures.transportCost, before.transportCost) +
    goals.throughput * (total > 0 ? measures.unroutedMbps / total : 0) * 10;
}

/** What a Mbps prefers, by link, beside the slope 1 of an empty link: latency and cost by their means. */
function preferenceOf({ latencyMs, costPerGb }: RoutingProblem, goals: RoutingGoals): Float64Array {
  const mean = (values: Float64Array) => values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
  const [latency, cost] = [mean(latencyMs) || 1, mean(costPerGb) || 1];
  const scale = 1 / Math.max(goals.balance, 1e-3);
  return latencyMs.map(
    (value, link) => 1e-6 + scale * (goals.latency * (value / latency) + goals.cost * (costPerGb[link]! / cost)),
  );
}

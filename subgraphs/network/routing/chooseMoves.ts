import { congestionCost } from './congestionCost.ts';
import { createGreatest } from './greatest.ts';
import { type GuardedMeasures, isNoWorse, measureRoutes } from './measures.ts';
import { createScore, type RoutingGoals, type ScoredMeasures } from './optimize.ts';
import { latencyOf, loadsOf, type Route, type RoutingMeasures, type RoutingProblem, utilization } from './problem.ts';

/** A demand that may be put on another route than it has. */
export interface Candidate {
  readonly demand: number;
  readonly route: readonly number[];
}

/** What is left for demands to take beside the measured loads. */
export interface Room {
  /** Takes the demand from one route to the other, where that has room at this moment; else nothing changes. */
  move(demand: number, from: Route, to: Route): boolean;
  /** Undoes the last move that was made: there is room for what was there. */
  undo(demand: number, from: Route, to: Route): void;
}

export interface ChoiceOptions {
  readonly candidates: readonly Candidate[];
  readonly goals: RoutingGoals;
  /** Demands that may be moved. */
  readonly most: number;
  /** The room that there is before anything is moved. */
  readonly openRoom: () => Room;
}

export interface Choice {
  readonly made: readonly Candidate[];
  readonly routes: readonly Route[];
  /** Congestion is the sum of costs, not by the scale of Fortz and Thorup. */
  readonly before: RoutingMeasures;
  readonly after: RoutingMeasures;
}

/** Scores that differ by less are the same. */
const tolerance = 1e-9;
const maxPasses = 4;

/**
 * Which of the moves are made. All of them where each has room, one after the other, and the routes score better than before
 * and are no worse in what `isNoWorse` guards. Else a local search: from all that have room, and from the best of what was seen while they were made, moves are left
 * out and taken in one at a time as long as the score falls. What is no better than before is nothing at all.
 */
export function chooseMoves(problem: RoutingProblem, before: readonly Route[], options: ChoiceOptions): Choice {
  const { candidates, goals, most, openRoom } = options;
  const measuresBefore = measureRoutes(problem, before, 1);
  const byGoals = createScore(goals, measuresBefore);
  // What is worse in what is guarded scores as nothing that may be made.
  const scoreOf = (measures: ScoredMeasures & GuardedMeasures): number =>
    isNoWorse(measures, measuresBefore) ? byGoals(measures) : Number.POSITIVE_INFINITY;
  const scoreBefore = scoreOf(measuresBefore);
  const open = () => createTrial(problem, before, { room: openRoom(), scoreOf });
  const choiceOf = ({ made, routes }: Trial): Choice | null => {
    // Measured anew: sums that were kept along the way have rounded.
    const after = measureRoutes(problem, routes, 1);
    const isBetter = scoreOf(after) < scoreBefore - tolerance;
    return isBetter && made.size <= most ? { made: [...made], routes, before: measuresBefore, after } : null;
  };

  const all = open();
  let best = { count: 0, score: scoreBefore };
  // Moves that wait for room others still hold are tried again as long as some succeed.
  for (let waiting = candidates; waiting.length > 0; ) {
    const left: Candidate[] = [];
    for (const candidate of waiting) {
      if (!all.make(candidate)) {
        left.push(candidate);
        continue;
      }
      const score = all.score();
      if (all.made.size <= most && score < best.score - tolerance) best = { count: all.made.size, score };
    }
    if (left.length === waiting.length) break;
    waiting = left;
  }
  const whole = all.made.size === candidates.length ? choiceOf(all) : null;
  if (whole !== null) return whole;

  const first = open();
  for (const candidate of [...all.made].slice(0, best.count)) first.make(candidate);
  const found = [first, all]
    .map((trial) => {
      improve(trial, candidates, most);
      return choiceOf(trial);
    })
    .filter((choice) => choice !== null)
    .sort((a, b) => scoreOf(a.after) - scoreOf(b.after) || a.made.length - b.made.length);
  return found[0] ?? { made: [], routes: before, before: measuresBefore, after: measuresBefore };
}

/** Leaves out and takes in single moves as long as that lowers the score; of equal scores the one with fewer moves. */
function improve(trial: Trial, candidates: readonly Candidate[], most: number): void {
  for (let pass = 0; pass < maxPasses; pass += 1) {
    let changed = false;
    for (const candidate of [...candidates].reverse()) {
      const was = trial.score();
      if (trial.made.has(candidate)) {
        if (!trial.leave(candidate)) continue;
        if (trial.made.size >= most || trial.score() <= was + tolerance) changed = true;
        else trial.undo(candidate);
      } else if (trial.made.size < most && trial.make(candidate)) {
        if (trial.score() < was - tolerance) changed = true;
        else trial.undo(candidate);
      }
    }
    if (!changed) return;
  }
}

type Trial = ReturnType<typeof createTrial>;

interface TrialOptions {
  readonly room: Room;
  readonly scoreOf: (measures: ScoredMeasures & GuardedMeasures) => number;
}

/** Routes that demands are moved to and back, with what their score follows from. */
function createTrial(problem: RoutingProblem, before: readonly Route[], { room, scoreOf }: TrialOptions) {
  const { graph, capacity, costPerGb, demands } = problem;
  const load = loadsOf(problem, before);
  const routes = [...before];
  const made = new Set<Candidate>();
  let [routedMbps, unroutedMbps, weightedLatency, transportCost] = [0, 0, 0, 0];
  const count = (route: Route, mbps: number) => {
    if (route === null) {
      unroutedMbps += mbps;
      return;
    }
    routedMbps += mbps;
    weightedLatency += latencyOf(problem, route) * mbps;
    for (const arc of route) transportCost += costPerGb[graph.link[arc]!]! * mbps;
  };
  for (const [at, route] of routes.entries()) count(route, demands[at]!.mbps);

  const usedOf = (link: number) => (load[link]! > tolerance ? utilization(load[link]!, capacity[link]!) : 0);
  const fullest = createGreatest(Array.from(load, (_, link) => usedOf(link)));
  // Loads on closed links cost without bound: they are counted, so that the sum can get back.
  let [congestion, unbounded] = [0, 0];
  const countCongestion = (link: number, sign: 1 | -1) => {
    if (load[link]! <= tolerance) return;
    if (capacity[link]! > 0) congestion += sign * congestionCost(load[link]!, capacity[link]!);
    else unbounded += sign;
  };
  for (const link of load.keys()) countCongestion(link, 1);
  const addLoad = (route: Route, mbps: number) => {
    for (const arc of route ?? []) {
      const link = graph.link[arc]!;
      countCongestion(link, -1);
      load[link]! += mbps;
      countCongestion(link, 1);
      fullest.set(link, usedOf(link));
    }
  };
  const put = ({ demand }: Candidate, route: Route) => {
    const { mbps } = demands[demand]!;
    count(routes[demand]!, -mbps);
    addLoad(routes[demand]!, -mbps);
    routes[demand] = route;
    count(route, mbps);
    addLoad(route, mbps);
  };
  const homeOf = ({ demand }: Candidate) => before[demand]!;
  return {
    routes,
    /** In the order in which they were made. */
    made: made as ReadonlySet<Candidate>,
    make(candidate: Candidate): boolean {
      if (!room.move(candidate.demand, homeOf(candidate), candidate.route)) return false;
      put(candidate, candidate.route);
      made.add(candidate);
      return true;
    },
    /** Nothing is left without a route that has got one. */
    leave(candidate: Candidate): boolean {
      if (homeOf(candidate) === null) return false;
      if (!room.move(candidate.demand, candidate.route, homeOf(candidate))) return false;
      put(candidate, homeOf(candidate));
      made.delete(candidate);
      return true;
    },
    /** The last step, made or left, as if it had not been. */
    undo(candidate: Candidate): void {
      const isMade = made.has(candidate);
      const [from, to] = isMade ? [candidate.route, homeOf(candidate)] : [homeOf(candidate), candidate.route];
      room.undo(candidate.demand, from, to);
      put(candidate, to);
      if (isMade) made.delete(candidate);
      else made.add(candidate);
    },
    score(): number {
      const meanLatencyMs = routedMbps <= 0 ? 0 : weightedLatency / routedMbps;
      return scoreOf({
        ...{ maxUtilization: fullest.value(), meanLatencyMs, transportCost, unroutedMbps },
        congestionCost: unbounded > 0 ? Number.POSITIVE_INFINITY : congestion,
      });
    },
  };
}

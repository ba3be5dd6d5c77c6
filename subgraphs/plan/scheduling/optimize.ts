import { createBudget, type SearchLimits } from './budget.ts';
import { createBuilder } from './builder.ts';
import { explainUnplaced, findCapacityConflict, findLateness } from './feasibility.ts';
import type { Infeasibility } from './infeasibility.ts';
import { findInvalidInput } from './inputCheck.ts';
import { compileInstance, type Instance } from './instance.ts';
import { boundMakespan } from './lowerBound.ts';
import { measureSchedule, type ScheduleMeasures } from './measures.ts';
import type { SchedulingProblem } from './problem.ts';
import { createRandom } from './random.ts';
import { impossible } from './serialGeneration.ts';
import { type SearchAlgorithm, searchShortest } from './shortestSearch.ts';

export interface OptimizeOptions extends SearchLimits {
  /** @default annealing */
  readonly algorithm?: SearchAlgorithm | undefined;
  readonly seed: number;
  /** Told of each shorter schedule found. */
  readonly onProgress?: ((progress: OptimizeProgress) => void) | undefined;
}

export interface OptimizeProgress {
  readonly makespan: number;
  readonly lowerBound: number;
  readonly schedules: number;
  readonly elapsedMs: number;
}

export interface FoundSchedule {
  /** `optimal` where the makespan is the lower bound. */
  readonly status: 'optimal' | 'feasible';
  readonly starts: Int32Array;
  readonly lowerBound: number;
  readonly measures: ScheduleMeasures;
  readonly schedules: number;
  readonly timeLimited: boolean;
  readonly elapsedMs: number;
}

export interface NoSchedule {
  readonly status: 'infeasible';
  readonly infeasibility: Infeasibility;
  /** The schedule that misses dates by the least, where the dates are all it misses. */
  readonly closest: Int32Array | null;
}

export type OptimizeResult = FoundSchedule | NoSchedule;

/** A valid problem made ready for search, or why it has no schedule. */
export function prepareInstance(problem: SchedulingProblem): Instance | NoSchedule {
  const conflict = findInvalidInput(problem) ?? findCapacityConflict(problem);
  if (conflict !== null) return { status: 'infeasible', infeasibility: conflict, closest: null };
  const compiled = compileInstance(problem);
  if ('instance' in compiled) return compiled.instance;
  return { status: 'infeasible', infeasibility: compiled.infeasibility, closest: null };
}

/**
 * The schedule of the least makespan found within the limits. Always builds at least one schedule, however small the
 * limits. The same problem, seed and `maxSchedules` give the same schedule as long as neither time nor `shouldStop` end
 * the search.
 */
export function optimizeSchedule(problem: SchedulingProblem, options: OptimizeOptions): OptimizeResult {
  const budget = createBudget(options);
  const instance = prepareInstance(problem);
  if ('status' in instance) return instance;
  const lowerBound = boundMakespan(instance);
  const builder = createBuilder(instance);
  const best = searchShortest({
    algorithm: options.algorithm,
    builder,
    budget,
    lowerBound,
    random: createRandom(options.seed),
    onBetter: ({ length }) =>
      options.onProgress?.({
        makespan: length,
        lowerBound,
        schedules: builder.evaluations,
        elapsedMs: budget.elapsedMs(),
      }),
  });
  if (best.length >= impossible)
    return { status: 'infeasible', infeasibility: explainUnplaced(builder), closest: null };
  const lateness = findLateness(instance, best.starts);
  if (lateness !== null) return { status: 'infeasible', infeasibility: lateness, closest: best.starts };
  return {
    status: best.length <= lowerBound ? 'optimal' : 'feasible',
    starts: best.starts,
    lowerBound,
    measures: measureSchedule(problem, best.starts, lowerBound),
    schedules: builder.evaluations,
    timeLimited: budget.isTimeLimited(),
    elapsedMs: budget.elapsedMs(),
  };
}

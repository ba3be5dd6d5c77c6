import {
  computeSchedule,
  findCriticalPaths,
  type Parallelism,
  profileParallelism,
  type Schedule,
} from '../network/index.ts';
import { networkOf } from './calendar.ts';
import { type EstimateSpread, threePointOf } from './estimate.ts';
import { type MonteCarloResult, simulateFinish } from './monteCarlo.ts';
import { analyzePert, type PertResult } from './pert.ts';
import type { PlanProblem } from './problem.ts';
import { checkQuality, type QualityFinding } from './quality.ts';
import { findBottleneck, measureLoad, type ResourceLoad, type StepDates } from './resourceLoad.ts';
import { type Risk, type RiskScore, scoreRisks } from './risk.ts';
import { type Scheduler, type Suggestions, suggestChanges } from './suggestions.ts';

export interface PlanAnalysisOptions {
  readonly risks?: readonly Risk[];
  readonly spread?: EstimateSpread;
  /** Dates that respect the resources, by index of the steps. @default the early dates */
  readonly dates?: StepDates;
  readonly seed?: number;
  /** @default 2_000 */
  readonly samples?: number;
  /** Critical paths listed; all are counted. @default 20 */
  readonly pathLimit?: number;
  /** Ends the sampling early. @default never */
  readonly stopSampling?: () => boolean;
  /** Whether a step is work of its own, for the width of the plan. @default each is */
  readonly counts?: (stepId: string) => boolean;
  /** Without one no suggestion is made. */
  readonly scheduler?: Scheduler;
  readonly maxEvaluations?: number;
  /** Ends the trying of suggestions early. @default never */
  readonly stopSuggesting?: () => boolean;
}

export interface PlanAnalysis {
  readonly stepIds: readonly string[];
  readonly schedule: Schedule;
  readonly criticalPaths: { readonly count: bigint; readonly listed: readonly (readonly string[])[] };
  readonly parallelism: Parallelism;
  readonly pert: PertResult;
  readonly monteCarlo: MonteCarloResult;
  readonly loads: readonly ResourceLoad[];
  readonly bottleneck: ResourceLoad | null;
  readonly risk: RiskScore;
  readonly quality: readonly QualityFinding[];
  readonly suggestions: Suggestions | null;
}

/**
 * The whole analysis of a plan that does not run yet; arrays are by index of the steps. Late dates count back from the
 * deadline of the problem, or from its early finish without one. `measureEarnedValue` belongs to running plans.
 * @throws {RangeError} on a cycle.
 */
export function analyzePlan(problem: PlanProblem, options: PlanAnalysisOptions = {}): PlanAnalysis {
  const { seed, samples, pathLimit = 20, stopSampling, scheduler, maxEvaluations, stopSuggesting } = options;
  const { deadline } = problem;
  const network = networkOf(problem);
  const schedule = computeSchedule(network, { horizon: deadline });
  const { topology } = schedule;
  const estimates = problem.steps.map((step) => threePointOf(step, options.spread));
  const paths = findCriticalPaths(network, schedule);
  const dates = options.dates ?? { start: schedule.earlyStart, finish: schedule.earlyFinish };
  const loads = measureLoad(problem, dates, schedule.critical);
  return {
    ...{ stepIds: network.ids, schedule, loads },
    criticalPaths: { count: paths.count, listed: [...paths.paths({ limit: pathLimit })] },
    parallelism: profileParallelism(network, schedule, options.counts),
    pert: analyzePert(network, estimates, { topology, deadline }),
    monteCarlo: simulateFinish(network, estimates, { topology, deadline, seed, samples, shouldStop: stopSampling }),
    bottleneck: findBottleneck(loads),
    risk: scoreRisks(options.risks ?? []),
    quality: checkQuality(network, schedule, loads),
    suggestions:
      scheduler === undefined
        ? null
        : suggestChanges(problem, scheduler, { maxEvaluations, shouldStop: stopSuggesting }),
  };
}

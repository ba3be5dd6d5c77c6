import { computeSchedule, findCriticalPaths, type Schedule } from '../network/index.ts';
import { networkOf } from './calendar.ts';
import { type EstimateSpread, isThreePoint, threePointOf } from './estimate.ts';
import { type DurationRange, findInfeasibilities, type InfeasibilityReason } from './feasibility.ts';
import { analyzePert, probabilityWithin } from './pert.ts';
import type { PlanProblem } from './problem.ts';
import { findBottleneck, measureLoad } from './resourceLoad.ts';
import { type Risk, type RiskScore, scoreRisks } from './risk.ts';

export interface PlanSummary {
  readonly totalSteps: number;
  /** Longest path, with regard to the calendars of resources alone. */
  readonly duration: number;
  /** Sum of duration x rate. */
  readonly cost: number;
  readonly risk: RiskScore;
  readonly confidence: Confidence;
  readonly feasible: boolean;
  readonly reasons: readonly InfeasibilityReason[];
  /** One critical path; there may be more. */
  readonly criticalStepIds: readonly string[];
  readonly peaks: readonly { readonly resourceId: string; readonly peak: number; readonly capacity: number }[];
  readonly bottleneckId: string | null;
}

/** `value` is the product of the three, 0 to 1; zero for a plan that cannot be carried out. */
export interface Confidence {
  readonly value: number;
  /** P(finish <= deadline) by PERT; without a deadline, of ending at most a tenth later than planned. */
  readonly schedule: number;
  /** 1 - mean severity of the open risks. */
  readonly risk: number;
  /** Halfway to 1 the share of the work that has a three-point estimate of its own. */
  readonly estimates: number;
}

export interface SummaryOptions {
  readonly risks?: readonly Risk[];
  readonly spread?: EstimateSpread;
  /** Shortest and longest plan allowed. @default any */
  readonly durationRange?: DurationRange;
}

/**
 * What `createPlan` answers beside the plan: one pass of the critical path method, O(steps + dependencies) and the load.
 * @throws {RangeError} on a cycle.
 */
export function summarizePlan(
  problem: PlanProblem,
  { risks = [], spread, durationRange }: SummaryOptions = {},
): PlanSummary & { readonly schedule: Schedule } {
  const network = networkOf(problem);
  const schedule = computeSchedule(network);
  const estimates = problem.steps.map((step) => threePointOf(step, spread));
  const pert = analyzePert(network, estimates, { topology: schedule.topology });
  const risk = scoreRisks(risks);
  const reasons = findInfeasibilities(problem, schedule, durationRange);
  const loads = measureLoad(problem, { start: schedule.earlyStart, finish: schedule.earlyFinish }, schedule.critical);
  const duration = schedule.finish - schedule.projectStart;
  const limit = problem.deadline ?? schedule.projectStart + 1.1 * duration;
  const parts = {
    schedule: probabilityWithin(limit, pert.finish, pert.finishVariance),
    risk: 1 - risk.score,
    estimates: (1 + shareEstimated(problem)) / 2,
  };
  const feasible = reasons.length === 0;
  return {
    ...{ totalSteps: problem.steps.length, duration, risk, feasible, reasons, schedule },
    cost: problem.steps.reduce((sum, step) => sum + step.duration * (step.costRate ?? 0), 0),
    confidence: { value: feasible ? parts.schedule * parts.risk * parts.estimates : 0, ...parts },
    criticalStepIds: findCriticalPaths(network, schedule).paths({ limit: 1 }).next().value ?? [],
    peaks: loads.map(({ resourceId, peak, capacity }) => ({ resourceId, peak, capacity })),
    bottleneckId: findBottleneck(loads)?.resourceId ?? null,
  };
}

function shareEstimated({ steps }: PlanProblem): number {
  let all = 0;
  let estimated = 0;
  for (const { duration, estimate } of steps) {
    all += duration;
    if (estimate !== undefined && isThreePoint(estimate)) estimated += duration;
  }
  return all === 0 ? 1 : estimated / all;
}

import { arrangeList } from './arrangement.ts';
import { type Budget, createBudget, type SearchLimits } from './budget.ts';
import { createBuilder } from './builder.ts';
import { explainUnplaced, findLateness } from './feasibility.ts';
import { crashDurations } from './genome.ts';
import { createIndividual, evaluateList, type Individual } from './individual.ts';
import type { Infeasibility } from './infeasibility.ts';
import { compileInstance } from './instance.ts';
import { crashCost } from './objectives.ts';
import { type NoSchedule, prepareInstance } from './optimize.ts';
import { priorityRules, rankActivities } from './priorityRules.ts';
import { free, type SchedulingProblem, unbounded } from './problem.ts';
import { createRandom } from './random.ts';
import { createSampler } from './sampling.ts';
import { impossible } from './serialGeneration.ts';

export interface CrashOptions extends SearchLimits {
  readonly seed: number;
  /** Makespan to reach at the least price. */
  readonly targetMakespan: number;
}

export interface CrashedSchedule {
  readonly status: 'feasible';
  readonly starts: Int32Array;
  readonly durations: Int32Array;
  readonly makespan: number;
  /** Price of the time saved. */
  readonly crashCost: number;
  readonly schedules: number;
  readonly timeLimited: boolean;
}

export interface TargetMissed {
  readonly status: 'target_missed';
  /** The shortest makespan found with everything crashed. */
  readonly shortest: number;
  readonly schedules: number;
  readonly timeLimited: boolean;
}

/** Time that each crash option saves, and the schedule with it. */
interface Choice {
  readonly saved: Int32Array;
  readonly schedule: Individual;
}

/**
 * Shortens to a target makespan: everything that may be is crashed, then given back its time, the dearest first and as
 * much as the target allows (Goyal 1975), each time with a schedule under the resources. Then each option in turn is
 * crashed again, where giving back the others pays for it.
 */
export function crashSchedule(
  problem: SchedulingProblem,
  options: CrashOptions,
): CrashedSchedule | TargetMissed | NoSchedule {
  const prepared = prepareInstance(problem);
  if ('status' in prepared) return prepared;
  const trial = createTrial(problem, options);
  const { crashOptions = [], durations, fixedStarts } = problem;
  // What already runs keeps its duration.
  const most = Int32Array.from(crashOptions, ({ activity, crashDuration }) =>
    (fixedStarts?.[activity] ?? free) === free ? durations[activity]! - crashDuration : 0,
  );
  const asIs = trial.schedule(new Int32Array(most.length));
  if (asIs !== null && asIs.length <= options.targetMakespan)
    return report(problem, { saved: new Int32Array(most.length), schedule: asIs }, trial);
  const shortest = trial.schedule(most);
  const infeasibility = trial.reason();
  if (infeasibility !== null) return { status: 'infeasible', infeasibility, closest: shortest?.starts ?? null };
  if (shortest === null) return { status: 'target_missed', shortest: unbounded, ...trial.spent() };
  if (shortest.length > options.targetMakespan)
    return { status: 'target_missed', shortest: shortest.length, ...trial.spent() };

  const price = ({ saved }: Choice) => crashCost(problem, crashDurations(problem, saved));
  const dearest = [...most.keys()].sort(
    (left, right) => crashOptions[right]!.costPerUnitTime - crashOptions[left]!.costPerUnitTime,
  );
  let best = giveBack({ saved: most, schedule: shortest }, dearest, trial);
  for (let improved = true; improved && !trial.isSpent(); ) {
    improved = false;
    for (const at of dearest) {
      if (best.saved[at] === most[at] || trial.isSpent()) continue;
      const saved = best.saved.with(at, most[at]!);
      const schedule = trial.schedule(saved);
      if (schedule === null || schedule.length > options.targetMakespan) continue;
      const others = dearest.filter((other) => other !== at);
      const choice = giveBack({ saved, schedule }, [...others, at], trial);
      if (price(choice) >= price(best)) continue;
      best = choice;
      improved = true;
    }
  }
  return report(problem, best, trial);
}

function report(problem: SchedulingProblem, { saved, schedule }: Choice, trial: Trial): CrashedSchedule {
  const durations = crashDurations(problem, saved);
  return {
    status: 'feasible',
    starts: schedule.starts,
    durations,
    makespan: schedule.length,
    crashCost: crashCost(problem, durations),
    ...trial.spent(),
  };
}

/** For each option in turn, by bisection, the fewest units that have to stay saved. */
function giveBack(from: Choice, turns: readonly number[], trial: Trial): Choice {
  let { saved, schedule } = from;
  for (const at of turns) {
    let least = 0;
    while (least < saved[at]! && !trial.isSpent()) {
      const units = (least + saved[at]!) >> 1;
      const fewer = saved.with(at, units);
      const candidate = trial.schedule(fewer);
      if (candidate === null || candidate.length > trial.targetMakespan) least = units + 1;
      else [saved, schedule] = [fewer, candidate];
    }
  }
  return { saved, schedule };
}

interface Trial {
  readonly targetMakespan: number;
  isSpent(): boolean;
  spent(): { readonly schedules: number; readonly timeLimited: boolean };
  /** Why the last schedule was null, or which date it misses; null where it has neither fault. */
  reason(): Infeasibility | null;
  /** Null where the durations make dependencies or dates contradict one another. */
  schedule(saved: Int32Array): Individual | null;
}

/** Schedules the problem with some durations crashed: by the last good list, by priority rules, and by a few samples. */
function createTrial(problem: SchedulingProblem, options: CrashOptions): Trial {
  const budget: Budget = createBudget(options);
  const random = createRandom(options.seed);
  const samples = 20;
  let schedules = 0;
  let reason: Infeasibility | null = null;
  let lastList: Int32Array | null = null;
  return {
    targetMakespan: options.targetMakespan,
    isSpent: () => budget.isSpent(schedules),
    spent: () => ({ schedules, timeLimited: budget.isTimeLimited() }),
    reason: () => reason,
    schedule(saved) {
      const compiled = compileInstance({ ...problem, durations: crashDurations(problem, saved) });
      if (!('instance' in compiled)) {
        reason = compiled.infeasibility;
        return null;
      }
      const { instance } = compiled;
      const builder = createBuilder(instance);
      const sampler = createSampler(instance, random);
      const latestFinish = rankActivities(instance, 'latest_finish');
      let best: Individual | null = null;
      const attempt = (fill: (list: Int32Array) => void): void => {
        if (best !== null && (best.length <= options.targetMakespan || budget.isSpent(schedules))) return;
        const individual = createIndividual(instance.size);
        fill(individual.list);
        const before = builder.evaluations;
        evaluateList(builder, individual);
        schedules += builder.evaluations - before;
        if (best === null || individual.length < best.length) best = individual;
      };
      if (lastList !== null) {
        const list = lastList;
        arrangeList(list, instance.listPredecessors);
        attempt((into) => into.set(list));
      }
      for (const rule of priorityRules) attempt((into) => sampler.greedy(rankActivities(instance, rule), into));
      for (let drawn = 0; drawn < samples; drawn += 1) attempt((into) => sampler.biased(latestFinish, 2, into));
      const found: Individual = best!;
      reason = found.length >= impossible ? explainUnplaced(builder) : findLateness(instance, found.starts);
      if (found.length <= options.targetMakespan) lastList = found.list;
      return found;
    },
  };
}

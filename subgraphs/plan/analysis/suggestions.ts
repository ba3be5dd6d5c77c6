import { computeSchedule } from '../network/index.ts';
import { networkOf } from './calendar.ts';
import { type Candidate, proposeChanges } from './candidates.ts';
import { applyChange, type PlanChange } from './change.ts';
import type { PlanProblem } from './problem.ts';

/** Schedules a problem under its resources and answers the makespan; the same problem must give the same answer. */
export type Scheduler = (problem: PlanProblem) => number;

export interface Suggestion {
  readonly change: PlanChange;
  readonly before: number;
  readonly after: number;
  /** before - after, both from the scheduler. */
  readonly gain: number;
  /** Null where the plan does not price it. */
  readonly cost: number | null;
  /** The gain is enough to keep a deadline that was missed before. */
  readonly keepsDeadline: boolean;
}

export interface SuggestionOptions {
  /** Runs of the scheduler besides the first. @default 50 */
  readonly maxEvaluations?: number | undefined;
  /** Asked before each run. @default never */
  readonly shouldStop?: (() => boolean) | undefined;
  /** @default 20 */
  readonly limit?: number | undefined;
}

export interface Suggestions {
  readonly makespan: number;
  /** By gain, then by cost; only what gains, and redundant dependencies at the end. */
  readonly suggestions: readonly Suggestion[];
  readonly evaluations: number;
  /** Candidates that were not tried. */
  readonly untried: number;
}

/** Tries the changes the plan allows, the most promising of every kind in turn, by scheduling the changed plan. */
export function suggestChanges(
  problem: PlanProblem,
  scheduler: Scheduler,
  { maxEvaluations = 50, shouldStop = () => false, limit = 20 }: SuggestionOptions = {},
): Suggestions {
  const network = networkOf(problem);
  const queue = takeTurns(proposeChanges(problem, network, computeSchedule(network)));
  const before = scheduler(problem);
  const late = problem.deadline !== undefined && before > problem.deadline;
  const found: Suggestion[] = [];
  let evaluations = 0;
  for (const { change, cost } of queue) {
    if (evaluations >= maxEvaluations || shouldStop()) break;
    evaluations += 1;
    const after = scheduler(applyChange(problem, change));
    const gain = before - after;
    if (gain <= 0 && !(gain === 0 && change.kind === 'remove_redundant_edge')) continue;
    found.push({
      ...{ change, before, after, gain },
      cost: cost ?? priceCapacity(problem, change, after),
      keepsDeadline: late && after <= problem.deadline!,
    });
  }
  found.sort((left, right) => right.gain - left.gain || compareCosts(left.cost, right.cost));
  return { makespan: before, suggestions: found.slice(0, limit), evaluations, untried: queue.length - evaluations };
}

/** The best of each kind, then the second best of each, and so on: no kind uses up the runs of the others. */
function takeTurns(candidates: readonly Candidate[]): Candidate[] {
  const byKind = new Map<string, Candidate[]>();
  for (const candidate of candidates.toSorted((left, right) => right.potential - left.potential)) {
    const kind = byKind.get(candidate.change.kind);
    if (kind === undefined) byKind.set(candidate.change.kind, [candidate]);
    else kind.push(candidate);
  }
  const queue: Candidate[] = [];
  const cleanups = byKind.get('remove_redundant_edge') ?? [];
  byKind.delete('remove_redundant_edge');
  for (let turn = 0; queue.length < candidates.length - cleanups.length; turn += 1)
    for (const kind of byKind.values()) if (turn < kind.length) queue.push(kind[turn]!);
  return [...queue, ...cleanups];
}

function priceCapacity({ resources }: PlanProblem, change: PlanChange, makespan: number): number | null {
  if (change.kind !== 'add_capacity') return null;
  const rate = resources.find(({ id }) => id === change.target)?.costRate;
  return rate === undefined ? null : rate * change.parameters.amount * makespan;
}

/** What has no price comes last. */
function compareCosts(left: number | null, right: number | null): number {
  if (left === null || right === null) return left === right ? 0 : left === null ? 1 : -1;
  return left - right;
}

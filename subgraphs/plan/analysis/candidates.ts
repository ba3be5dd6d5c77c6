import { type ActivityNetwork, findRedundantDependencies, isDriving, type Schedule } from '../network/index.ts';
import type { PlanChange } from './change.ts';
import type { PlanProblem } from './problem.ts';
import { measureLoad, type ResourceLoad } from './resourceLoad.ts';

/** A change worth trying. */
export interface Candidate {
  readonly change: PlanChange;
  /** Most that it can shorten the critical path by, or, for a resource, the work it relieves: an order to try them in. */
  readonly potential: number;
  /** Null where the plan does not say. Capacity costs its rate over the whole new makespan and is priced then. */
  readonly cost: number | null;
}

const defaultMaxOverlap = 0.25;

/** Everything the plan allows that could shorten it: what acts on critical steps, and on resources that hold it up. */
export function proposeChanges(problem: PlanProblem, network: ActivityNetwork, schedule: Schedule): Candidate[] {
  const dates = { start: schedule.earlyStart, finish: schedule.earlyFinish };
  const loads = measureLoad(problem, dates, schedule.critical);
  const binding = findBindingSteps(problem, schedule, loads);
  return [
    ...crashes(problem, binding),
    ...splits(problem, binding),
    ...releases(problem, schedule),
    ...overlaps(problem, network, schedule),
    ...addedCapacity(problem, loads),
    ...cleanups(problem, network),
  ];
}

/** Critical steps, and those of contended resources: in a plan bound by resources, any of them may hold it up. */
function findBindingSteps({ steps }: PlanProblem, schedule: Schedule, loads: readonly ResourceLoad[]): Uint8Array {
  const contended = new Set(loads.filter((load) => load.overAllocations.length > 0).map((load) => load.resourceId));
  return Uint8Array.from(steps, ({ demands = [] }, node) =>
    schedule.critical[node] === 1 || demands.some(({ resourceId }) => contended.has(resourceId)) ? 1 : 0,
  );
}

function crashes(problem: PlanProblem, binding: Uint8Array): Candidate[] {
  return problem.steps.flatMap(({ id, duration, crash }, node) => {
    if (binding[node] === 0 || crash === undefined || crash.minDuration >= duration) return [];
    const potential = duration - crash.minDuration;
    const change = { kind: 'crash', target: id, parameters: { duration: crash.minDuration } } as const;
    return [{ change, potential, cost: potential * crash.costPerUnit }];
  });
}

function splits(problem: PlanProblem, binding: Uint8Array): Candidate[] {
  return problem.steps.flatMap(({ id, duration, divisible }, node) => {
    const parts = Math.min(divisible?.maxParts ?? 1, Math.floor(duration));
    if (binding[node] === 0 || divisible === undefined || parts < 2) return [];
    const { parallel } = divisible;
    const change = { kind: 'split', target: id, parameters: { parts, parallel } } as const;
    return [{ change, potential: duration - Math.ceil(duration / parts), cost: 0 }];
  });
}

/** Imposed starts that nothing but themselves holds up. */
function releases({ steps }: PlanProblem, schedule: Schedule): Candidate[] {
  return steps.flatMap(({ id, earliestStart }, node) => {
    if (earliestStart === undefined || schedule.critical[node] === 0 || id.includes('#')) return [];
    const potential = earliestStart - schedule.projectStart;
    if (potential <= 0 || schedule.earlyStart[node]! > earliestStart) return [];
    const parameters = { earliestStart: schedule.projectStart };
    return [{ change: { kind: 'release_start', target: id, parameters }, potential, cost: null }];
  });
}

/** Driving dependencies whose steps may overlap. */
function overlaps({ steps, dependencies }: PlanProblem, network: ActivityNetwork, schedule: Schedule): Candidate[] {
  return dependencies.flatMap((dependency, edge): Candidate[] => {
    const source = network.edgeSource[edge]!;
    if (
      dependency.structural === true ||
      schedule.critical[source] === 0 ||
      schedule.critical[network.edgeTarget[edge]!] === 0
    )
      return [];
    if (!isDriving(network, schedule, edge)) return [];
    const { id, type, lag, maxOverlap = defaultMaxOverlap } = dependency;
    const { duration } = steps[source]!;
    const lead = Math.floor(duration * maxOverlap);
    if (type !== 'finish_to_start' || lag < 0 || lead < 1) return [];
    const parameters = { lag: -lead };
    return [{ change: { kind: 'fast_track', target: id, parameters }, potential: lead + lag, cost: null }];
  });
}

/** One more unit, and as many as end every conflict of the early schedule, of each resource that may grow. */
function addedCapacity({ resources }: PlanProblem, loads: readonly ResourceLoad[]): Candidate[] {
  return resources.flatMap(({ id, capacity, maxAdded = 0 }, at) => {
    const { overAllocations } = loads[at]!;
    const excess = overAllocations.reduce((sum, interval) => sum + interval.excess, 0);
    const lacking = overAllocations.reduce((most, { over }) => Math.max(most, over), 0);
    const enough = Math.min(maxAdded, Math.ceil(lacking));
    if (enough < 1) return [];
    return [...new Set([1, enough])].map((amount) => ({
      change: { kind: 'add_capacity', target: id, parameters: { amount } } as const,
      potential: excess / Math.max(1, capacity),
      cost: null,
    }));
  });
}

/** Gain nothing, and make the plan easier to read and to change. */
function cleanups({ dependencies }: PlanProblem, network: ActivityNetwork): Candidate[] {
  return findRedundantDependencies(network)
    .filter((edge) => dependencies[edge]!.structural !== true)
    .map((edge) => ({
      change: { kind: 'remove_redundant_edge', target: dependencies[edge]!.id, parameters: {} },
      ...{ potential: 0, cost: 0 },
    }));
}

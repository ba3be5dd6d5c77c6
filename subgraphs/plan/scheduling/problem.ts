export const dependencyTypes = ['finish_to_start', 'start_to_start', 'finish_to_finish', 'start_to_finish'] as const;
export type DependencyType = (typeof dependencyTypes)[number];

/** The event of `to` comes at least `lag` after the event of `from`; a negative lag lets them overlap. */
export interface Precedence {
  readonly from: number;
  readonly to: number;
  readonly type: DependencyType;
  readonly lag: number;
}

/** From `time` on, until the next step, the resource has `capacity`. */
export interface CapacityStep {
  readonly time: number;
  readonly capacity: number;
}

export interface RenewableResource {
  /** Units available at every moment, until the first calendar step. */
  readonly capacity: number;
  /** Changes of the capacity, by ascending time. */
  readonly calendar?: readonly CapacityStep[];
  /** Price of one unit for one unit of time. @default 0 */
  readonly costPerUnitTime?: number;
}

/** How far an activity may be shortened, and the price of each unit of time saved (Kelley 1961). */
export interface CrashOption {
  readonly activity: number;
  readonly crashDuration: number;
  readonly costPerUnitTime: number;
}

/**
 * Resource-constrained project scheduling with generalised precedence and capacity calendars.
 *
 * Times are whole numbers from 0 in one unit of the caller's choice, below 2^30. Activities and resources are named by
 * their index. It holds plain objects and typed arrays only, so it can be posted to a worker thread.
 */
export interface SchedulingProblem {
  readonly durations: Int32Array;
  readonly precedences: readonly Precedence[];
  readonly resources: readonly RenewableResource[];
  /** Units per activity and resource: `demands[activity * resources.length + resource]`. */
  readonly demands: Int32Array;
  /** Earliest start per activity. @default 0 everywhere */
  readonly releases?: Int32Array;
  /** Latest finish per activity; `unbounded` where there is none. @default unbounded everywhere */
  readonly deadlines?: Int32Array;
  /** Start of activities that already run; `free` for the others. @default free everywhere */
  readonly fixedStarts?: Int32Array;
  /** What the quality target weighs an activity with. @default 1 everywhere */
  readonly qualityWeights?: Float64Array;
  readonly crashOptions?: readonly CrashOption[];
  /** Overhead of the whole project per unit of time. @default 0 */
  readonly overheadPerUnitTime?: number;
}

/** In `deadlines`: no deadline. */
export const unbounded = 2 ** 30;
/** In `fixedStarts`: the optimiser chooses. */
export const free = -1;

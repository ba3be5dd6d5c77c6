import type { NetworkDependency, NetworkStep } from '../network/index.ts';
import type { ThreePoint } from './estimate.ts';

/** What a plan gives to its analysis. Times share one unit, integers for exact floats; amounts and costs are the caller's. */
export interface PlanProblem {
  readonly steps: readonly ProblemStep[];
  readonly dependencies: readonly ProblemDependency[];
  readonly resources: readonly Resource[];
  /** The project is not to finish after. */
  readonly deadline?: number | undefined;
}

export interface ProblemStep extends NetworkStep {
  readonly estimate?: ThreePoint | undefined;
  readonly demands?: readonly ResourceDemand[] | undefined;
  /** Cost for each unit of time. */
  readonly costRate?: number | undefined;
  /** At work already: what is left of it is not held to the times of its resources. @default false */
  readonly running?: boolean | undefined;
  /** What the step can be shortened to, and what each unit of time saved costs (Kelley & Walker 1959). */
  readonly crash?: { readonly minDuration: number; readonly costPerUnit: number } | undefined;
  /** Into how many parts the work may be divided, and whether these may run at the same time. */
  readonly divisible?: { readonly maxParts: number; readonly parallel: boolean } | undefined;
}

export interface ProblemDependency extends NetworkDependency {
  /** Holds sub-tasks within their composite step: the plan has no such dependency. @default false */
  readonly structural?: boolean | undefined;
  /** Share of the predecessor that a successor may overlap, 0 to 1; 0 forbids fast-tracking. @default 0.25 */
  readonly maxOverlap?: number | undefined;
}

/** Renewable: the amount is free again when the step that used it has finished. */
export interface Resource {
  readonly id: string;
  readonly capacity: number;
  /** Cost of one unit of capacity for each unit of time. */
  readonly costRate?: number | undefined;
  /** Capacity that can be added. @default none */
  readonly maxAdded?: number | undefined;
  /** Changes of the capacity by ascending time: when steps that use it can be at work. @default none */
  readonly calendar?: readonly { readonly time: number; readonly capacity: number }[] | undefined;
}

export interface ResourceDemand {
  readonly resourceId: string;
  /** Held for the whole duration. */
  readonly amount: number;
}

/** The list with what takes the item's place. */
export function replaceOne<T extends { readonly id: string }>(
  items: readonly T[],
  id: string,
  change: (item: T) => readonly T[],
): T[] {
  const at = items.findIndex((item) => item.id === id);
  const item = items[at];
  if (item === undefined) throw new RangeError(`expected the id of something in the plan, got '${id}'`);
  return items.toSpliced(at, 1, ...change(item));
}

/** Three points keep their proportions to the duration. */
export function scaleDuration(step: ProblemStep, duration: number): ProblemStep {
  const { estimate } = step;
  if (estimate === undefined || step.duration === 0) return { ...step, duration };
  const factor = duration / step.duration;
  return {
    ...step,
    duration,
    estimate: {
      optimistic: estimate.optimistic * factor,
      mostLikely: estimate.mostLikely * factor,
      pessimistic: estimate.pessimistic * factor,
    },
  };
}

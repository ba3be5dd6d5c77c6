import { eventBits, type NetworkDependency } from './dependency.ts';
import { createDigraph, type Digraph } from './digraph.ts';
import type { OpenTimes } from './openTimes.ts';

export interface NetworkStep {
  readonly id: string;
  /** Zero is a milestone. Every time of a network has one unit, chosen by the caller; integers keep the floats exact. */
  readonly duration: number;
  /** Imposed: not to start before. */
  readonly earliestStart?: number | undefined;
  /** Imposed: not to finish after. Moves the late dates, never the early ones. */
  readonly deadline?: number | undefined;
  /** When it may be at work, begun so that its duration lies in one span. @default always */
  readonly open?: OpenTimes | undefined;
  /** What must lie in one span of these, where it takes something else than is planned. @default the duration */
  readonly planned?: number | undefined;
}

/** Activity-on-node network over typed arrays; node `n` is the n-th step, edge `e` the e-th dependency. */
export interface ActivityNetwork extends Digraph {
  readonly ids: readonly string[];
  readonly indexOf: ReadonlyMap<string, number>;
  readonly duration: Float64Array;
  /** -Infinity where nothing is imposed. */
  readonly earliestStart: Float64Array;
  /** Infinity where nothing is imposed. */
  readonly deadline: Float64Array;
  /** By node; null where no step has such times. */
  readonly open: readonly (OpenTimes | undefined)[] | null;
  /** What must lie in one span of them. */
  readonly planned: Float64Array;
  readonly edgeIds: readonly string[];
  /** `eventBits` of the dependency. */
  readonly edgeType: Uint8Array;
  readonly edgeLag: Float64Array;
}

export type NetworkFault =
  | { readonly kind: 'duplicate_step'; readonly stepId: string }
  | { readonly kind: 'duplicate_dependency'; readonly dependencyId: string }
  | { readonly kind: 'unknown_step'; readonly dependencyId: string; readonly stepId: string }
  | { readonly kind: 'self_dependency'; readonly dependencyId: string; readonly stepId: string }
  | { readonly kind: 'invalid_duration'; readonly stepId: string; readonly duration: number }
  | { readonly kind: 'invalid_lag'; readonly dependencyId: string; readonly lag: number };

/** Everything that keeps `createNetwork` from building, so that the caller can name all of it at once. */
export function findNetworkFaults(
  steps: readonly NetworkStep[],
  dependencies: readonly NetworkDependency[],
): NetworkFault[] {
  const faults: NetworkFault[] = [];
  const stepIds = new Set<string>();
  for (const { id, duration } of steps) {
    if (stepIds.has(id)) faults.push({ kind: 'duplicate_step', stepId: id });
    stepIds.add(id);
    if (!Number.isFinite(duration) || duration < 0) faults.push({ kind: 'invalid_duration', stepId: id, duration });
  }
  const dependencyIds = new Set<string>();
  for (const { id, source, target, lag } of dependencies) {
    if (dependencyIds.has(id)) faults.push({ kind: 'duplicate_dependency', dependencyId: id });
    dependencyIds.add(id);
    for (const stepId of new Set([source, target]))
      if (!stepIds.has(stepId)) faults.push({ kind: 'unknown_step', dependencyId: id, stepId });
    if (source === target) faults.push({ kind: 'self_dependency', dependencyId: id, stepId: source });
    if (!Number.isFinite(lag)) faults.push({ kind: 'invalid_lag', dependencyId: id, lag });
  }
  return faults;
}

/**
 * Maps the ids once; O(steps + dependencies). Cycles are allowed here: `sortTopologically` finds them.
 * @throws {RangeError} for a duplicate or unknown step; ask `findNetworkFaults` first for input of strangers.
 */
export function createNetwork(
  steps: readonly NetworkStep[],
  dependencies: readonly NetworkDependency[],
): ActivityNetwork {
  const count = steps.length;
  const ids = steps.map(({ id }) => id);
  const indexOf = new Map<string, number>();
  for (let index = 0; index < count; index += 1) indexOf.set(ids[index]!, index);
  if (indexOf.size !== count) throw new RangeError(`expected unique step ids, got ${count - indexOf.size} repeated`);
  const edgeSource = new Int32Array(dependencies.length);
  const edgeTarget = new Int32Array(dependencies.length);
  const edgeType = new Uint8Array(dependencies.length);
  const edgeLag = new Float64Array(dependencies.length);
  for (const [edge, { source, target, type, lag }] of dependencies.entries()) {
    edgeSource[edge] = requireIndex(indexOf, source);
    edgeTarget[edge] = requireIndex(indexOf, target);
    edgeType[edge] = eventBits(type);
    edgeLag[edge] = lag;
  }
  return {
    ...createDigraph(count, edgeSource, edgeTarget),
    ids,
    indexOf,
    duration: Float64Array.from(steps, ({ duration }) => duration),
    earliestStart: Float64Array.from(steps, ({ earliestStart }) => earliestStart ?? -Infinity),
    deadline: Float64Array.from(steps, ({ deadline }) => deadline ?? Infinity),
    open: steps.some(({ open }) => open !== undefined) ? steps.map(({ open }) => open) : null,
    planned: Float64Array.from(steps, ({ duration, planned }) => planned ?? duration),
    edgeIds: dependencies.map(({ id }) => id),
    edgeType,
    edgeLag,
  };
}

/** @throws {RangeError} when no step has this id. */
export function requireIndex(indexOf: ReadonlyMap<string, number>, id: string): number {
  const index = indexOf.get(id);
  if (index === undefined) throw new RangeError(`expected the id of a step of this network, got '${id}'`);
  return index;
}

export { findComponents } from './components.ts';
export { type CriticalPaths, findCriticalPaths } from './criticalPaths.ts';
export { findCycle, findCycleOfEdge, findShortestCycle } from './cycle.ts';
export { type DanglingSteps, findDanglingSteps } from './dangling.ts';
export { type DependencyType, dependencyTypes, type NetworkDependency } from './dependency.ts';
export { createDigraph, type Digraph } from './digraph.ts';
export { createDynamicOrder, type DynamicOrder } from './dynamicOrder.ts';
export { isLast } from './lastStarts.ts';
export { computeLevels, type Levels } from './levels.ts';
export {
  type ActivityNetwork,
  createNetwork,
  findNetworkFaults,
  type NetworkFault,
  type NetworkStep,
  requireIndex,
} from './network.ts';
export { earliestFit, fits, intersect, latestFit, leastDelay, type OpenTimes } from './openTimes.ts';
export { type Parallelism, profileParallelism } from './parallelism.ts';
export { findRedundantDependencies, findTransitiveEdges } from './reduction.ts';
export {
  type Continuity,
  computeSchedule,
  edgeSlack,
  isDriving,
  type Schedule,
  type ScheduleOptions,
} from './schedule.ts';
export { integrate, peakOf, type StepFunction, sumSpans, type WeightedSpan } from './stepFunction.ts';
export { requireTopology, sortTopologically, type Topology } from './topology.ts';
export { findWidestAntichain } from './width.ts';

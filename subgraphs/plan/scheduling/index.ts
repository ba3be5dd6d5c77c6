export type { SearchLimits } from './budget.ts';
export { balancedWeights, findCompromise } from './compromise.ts';
export { type CrashedSchedule, type CrashOptions, crashSchedule, type TargetMissed } from './crashing.ts';
export type { Infeasibility } from './infeasibility.ts';
export { type LevelledSchedule, levelSchedule } from './levelSchedule.ts';
export { measureSchedule, type ScheduleMeasures } from './measures.ts';
export { crashCost, type Target, targets } from './objectives.ts';
export {
  type FoundSchedule,
  type NoSchedule,
  type OptimizeOptions,
  type OptimizeProgress,
  type OptimizeResult,
  optimizeSchedule,
} from './optimize.ts';
export { findParetoFront, type ParetoFront, type ParetoOptions, type ParetoSchedule } from './paretoSearch.ts';
export { type PriorityRule, priorityRules } from './priorityRules.ts';
export {
  type CapacityStep,
  type CrashOption,
  type DependencyType,
  dependencyTypes,
  free,
  type Precedence,
  type RenewableResource,
  type SchedulingProblem,
  unbounded,
} from './problem.ts';
export { qualityOfSchedule } from './quality.ts';
export type { SearchAlgorithm } from './shortestSearch.ts';
export { findViolations, type Violation } from './violations.ts';

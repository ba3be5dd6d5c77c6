export { applyChange, type PlanChange } from './change.ts';
export { type Deviation, findDeviations } from './deviations.ts';
export {
  type EarnedValue,
  type EarnedValueOptions,
  type EarnedValueStep,
  type EarningRule,
  measureEarnedValue,
} from './earnedValue.ts';
export {
  betaPertVariance,
  defaultSpread,
  type EstimateSpread,
  isThreePoint,
  pertMean,
  pertVariance,
  type ThreePoint,
  threePointOf,
} from './estimate.ts';
export {
  type DurationRange,
  findInfeasibilities,
  type InfeasibilityReason,
  scoreFeasibility,
} from './feasibility.ts';
export { type FinishPercentile, type MonteCarloOptions, type MonteCarloResult, simulateFinish } from './monteCarlo.ts';
export { analyzePert, type PertResult } from './pert.ts';
export { analyzePlan, type PlanAnalysis, type PlanAnalysisOptions } from './planAnalysis.ts';
export type { PlanProblem, ProblemDependency, ProblemStep, Resource, ResourceDemand } from './problem.ts';
export { checkQuality, type DependencyCheck, type QualityFinding, type StepCheck } from './quality.ts';
export { createRandom, type Random } from './random.ts';
export {
  bucketLoad,
  findBottleneck,
  measureLoad,
  type OverAllocation,
  type ResourceLoad,
  type StepDates,
} from './resourceLoad.ts';
export { type Risk, type RiskLevel, type RiskScore, type RiskStatus, scoreRisks } from './risk.ts';
export {
  type Scheduler,
  type Suggestion,
  type SuggestionOptions,
  type Suggestions,
  suggestChanges,
} from './suggestions.ts';
export { type Confidence, type PlanSummary, type SummaryOptions, summarizePlan } from './summary.ts';

export {
  type AgentMatch,
  type AgentRequirement,
  canDo,
  type DispatchAgent,
  findUnmatched,
  matchAgent,
} from './agentMatch.ts';
export type { DispatchOutcome, DispatchStart, StartRefusal } from './outcome.ts';
export { keepPreferences } from './preferences.ts';
export { measureProgress, type StepProgress } from './progress.ts';
export { type RankOptions, rankSteps } from './rank.ts';
export {
  createReadyQueue,
  type DispatchState,
  type ReadyQueue,
  type ReadyQueueOptions,
} from './readyQueue.ts';
export { createResourceTimes, type ResourceTimes } from './resourceTimes.ts';
export type { StepRecord } from './restore.ts';
export { type SimulatedRun, simulateDispatch } from './simulation.ts';
export { createStaffing, type StaffedAgent, type Staffing } from './staffing.ts';
export { type DispatchStrategy, rankByStrategy } from './strategy.ts';
export type { TokenDemand } from './tokens.ts';

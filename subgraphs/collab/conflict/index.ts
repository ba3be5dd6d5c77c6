export { bargain, type Proposal } from './bargain.ts';
export { cyclicWaits } from './cyclicWaits.ts';
export { type Claim, fairShares, type Slice, sharesByPriority, timeSlices } from './fairShare.ts';
export { contradictions, type Direction, type ObjectiveMetric } from './objectives.ts';
export { type Interval, type Overload, overloads } from './overSubscription.ts';

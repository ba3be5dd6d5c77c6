export { type AssessedConstraint, assessConstraints } from './assess.ts';
export {
  bindConstraints,
  constraintsOf,
  limitsByConstraints,
  requireConstrained,
  type TimeWindow,
  timelineOf,
} from './constraints.ts';
export { constraints, type PlanConstraint, type PlanTimeline, timeline } from './inputs.ts';

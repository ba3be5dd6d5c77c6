export {
  type AssignmentMethod,
  assignmentMethods,
  type Coordination,
  type CoordinationProblem,
  coordinate,
} from './coordinate.ts';
export { formTeam } from './coverage.ts';
export { topologicalOrder } from './schedule.ts';
export {
  type Agent,
  type AssignableTask,
  obstacleOf,
  skillMatch,
  type TaskPriority,
  taskPriorities,
  urgencyOf,
} from './suitability.ts';

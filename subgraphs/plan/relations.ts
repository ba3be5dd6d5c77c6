import type { DependencyType } from './network/index.ts';
import type { PlanDependencyRow } from './rows.ts';

/**
 * Whether the dependency holds its successor, in a run and in every schedule: only a blocking one does. The others say
 * in which order steps had better come.
 */
export const isBinding = ({ criticality }: Pick<PlanDependencyRow, 'criticality'>): boolean =>
  criticality === 'blocking';

/** Whether ready steps are handed out in its order. */
export const isPreferred = ({ criticality }: Pick<PlanDependencyRow, 'criticality'>): boolean =>
  criticality === 'important';

/** Whether its condition, asked for when the predecessor ends, may waive it. */
export const isConditional = (dependency: Pick<PlanDependencyRow, 'criticality' | 'condition' | 'type'>): boolean =>
  isBinding(dependency) && dependency.condition !== null && startsAtEnd(dependency.type);

/** Whether it waits for the end of the predecessor, not for its beginning. */
export const startsAtEnd = (type: DependencyType): boolean => type === 'finish_to_start' || type === 'finish_to_finish';

/** Whether it runs from the start of its source: then claims move what waits. */
export const isStartBound = (dependency: Pick<PlanDependencyRow, 'criticality' | 'type'>): boolean =>
  isBinding(dependency) && !startsAtEnd(dependency.type);

import type { AssignableTask } from './suitability.ts';

/** A task with who does it and how long it takes there. */
export interface AssignedTask extends Pick<AssignableTask, 'id' | 'dependsOn' | 'deadlineHours' | 'exclusives'> {
  readonly agentId: string;
  /** Who does it together with that one, from its start to its end. @default none */
  readonly helperIds?: readonly string[];
  readonly hours: number;
}

/** Everybody and everything that is taken until it is done. */
export const heldBy = (task: Pick<AssignedTask, 'agentId' | 'helperIds' | 'exclusives'>): readonly string[] => [
  ...crewOf(task),
  ...(task.exclusives ?? []).map((name) => `only one: ${name}`),
];

/** Everybody who is busy with it. */
export const crewOf = ({ agentId, helperIds = [] }: Pick<AssignedTask, 'agentId' | 'helperIds'>): readonly string[] => [
  agentId,
  ...helperIds,
];

export interface Placed {
  readonly taskId: string;
  readonly agentId: string;
  readonly helperIds?: readonly string[];
  /** Hours from now. */
  readonly start: number;
  readonly finish: number;
  /** Hours behind its deadline; 0 without one. */
  readonly lateness: number;
}

export interface Schedule {
  readonly placed: readonly Placed[];
  readonly makespan: number;
  readonly totalLateness: number;
}

/** Someone who can be given tasks. */
export interface Agent {
  readonly id: string;
  readonly capabilities: readonly string[];
  /** Part of its time that is taken already, 0 to 1. */
  readonly workload: number;
  /** Tasks that it can hold beside those it has. */
  readonly slots: number;
  /** 0 to 100: among equals the higher one is asked first. */
  readonly priority: number;
  /** Given something only where nobody else can do it. @default false */
  readonly isAvoided?: boolean;
}

export interface AssignableTask {
  readonly id: string;
  readonly effortHours: number;
  readonly requiredSkills: readonly string[];
  /** Importance of a skill; below 1 it may be lacking, at a cost. @default 1 */
  readonly skillWeights: Readonly<Record<string, number>>;
  /** Hours from now. */
  readonly deadlineHours: number | null;
  readonly dependsOn: readonly string[];
  readonly priority: TaskPriority;
  /** How many do it together, in equal parts. @default one who can do it alone, else as many as can */
  readonly teamSize?: number | null | undefined;
  /** Of each of these only one task is done at a time. @default none */
  readonly exclusives?: readonly string[];
}

export const taskPriorities = ['critical', 'high', 'medium', 'low'] as const;
export type TaskPriority = (typeof taskPriorities)[number];

export const urgencyOf = (priority: TaskPriority): number => taskPriorities.length - taskPriorities.indexOf(priority);

export type Obstacle = 'skills' | 'team' | 'capacity' | 'deadline';

/** Weighted part of the required skills that the agent has, 0 to 1. */
export function skillMatch(agent: Pick<Agent, 'capabilities'>, task: AssignableTask): number {
  const weightOf = (skill: string) => task.skillWeights[skill] ?? 1;
  const all = task.requiredSkills.reduce((sum, skill) => sum + weightOf(skill), 0);
  if (all === 0) return 1;
  return (
    task.requiredSkills
      .filter((skill) => agent.capabilities.includes(skill))
      .reduce((sum, skill) => sum + weightOf(skill), 0) / all
  );
}

/** Hours that the task, or one of so many equal parts of it, takes this agent, whose time is taken in part. */
export function hoursFor({ workload }: Agent, { effortHours }: AssignableTask, parts = 1): number {
  return effortHours / parts / Math.max(0.05, 1 - workload);
}

export const isIndispensable = ({ skillWeights }: AssignableTask, skill: string): boolean =>
  (skillWeights[skill] ?? 1) >= 1;

/** Why the agent can never do the task; null where it can. */
export function obstacleOf(agent: Agent, task: AssignableTask): Obstacle | null {
  if (task.requiredSkills.some((skill) => isIndispensable(task, skill) && !agent.capabilities.includes(skill)))
    return 'skills';
  if (agent.slots <= 0 || agent.workload >= 1) return 'capacity';
  return task.deadlineHours !== null && hoursFor(agent, task) > task.deadlineHours ? 'deadline' : null;
}

const costs = { mismatch: 10, load: 2, time: 1, priority: 0.01, coordination: 1, avoided: 1_000 } as const;

/** What it costs to give the agent the task as its `nth` of this round: mismatch, load and time; the less the better. */
export function costOf(agent: Agent, task: AssignableTask, nth: number): number {
  return costs.mismatch * (1 - skillMatch(agent, task)) + memberCost(agent, task, { nth, parts: 1 });
}

/** What an agent costs that does one of so many equal parts, without what skills it has. */
export function memberCost(
  agent: Agent,
  task: AssignableTask,
  { nth, parts }: { readonly nth: number; readonly parts: number },
): number {
  const slack = task.deadlineHours === null ? 0 : hoursFor(agent, task, parts) / task.deadlineHours;
  return (
    costs.load * (agent.workload + nth) * urgencyOf(task.priority) +
    costs.time * slack +
    costs.priority * (100 - agent.priority) +
    (agent.isAvoided === true ? costs.avoided : 0)
  );
}

/** What they can together. */
export const skillsOf = (team: readonly Pick<Agent, 'capabilities'>[]): Pick<Agent, 'capabilities'> => ({
  capabilities: [...new Set(team.flatMap(({ capabilities }) => capabilities))],
});

/** What a team costs beside its members: skills that none of them has, and that each has to agree with the others. */
export function teamCost(match: number, size: number): number {
  return costs.mismatch * (1 - match) + costs.coordination * (size - 1);
}

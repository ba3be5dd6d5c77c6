import { suffices } from '../assignment/cheapestTeam.ts';
import { type Agent, type AssignableTask, urgencyOf } from '../assignment/index.ts';
import { type AssignedTask, listSchedule, tails, topologicalOrder } from '../assignment/schedule.ts';
import { hoursFor } from '../assignment/suitability.ts';

/** A task that is open, with who has it. */
export interface PlannedTask extends AssignableTask {
  readonly assignedTo: string | null;
  /** Who has begun it keeps it. */
  readonly isBegun: boolean;
}

/** Figures of what is to be done as it is assigned now, found by scheduling it. */
export interface WorkPlan {
  readonly makespanHours: number;
  readonly latenessHours: number;
  readonly assignedTasks: number;
  /** Tasks that nobody has. */
  readonly openTasks: number;
  /** Tasks that nobody who takes part could do. */
  readonly impossibleTasks: number;
  /** Share of the makespan in which the one who does most works. */
  readonly peakLoad: number;
}

/** Schedules what is assigned: each one does its tasks one after the other, along what hangs on them. */
export function workPlan(agents: readonly Agent[], tasks: readonly PlannedTask[]): WorkPlan {
  const byAgent = new Map(agents.map((agent) => [agent.id, agent]));
  const assigned = tasks.flatMap((task): AssignedTask[] => {
    const agent = task.assignedTo === null ? undefined : byAgent.get(task.assignedTo);
    if (agent === undefined) return [];
    const { id, dependsOn, deadlineHours } = task;
    return [{ id, agentId: agent.id, hours: hoursFor(agent, task), dependsOn, deadlineHours }];
  });
  const order = topologicalOrder(assigned);
  const priorities = new Map(tasks.map(({ id, priority }) => [id, urgencyOf(priority)]));
  const tail = order === null ? new Map<string, number>() : tails(assigned, order);
  const schedule =
    order === null
      ? { placed: [], makespan: 0, totalLateness: 0 }
      : listSchedule(assigned, (id) => tail.get(id)! * (1 + priorities.get(id)! / 10));
  const busy = Map.groupBy(schedule.placed, ({ agentId }) => agentId);
  const loads = [...busy.values()].map((own) => own.reduce((sum, { start, finish }) => sum + finish - start, 0));
  const open = tasks.filter(({ assignedTo }) => assignedTo === null || !byAgent.has(assignedTo));
  return {
    makespanHours: schedule.makespan,
    latenessHours: schedule.totalLateness,
    assignedTasks: assigned.length,
    openTasks: open.length,
    // Teams can be formed: only what none of them has keeps a task from everybody.
    impossibleTasks: open.filter((task) => !suffices(agents, task)).length,
    peakLoad: schedule.makespan === 0 ? 0 : Math.max(0, ...loads) / schedule.makespan,
  };
}

/** What a plan costs, in hours: late hours weigh ten times. */
export const planCost = ({ makespanHours, latenessHours }: WorkPlan): number => makespanHours + 10 * latenessHours;

import type { Agent } from '../assignment/index.ts';
import { createRandom } from '../assignment/random.ts';
import { hoursFor } from '../assignment/suitability.ts';
import { type PlannedTask, planCost, type WorkPlan, workPlan } from './workPlan.ts';

/** Changes that are simulated with other figures too, each off by up to a fifth. */
export const samples = 8;
export const spread = 0.2;

/** Another assignment: who gets which task. */
export type Moves = ReadonlyMap<string, string>;

/** A session's plan beside what other assignments would make of it; the plan as it stands is scheduled once. */
export interface Simulation {
  readonly before: WorkPlan;
  after(moves: Moves): WorkPlan;
  /** At least this costs any plan after it, hours: one's own tasks are done one after the other. */
  leastCost(moves: Moves): number;
  /** Gains over the present plan with these efforts, and with others. */
  gains(moves: Moves): { readonly gain: number; readonly gains: readonly number[] };
}

/** Efforts as they might turn out; the same for the same number. */
function varied(tasks: readonly PlannedTask[], seed: number): readonly PlannedTask[] {
  const random = createRandom(seed);
  return tasks.map((task) => ({ ...task, effortHours: task.effortHours * (1 - spread + 2 * spread * random.next()) }));
}

export const relative = (before: number, after: number): number => (before <= 0 ? 0 : (before - after) / before);

const moved = (tasks: readonly PlannedTask[], to: Moves): readonly PlannedTask[] =>
  tasks.map((task) => (to.has(task.id) ? { ...task, assignedTo: to.get(task.id)! } : task));

export function createSimulation(agents: readonly Agent[], tasks: readonly PlannedTask[]): Simulation {
  const before = workPlan(agents, tasks);
  let variants: readonly { readonly tasks: readonly PlannedTask[]; readonly cost: number }[] | null = null;
  const others = () => {
    variants ??= Array.from({ length: samples }, (_, at) => {
      const given = varied(tasks, at + 1);
      return { tasks: given, cost: planCost(workPlan(agents, given)) };
    });
    return variants;
  };
  const byAgent = new Map(agents.map((agent) => [agent.id, agent]));
  const byTask = new Map(tasks.map((task) => [task.id, task]));
  const hours = new Map(agents.map(({ id }) => [id, 0]));
  for (const task of tasks) {
    const agent = task.assignedTo === null ? undefined : byAgent.get(task.assignedTo);
    if (agent !== undefined) hours.set(agent.id, hours.get(agent.id)! + hoursFor(agent, task));
  }
  const busiest = [...hours].sort(([, one], [, other]) => other - one);
  const after = (moves: Moves) => workPlan(agents, moved(tasks, moves));
  return {
    before,
    after,
    leastCost(moves) {
      const changed = new Map<string, number>();
      const add = (id: string | null, task: PlannedTask, sign: 1 | -1) => {
        const agent = id === null ? undefined : byAgent.get(id);
        if (agent !== undefined)
          changed.set(agent.id, (changed.get(agent.id) ?? hours.get(agent.id)!) + sign * hoursFor(agent, task));
      };
      for (const [taskId, to] of moves) {
        const task = byTask.get(taskId)!;
        add(task.assignedTo, task, -1);
        add(to, task, 1);
      }
      const untouched = busiest.find(([id]) => !changed.has(id))?.[1] ?? 0;
      return Math.max(0, untouched, ...changed.values());
    },
    gains: (moves) => ({
      gain: relative(planCost(before), planCost(after(moves))),
      gains: others().map(({ tasks: given, cost }) => relative(cost, planCost(workPlan(agents, moved(given, moves))))),
    }),
  };
}

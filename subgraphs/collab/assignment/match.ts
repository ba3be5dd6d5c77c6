import { assign, forbidden } from './hungarian.ts';
import { type Agent, type AssignableTask, costOf, type Obstacle, obstacleOf, urgencyOf } from './suitability.ts';

export interface Award {
  readonly taskId: string;
  readonly agentId: string;
  readonly cost: number;
  /** What the second best would have cost, which an honest bidder is paid (Vickrey 1961); null without a second. */
  readonly secondCost: number | null;
}

export interface Unassigned {
  readonly taskId: string;
  readonly reason: Obstacle;
}

export interface Match {
  readonly awards: readonly Award[];
  readonly unassigned: readonly Unassigned[];
  /** Pairs of agent and task that were compared. */
  readonly evaluated: number;
}

/** Slots of one round that one agent is offered at most: each costs more than the one before. */
const maxSlots = 10;

/**
 * The most tasks at the least cost, each agent within its capacity: the Hungarian method over slots of agents, the n-th of
 * which costs the more the larger n is, which is a flow of least convex cost.
 */
export function matchAtLeastCost(agents: readonly Agent[], tasks: readonly AssignableTask[]): Match {
  const slots = agents.flatMap((agent) =>
    Array.from({ length: Math.min(agent.slots, maxSlots, tasks.length) }, (_, nth) => ({ agent, nth })),
  );
  const matrix = tasks.map((task) => {
    const fits = new Map(agents.map((agent) => [agent, obstacleOf(agent, task) === null]));
    return slots.map(({ agent, nth }) => (fits.get(agent) === true ? costOf(agent, task, nth) : forbidden));
  });
  const { columnOf } = assign(matrix);
  const awards: Award[] = [];
  const unassigned: Unassigned[] = [];
  for (const [row, task] of tasks.entries()) {
    const column = columnOf[row]!;
    if (column < 0) {
      unassigned.push({ taskId: task.id, reason: reasonOf(agents, task) });
      continue;
    }
    const { agent } = slots[column]!;
    const others = matrix[row]!.filter((_cost, at) => slots[at]!.agent !== agent);
    const second = Math.min(forbidden, ...others);
    awards.push({
      taskId: task.id,
      agentId: agent.id,
      cost: matrix[row]![column]!,
      secondCost: second === forbidden ? null : second,
    });
  }
  return { awards, unassigned, evaluated: agents.length * tasks.length };
}

/**
 * Contract net (Smith 1980): tasks are announced one after the other, the most urgent first; who can do one bids what it
 * costs it, and the lowest bid gets it at the second lowest price.
 */
export function matchByBids(agents: readonly Agent[], tasks: readonly AssignableTask[]): Match {
  const taken = new Map(agents.map((agent) => [agent.id, 0]));
  const awards: Award[] = [];
  const unassigned: Unassigned[] = [];
  const announced = [...tasks].sort((one, other) => urgencyOf(other.priority) - urgencyOf(one.priority));
  for (const task of announced) {
    const bids = agents
      .filter((agent) => obstacleOf({ ...agent, slots: agent.slots - taken.get(agent.id)! }, task) === null)
      .map((agent) => ({ agentId: agent.id, cost: costOf(agent, task, taken.get(agent.id)!) }))
      .sort((one, other) => one.cost - other.cost);
    const [best, second] = bids;
    if (best === undefined) {
      unassigned.push({ taskId: task.id, reason: reasonOf(agents, task) });
      continue;
    }
    taken.set(best.agentId, taken.get(best.agentId)! + 1);
    awards.push({ taskId: task.id, ...best, secondCost: second?.cost ?? null });
  }
  return { awards, unassigned, evaluated: agents.length * tasks.length };
}

/** What keeps the task from all of them; capacity where others only took the room. */
function reasonOf(agents: readonly Agent[], task: AssignableTask): Obstacle {
  const obstacles = new Set(agents.map((agent) => obstacleOf(agent, task)));
  if (obstacles.has(null) || obstacles.has('capacity')) return 'capacity';
  return obstacles.has('deadline') ? 'deadline' : 'skills';
}

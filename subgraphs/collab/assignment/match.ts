import { cheapestTeam, costOfTeam, suffices } from './cheapestTeam.ts';
import { assign, forbidden } from './hungarian.ts';
import { type Agent, type AssignableTask, costOf, type Obstacle, obstacleOf, urgencyOf } from './suitability.ts';
import { matchTeams } from './teams.ts';

export interface Award {
  readonly taskId: string;
  /** Who does it, or leads those who do. */
  readonly agentId: string;
  /** Who does it together with that one. */
  readonly helperIds: readonly string[];
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

/** Members of a team at most; 1 where each task is for one. */
export interface MatchOptions {
  readonly maxTeam: number;
}

const alone: MatchOptions = { maxTeam: 1 };

/** Who could do it if they had room. */
const withRoom = (agent: Agent): Agent => ({ ...agent, slots: Math.max(1, agent.slots), workload: 0 });

/** Whether it is for several: it asks for them, or nobody has all the skills that it cannot do without. */
export function needsTeam(agents: readonly Agent[], task: AssignableTask): boolean {
  if (task.teamSize != null) return task.teamSize > 1;
  return agents.every((agent) => obstacleOf(withRoom(agent), task) === 'skills');
}

/**
 * The most tasks at the least cost, each agent within its capacity: the Hungarian method over slots of agents, the n-th of
 * which costs the more the larger n is, which is a flow of least convex cost. Tasks for several get teams.
 */
export function matchAtLeastCost(
  agents: readonly Agent[],
  tasks: readonly AssignableTask[],
  { maxTeam }: MatchOptions = alone,
): Match {
  const shared = tasks.filter((task) => needsTeam(agents, task));
  const solo = tasks.filter((task) => !shared.includes(task));
  if (maxTeam === 1 || shared.length === 0) return withUnassigned(agents, shared, matchSolo(agents, solo), maxTeam);
  const fits = new Map(solo.map((task) => [task, new Set(agents.filter((agent) => obstacleOf(agent, task) === null))]));
  const { crews } = matchTeams({
    ...{ agents, solo, shared, maxTeam, maxSlots },
    soloCost: (agent, task, nth) => (fits.get(task)!.has(agent) ? costOf(agent, task, nth) : forbidden),
  });
  const crewOf = new Map(crews.map((crew) => [crew.task, crew]));
  const awards = tasks.flatMap((task): Award[] => {
    const crew = crewOf.get(task);
    if (crew === undefined) return [];
    const [lead, ...helpers] = inOrder(crew.team);
    return [
      { taskId: task.id, agentId: lead!.id, helperIds: helpers.map(({ id }) => id), cost: crew.cost, secondCost: null },
    ];
  });
  const left = tasks.filter((task) => !crewOf.has(task));
  return withUnassigned(agents, left, { awards, unassigned: [], evaluated: agents.length * tasks.length }, maxTeam);
}

/** Who is asked first leads. */
const inOrder = (team: readonly Agent[]): readonly Agent[] =>
  [...team].sort(
    (one, other) =>
      Number(one.isAvoided ?? false) - Number(other.isAvoided ?? false) ||
      other.priority - one.priority ||
      one.workload - other.workload,
  );

const withUnassigned = (
  agents: readonly Agent[],
  left: readonly AssignableTask[],
  match: Match,
  maxTeam: number,
): Match => ({
  ...match,
  unassigned: [
    ...match.unassigned,
    ...left.map((task) => ({ taskId: task.id, reason: reasonOf(agents, task, maxTeam) })),
  ],
});

function matchSolo(agents: readonly Agent[], tasks: readonly AssignableTask[]): Match {
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
      unassigned.push({ taskId: task.id, reason: reasonOf(agents, task, 1) });
      continue;
    }
    const { agent } = slots[column]!;
    const others = matrix[row]!.filter((_cost, at) => slots[at]!.agent !== agent);
    const second = Math.min(forbidden, ...others);
    awards.push({
      taskId: task.id,
      agentId: agent.id,
      helperIds: [],
      cost: matrix[row]![column]!,
      secondCost: second === forbidden ? null : second,
    });
  }
  return { awards, unassigned, evaluated: agents.length * tasks.length };
}

/**
 * Contract net (Smith 1980): tasks are announced one after the other, the most urgent first; who can do one bids what it
 * costs it, and the lowest bid gets it at the second lowest price. Those for several go to the team that asks for the least.
 */
export function matchByBids(
  agents: readonly Agent[],
  tasks: readonly AssignableTask[],
  { maxTeam }: MatchOptions = alone,
): Match {
  const taken = new Map(agents.map((agent) => [agent.id, 0]));
  const awards: Award[] = [];
  const unassigned: Unassigned[] = [];
  const announced = [...tasks].sort((one, other) => urgencyOf(other.priority) - urgencyOf(one.priority));
  for (const task of announced) {
    if (needsTeam(agents, task)) {
      const team = cheapestTeam(agents, task, {
        maxTeam,
        taken: new Map(agents.map((agent) => [agent, taken.get(agent.id)!])),
      });
      if (team === null) {
        unassigned.push({ taskId: task.id, reason: reasonOf(agents, task, maxTeam) });
        continue;
      }
      const cost = costOfTeam(team, task, ({ id }) => taken.get(id)!);
      for (const { id } of team) taken.set(id, taken.get(id)! + 1);
      const [lead, ...helpers] = inOrder(team);
      awards.push({
        taskId: task.id,
        agentId: lead!.id,
        helperIds: helpers.map(({ id }) => id),
        cost,
        secondCost: null,
      });
      continue;
    }
    const bids = agents
      .filter((agent) => obstacleOf({ ...agent, slots: agent.slots - taken.get(agent.id)! }, task) === null)
      .map((agent) => ({ agentId: agent.id, cost: costOf(agent, task, taken.get(agent.id)!) }))
      .sort((one, other) => one.cost - other.cost);
    const [best, second] = bids;
    if (best === undefined) {
      unassigned.push({ taskId: task.id, reason: reasonOf(agents, task, 1) });
      continue;
    }
    taken.set(best.agentId, taken.get(best.agentId)! + 1);
    awards.push({ taskId: task.id, ...best, helperIds: [], secondCost: second?.cost ?? null });
  }
  return { awards, unassigned, evaluated: agents.length * tasks.length };
}

/** What keeps the task from all of them; capacity where others only took the room. */
function reasonOf(agents: readonly Agent[], task: AssignableTask, maxTeam: number): Obstacle {
  if (needsTeam(agents, task)) {
    if (maxTeam > 1 && !suffices(agents, task)) return 'skills';
    const taken = new Map(agents.map((agent) => [agent, 0]));
    const isEnough = (free: readonly Agent[], asked: AssignableTask) =>
      cheapestTeam(free, asked, { maxTeam, taken: new Map(free.map((agent) => [agent, 0])) }) !== null;
    if (maxTeam > 1 && cheapestTeam(agents, task, { maxTeam, taken }) !== null) return 'capacity';
    const idle = agents.map(withRoom);
    if (!isEnough(idle, { ...task, deadlineHours: null }))
      return maxTeam === 1 && task.teamSize == null ? 'skills' : 'team';
    return isEnough(agents, { ...task, deadlineHours: null }) ? 'deadline' : 'capacity';
  }
  const obstacles = new Set(agents.map((agent) => obstacleOf(agent, task)));
  if (obstacles.has(null) || obstacles.has('capacity')) return 'capacity';
  return obstacles.has('deadline') ? 'deadline' : 'skills';
}

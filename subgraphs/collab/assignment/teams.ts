import { cheapestTeam, teamsOf } from './cheapestTeam.ts';
import { assign, forbidden } from './hungarian.ts';
import {
  type Agent,
  type AssignableTask,
  memberCost,
  skillMatch,
  skillsOf,
  teamCost,
  urgencyOf,
} from './suitability.ts';

/** Who does a task: one, or a team of which the first leads. */
export interface Crew {
  readonly task: AssignableTask;
  readonly team: readonly Agent[];
  readonly cost: number;
}

/** What is given to whom, teams and single agents alike. */
export interface Plan {
  readonly crews: readonly Crew[];
  readonly cost: number;
}

export interface TeamProblem {
  readonly agents: readonly Agent[];
  /** Done by one each. */
  readonly solo: readonly AssignableTask[];
  /** Done by several each. */
  readonly shared: readonly AssignableTask[];
  /** Cost of an agent's `nth` task of this round that it does alone, or `forbidden`. */
  readonly soloCost: (agent: Agent, task: AssignableTask, nth: number) => number;
  readonly maxTeam: number;
  readonly maxSlots: number;
}

type Teams = ReadonlyMap<AssignableTask, readonly Agent[]>;

/** So many choices of teams are all tried; what is more is searched. */
const maxChoices = 600;
const maxRounds = 4;
/** Steps of the Hungarian method over all plans. */
const stepsAtMost = 300_000_000;

/**
 * The most tasks at the least cost where some need teams. Which teams there are is chosen here; what an agent's tasks cost
 * together, its parts of team tasks among them, is found by the Hungarian method for each choice. All choices are tried where
 * they are few: then nothing is better. Else each team is the cheapest beside those before it, the most urgent task first, and
 * is sought again beside all others as long as that helps.
 */
export function matchTeams(problem: TeamProblem): Plan {
  const { agents, shared, maxTeam } = problem;
  const options = new Map<AssignableTask, readonly (readonly Agent[])[]>();
  let choices = 1;
  for (const task of shared) {
    const found = teamsOf(agents, task, { maxTeam, most: maxChoices });
    choices *= found === null ? Number.POSITIVE_INFINITY : found.length + 1;
    if (choices > maxChoices) break;
    options.set(task, found!);
  }
  return choices <= Math.min(maxChoices, plansAtMost(problem)) ? tryAll(problem, options) : search(problem);
}

function tryAll(problem: TeamProblem, options: ReadonlyMap<AssignableTask, readonly (readonly Agent[])[]>): Plan {
  let best: Plan | null = null;
  const walk = (at: number, teams: Teams): void => {
    const task = problem.shared[at];
    if (task !== undefined) {
      for (const team of options.get(task)!) walk(at + 1, new Map([...teams, [task, team]]));
      walk(at + 1, teams);
      return;
    }
    const found = planWith(problem, teams);
    if (found !== null && (best === null || isBetter(found, best))) best = found;
  };
  walk(0, new Map());
  return best!;
}

function search(problem: TeamProblem): Plan {
  const { agents, shared, maxTeam } = problem;
  const order = [...shared].sort((one, other) => urgencyOf(other.priority) - urgencyOf(one.priority));
  const teams = new Map<AssignableTask, readonly Agent[]>();
  const seek = (task: AssignableTask) => {
    const taken = new Map(agents.map((agent) => [agent, 0]));
    for (const [other, team] of teams)
      if (other !== task) for (const agent of team) taken.set(agent, taken.get(agent)! + 1);
    return cheapestTeam(agents, task, { maxTeam, taken });
  };
  for (const task of order) {
    const team = seek(task);
    if (team !== null) teams.set(task, team);
  }
  let best = planWith(problem, teams)!;
  let left = plansAtMost(problem);
  for (let round = 0; round < maxRounds; round += 1) {
    let improved = false;
    for (const task of order) {
      const now = teams.get(task);
      // Without its team there may be room for more than one other task.
      for (const team of new Set([seek(task), null])) {
        if (left <= 0) return best;
        if (isSame(team, now ?? null)) continue;
        const next = new Map(teams);
        if (team === null) next.delete(task);
        else next.set(task, team);
        left -= 1;
        const plan = planWith(problem, next);
        if (plan === null || !isBetter(plan, best)) continue;
        [best, improved] = [plan, true];
        if (team === null) teams.delete(task);
        else teams.set(task, team);
        break;
      }
    }
    if (!improved) break;
  }
  return best;
}

const isSame = (one: readonly Agent[] | null, other: readonly Agent[] | null): boolean =>
  one === null || other === null
    ? one === other
    : one.length === other.length && one.every((agent) => other.includes(agent));

/** How many plans are made: as many as a second or so allows, by what the Hungarian method takes; the same for the same problem. */
function plansAtMost({ agents, solo, shared, maxSlots, maxTeam }: TeamProblem): number {
  const rows = solo.length + shared.length * Math.min(3, maxTeam);
  const columns = agents.reduce((sum, { slots }) => sum + Math.min(slots, maxSlots, rows), 0) + rows;
  return Math.floor(stepsAtMost / (rows * rows * columns + 1));
}

const isBetter = (one: Plan, other: Plan): boolean =>
  one.crews.length > other.crews.length || (one.crews.length === other.crews.length && one.cost < other.cost - 1e-9);

/** The best that can be made of what is done alone beside these teams; null where a member has no room. */
function planWith({ agents, solo, soloCost, maxSlots }: TeamProblem, teams: Teams): Plan | null {
  const most = solo.length + teams.size;
  const slots = agents.flatMap((agent) =>
    Array.from({ length: Math.min(agent.slots, maxSlots, most) }, (_, nth) => ({ agent, nth })),
  );
  const seats = [...teams].flatMap(([task, team]) => team.map((agent) => ({ task, agent, parts: team.length })));
  const priceOf = ({ task, agent, parts }: (typeof seats)[number], slot: (typeof slots)[number]) =>
    slot.agent === agent ? memberCost(agent, task, { nth: slot.nth, parts }) : forbidden;
  const matrix = [
    // A seat that is left empty would break its team up: none is, where all can be filled.
    ...seats.map((seat) => slots.map((slot) => priceOf(seat, slot) - seatWorth)),
    ...solo.map((task) => slots.map(({ agent, nth }) => soloCost(agent, task, nth))),
  ];
  const { columnOf } = assign(matrix);
  if (seats.some((_seat, row) => columnOf[row]! < 0)) return null;
  const crews: Crew[] = [];
  let seat = 0;
  for (const [task, team] of teams) {
    let cost = teamCost(skillMatch(skillsOf(team), task), team.length);
    for (const _member of team) {
      cost += matrix[seat]![columnOf[seat]!]! + seatWorth;
      seat += 1;
    }
    crews.push({ task, team, cost });
  }
  for (const [at, task] of solo.entries()) {
    const row = seats.length + at;
    const column = columnOf[row]!;
    if (column >= 0) crews.push({ task, team: [slots[column]!.agent], cost: matrix[row]![column]! });
  }
  return { crews, cost: crews.reduce((sum, { cost }) => sum + cost, 0) };
}

/** More than all that tasks of one agent cost, so that who is in a team does its part. */
const seatWorth = 1e6;

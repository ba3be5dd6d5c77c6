import {
  type Agent,
  type AssignableTask,
  hoursFor,
  isIndispensable,
  memberCost,
  skillMatch,
  skillsOf,
  teamCost,
} from './suitability.ts';

/** Skills of a task of which every set is looked at; the rest is chosen greedily. */
const maxExactSkills = 8;

/** Whether the agent could do one of so many parts, skills aside. */
export const canTakePart = (agent: Agent, task: AssignableTask, parts: number): boolean =>
  agent.slots > 0 &&
  agent.workload < 1 &&
  (task.deadlineHours === null || hoursFor(agent, task, parts) <= task.deadlineHours);

/** Whether they have together what must not be lacking. */
export const suffices = (team: readonly Agent[], task: AssignableTask): boolean =>
  task.requiredSkills.every(
    (skill) => !isIndispensable(task, skill) || team.some(({ capabilities }) => capabilities.includes(skill)),
  );

/** How many may do the task together: as many as it asks for, else from two on. */
export function sizesOf({ teamSize }: AssignableTask, agents: number, maxTeam: number): readonly number[] {
  const most = Math.min(agents, maxTeam);
  if (teamSize != null) return teamSize <= most ? [teamSize] : [];
  return Array.from({ length: Math.max(0, most - 1) }, (_, at) => at + 2);
}

/** All teams that can do the task; null where there are more than `most` to look at. */
export function teamsOf(
  agents: readonly Agent[],
  task: AssignableTask,
  { maxTeam, most }: { readonly maxTeam: number; readonly most: number },
): readonly (readonly Agent[])[] | null {
  const found: (readonly Agent[])[] = [];
  let looked = 0;
  for (const size of sizesOf(task, agents.length, maxTeam)) {
    const able = agents.filter((agent) => canTakePart(agent, task, size));
    const walk = (from: number, team: readonly Agent[]): boolean => {
      looked += 1;
      if (looked > 8 * most || found.length > most) return false;
      if (team.length === size) {
        if (suffices(team, task)) found.push(team);
        return true;
      }
      for (let at = from; at <= able.length - (size - team.length); at += 1)
        if (!walk(at + 1, [...team, able[at]!])) return false;
      return true;
    };
    if (!walk(0, [])) return null;
  }
  return found;
}

interface Choice {
  readonly cost: number;
  readonly agent: Agent;
  readonly before: Choice | null;
}

/**
 * The team that can do the task at the least cost beside what its members have already; null where there is none. Over all
 * sets of skills and sizes (dynamic programming, as for the weighted set cover) for up to eight skills, else greedily with
 * exchanges.
 */
export function cheapestTeam(
  agents: readonly Agent[],
  task: AssignableTask,
  { maxTeam, taken }: { readonly maxTeam: number; readonly taken: ReadonlyMap<Agent, number> },
): readonly Agent[] | null {
  let best: readonly Agent[] | null = null;
  let least = Number.POSITIVE_INFINITY;
  const free = agents.filter((agent) => taken.get(agent)! < agent.slots);
  for (const size of sizesOf(task, free.length, maxTeam)) {
    const able = free.filter((agent) => canTakePart(agent, task, size));
    const priceOf = (agent: Agent) => memberCost(agent, task, { nth: taken.get(agent)!, parts: size });
    const team =
      task.requiredSkills.length <= maxExactSkills
        ? byDynamicProgramming(able, task, { size, priceOf })
        : greedily(able, task, { size, priceOf });
    if (team === null) continue;
    const cost = costOf(team, task, priceOf);
    if (cost < least) [best, least] = [team, cost];
    // As many as there are skills have all that any team has of them: one more costs more, but where time presses.
    if (task.deadlineHours === null && size >= task.requiredSkills.length) break;
  }
  return best;
}

/** What a team costs whose members have so many tasks of this round already. */
export const costOfTeam = (team: readonly Agent[], task: AssignableTask, nthOf: (agent: Agent) => number): number =>
  costOf(team, task, (agent) => memberCost(agent, task, { nth: nthOf(agent), parts: team.length }));

interface Search {
  readonly size: number;
  readonly priceOf: (agent: Agent) => number;
}

const costOf = (team: readonly Agent[], task: AssignableTask, priceOf: Search['priceOf']): number =>
  teamCost(skillMatch(skillsOf(team), task), team.length) + team.reduce((sum, agent) => sum + priceOf(agent), 0);

function byDynamicProgramming(
  able: readonly Agent[],
  task: AssignableTask,
  { size, priceOf }: Search,
): readonly Agent[] | null {
  const skills = task.requiredSkills;
  const sets = 2 ** skills.length;
  // By how many there are, then by what they can together: the least that costs.
  const table: (Choice | null)[][] = Array.from({ length: size + 1 }, () => new Array<Choice | null>(sets).fill(null));
  for (const agent of able) {
    const own = skills.reduce((set, skill, at) => (agent.capabilities.includes(skill) ? set | (1 << at) : set), 0);
    const price = priceOf(agent);
    for (let count = size - 1; count >= 0; count -= 1)
      for (let set = 0; set < sets; set += 1) {
        const before = table[count]![set]!;
        if (before === null && (count > 0 || set > 0)) continue;
        const cost = (before?.cost ?? 0) + price;
        const joined = set | own;
        const known = table[count + 1]![joined]!;
        if (known === null || cost < known.cost) table[count + 1]![joined] = { cost, agent, before };
      }
  }
  let best: readonly Agent[] | null = null;
  let least = Number.POSITIVE_INFINITY;
  for (const last of table[size]!) {
    if (last === null) continue;
    const team: Agent[] = [];
    for (let at: Choice | null = last; at !== null; at = at.before) team.unshift(at.agent);
    const cost = costOf(team, task, priceOf);
    if (suffices(team, task) && cost < least) [best, least] = [team, cost];
  }
  return best;
}

/** What adds most of what is needed for its price, then the cheapest; exchanges as long as one helps. */
function greedily(able: readonly Agent[], task: AssignableTask, { size, priceOf }: Search): readonly Agent[] | null {
  if (able.length < size) return null;
  const lacking = (team: readonly Agent[]) =>
    task.requiredSkills.filter(
      (skill) => isIndispensable(task, skill) && !team.some(({ capabilities }) => capabilities.includes(skill)),
    ).length;
  // A skill that must not be lacking is worth more than any price.
  const worth = (team: readonly Agent[]) => 1e6 * lacking(team) + costOf(team, task, priceOf);
  let team: readonly Agent[] = [];
  while (team.length < size) {
    const options = able.filter((agent) => !team.includes(agent)).map((agent) => [...team, agent]);
    team = options.reduce((best, one) => (worth(one) < worth(best) ? one : best));
  }
  for (let improved = true; improved; ) {
    const now = worth(team);
    const better: readonly Agent[] | undefined = team
      .flatMap((out) =>
        able.filter((agent) => !team.includes(agent)).map((agent) => team.map((one) => (one === out ? agent : one))),
      )
      .find((changed) => worth(changed) < now - 1e-9);
    improved = better !== undefined;
    team = better ?? team;
  }
  return suffices(team, task) ? team : null;
}

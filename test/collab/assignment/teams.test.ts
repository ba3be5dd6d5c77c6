import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cheapestTeam, suffices } from '../../../subgraphs/collab/assignment/cheapestTeam.ts';
import { coordinate } from '../../../subgraphs/collab/assignment/coordinate.ts';
import { matchAtLeastCost, matchByBids, needsTeam } from '../../../subgraphs/collab/assignment/match.ts';
import {
  type Agent,
  type AssignableTask,
  costOf,
  hoursFor,
  memberCost,
  obstacleOf,
  skillMatch,
  skillsOf,
  taskPriorities,
  teamCost,
} from '../../../subgraphs/collab/assignment/suitability.ts';

const maxTeam = 3;
const skills = ['plan', 'code', 'test', 'ship'];

const agentsOf = (most: number): fc.Arbitrary<readonly Agent[]> =>
  fc
    .array(
      fc.record({
        capabilities: fc.subarray(skills, { maxLength: 2 }),
        workload: fc.constantFrom(0, 0, 0.25, 0.5, 1),
        slots: fc.constantFrom(0, 1, 2, 2),
        priority: fc.integer({ min: 0, max: 100 }),
        isAvoided: fc.constantFrom(false, false, true),
      }),
      { minLength: 1, maxLength: most, size: 'max' },
    )
    .map((list) => list.map((agent, at) => ({ ...agent, id: `a${at}` })));

const tasksOf = (most: number): fc.Arbitrary<readonly AssignableTask[]> =>
  fc
    .array(
      fc.record({
        effortHours: fc.integer({ min: 1, max: 8 }),
        requiredSkills: fc.subarray(skills, { maxLength: 3 }),
        skillWeights: fc.constantFrom({}, { code: 0.5 }),
        deadlineHours: fc.option(fc.integer({ min: 2, max: 20 }), { nil: null }),
        priority: fc.constantFrom(...taskPriorities),
        teamSize: fc.constantFrom(null, null, 1, 2, 3),
        after: fc.array(fc.nat(), { maxLength: 2 }),
      }),
      { minLength: 1, maxLength: most, size: 'max' },
    )
    .map((list) =>
      list.map(({ after, ...task }, at) => ({
        ...task,
        id: `t${at}`,
        dependsOn: at === 0 ? [] : [...new Set(after.map((nth) => `t${nth % at}`))],
      })),
    );

/** Everybody who could do the task together, by looking at every set of agents. */
function crewsOf(agents: readonly Agent[], task: AssignableTask): readonly (readonly Agent[])[] {
  const isShared = needsTeam(agents, task);
  const sets = Array.from({ length: 2 ** agents.length - 1 }, (_, at) =>
    agents.filter((_agent, bit) => ((at + 1) >> bit) & 1),
  );
  return sets.filter((team) => {
    if (!isShared) return team.length === 1 && obstacleOf(team[0]!, task) === null;
    if (task.teamSize == null ? team.length < 2 || team.length > maxTeam : team.length !== task.teamSize) return false;
    const isOnTime = (agent: Agent) =>
      task.deadlineHours === null || hoursFor(agent, task, team.length) <= task.deadlineHours;
    return suffices(team, task) && team.every((agent) => agent.slots > 0 && agent.workload < 1 && isOnTime(agent));
  });
}

/** What a choice of crews costs, each agent's tasks in their best order: the more urgent ones first. */
function costOfChoice(choice: ReadonlyMap<AssignableTask, readonly Agent[]>): number {
  let cost = 0;
  const urgency = (task: AssignableTask) => memberCost(idle, task, { nth: 1, parts: 1 });
  const taken = new Map<Agent, number>();
  for (const [task, team] of [...choice].sort(([one], [other]) => urgency(other) - urgency(one))) {
    const nth = (agent: Agent) => taken.get(agent) ?? 0;
    const [only] = team;
    cost +=
      team.length === 1 && only !== undefined
        ? costOf(only, task, nth(only))
        : teamCost(skillMatch(skillsOf(team), task), team.length) +
          team.reduce((sum, agent) => sum + memberCost(agent, task, { nth: nth(agent), parts: team.length }), 0);
    for (const agent of team) taken.set(agent, nth(agent) + 1);
  }
  return cost;
}
const idle: Agent = { id: 'idle', capabilities: [], workload: 0, slots: 1, priority: 100 };

/** The most tasks, then the least cost: by trying every choice of crews. */
function bruteForce(
  agents: readonly Agent[],
  tasks: readonly AssignableTask[],
): readonly [tasks: number, cost: number] {
  let best: readonly [number, number] = [-1, 0];
  const crews = tasks.map((task) => crewsOf(agents, task));
  const walk = (at: number, choice: ReadonlyMap<AssignableTask, readonly Agent[]>): void => {
    const task = tasks[at];
    if (task === undefined) {
      const cost = costOfChoice(choice);
      if (choice.size > best[0] || (choice.size === best[0] && cost < best[1])) best = [choice.size, cost];
      return;
    }
    walk(at + 1, choice);
    for (const team of crews[at]!) {
      const held = [...choice.values()].flat();
      const hasRoom = team.every((agent) => held.filter((one) => one === agent).length < agent.slots);
      if (hasRoom) walk(at + 1, new Map([...choice, [task, team]]));
    }
  };
  walk(0, new Map());
  return best;
}

const totalCost = (awards: readonly { readonly cost: number }[]) => awards.reduce((sum, { cost }) => sum + cost, 0);
const noneTaken = (agents: readonly Agent[]) => new Map(agents.map((agent) => [agent, 0]));

describe('teams', () => {
  test('as many tasks as can be, at the least cost: no choice of teams and single agents is better', () => {
    let withTeams = 0;
    fc.assert(
      fc.property(agentsOf(4), tasksOf(3), (agents, tasks) => {
        const { awards } = matchAtLeastCost(agents, tasks, { maxTeam });
        withTeams += Number(awards.some(({ helperIds }) => helperIds.length > 0));
        const [most, least] = bruteForce(agents, tasks);
        expect(awards.length).toBe(most);
        expect(totalCost(awards)).toBeCloseTo(least, 6);
      }),
      { numRuns: 1_000 },
    );
    expect(withTeams).toBeGreaterThan(30);
  });

  test('the cheapest team of one task is the cheapest of all, by sets of skills as by looking at every team', () => {
    fc.assert(
      fc.property(agentsOf(6), tasksOf(1), (agents, [task]) => {
        const shared = { ...task!, teamSize: task!.teamSize === 1 ? 2 : task!.teamSize! };
        const crews = crewsOf(agents, { ...shared, teamSize: shared.teamSize ?? 3 });
        const found = cheapestTeam(
          agents,
          { ...shared, teamSize: shared.teamSize ?? 3 },
          { maxTeam, taken: noneTaken(agents) },
        );
        const cost = (team: readonly Agent[]) => costOfChoice(new Map([[{ ...shared }, team]]));
        expect(found === null).toBe(crews.length === 0);
        if (found !== null) expect(cost(found)).toBeCloseTo(Math.min(...crews.map(cost)), 9);
      }),
      { numRuns: 300 },
    );
  });

  test.each([
    ['at least cost', matchAtLeastCost],
    ['by bids', matchByBids],
  ] as const)('%s: many agents and tasks: within room, skills, size and deadline', (_, match) => {
    fc.assert(
      fc.property(agentsOf(14), tasksOf(12), (agents, tasks) => {
        const { awards, unassigned } = match(agents, tasks, { maxTeam });
        expect([...awards, ...unassigned].map(({ taskId }) => taskId).sort()).toEqual(tasks.map(({ id }) => id).sort());
        const crews = awards.map(({ agentId, helperIds }) => [agentId, ...helperIds]);
        for (const agent of agents)
          expect(crews.flat().filter((id) => id === agent.id).length).toBeLessThanOrEqual(agent.slots);
        for (const [at, { taskId }] of awards.entries()) {
          const task = tasks.find(({ id }) => id === taskId)!;
          const team = crews[at]!.map((id) => agents.find((agent) => agent.id === id)!);
          expect(new Set(team).size).toBe(team.length);
          expect(suffices(team, task)).toBe(true);
          if (task.teamSize != null) expect(team.length).toBe(task.teamSize);
          for (const agent of team)
            if (task.deadlineHours !== null)
              expect(hoursFor(agent, task, team.length)).toBeLessThanOrEqual(task.deadlineHours);
        }
        // What nobody can do however much room there is, is told apart from what only lacks room.
        for (const { taskId, reason } of unassigned) {
          const task = tasks.find(({ id }) => id === taskId)!;
          if (!suffices(agents, task)) expect(reason).toBe('skills');
          if (reason === 'team') expect(task.teamSize ?? maxTeam).toBeGreaterThan(1);
        }
      }),
      { numRuns: 100 },
    );
  });

  test('with more skills than are looked at in all sets a team is found that has them, and none where there is none', () => {
    const many = Array.from({ length: 14 }, (_, at) => `s${at}`);
    const parts = fc.array(fc.subarray(many, { minLength: 3 }), { minLength: 2, maxLength: 8 });
    fc.assert(
      fc.property(parts, (lists) => {
        const agents = lists.map(
          (capabilities, at): Agent => ({ id: `a${at}`, capabilities, workload: 0, slots: 1, priority: 50 }),
        );
        const task: AssignableTask = {
          ...{ id: 't', effortHours: 1, requiredSkills: many, skillWeights: {}, deadlineHours: null, dependsOn: [] },
          ...{ priority: 'low', teamSize: lists.length },
        };
        const found = cheapestTeam(agents, task, { maxTeam: 20, taken: noneTaken(agents) });
        expect(found !== null).toBe(suffices(agents, task));
      }),
    );
  });
});

describe('schedules of teams', () => {
  test('a team begins when all of it are free and its task may begin, and all of it are busy until the end', () => {
    fc.assert(
      fc.property(agentsOf(5), tasksOf(6), fc.integer({ min: 1, max: 1_000 }), (agents, tasks, seed) => {
        const problem = { agents, tasks, method: 'optimal', seed, maxTeam } as const;
        const first = coordinate({ ...problem, maxTries: 0 })!;
        const found = coordinate({ ...problem, maxTries: 60 })!;
        const cost = (one: typeof found) => one.makespanHours + 10 * one.latenessHours;
        expect(cost(found)).toBeLessThanOrEqual(cost(first) + 1e-9);
        expect(coordinate({ ...problem, maxTries: 60 })).toEqual(found);
        const placed = new Map(found.assignments.map((entry) => [entry.taskId, entry]));
        for (const task of tasks)
          for (const on of task.dependsOn)
            if (placed.has(task.id) && placed.has(on))
              expect(placed.get(task.id)!.startHours).toBeGreaterThanOrEqual(placed.get(on)!.finishHours);
        for (const agent of agents) {
          const own = found.assignments
            .filter(({ agentId, helperIds }) => [agentId, ...helperIds].includes(agent.id))
            .sort((one, other) => one.startHours - other.startHours);
          expect(own.length).toBeLessThanOrEqual(agent.slots);
          for (const [at, entry] of own.entries())
            if (at > 0) expect(entry.startHours).toBeGreaterThanOrEqual(own[at - 1]!.finishHours);
        }
        for (const { taskId, agentId, helperIds, startHours, finishHours } of found.assignments) {
          const task = tasks.find(({ id }) => id === taskId)!;
          const team = [agentId, ...helperIds].map((id) => agents.find((agent) => agent.id === id)!);
          expect(suffices(team, task)).toBe(true);
          const hours = Math.max(...team.map((agent) => hoursFor(agent, task, team.length)));
          expect(finishHours - startHours).toBeCloseTo(hours, 9);
        }
        const end = Math.max(0, ...found.assignments.map(({ finishHours }) => finishHours));
        expect(found.makespanHours).toBe(end);
        if (found.criticalPath.length > 0) expect(placed.get(found.criticalPath.at(-1)!)!.finishHours).toBe(end);
      }),
      { numRuns: 150 },
    );
  });
});

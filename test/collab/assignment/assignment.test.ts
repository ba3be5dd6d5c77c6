import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { coordinate } from '../../../subgraphs/collab/assignment/coordinate.ts';
import { formTeam } from '../../../subgraphs/collab/assignment/coverage.ts';
import { assign, forbidden } from '../../../subgraphs/collab/assignment/hungarian.ts';
import { matchAtLeastCost, matchByBids } from '../../../subgraphs/collab/assignment/match.ts';
import { listSchedule } from '../../../subgraphs/collab/assignment/schedule.ts';
import {
  type Agent,
  type AssignableTask,
  costOf,
  obstacleOf,
  taskPriorities,
} from '../../../subgraphs/collab/assignment/suitability.ts';

/** The most rows, then the least cost: by trying every way. */
function bruteForce(costs: readonly (readonly number[])[]): readonly [assigned: number, cost: number] {
  let best: readonly [number, number] = [-1, 0];
  const walk = (row: number, used: readonly number[], count: number, cost: number): void => {
    if (row === costs.length) {
      if (count > best[0] || (count === best[0] && cost < best[1])) best = [count, cost];
      return;
    }
    walk(row + 1, used, count, cost);
    for (const [column, price] of costs[row]!.entries())
      if (price !== forbidden && !used.includes(column)) walk(row + 1, [...used, column], count + 1, cost + price);
  };
  walk(0, [], 0, 0);
  return best;
}

const matrices = fc.tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 5 })).chain(([rows, columns]) =>
  fc.array(
    fc.array(
      fc.oneof(
        { weight: 4, arbitrary: fc.integer({ min: -5, max: 20 }) },
        { weight: 1, arbitrary: fc.constant(forbidden) },
      ),
      {
        minLength: columns,
        maxLength: columns,
      },
    ),
    { minLength: rows, maxLength: rows },
  ),
);

const skills = ['plan', 'code', 'test', 'ship'];
const agentsOf = (most: number): fc.Arbitrary<readonly Agent[]> =>
  fc
    .array(
      fc.record({
        capabilities: fc.subarray(skills),
        workload: fc.constantFrom(0, 0.25, 0.5, 1),
        slots: fc.integer({ min: 0, max: 2 }),
        priority: fc.integer({ min: 0, max: 100 }),
      }),
      { minLength: 1, maxLength: most },
    )
    .map((list) => list.map((agent, at) => ({ ...agent, id: `a${at}` })));
const tasksOf = (most: number): fc.Arbitrary<readonly AssignableTask[]> =>
  fc
    .array(
      fc.record({
        effortHours: fc.integer({ min: 1, max: 8 }),
        requiredSkills: fc.subarray(skills, { maxLength: 2 }),
        skillWeights: fc.constantFrom({}, { code: 0.5 }),
        deadlineHours: fc.option(fc.integer({ min: 2, max: 30 }), { nil: null }),
        priority: fc.constantFrom(...taskPriorities),
        after: fc.array(fc.nat(), { maxLength: 2 }),
      }),
      { minLength: 1, maxLength: most },
    )
    .map((list) =>
      list.map(({ after, ...task }, at) => ({
        ...task,
        id: `t${at}`,
        dependsOn: at === 0 ? [] : [...new Set(after.map((nth) => `t${nth % at}`))],
      })),
    );

describe('Hungarian method', () => {
  test('equals the best of all ways, also with pairs that must not be', () => {
    fc.assert(
      fc.property(matrices, (costs) => {
        const { columnOf, cost } = assign(costs);
        const chosen = columnOf.filter((column) => column >= 0);
        expect(new Set(chosen).size).toBe(chosen.length);
        expect([chosen.length, cost]).toEqual(bruteForce(costs));
      }),
      { numRuns: 500 },
    );
  });

  test('nothing to do', () => {
    expect(assign([])).toEqual({ columnOf: [], cost: 0 });
    expect(assign([[], []])).toEqual({ columnOf: [-1, -1], cost: 0 });
  });
});

describe('matching agents and tasks', () => {
  test.each([
    ['at least cost', matchAtLeastCost],
    ['by bids', matchByBids],
  ] as const)('%s: within capacity, skills and deadline; each task once', (_, match) => {
    fc.assert(
      fc.property(agentsOf(4), tasksOf(5), (agents, tasks) => {
        const { awards, unassigned } = match(agents, tasks);
        expect([...awards, ...unassigned].map(({ taskId }) => taskId).sort()).toEqual(tasks.map(({ id }) => id).sort());
        for (const agent of agents)
          expect(awards.filter(({ agentId }) => agentId === agent.id).length).toBeLessThanOrEqual(agent.slots);
        for (const { agentId, taskId } of awards)
          expect(
            obstacleOf(agents.find(({ id }) => id === agentId)!, tasks.find(({ id }) => id === taskId)!),
          ).toBeNull();
      }),
      { numRuns: 300 },
    );
  });

  test('at least cost: as many tasks as possible, and no cheaper way for so many', () => {
    fc.assert(
      fc.property(agentsOf(3), tasksOf(4), (agents, tasks) => {
        const { awards } = matchAtLeastCost(agents, tasks);
        const slots = agents.flatMap((agent) => Array.from({ length: agent.slots }, (_, nth) => ({ agent, nth })));
        const costs = tasks.map((task) =>
          slots.map(({ agent, nth }) => (obstacleOf(agent, task) === null ? costOf(agent, task, nth) : forbidden)),
        );
        const [most, least] = bruteForce(costs);
        expect(awards.length).toBe(most);
        expect(awards.reduce((sum, { cost }) => sum + cost, 0)).toBeCloseTo(least, 9);
      }),
      { numRuns: 200 },
    );
  });

  test('by bids: nobody who wins would have paid less by asking for more (second price)', () => {
    fc.assert(
      fc.property(agentsOf(4), tasksOf(4), (agents, tasks) => {
        for (const { cost, secondCost } of matchByBids(agents, tasks).awards)
          if (secondCost !== null) expect(secondCost).toBeGreaterThanOrEqual(cost);
      }),
    );
  });
});

describe('coordination', () => {
  test('time that is over ends the search with what was found: the first schedule at the least', () => {
    fc.assert(
      fc.property(agentsOf(4), tasksOf(6), (agents, tasks) => {
        const first = coordinate({ agents, tasks, method: 'optimal', maxTries: 0 })!;
        const found = coordinate({ agents, tasks, method: 'optimal', maxTries: 5_000, timeBudgetMs: 0 })!;
        expect(found.timeBudgetExhausted).toBe(found.assignments.length > 1);
        expect(found.assignments).toEqual(first.assignments);
        expect(first.timeBudgetExhausted).toBe(false);
      }),
      { numRuns: 50 },
    );
  });

  test('keeps precedence and one task at a time, and is never worse than the first list schedule', () => {
    fc.assert(
      fc.property(agentsOf(4), tasksOf(6), fc.integer({ min: 1, max: 1_000 }), (agents, tasks, seed) => {
        const first = coordinate({ agents, tasks, method: 'optimal', maxTries: 0, seed })!;
        const found = coordinate({ agents, tasks, method: 'optimal', maxTries: 60, seed })!;
        const cost = (one: typeof found) => one.makespanHours + 10 * one.latenessHours;
        expect(cost(found)).toBeLessThanOrEqual(cost(first) + 1e-9);
        const placed = new Map(found.assignments.map((entry) => [entry.taskId, entry]));
        for (const task of tasks)
          for (const on of task.dependsOn)
            if (placed.has(task.id) && placed.has(on))
              expect(placed.get(task.id)!.startHours).toBeGreaterThanOrEqual(placed.get(on)!.finishHours);
        for (const agent of agents) {
          const own = found.assignments
            .filter(({ agentId }) => agentId === agent.id)
            .sort((one, other) => one.startHours - other.startHours);
          expect(own.length).toBeLessThanOrEqual(agent.slots);
          for (const [at, entry] of own.entries())
            if (at > 0) expect(entry.startHours).toBeGreaterThanOrEqual(own[at - 1]!.finishHours);
        }
        expect(coordinate({ agents, tasks, method: 'optimal', maxTries: 60, seed })).toEqual(found);
        const end = Math.max(0, ...found.assignments.map(({ finishHours }) => finishHours));
        expect(found.makespanHours).toBe(end);
        if (found.criticalPath.length > 0) expect(placed.get(found.criticalPath.at(-1)!)!.finishHours).toBe(end);
      }),
      { numRuns: 200 },
    );
  });

  test('list schedules on one agent have the makespan of the sum; a cycle has none', () => {
    const tasks = ['x', 'y', 'z'].map((id, at) => ({
      id,
      agentId: 'a',
      hours: at + 1,
      dependsOn: [],
      deadlineHours: null,
    }));
    expect(listSchedule(tasks, () => 0).makespan).toBe(6);
    const task = {
      effortHours: 1,
      requiredSkills: [],
      skillWeights: {},
      deadlineHours: null,
      priority: 'low',
    } as const;
    const agent = { id: 'a', capabilities: [], workload: 0, slots: 5, priority: 0 };
    expect(
      coordinate({
        agents: [agent],
        tasks: [
          { ...task, id: 'one', dependsOn: ['two'] },
          { ...task, id: 'two', dependsOn: ['one'] },
        ],
        method: 'optimal',
      }),
    ).toBeNull();
  });

  test('teams: at least 1 - 1/e of the best coverage, and gaps told', () => {
    fc.assert(
      fc.property(
        fc.array(fc.subarray(['p', 'q', 'r', 's', 't', 'u']), { minLength: 1, maxLength: 6 }),
        fc.integer({ min: 1, max: 3 }),
        (lists, size) => {
          const candidates = lists.map((capabilities, at) => ({ id: `c${at}`, capabilities }));
          const required = ['p', 'q', 'r', 's', 't', 'u'];
          const count = (team: readonly string[]) =>
            required.filter((skill) =>
              candidates.some(({ id, capabilities }) => team.includes(id) && capabilities.includes(skill)),
            ).length;
          let best = 0;
          for (let bits = 0; bits < 2 ** candidates.length; bits += 1) {
            const team = candidates.filter((_one, at) => (bits >> at) & 1).map(({ id }) => id);
            if (team.length <= size) best = Math.max(best, count(team));
          }
          const found = formTeam(candidates, required, size);
          expect(found.team.length).toBeLessThanOrEqual(size);
          expect(count(found.team)).toBeGreaterThanOrEqual((1 - 1 / Math.E) * best);
          expect(found.gaps.length).toBe(required.length - count(found.team));
        },
      ),
      { numRuns: 200 },
    );
  });
});

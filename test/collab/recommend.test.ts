import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type AssignedTask, listSchedule, type Placed } from '../../subgraphs/collab/assignment/schedule.ts';
import type { Agent } from '../../subgraphs/collab/assignment/suitability.ts';
import { recommendationTypes } from '../../subgraphs/collab/recommend/candidates.ts';
import { rank } from '../../subgraphs/collab/recommend/rank.ts';
import { createSimulation } from '../../subgraphs/collab/recommend/simulation.ts';
import { type PlannedTask, planCost } from '../../subgraphs/collab/recommend/workPlan.ts';

/** List scheduling by looking through all that is left, each time. */
function scheduleByScan(tasks: readonly AssignedTask[], rankOf: (id: string) => number): readonly Placed[] {
  const left = [...tasks].sort((one, other) => rankOf(other.id) - rankOf(one.id) || (one.id < other.id ? -1 : 1));
  const free = new Map<string, number>();
  const finishes = new Map<string, number>();
  const placed: Placed[] = [];
  while (left.length > 0) {
    let [best, bestStart] = [-1, Number.POSITIVE_INFINITY];
    for (const [at, task] of left.entries()) {
      if (task.dependsOn.some((on) => !finishes.has(on))) continue;
      const start = Math.max(free.get(task.agentId) ?? 0, ...task.dependsOn.map((on) => finishes.get(on)!), 0);
      if (start < bestStart) [best, bestStart] = [at, start];
    }
    const [task] = left.splice(best, 1) as [AssignedTask];
    const finish = bestStart + task.hours;
    finishes.set(task.id, finish);
    free.set(task.agentId, finish);
    const lateness = task.deadlineHours === null ? 0 : Math.max(0, finish - task.deadlineHours);
    placed.push({ taskId: task.id, agentId: task.agentId, start: bestStart, finish, lateness });
  }
  return placed;
}

const agents: readonly Agent[] = ['a', 'b', 'c', 'd'].map((id, at) => ({
  ...{ id, capabilities: [], priority: 50, slots: 10 },
  workload: at / 10,
}));

/** Tasks that wait for some of those before them. */
const tasks = fc
  .array(
    fc.record({
      agent: fc.constantFrom('a', 'b', 'c', 'd', null),
      hours: fc.integer({ min: 1, max: 9 }),
      waitsFor: fc.array(fc.nat(100), { maxLength: 3 }),
      deadline: fc.option(fc.integer({ min: 1, max: 40 })),
      rank: fc.integer({ min: 0, max: 5 }),
    }),
    { minLength: 1, maxLength: 25 },
  )
  .map((list) =>
    list.map(({ waitsFor, ...task }, at) => ({
      ...task,
      id: `t${at}`,
      dependsOn: at === 0 ? [] : [...new Set(waitsFor.map((one) => `t${one % at}`))],
    })),
  );

test('list scheduling by heaps places what looking through everything places', () => {
  fc.assert(
    fc.property(tasks, (list) => {
      const assigned = list.map(({ id, agent, hours, deadline, dependsOn }) => ({
        ...{ id, hours, dependsOn },
        agentId: agent ?? 'a',
        deadlineHours: deadline,
      }));
      const rankOf = (id: string) => list.find((task) => task.id === id)!.rank;
      expect(listSchedule(assigned, rankOf).placed).toEqual(scheduleByScan(assigned, rankOf));
    }),
  );
});

test('no change costs less than the least it is said to cost', () => {
  fc.assert(
    fc.property(tasks, fc.dictionary(fc.nat(24).map(String), fc.constantFrom('a', 'b', 'c', 'd')), (list, wanted) => {
      const planned = list.map(
        ({ id, agent, hours, deadline, dependsOn }): PlannedTask => ({
          ...{ id, dependsOn, requiredSkills: [], skillWeights: {}, priority: 'medium', isBegun: false },
          effortHours: hours,
          deadlineHours: deadline,
          assignedTo: agent,
        }),
      );
      const moves = new Map(
        Object.entries(wanted)
          .filter(([at]) => Number(at) < list.length)
          .map(([at, to]) => [`t${at}`, to]),
      );
      const simulation = createSimulation(agents, planned);
      expect(simulation.leastCost(moves)).toBeLessThanOrEqual(planCost(simulation.after(moves)) + 1e-9);
    }),
  );
});

test('without time nothing is simulated, and the answer says so', () => {
  const task = {
    ...{ types: recommendationTypes, experience: {}, max: 5, minConfidence: 0 },
    state: { agents, tasks: [], turns: [], contested: [], votings: [] } as never,
  };
  expect(rank({ ...task, timeBudgetMs: 0 })).toEqual({ ranked: [], timeBudgetExhausted: true });
});

import { canTakePart, suffices } from './cheapestTeam.ts';
import { matchAtLeastCost, matchByBids, type Unassigned } from './match.ts';
import { createRandom } from './random.ts';
import {
  type AssignedTask,
  crewOf,
  criticalChain,
  listSchedule,
  type Schedule,
  tails,
  topologicalOrder,
} from './schedule.ts';
import {
  type Agent,
  type AssignableTask,
  hoursFor,
  obstacleOf,
  skillMatch,
  skillsOf,
  urgencyOf,
} from './suitability.ts';

export const assignmentMethods = ['optimal', 'market'] as const;
export type AssignmentMethod = (typeof assignmentMethods)[number];

export interface CoordinationProblem {
  readonly agents: readonly Agent[];
  readonly tasks: readonly AssignableTask[];
  readonly method: AssignmentMethod;
  /** Schedules tried beyond the first; the same for the same seed. @default 200 */
  readonly maxTries?: number;
  /** Time for trying, ms; what was found best by then is the answer. @default no bound */
  readonly timeBudgetMs?: number;
  readonly seed?: number;
  /** Members that a team has at most where a task is for several. @default 1, no teams */
  readonly maxTeam?: number;
}

export interface Assignment {
  readonly taskId: string;
  /** Who does it, or leads those who do. */
  readonly agentId: string;
  /** Who does it together with that one. */
  readonly helperIds: readonly string[];
  readonly match: number;
  readonly startHours: number;
  readonly finishHours: number;
  readonly latenessHours: number;
}

export interface Coordination {
  readonly assignments: readonly Assignment[];
  readonly unassigned: readonly Unassigned[];
  readonly criticalPath: readonly string[];
  readonly makespanHours: number;
  readonly latenessHours: number;
  /** Part of the makespan in which the agent works. */
  readonly utilisation: readonly { readonly agentId: string; readonly share: number; readonly tasks: number }[];
  /** Pairs and schedules that were really computed. */
  readonly evaluated: { readonly pairs: number; readonly schedules: number };
  /** Whether time ended the search before its tries were over. */
  readonly timeBudgetExhausted: boolean;
}

/** Temperatures of the annealing, relative to the first cost. */
const annealing = { start: 0.05, cooling: 0.97 } as const;
const latenessWeight = 10;

/**
 * Who does what, and when: an assignment of least cost (or by bids), scheduled along the critical path, then improved by
 * simulated annealing (Kirkpatrick, Gelatt & Vecchi 1983) over the order of tasks and who does them. Never worse than the
 * first schedule. Null where the dependencies close a cycle.
 */
export function coordinate(problem: CoordinationProblem): Coordination | null {
  const {
    agents,
    tasks,
    method,
    maxTries = 200,
    seed = 1,
    timeBudgetMs = Number.POSITIVE_INFINITY,
    maxTeam = 1,
  } = problem;
  const endsAtMs = performance.now() + timeBudgetMs;
  if (topologicalOrder(tasks) === null) return null;
  const match = (method === 'market' ? matchByBids : matchAtLeastCost)(agents, tasks, { maxTeam });
  const byAgent = new Map(agents.map((agent) => [agent.id, agent]));
  const byTask = new Map(tasks.map((task) => [task.id, task]));
  const toAssigned = (taskId: string, [agentId, ...helperIds]: readonly string[]): AssignedTask => {
    const task = byTask.get(taskId)!;
    const crew = [agentId!, ...helperIds];
    return {
      id: taskId,
      ...{ agentId: agentId!, helperIds },
      // Equal parts at the same time: it is done when the slowest has done its own.
      hours: Math.max(...crew.map((id) => hoursFor(byAgent.get(id)!, task, crew.length))),
      dependsOn: task.dependsOn,
      ...(task.exclusives !== undefined && { exclusives: task.exclusives }),
      deadlineHours: task.deadlineHours,
    };
  };
  const first = match.awards.map((award) => toAssigned(award.taskId, crewOf(award)));
  const tail = tails(first, topologicalOrder(first)!);
  // The longer what hangs on a task and the more urgent it is, the earlier it is its turn.
  const ranks = new Map(first.map(({ id }) => [id, tail.get(id)! * (1 + urgencyOf(byTask.get(id)!.priority) / 10)]));
  let best = { tasks: first, schedule: listSchedule(first, (id) => ranks.get(id)!) };
  let schedules = 1;
  let timeBudgetExhausted = false;
  if (method === 'optimal' && first.length > 1) {
    const random = createRandom(seed);
    const pick = (count: number) => Math.min(count - 1, Math.floor(random.next() * count));
    let current = { ...best, ranks };
    let temperature = annealing.start * costOf(best.schedule);
    for (; schedules <= maxTries; schedules += 1) {
      if (performance.now() >= endsAtMs) {
        timeBudgetExhausted = true;
        break;
      }
      const at = pick(current.tasks.length);
      const moved = current.tasks[at]!;
      let next = current.tasks;
      const nextRanks = new Map(current.ranks);
      if (random.next() < 0.5) {
        const task = byTask.get(moved.id)!;
        const crew = crewOf(moved);
        const held = Map.groupBy(current.tasks.flatMap(crewOf), (id) => id);
        const leaving = crew.length === 1 ? moved.agentId : crew[pick(crew.length)]!;
        const staying = crew.filter((id) => id !== leaving).map((id) => byAgent.get(id)!);
        const matchNow = skillMatch(skillsOf(crew.map((id) => byAgent.get(id)!)), task);
        const able = agents.filter(
          (agent) =>
            !crew.includes(agent.id) &&
            agent.isAvoided !== true &&
            (held.get(agent.id)?.length ?? 0) < agent.slots &&
            isAble([...staying, agent], task) &&
            skillMatch(skillsOf([...staying, agent]), task) >= matchNow,
        );
        if (able.length === 0) continue;
        const joining = able[pick(able.length)]!.id;
        const assigned = toAssigned(
          moved.id,
          crew.map((id) => (id === leaving ? joining : id)),
        );
        next = current.tasks.map((entry, index) => (index === at ? assigned : entry));
      } else {
        const other = current.tasks[pick(current.tasks.length)]!;
        nextRanks.set(moved.id, current.ranks.get(other.id)!);
        nextRanks.set(other.id, current.ranks.get(moved.id)!);
      }
      const schedule = listSchedule(next, (id) => nextRanks.get(id)!);
      const worse = costOf(schedule) - costOf(current.schedule);
      if (worse <= 0 || random.next() < Math.exp(-worse / Math.max(1e-9, temperature)))
        current = { tasks: next, schedule, ranks: nextRanks };
      if (costOf(schedule) < costOf(best.schedule)) best = { tasks: next, schedule };
      temperature *= annealing.cooling;
    }
  }
  return describe(best.tasks, best.schedule, {
    problem,
    unassigned: match.unassigned,
    evaluated: { pairs: match.evaluated, schedules: Math.min(schedules, maxTries + 1) },
    timeBudgetExhausted,
  });
}

/** Whether they can do the task together, or the one of them alone. */
const isAble = (crew: readonly Agent[], task: AssignableTask): boolean =>
  crew.length === 1
    ? obstacleOf(crew[0]!, task) === null
    : suffices(crew, task) && crew.every((agent) => canTakePart(agent, task, crew.length));

const costOf = ({ makespan, totalLateness }: Schedule): number => makespan + latenessWeight * totalLateness;

function describe(
  tasks: readonly AssignedTask[],
  schedule: Schedule,
  rest: Pick<Coordination, 'unassigned' | 'evaluated' | 'timeBudgetExhausted'> & {
    readonly problem: CoordinationProblem;
  },
): Coordination {
  const { problem, unassigned, evaluated, timeBudgetExhausted } = rest;
  const byTask = new Map(problem.tasks.map((task) => [task.id, task]));
  const byAgent = new Map(problem.agents.map((agent) => [agent.id, agent]));
  const busy = Map.groupBy(
    schedule.placed.flatMap((placed) => crewOf(placed).map((agentId) => ({ ...placed, agentId }))),
    ({ agentId }) => agentId,
  );
  return {
    assignments: schedule.placed.map(({ taskId, agentId, helperIds = [], start, finish, lateness }) => ({
      ...{ taskId, agentId, helperIds },
      match: skillMatch(skillsOf([agentId, ...helperIds].map((id) => byAgent.get(id)!)), byTask.get(taskId)!),
      startHours: start,
      finishHours: finish,
      latenessHours: lateness,
    })),
    unassigned,
    criticalPath: criticalChain(schedule, tasks),
    makespanHours: schedule.makespan,
    latenessHours: schedule.totalLateness,
    utilisation: problem.agents.map(({ id }) => {
      const own = busy.get(id) ?? [];
      const hours = own.reduce((sum, { start, finish }) => sum + finish - start, 0);
      return { agentId: id, share: schedule.makespan === 0 ? 0 : hours / schedule.makespan, tasks: own.length };
    }),
    evaluated,
    timeBudgetExhausted,
  };
}

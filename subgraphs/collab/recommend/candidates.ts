import { type Agent, coordinate, obstacleOf, skillMatch } from '../assignment/index.ts';
import { type Claim, fairShares } from '../conflict/index.ts';
import { type Clock, createClock } from './clock.ts';
import { type OpenVoting, quorumRisks } from './quorumRisk.ts';
import { createSimulation, type Moves, relative, type Simulation, samples, spread } from './simulation.ts';
import { type PlannedTask, planCost, type WorkPlan, workPlan } from './workPlan.ts';

export const recommendationTypes = [
  'reassign_task',
  'rebalance',
  'add_capability',
  'pass_turn',
  'split_capacity',
  'secure_quorum',
] as const;
export type RecommendationType = (typeof recommendationTypes)[number];

/** What is known of a session at a moment, in figures. */
export interface LiveState {
  readonly agents: readonly Agent[];
  readonly tasks: readonly PlannedTask[];
  /** Turns under way: how long they have run, and how long they may still. */
  readonly turns: readonly {
    readonly id: string;
    readonly participantId: string;
    readonly ranMs: number;
    readonly leftMs: number;
  }[];
  /** Mean time of a completed turn; null where none was completed. */
  readonly meanTurnMs: number | null;
  /** Open conflicts about a resource, with how often it was in conflict. */
  readonly disputes: readonly {
    readonly conflictId: string;
    readonly resource: string;
    readonly capacity: number;
    readonly claims: readonly Claim[];
    readonly held: Readonly<Record<string, number>>;
  }[];
  readonly votings: readonly OpenVoting[];
}

export interface Candidate {
  readonly type: RecommendationType;
  readonly action: Readonly<Record<string, unknown>>;
  readonly before: Readonly<Record<string, number>>;
  readonly after: Readonly<Record<string, number>>;
  /** Part of what it was that is won, 0 to 1. */
  readonly gain: number;
  /** The same found with other figures, each off by up to a fifth. */
  readonly gains: readonly number[];
  /** How much it changes: tasks, people. */
  readonly disruption: number;
  readonly evidence: readonly string[];
}

interface Planned extends LiveState {
  readonly simulation: Simulation;
  readonly clock: Clock;
}

const mostReassignments = 3;

/** One task to somebody else, for those whose agents hold the session up. */
function reassignments({ agents, tasks, simulation, clock }: Planned): readonly Candidate[] {
  const assigned = tasks.filter(({ assignedTo, isBegun }) => assignedTo !== null && !isBegun);
  const loads = new Map(agents.map(({ id }) => [id, 0]));
  for (const { assignedTo, effortHours } of assigned)
    loads.set(assignedTo!, (loads.get(assignedTo!) ?? 0) + effortHours);
  const busiest = [...loads].sort(([, one], [, other]) => other - one).slice(0, 2);
  const options = busiest.flatMap(([from, load]) =>
    assigned
      .filter(({ assignedTo }) => assignedTo === from)
      .flatMap((task) =>
        agents
          .filter(
            (agent) =>
              agent.id !== from &&
              (loads.get(agent.id) ?? 0) + task.effortHours < load &&
              obstacleOf({ ...agent, slots: Math.max(1, agent.slots) }, task) === null,
          )
          .map((agent) => ({ task, from, agent, moves: new Map([[task.id, agent.id]]) })),
      ),
  );
  return cheapest(simulation, options, clock).map(({ task, from, agent, moves, after }) => ({
    type: 'reassign_task',
    action: { taskId: task.id, from, to: agent.id },
    before: { ...simulation.before },
    after: { ...after },
    ...simulation.gains(moves),
    disruption: 1,
    evidence: [
      `${from} holds ${round(loads.get(from)!)} h of work, ${agent.id} ${round(loads.get(agent.id)!)} h`,
      `${agent.id} has ${round(100 * skillMatch(agent, task))} % of the skills`,
    ],
  }));
}

/**
 * Of several changes those that cost least, all of them cheaper than the plan as it stands. What cannot be among them is
 * not simulated: changes are tried in the order of the least that each could cost, until that is more than the last of
 * those found (branch and bound, Land & Doig 1960).
 */
function cheapest<Option extends { readonly moves: Moves }>(
  simulation: Simulation,
  options: readonly Option[],
  clock: Clock,
) {
  const limit = planCost(simulation.before) - 1e-9;
  const bounded = options
    .map((option, at) => ({ option, at, least: simulation.leastCost(option.moves) }))
    .filter(({ least }) => least < limit)
    .sort((one, other) => one.least - other.least);
  let found: readonly (Option & { readonly at: number; readonly cost: number; readonly after: WorkPlan })[] = [];
  for (const { option, at, least } of bounded) {
    if (found.length === mostReassignments && least > found.at(-1)!.cost + 1e-9) break;
    if (clock.isOver()) break;
    const after = simulation.after(option.moves);
    const cost = planCost(after);
    if (cost < limit)
      found = [...found, { ...option, at, cost, after }]
        .sort((one, other) => one.cost - other.cost || one.at - other.at)
        .slice(0, mostReassignments);
  }
  return found;
}

/** Everything that has not begun, assigned anew. */
function rebalancing({ agents, tasks, simulation, clock }: Planned): readonly Candidate[] {
  const movable = tasks.filter(({ isBegun }) => !isBegun);
  if (movable.length < 2 || agents.length < 2) return [];
  const free = agents.map((agent) => ({
    ...agent,
    slots: Math.max(agent.slots, Math.ceil(movable.length / agents.length) + 1),
  }));
  const found = coordinate({
    agents: free,
    tasks: movable,
    method: 'optimal',
    maxTries: 100,
    seed: 1,
    timeBudgetMs: clock.leftMs(),
  });
  if (found === null) return [];
  const to = new Map(found.assignments.map(({ taskId, agentId }) => [taskId, agentId]));
  const changes = movable.filter(({ id, assignedTo }) => to.has(id) && to.get(id) !== assignedTo);
  const moves: Moves = new Map(changes.map(({ id }) => [id, to.get(id)!]));
  const [before, after] = [simulation.before, simulation.after(moves)];
  // Work that nobody had makes a plan longer: it is compared with the plan in which somebody has it.
  if (changes.length === 0 || after.openTasks < before.openTasks || planCost(after) >= planCost(before) - 1e-9)
    return [];
  return [
    {
      type: 'rebalance',
      action: { assignments: changes.map(({ id, assignedTo }) => ({ taskId: id, from: assignedTo, to: to.get(id)! })) },
      before: { ...before },
      after: { ...after },
      ...simulation.gains(moves),
      disruption: changes.length,
      evidence: [
        `the busiest works ${round(100 * before.peakLoad)} % of the time, ${round(100 * after.peakLoad)} % afterwards`,
      ],
    },
  ];
}

/** The skill whose lack keeps the most tasks from everybody. */
function missingSkills({ agents, tasks, simulation: { before } }: Planned): readonly Candidate[] {
  if (before.impossibleTasks === 0 || agents.length === 0) return [];
  const skills = [
    ...new Set(tasks.filter(({ assignedTo }) => assignedTo === null).flatMap(({ requiredSkills }) => requiredSkills)),
  ];
  const options = skills.flatMap((skill) =>
    agents
      .filter(({ capabilities }) => !capabilities.includes(skill))
      .map((agent) => {
        const learnt = agents.map((one) =>
          one === agent ? { ...one, capabilities: [...one.capabilities, skill] } : one,
        );
        return { skill, agent, after: workPlan(learnt, tasks) };
      }),
  );
  const best = options.reduce<(typeof options)[number] | null>(
    (most, one) => (one.after.impossibleTasks < (most?.after.impossibleTasks ?? before.impossibleTasks) ? one : most),
    null,
  );
  if (best === null) return [];
  const gain = relative(before.impossibleTasks, best.after.impossibleTasks);
  return [
    {
      type: 'add_capability',
      action: { participantId: best.agent.id, capability: best.skill },
      before: { ...before },
      after: { ...best.after },
      gain,
      // Who can do what does not hang on how long it takes.
      gains: [gain],
      disruption: 2,
      evidence: [
        `${before.impossibleTasks} tasks can be done by nobody, ${best.after.impossibleTasks} with ${best.skill}`,
      ],
    },
  ];
}

/** Turns that have run much longer than turns do. */
function stalledTurns({ turns, meanTurnMs }: LiveState): readonly Candidate[] {
  if (meanTurnMs === null || meanTurnMs <= 0) return [];
  return turns
    .filter(({ ranMs, leftMs }) => ranMs > 3 * meanTurnMs && leftMs > meanTurnMs)
    .map(({ id, participantId, ranMs, leftMs }) => ({
      type: 'pass_turn',
      action: { turnId: id, from: participantId },
      before: { waitMs: leftMs },
      after: { waitMs: meanTurnMs },
      gain: relative(leftMs, meanTurnMs),
      gains: Array.from({ length: samples }, (_, at) => {
        const factor = 1 - spread + (2 * spread * at) / (samples - 1);
        return relative(leftMs, meanTurnMs * factor);
      }),
      disruption: 1,
      evidence: [`turns take ${round(meanTurnMs / 1_000)} s, this one has run ${round(ranMs / 1_000)} s`],
    }));
}

/** What is disputed, shared fairly: how far the least content one is served. */
function splits({ disputes }: LiveState): readonly Candidate[] {
  return disputes.flatMap(({ conflictId, resource, capacity, claims, held }) => {
    const served = (of: (id: string) => number, total: number) =>
      Math.min(...claims.map(({ id, amount }) => (amount === 0 ? 1 : Math.min(1, of(id) / (amount * total)))));
    const serviceWith = (total: number) => {
      const asked = claims.map((claim) => ({ ...claim, amount: claim.amount * total }));
      const shares = fairShares(asked, capacity);
      return { before: served((id) => held[id] ?? 0, total), after: served((id) => shares.get(id) ?? 0, total) };
    };
    const { before, after } = serviceWith(1);
    if (claims.length < 2 || after <= before + 1e-9) return [];
    return [
      {
        type: 'split_capacity' as const,
        action: { conflictId, strategy: 'fair_share' },
        before: { leastServed: before },
        after: { leastServed: after },
        gain: after - before,
        gains: Array.from({ length: samples }, (_, at) => {
          const one = serviceWith(1 - spread + (2 * spread * at) / (samples - 1));
          return one.after - one.before;
        }),
        disruption: claims.length,
        evidence: [
          `${claims.length} claims on ${resource}; who has least has ${round(100 * before)} % of what was asked for`,
        ],
      },
    ];
  });
}

const round = (value: number) => Math.round(10 * value) / 10;

/** All that could be advised, each simulated while there is time; only what gains anything. */
export function candidatesOf(
  state: LiveState,
  types: readonly RecommendationType[],
  clock: Clock = createClock(),
): readonly Candidate[] {
  const planned: Planned = { ...state, clock, simulation: createSimulation(state.agents, state.tasks) };
  const makers: Readonly<Record<RecommendationType, (state: Planned) => readonly Candidate[]>> = {
    reassign_task: reassignments,
    rebalance: rebalancing,
    add_capability: missingSkills,
    pass_turn: stalledTurns,
    split_capacity: splits,
    secure_quorum: ({ votings }) => quorumRisks(votings),
  };
  return types.flatMap((type) => (clock.isOver() ? [] : makers[type](planned))).filter(({ gain }) => gain > 0);
}

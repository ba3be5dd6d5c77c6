import { electionOf } from './conclude.ts';
import { type ConflictRow, heldBy, type ResourceRow } from './conflictRows.ts';
import { slotsPerAgent } from './coordination.ts';
import type { BallotRow, DecisionRow } from './decisionRows.ts';
import type { LiveState } from './recommend/candidates.ts';
import type { OpenVoting } from './recommend/quorumRisk.ts';
import { type PlannedTask, type WorkPlan, workPlan } from './recommend/workPlan.ts';
import type { CollabRow, ParticipantRow } from './rows.ts';
import { toAssignable } from './taskMoves.ts';
import { countVoices, quorumOf } from './voting/index.ts';
import { assigneesOf, type TaskRow, type TurnRow } from './workRows.ts';

export interface LiveRows extends VotingRows {
  readonly collab: CollabRow;
  readonly participants: readonly ParticipantRow[];
  readonly tasks: readonly TaskRow[];
  readonly turns: readonly TurnRow[];
  readonly conflicts: readonly ConflictRow[];
  readonly resources: readonly ResourceRow[];
}

/** Of the votings that are open. */
export interface VotingRows {
  readonly decisions: readonly DecisionRow[];
  readonly ballots: readonly BallotRow[];
  readonly turnouts: readonly Turnout[];
}

/** How a voter has voted in votings that are over: how often, and how long they waited for it. */
export interface Turnout {
  readonly voter: string;
  readonly votes: number;
  readonly waitedMs: number;
}

/** Votings that are open, with who is still out: those who passed their voice on come with whom they gave it to. */
function toVotings({ decisions, ballots, turnouts }: VotingRows, nowMs: number): readonly OpenVoting[] {
  const known = new Map(turnouts.map((turnout) => [turnout.voter, turnout]));
  return decisions.flatMap((decision): OpenVoting[] => {
    const { id, status, openedAt, deadline, electorate, rules } = decision;
    // A council has its own time.
    if (status !== 'voting' || openedAt === null || deadline === null || decision.councilId !== null) return [];
    const cast = ballots.filter(({ decisionId, round }) => decisionId === id && round === decision.round);
    const { votes } = electionOf(decision, cast, { coordinator: null, isOver: false });
    const answered = new Set(cast.map(({ voter }) => voter));
    const waiting = electorate.filter((voter) => !answered.has(voter.id));
    const own = cast.flatMap(({ voter, vote }) => (vote === null ? [] : [{ voter, vote }]));
    const passedOn = new Map(
      cast.flatMap(({ voter, delegateTo }) => (delegateTo === null ? [] : [[voter, delegateTo] as const])),
    );
    const supposed = waiting.map((voter) => ({ voter: voter.id, vote: { kind: 'abstain' } as const }));
    const voices = new Map(
      countVoices(electorate, [...own, ...supposed], passedOn).map((counted) => [counted.voter, counted.voices]),
    );
    return [
      {
        decisionId: id,
        deadline,
        leftMs: Date.parse(deadline) - nowMs,
        timeLimitMs: rules.timeLimitMs,
        quorum: quorumOf(rules.quorum, electorate.length),
        heard: votes.reduce((sum, counted) => sum + counted.voices, 0),
        awaited: waiting.map((voter) => ({
          voices: voices.get(voter.id) ?? 1,
          votes: known.get(voter.id)?.votes ?? 0,
          waitedMs: (known.get(voter.id)?.waitedMs ?? 0) + Math.max(0, nowMs - Date.parse(openedAt)),
        })),
      },
    ];
  });
}

const toPlanned = (tasks: readonly TaskRow[], nowMs: number): readonly PlannedTask[] => {
  const open = tasks.filter(({ status }) => !['completed', 'cancelled', 'failed'].includes(status));
  // Who do a task together do equal parts of it at the same time: what waits for it waits for each of them.
  const partsOf = new Map(open.map((task) => [task.id, [task.id, ...task.helpers.map((id) => `${task.id}/${id}`)]]));
  return open.flatMap((task) => {
    const parts = partsOf.get(task.id)!;
    const whole = toAssignable(task, nowMs);
    const part = {
      ...whole,
      effortHours: whole.effortHours / parts.length,
      dependsOn: task.dependsOn.flatMap((id) => partsOf.get(id) ?? []),
      // What several have agreed on is not moved piece by piece.
      isBegun: parts.length > 1 || task.status === 'in_progress' || task.status === 'blocked',
    };
    const holders = task.assignedTo === null ? [null] : assigneesOf(task);
    return holders.map((assignedTo, at) => ({ ...part, id: parts[at]!, assignedTo }));
  });
};

const toAgents = (participants: readonly ParticipantRow[]) =>
  participants
    .filter(({ status }) => status === 'active')
    .map(({ participantId, capabilities, workload, priority }) => ({
      ...{ id: participantId, capabilities, workload, priority },
      slots: slotsPerAgent,
    }));

/** Figures of the plan as it stands. */
export function planOf(participants: readonly ParticipantRow[], tasks: readonly TaskRow[], nowMs: number): WorkPlan {
  return workPlan(toAgents(participants), toPlanned(tasks, nowMs));
}

/** What recommendations are made of; null where there is nothing to be judged. */
export function liveStateOf(rows: LiveRows, nowMs: number): LiveState | null {
  const { collab, participants, tasks, turns, conflicts, resources } = rows;
  const { stats } = collab;
  const byId = new Map(resources.map((resource) => [resource.id, resource]));
  const disputes = conflicts.flatMap((conflict) => {
    const resource = byId.get(conflict.subject.split(':')[1] ?? '');
    if (conflict.type !== 'resource_allocation' || resource === undefined) return [];
    return [
      {
        conflictId: conflict.id,
        resource: resource.name,
        capacity: resource.capacity,
        claims: conflict.claims.map(({ participantId, amount, weight, priority }) => ({
          id: participantId,
          amount,
          weight,
          priority,
        })),
        held: Object.fromEntries(heldBy(resource, conflict)),
      },
    ];
  });
  const planned = toPlanned(tasks, nowMs);
  const votings = toVotings(rows, nowMs);
  if (planned.length + turns.length + disputes.length + votings.length === 0) return null;
  return {
    agents: toAgents(participants),
    tasks: planned,
    turns: turns.map(({ id, participantId, dispatchedAt, dueAt }) => ({
      id,
      participantId,
      ranMs: nowMs - Date.parse(dispatchedAt),
      leftMs: Date.parse(dueAt) - nowMs,
    })),
    meanTurnMs: stats.turnsCompleted === 0 ? null : stats.turnMs / stats.turnsCompleted,
    disputes,
    votings,
  };
}

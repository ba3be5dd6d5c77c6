import { rulesInForce } from './council/rules.ts';
import type { BallotRow, DecisionResult, DecisionRow } from './decisionRows.ts';
import { count, type Draft, find, list, put, setDeadline, tell } from './draft.ts';
import { defaultAuthority } from './participantRows.ts';
import {
  type CastVote,
  countVoices,
  type Election,
  gateOf,
  isCertain,
  settleTie,
  type Tally,
  tally,
  type Vote,
  type VotingOutcome,
} from './voting/index.ts';

/** Ballots of the voting that is open, or was last. */
export const ballotsOf = (
  draft: Pick<Draft, 'parts'>,
  { id, round }: Pick<DecisionRow, 'id' | 'round'>,
): readonly BallotRow[] => list(draft, 'ballot').filter((ballot) => ballot.decisionId === id && ballot.round === round);

/** A decision with its votes, as it is counted. */
export function electionOf(
  decision: Pick<DecisionRow, 'options' | 'electorate' | 'rules' | 'councilId'>,
  ballots: readonly Pick<BallotRow, 'voter' | 'vote' | 'delegateTo'>[],
  { coordinator, isOver }: { readonly coordinator: string | null; readonly isOver: boolean },
): Election {
  const cast = ballots.flatMap(({ voter, vote }): CastVote[] => (vote === null ? [] : [{ voter, vote }]));
  const delegations = new Map(
    ballots.flatMap(({ voter, delegateTo }) => (delegateTo === null ? [] : [[voter, delegateTo] as const])),
  );
  return {
    options: decision.options,
    electorate: decision.electorate,
    votes: countVoices(decision.electorate, cast, delegations),
    rules: rulesInForce(decision),
    coordinator,
    isOver,
  };
}

/** What an extension says of a vote by the method `custom`. */
export interface CustomResult {
  readonly winner: string | null;
  readonly standings?: readonly { readonly option: string; readonly support: number }[];
  /** Options that tie, where none wins. */
  readonly tied?: readonly string[];
  readonly rationale?: string;
}

/** The count of a custom rule: quorum, turnout and ties are ours, who wins is the extension's. */
function withCustom(counted: Tally, election: Election, { standings, tied = [], ...given }: CustomResult): Tally {
  const settled =
    given.winner === null && tied.length > 1
      ? settleTie(
          election,
          counted.standings,
          tied.map((option) => ({ option })),
        )
      : { winner: given.winner, tied: [], tieBrokenBy: null };
  const { winner } = settled;
  const option = election.options.find(({ id }) => id === winner);
  const sum = (standings ?? []).reduce((all, { support }) => all + support, 0);
  const rows = counted.standings
    .map((standing) => {
      const support = standings?.find((one) => one.option === standing.option)?.support ?? standing.support;
      return { ...standing, support, share: sum > 0 ? support / sum : standing.share };
    })
    .sort(
      (one, other) => Number(other.option === winner) - Number(one.option === winner) || other.support - one.support,
    )
    .map((standing, at) => ({ ...standing, rank: at + 1 }));
  const share = rows.find((one) => one.option === winner)?.share ?? 0;
  const outcome: VotingOutcome = !counted.quorumMet
    ? 'no_quorum'
    : option === undefined
      ? settled.tied.length > 1
        ? 'tie'
        : 'no_majority'
      : option.isStatusQuo
        ? 'rejected'
        : 'adopted';
  return {
    ...counted,
    outcome,
    winner: counted.quorumMet ? winner : null,
    standings: rows,
    tied: settled.tied,
    tieBrokenBy: counted.quorumMet ? settled.tieBrokenBy : null,
    consensusLevel: share,
    confidence: counted.quorumMet && winner !== null ? share * counted.turnout : 0,
    ...(given.rationale === undefined ? {} : { rationale: given.rationale }),
  };
}

function dissentOf({ rules }: DecisionRow, ballots: readonly BallotRow[], winner: string | null): readonly string[] {
  if (rules.anonymity || winner === null) return [];
  const isAgainst = (vote: Vote) =>
    vote.kind === 'choice'
      ? vote.option !== winner
      : vote.kind === 'approvals'
        ? !vote.options.includes(winner)
        : vote.kind === 'allocation'
          ? (vote.votes[winner] ?? 0) <= 0
          : vote.kind === 'ranking' && vote.order[0] !== winner;
  return ballots.filter(({ vote }) => vote !== null && isAgainst(vote)).map(({ voter }) => voter);
}

/** What it came to, in a sentence. */
export function rationaleOf({ rules, options }: DecisionRow, counted: Tally): string {
  const name = (id: string) => options.find((option) => option.id === id)?.label ?? id;
  const percent = (part: number) => `${(100 * part).toFixed(1)} %`;
  const heard = `${counted.heard} of ${counted.voters} voters were heard (quorum ${counted.quorum})`;
  const rule = rules.method.replaceAll('_', ' ');
  switch (counted.outcome) {
    case 'no_quorum':
      return `${heard}: too few.`;
    case 'tie':
      return `${heard}; by ${rule} ${counted.tied.map(name).join(' and ')} tie.`;
    case 'no_majority':
      return `${heard}; by ${rule} nothing has the share it needs, the strongest has ${percent(counted.consensusLevel)}.`;
    default:
      return `${heard}; by ${counted.usedFallback ? 'majority, its consensus not reached' : rule}${
        counted.tieBrokenBy === null ? '' : ` and a tie broken by ${counted.tieBrokenBy.replace('_', ' ')}`
      } ${name(counted.winner!)} wins with ${percent(counted.consensusLevel)}.`;
  }
}

/** What the votes come to at this moment; with `certainOnly` null unless nothing can change it any more. */
export function countVotes(
  draft: Draft,
  decision: DecisionRow,
  options: { readonly isOver: boolean; readonly certainOnly?: boolean; readonly custom?: CustomResult | null },
): Tally | null {
  const { coordination } = draft.collab;
  const election = electionOf(decision, ballotsOf(draft, decision), {
    coordinator: coordination.coordinatorId,
    isOver: options.isOver,
  });
  const counted = tally(election);
  if (options.certainOnly === true) {
    // A vote that may be revised is never certain, one that is counted elsewhere neither.
    if (decision.rules.revisionAllowed || decision.rules.method === 'custom') return null;
    return isCertain(election, counted) ? tally({ ...election, isOver: counted.heard === counted.voters }) : null;
  }
  return options.custom == null ? counted : withCustom(counted, election, options.custom);
}

const confirmTimeoutMs = 30 * 60_000;

/** Decides with the outcome of a voting, once: who comes later finds it decided. */
export function conclude(draft: Draft, decision: DecisionRow, counted: Tally): DecisionRow {
  const ballots = ballotsOf(draft, decision);
  const proposer = find(draft, 'participant', decision.proposedBy);
  const authority = proposer?.authority ?? defaultAuthority;
  const isClear = counted.outcome === 'adopted' || counted.outcome === 'rejected';
  const gate = isClear
    ? gateOf({
        confidence: counted.confidence,
        impact: decision.impact,
        type: decision.type,
        authority,
        signals: [
          decision.type,
          ...(counted.tieBrokenBy === null ? [] : ['tie']),
          ...(counted.usedFallback ? ['no_consensus'] : []),
        ],
      })
    : null;
  const result: DecisionResult = {
    ...counted,
    dissent: dissentOf(decision, ballots, counted.winner),
    rationale: [rationaleOf(decision, counted), ...(counted.rationale === undefined ? [] : [counted.rationale])].join(
      ' ',
    ),
  };
  const decided = put(draft, 'decision', {
    ...decision,
    status: 'decided',
    outcome: counted.outcome,
    winner: counted.winner,
    result,
    gate,
    decidedAt: draft.at,
    version: decision.version + 1,
  });
  setDeadline(draft, `decision:${decision.id}`, null);
  count(draft, { decisionsConcluded: 1, ...(counted.outcome === 'adopted' ? { decisionsAdopted: 1 } : {}) });
  tell(draft, 'collab.decision.decided', { decision: decided });
  if (gate === 'confirm' || gate === 'human') askApproval(draft, decided);
  return decided;
}

/** A decision that does not go by itself is asked for as an approval of the collaboration's coordinator, or of who created it. */
function askApproval(draft: Draft, decision: DecisionRow): void {
  const { coordination, createdBy, contextId } = draft.collab;
  const coordinator =
    coordination.coordinatorId === null ? undefined : find(draft, 'participant', coordination.coordinatorId);
  const proposer = find(draft, 'participant', decision.proposedBy)?.agentId ?? decision.createdBy;
  const overseers = list(draft, 'participant')
    .filter(
      ({ status, kind, permissions }) => status === 'active' && (kind === 'human' || permissions.includes('oversee')),
    )
    .map(({ agentId }) => agentId);
  // People first; whoever proposed it does not approve it.
  const approvers = [...new Set([...overseers, coordinator?.agentId ?? createdBy])].filter((one) => one !== proposer);
  if (approvers.length === 0) return;
  draft.approvals.push({
    targetType: 'other',
    targetId: decision.id,
    contextId,
    confirmationType: 'collab_decision',
    title: decision.title.slice(0, 500),
    reason: decision.result?.rationale ?? null,
    requestedBy: proposer,
    approvers,
    quorum: { kind: 'single' },
    reference: { collabId: draft.collab.id, decisionId: decision.id, gate: decision.gate, timeoutMs: confirmTimeoutMs },
  });
}

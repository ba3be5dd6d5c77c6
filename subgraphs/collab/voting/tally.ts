import { type CountedVote, isAtLeast, isMore, type Voter } from './ballot.ts';
import { quorumOf } from './quorum.ts';
import { byzantineQuorum, countsWeights, isHeardEnough, type VotingRules } from './rules.ts';
import { instantRunoff, type RunoffRound } from './runoff.ts';
import { schulze } from './schulze.ts';
import { breakTie, type TieBreak } from './ties.ts';

export interface Option {
  readonly id: string;
  /** That everything stays as it is: its victory rejects the proposal. */
  readonly isStatusQuo: boolean;
}

export interface Election {
  readonly options: readonly Option[];
  readonly electorate: readonly Voter[];
  readonly votes: readonly CountedVote[];
  readonly rules: VotingRules;
  /** Voter whose vote decides ties and, by the method `coordinator`, everything. */
  readonly coordinator: string | null;
  /** At the end of its time a consensus that was not reached goes to its fallback. */
  readonly isOver: boolean;
}

export type VotingOutcome = 'adopted' | 'rejected' | 'no_quorum' | 'no_majority' | 'tie';

export interface Standing {
  readonly option: string;
  /** Weight for it; by rank, that of the voters who put it first; by runoff, what it had in its last round. */
  readonly support: number;
  /** Votes for it, voices passed on included. */
  readonly voices: number;
  /** Of what was cast without abstentions; 0 where nothing was. */
  readonly share: number;
  /** From 1; options that tie share a rank. */
  readonly rank: number;
}

export interface Tally {
  readonly outcome: VotingOutcome;
  readonly winner: string | null;
  readonly standings: readonly Standing[];
  readonly voters: number;
  /** Voters that are heard, by themselves or through others, abstentions included. */
  readonly heard: number;
  readonly abstained: number;
  /** `heard` of all. */
  readonly turnout: number;
  readonly quorum: number;
  readonly quorumMet: boolean;
  /** Share of the winner, else of the strongest. */
  readonly consensusLevel: number;
  /** 1 less the normalised entropy of the shares: 1 where all agree, 0 where all options are as strong. */
  readonly agreement: number;
  /** Share of the winner times turnout. */
  readonly confidence: number;
  readonly tied: readonly string[];
  readonly tieBrokenBy: TieBreak | null;
  readonly usedFallback: boolean;
  /** Of an instant runoff. */
  readonly rounds: readonly RunoffRound[];
  /** What an extension that counted says of it. */
  readonly rationale?: string;
}

/** What the votes come to by the rules. The method `custom` is counted elsewhere. */
export function tally(election: Election): Tally {
  const { options, electorate, votes, rules } = election;
  const counted = countsWeights(rules) ? votes : votes.map((vote) => ({ ...vote, weight: vote.voices }));
  const voiced = counted.filter(({ vote }) => vote.kind !== 'abstain');
  const heard = sum(votes.map(({ voices }) => voices));
  const cast = sum(voiced.map(({ weight }) => weight));
  const quorum = quorumOf(rules.quorum, electorate.length);
  const found = decide(election, { voiced, cast });
  const shares = found.standings.map(({ share }) => share);
  const quorumMet = heard >= quorum;
  const turnout = electorate.length === 0 ? 0 : heard / electorate.length;
  const isValid = isHeardEnough(rules, quorumMet);
  const winner = isValid ? found.winner : null;
  const strongest = found.standings.find(({ option }) => option === found.winner)?.share ?? Math.max(0, ...shares);
  return {
    outcome: isValid ? outcomeOf(options, found) : 'no_quorum',
    winner,
    standings: found.standings,
    voters: electorate.length,
    heard,
    abstained: heard - sum(voiced.map(({ voices }) => voices)),
    turnout,
    quorum,
    quorumMet,
    consensusLevel: strongest,
    // Of a runoff the first round: later ones count the same voters again.
    agreement: agreementOf((found.rounds?.[0]?.supports ?? found.standings).map(({ support }) => support)),
    confidence: winner === null ? 0 : strongest * turnout,
    tied: found.tied,
    tieBrokenBy: isValid ? found.tieBrokenBy : null,
    usedFallback: isValid && found.usedFallback,
    rounds: found.rounds ?? [],
  };
}

interface Found {
  readonly winner: string | null;
  readonly standings: readonly Standing[];
  readonly tied: readonly string[];
  readonly tieBrokenBy: TieBreak | null;
  readonly usedFallback: boolean;
  readonly rounds?: readonly RunoffRound[];
}

function outcomeOf(options: readonly Option[], { winner, tied }: Found): VotingOutcome {
  if (winner === null) return tied.length > 1 ? 'tie' : 'no_majority';
  return options.find(({ id }) => id === winner)?.isStatusQuo === true ? 'rejected' : 'adopted';
}

interface Cast {
  readonly voiced: readonly CountedVote[];
  /** Weight of all that is not abstained. */
  readonly cast: number;
}

function decide(election: Election, { voiced, cast }: Cast): Found {
  const { options, rules } = election;
  if (rules.method === 'ranked') return decideRanked(election, { voiced, cast });
  if (rules.method === 'instant_runoff') return decideRunoff(election, { voiced, cast });
  const standings = standingsOf(options, voiced, cast);
  const top = standings.filter(({ rank, support }) => rank === 1 && support > 0);
  const one = top.length === 1 ? top[0]! : null;
  const wins = (standing: Standing, rule: VotingRules['method']): boolean => {
    switch (rule) {
      case 'approval':
      case 'consensus':
        return isAtLeast(standing.support, rules.threshold * cast);
      case 'weighted':
        return isMore(standing.support, rules.threshold * cast);
      case 'byzantine_quorum':
        return standing.voices >= byzantineQuorum(election.electorate.length);
      default:
        return isMore(standing.support, cast / 2);
    }
  };
  const clear = { standings, tied: [], tieBrokenBy: null };
  if (rules.method === 'coordinator') {
    const own = voiced.find(({ voter }) => voter === election.coordinator)?.vote;
    return { ...clear, winner: own?.kind === 'choice' ? own.option : null, usedFallback: false };
  }
  if (one !== null && wins(one, rules.method)) return { ...clear, winner: one.option, usedFallback: false };
  const mayFallBack = rules.method === 'consensus' && election.isOver && rules.fallback === 'majority';
  if (mayFallBack && one !== null && wins(one, 'majority')) return { ...clear, winner: one.option, usedFallback: true };
  // Halves against halves, or several approved alike: a tie. Anything else has no majority.
  const isTie =
    top.length > 1 &&
    (rules.method === 'approval'
      ? wins(top[0]!, 'approval')
      : (rules.method === 'majority' || mayFallBack) && isAtLeast(2 * top[0]!.support, cast));
  if (!isTie) return { ...clear, winner: null, usedFallback: false };
  return { ...settleTie(election, standings, top), usedFallback: mayFallBack };
}

/** One of those that tie, where the rules tell them apart. */
export function settleTie(
  election: Election,
  standings: readonly Standing[],
  top: readonly Pick<Standing, 'option'>[],
) {
  const tied = top.map(({ option }) => option);
  const own = election.votes.find(({ voter }) => voter === election.coordinator)?.vote;
  const coordinatorOrder =
    own?.kind === 'choice'
      ? [own.option]
      : own?.kind === 'ranking'
        ? own.order
        : own?.kind === 'approvals' && own.options.filter((option) => tied.includes(option)).length === 1
          ? own.options
          : [];
  const broken = breakTie(tied, election.rules.tieBreaks, { options: election.options, coordinatorOrder });
  return { winner: broken?.option ?? null, standings, tied, tieBrokenBy: broken?.by ?? null };
}

function decideRanked(election: Election, { voiced, cast }: Cast): Found {
  const { options } = election;
  const ids = options.map(({ id }) => id);
  const rankings = voiced.flatMap(({ vote, weight }) =>
    vote.kind === 'ranking' ? [{ order: vote.order, weight }] : [],
  );
  const { winners, order } = schulze(ids, rankings);
  const firsts = standingsOf(
    options,
    voiced.map((entry) =>
      entry.vote.kind === 'ranking' && entry.vote.order[0] !== undefined
        ? { ...entry, vote: { kind: 'choice', option: entry.vote.order[0] } as const }
        : entry,
    ),
    cast,
  );
  const rankOf = (option: string): number => {
    const at = order.findIndex((group) => group.includes(option));
    return 1 + sum(order.slice(0, at).map(({ length }) => length));
  };
  const standings = firsts
    .map((standing) => ({ ...standing, rank: rankOf(standing.option) }))
    .sort((one, other) => one.rank - other.rank);
  if (cast === 0) return { winner: null, standings, tied: [], tieBrokenBy: null, usedFallback: false };
  const top = standings.filter(({ option }) => winners.includes(option));
  if (top.length === 1) return { winner: top[0]!.option, standings, tied: [], tieBrokenBy: null, usedFallback: false };
  return { ...settleTie(election, standings, top), usedFallback: false };
}

function decideRunoff(election: Election, { voiced, cast }: Cast): Found {
  const ids = election.options.map(({ id }) => id);
  const { winners, rounds, order } = instantRunoff(
    ids,
    voiced.flatMap(({ vote, weight, voices }) =>
      vote.kind === 'ranking' ? [{ order: vote.order, weight, voices }] : [],
    ),
  );
  const standings = order.flatMap((group, at) => {
    const rank = 1 + sum(order.slice(0, at).map(({ length }) => length));
    return group.map((option): Standing => {
      const stood = rounds.findLast(({ supports }) => supports.some((one) => one.option === option));
      const { support, voices } = stood!.supports.find((one) => one.option === option)!;
      return { option, support, voices, share: cast === 0 ? 0 : support / cast, rank };
    });
  });
  if (cast === 0) return { winner: null, standings, tied: [], tieBrokenBy: null, usedFallback: false, rounds };
  const top = standings.filter(({ option }) => winners.includes(option));
  if (top.length === 1)
    return { winner: top[0]!.option, standings, tied: [], tieBrokenBy: null, usedFallback: false, rounds };
  return { ...settleTie(election, standings, top), usedFallback: false, rounds };
}

function standingsOf(options: readonly Option[], voiced: readonly CountedVote[], cast: number): readonly Standing[] {
  const support = new Map(options.map(({ id }) => [id, { weight: 0, voices: 0 }]));
  for (const { vote, weight, voices } of voiced) {
    const chosen = vote.kind === 'choice' ? [vote.option] : vote.kind === 'approvals' ? vote.options : [];
    for (const option of chosen) {
      const held = support.get(option);
      if (held === undefined) continue;
      held.weight += weight;
      held.voices += voices;
    }
  }
  const rows = options.map(({ id }) => ({ option: id, ...support.get(id)! }));
  return rows
    .map(({ option, weight, voices }) => ({
      option,
      support: weight,
      voices,
      share: cast === 0 ? 0 : weight / cast,
      rank: 1 + rows.filter((other) => isMore(other.weight, weight)).length,
    }))
    .sort((one, other) => one.rank - other.rank);
}

/** 1 - H / log(n) over the parts of the whole (Shannon 1948). */
function agreementOf(supports: readonly number[]): number {
  const all = sum(supports);
  if (all <= 0) return 0;
  if (supports.length < 2) return 1;
  const entropy = -sum(supports.map((part) => (part > 0 ? (part / all) * Math.log(part / all) : 0)));
  return Math.min(1, Math.max(0, 1 - entropy / Math.log(supports.length)));
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

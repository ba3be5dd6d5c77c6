import { defaultParticipation, defaultThresholds, type QuorumRule } from './quorum.ts';

/** One participant's vote on several options. */
export interface OptionBallot {
  /** Null while the participant has not voted. */
  readonly choice: { readonly optionId: string } | 'abstain' | null;
  /** Counts in `weighted` alone. */
  readonly weight: number;
}

export interface OptionStanding {
  readonly optionId: string;
  /** Participants that chose it. */
  readonly votes: number;
  /** Their weights, where weights count; their number elsewhere. */
  readonly weight: number;
  /** Part of what does not abstain, 0 to 1. */
  readonly share: number;
}

export interface OptionTally {
  readonly outcome: 'open' | 'decided' | 'none';
  /** The option that has won. */
  readonly winner: string | null;
  readonly standings: readonly OptionStanding[];
  /** Part of all that has voted, abstentions included, 0 to 1. */
  readonly participation: number;
}

interface Count {
  /** By option. */
  readonly votes: ReadonlyMap<string, number>;
  readonly abstain: number;
  readonly all: number;
}

const tolerance = 1e-9;

/**
 * Counts votes on options by the rule of a quorum: `majority` wants more than half of all participants, `unanimous` one
 * option of all that do not abstain, `weighted` and `consensus` a share of what does not abstain once enough take part.
 * An option wins only ahead of every other; a tie decides nothing. It closes as soon as nothing that may still come can
 * change the outcome.
 */
export function countOptions(
  rule: QuorumRule,
  options: readonly string[],
  ballots: readonly OptionBallot[],
): OptionTally {
  const count = countOf(rule, options, ballots);
  const rest = restOf(count);
  const described = describe(options, ballots, count);
  const winner = options.find((option) => wins(rule, option, count)) ?? null;
  if (rest <= tolerance * count.all) return { ...described, outcome: winner === null ? 'none' : 'decided', winner };
  // What could be best for an option is that all the rest choose it, and worst that they choose one other, or stay silent.
  if (!options.some((option) => wins(rule, option, withRest(count, option, rest))))
    return { ...described, outcome: 'none', winner: null };
  const isCertain =
    winner !== null && options.every((other) => other === winner || wins(rule, winner, withRest(count, other, rest)));
  return { ...described, outcome: isCertain ? 'decided' : 'open', winner: isCertain ? winner : null };
}

/** The option that wins if nobody votes any more; null where none does. */
export function closeOptions(
  rule: QuorumRule,
  options: readonly string[],
  ballots: readonly OptionBallot[],
): string | null {
  const count = countOf(rule, options, ballots);
  return options.find((option) => wins(rule, option, count)) ?? null;
}

function countOf(rule: QuorumRule, options: readonly string[], ballots: readonly OptionBallot[]): Count {
  const votes = new Map(options.map((option) => [option, 0]));
  let abstain = 0;
  let all = 0;
  for (const { choice, weight } of ballots) {
    const counted = rule.kind === 'weighted' ? weight : 1;
    all += counted;
    if (choice === 'abstain') abstain += counted;
    else if (choice !== null) votes.set(choice.optionId, votes.get(choice.optionId)! + counted);
  }
  return { votes, abstain, all };
}

const castOf = ({ votes }: Count) => [...votes.values()].reduce((sum, each) => sum + each, 0);
const restOf = (count: Count) => count.all - count.abstain - castOf(count);

function withRest(count: Count, option: string, rest: number): Count {
  return { ...count, votes: new Map(count.votes).set(option, count.votes.get(option)! + rest) };
}

/** Whether an option has won by these votes if nothing more comes. */
function wins(rule: QuorumRule, option: string, count: Count): boolean {
  const { votes, abstain, all } = count;
  const own = votes.get(option)!;
  if (own <= 0) return false;
  const cast = castOf(count);
  const slack = tolerance * all;
  switch (rule.kind) {
    case 'majority':
      return own > all / 2;
    case 'unanimous':
      return cast - own <= slack && own + abstain + slack >= all;
    case 'weighted':
    case 'consensus': {
      const threshold = rule.threshold ?? defaultThresholds[rule.kind];
      const minimum = rule.minimumParticipation ?? defaultParticipation[rule.kind];
      const isAhead = [...votes].every(([other, weight]) => other === option || own - weight > slack);
      return isAhead && own + slack >= threshold * cast && cast + abstain + slack >= minimum * all;
    }
    default:
      throw new Error(`options are not decided by a quorum of the kind ${rule.kind}`);
  }
}

function describe(
  options: readonly string[],
  ballots: readonly OptionBallot[],
  count: Count,
): Omit<OptionTally, 'outcome' | 'winner'> {
  const cast = castOf(count);
  return {
    standings: options.map((optionId) => {
      const weight = count.votes.get(optionId)!;
      const votes = ballots.filter(
        ({ choice }) => choice !== null && choice !== 'abstain' && choice.optionId === optionId,
      ).length;
      return { optionId, votes, weight, share: cast === 0 ? 0 : weight / cast };
    }),
    participation: count.all === 0 ? 0 : (cast + count.abstain) / count.all,
  };
}

import { isMore } from './ballot.ts';

/** A ranking as it is counted: best first, what is left out is supported by nobody. */
export interface RunoffBallot {
  readonly order: readonly string[];
  readonly weight: number;
  readonly voices: number;
}

export interface RunoffSupport {
  readonly option: string;
  /** Weight of the ballots whose best option still standing it is. */
  readonly support: number;
  readonly voices: number;
}

export interface RunoffRound {
  /** Of the options still standing, the strongest first. */
  readonly supports: readonly RunoffSupport[];
  /** Weight of the ballots that name none of them. */
  readonly exhausted: number;
  /** Those that go after it; none after the last. */
  readonly eliminated: readonly string[];
}

export interface RunoffResult {
  /** Who wins by some order of eliminations among those that tie for last; one where no tie matters. */
  readonly winners: readonly string[];
  /** By one of the orders: of those that tie for last the one that is listed last goes. */
  readonly rounds: readonly RunoffRound[];
  /** All options from the best on; those in one group tie. */
  readonly order: readonly (readonly string[])[];
}

/** Sets of remaining options that ties are followed into; with more of them the one listed last goes. */
const maxSets = 4_096;

/**
 * Instant-runoff voting: the option with the fewest ballots goes and they pass to their next, until one has more than half
 * of what still counts (Ware's method of 1871, the alternative vote). Ties for last are followed in all orders
 * (parallel-universe tie-breaking, Conitzer, Rognlie & Xia 2009), so that neither names nor the order of options decide.
 */
export function instantRunoff(options: readonly string[], ballots: readonly RunoffBallot[]): RunoffResult {
  const known = new Map<string, readonly string[]>();

  function winnersOf(standing: readonly string[]): readonly string[] {
    const key = standing.join('\n');
    const found = known.get(key);
    if (found) return found;
    const { supports } = countFirst(standing, ballots);
    const winner = majorityOf(supports);
    let winners: readonly string[];
    if (winner !== null) winners = [winner];
    else if (supports.every(({ support }) => support === 0)) winners = standing;
    else {
      const ways = lastOf(standing, supports, known.size < maxSets);
      const next = ways.map((out) => winnersOf(standing.filter((option) => !out.includes(option))));
      winners = options.filter((option) => next.some((list) => list.includes(option)));
    }
    known.set(key, winners);
    return winners;
  }

  const winners = winnersOf(options);
  const rounds: RunoffRound[] = [];
  for (let standing = options; standing.length > 0; ) {
    const { supports, exhausted } = countFirst(standing, ballots);
    const isOver = majorityOf(supports) !== null || supports.every(({ support }) => support === 0);
    const eliminated = isOver ? [] : lastOf(standing, supports, false)[0]!;
    rounds.push({ supports, exhausted, eliminated });
    standing = isOver ? [] : standing.filter((option) => !eliminated.includes(option));
  }
  return { winners, rounds, order: orderOf(winners, rounds) };
}

function countFirst(standing: readonly string[], ballots: readonly RunoffBallot[]) {
  const counts = new Map(standing.map((option) => [option, { support: 0, voices: 0 }]));
  let exhausted = 0;
  for (const { order, weight, voices } of ballots) {
    const best = order.find((option) => counts.has(option));
    if (best === undefined) exhausted += weight;
    else {
      const count = counts.get(best)!;
      count.support += weight;
      count.voices += voices;
    }
  }
  const supports = standing
    .map((option): RunoffSupport => ({ option, ...counts.get(option)! }))
    .sort((one, other) => other.support - one.support);
  return { supports, exhausted };
}

/** The option with more than half of what counts, or the only one left. */
function majorityOf(supports: readonly RunoffSupport[]): string | null {
  const all = supports.reduce((sum, { support }) => sum + support, 0);
  const [first] = supports;
  return first !== undefined && (supports.length === 1 || isMore(2 * first.support, all)) ? first.option : null;
}

/**
 * Who may go now, each as one way on. Those that even together have less than the next one go at once: in whatever order
 * they went, none of them could stay.
 */
function lastOf(
  standing: readonly string[],
  supports: readonly RunoffSupport[],
  followsTies: boolean,
): readonly (readonly string[])[] {
  const rising = [...supports].reverse();
  let together = 0;
  let sure = 0;
  for (const [at, { support }] of rising.slice(0, -1).entries()) {
    together += support;
    if (isMore(rising[at + 1]!.support, together)) sure = at + 1;
  }
  if (sure > 0) return [rising.slice(0, sure).map(({ option }) => option)];
  const least = rising[0]!.support;
  const tied = standing.filter((option) => {
    const { support } = supports.find((one) => one.option === option)!;
    return !isMore(support, least);
  });
  return followsTies ? tied.map((option) => [option]) : [[tied.at(-1)!]];
}

/** Winners, then those that went last, and of those that went together the stronger first. */
function orderOf(winners: readonly string[], rounds: readonly RunoffRound[]): readonly (readonly string[])[] {
  const last = rounds.at(-1)?.supports ?? [];
  const groups: (readonly string[])[] = [winners];
  const add = (supports: readonly RunoffSupport[]) => {
    const rest = supports.filter(({ option }) => !winners.includes(option));
    for (const support of new Set(rest.map((one) => one.support)))
      groups.push(rest.filter((one) => one.support === support).map(({ option }) => option));
  };
  add(last);
  for (const { supports, eliminated } of rounds.toReversed())
    add(supports.filter(({ option }) => eliminated.includes(option)));
  return groups.filter((group) => group.length > 0);
}

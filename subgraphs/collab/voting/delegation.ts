import type { CastVote, CountedVote, Voter } from './ballot.ts';

/** Who passed the voice on, and to whom. */
export type Delegations = ReadonlyMap<string, string>;

/** The way from a voter over those to whom voices were passed on; its last is who has not passed it on, or closes a cycle. */
export function delegationWay(delegations: Delegations, voter: string): readonly string[] {
  const way = [voter];
  const seen = new Set(way);
  for (let next = delegations.get(voter); next !== undefined; next = delegations.get(next)) {
    way.push(next);
    if (seen.has(next)) return way;
    seen.add(next);
  }
  return way;
}

/** The cycle that passing a voice on would close, from the voter back to itself; null where it would close none. */
export function cycleThrough(delegations: Delegations, from: string, to: string): readonly string[] | null {
  const way = delegationWay(new Map([...delegations, [from, to]]), from);
  return way.length > 1 && way.at(-1) === from ? way : null;
}

/**
 * Liquid democracy: a voice goes along the delegations to the first who voted; a vote of one's own comes before what one
 * passed on. Voices in a cycle, and those whose last holder has not voted, are nobody's: they count for nothing.
 */
export function countVoices(
  electorate: readonly Voter[],
  cast: readonly CastVote[],
  delegations: Delegations,
): readonly CountedVote[] {
  const votes = new Map(cast.map((entry) => [entry.voter, entry]));
  const given = new Map([...delegations].filter(([voter]) => !votes.has(voter)));
  const sums = new Map<string, { weight: number; voices: number }>();
  for (const { id, weight } of electorate) {
    const holder = delegationWay(given, id).at(-1)!;
    if (!votes.has(holder)) continue;
    const sum = sums.get(holder) ?? { weight: 0, voices: 0 };
    sums.set(holder, { weight: sum.weight + weight, voices: sum.voices + 1 });
  }
  return cast.flatMap((entry) => {
    const sum = sums.get(entry.voter);
    return sum === undefined ? [] : [{ ...entry, ...sum }];
  });
}

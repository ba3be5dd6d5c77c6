/**
 * What a voter said: one option, those that are good enough, an order (best first; what is left out stands last), so many
 * votes for each (negative ones against it), or nothing.
 */
export type Vote =
  | { readonly kind: 'choice'; readonly option: string }
  | { readonly kind: 'approvals'; readonly options: readonly string[] }
  | { readonly kind: 'ranking'; readonly order: readonly string[] }
  | { readonly kind: 'allocation'; readonly votes: Readonly<Record<string, number>> }
  | { readonly kind: 'abstain' };

export interface Voter {
  readonly id: string;
  /** Frozen when the voting opens; 0 or more. */
  readonly weight: number;
}

export interface CastVote {
  readonly voter: string;
  readonly vote: Vote;
}

/** A vote as it is counted: for its voter and all who passed their voice on to it. */
export interface CountedVote extends CastVote {
  readonly weight: number;
  /** Voters it speaks for, its own included. */
  readonly voices: number;
}

/** Kinds of votes that a method can count. */
export const votesOf = {
  majority: ['choice', 'abstain'],
  weighted: ['choice', 'abstain'],
  consensus: ['choice', 'abstain'],
  byzantine_quorum: ['choice', 'abstain'],
  coordinator: ['choice', 'abstain'],
  approval: ['approvals', 'abstain'],
  ranked: ['ranking', 'abstain'],
  instant_runoff: ['ranking', 'abstain'],
  custom: ['choice', 'approvals', 'ranking', 'allocation', 'abstain'],
} as const satisfies Record<string, readonly Vote['kind'][]>;

export type VotingMethod = keyof typeof votesOf;

export const votingMethods = Object.keys(votesOf) as readonly VotingMethod[];

/** Sums of weights differ from each other only beyond what rounding makes of them. */
export const isMore = (one: number, other: number): boolean =>
  one - other > 1e-9 * Math.max(1, Math.abs(one), Math.abs(other));
export const isAtLeast = (one: number, other: number): boolean => !isMore(other, one);

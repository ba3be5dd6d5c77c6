import type { VotingMethod } from './ballot.ts';
import { defaultQuorumFraction, type QuorumRule } from './quorum.ts';
import { type TieBreak, tieBreaks } from './ties.ts';

/** How a vote is counted. */
export interface VotingRules {
  readonly method: VotingMethod;
  readonly quorum: QuorumRule;
  /** Share that the winner needs, of what was cast without abstentions. More than half at `majority`, whatever it says. */
  readonly threshold: number;
  /** Whether votes of `approval`, `ranked`, `instant_runoff` and `consensus` count by weight; those of `weighted` always do. */
  readonly isWeighted: boolean;
  /** What a consensus that is not reached in its time is left to. */
  readonly fallback: 'majority' | 'none';
  readonly tieBreaks: readonly TieBreak[];
  /** Whether nothing is decided without the quorum; else it is reported and no more. @default true */
  readonly isQuorumBinding?: boolean;
}

const thresholds: Readonly<Record<VotingMethod, number>> = {
  majority: 0.5,
  weighted: 0.5,
  approval: 0.6,
  consensus: 0.8,
  ranked: 0,
  instant_runoff: 0,
  coordinator: 0,
  byzantine_quorum: 2 / 3,
  custom: 0,
};

export function votingRules(
  given: { readonly method: VotingMethod } & Partial<Omit<VotingRules, 'method'>>,
): VotingRules {
  return {
    quorum: { minimum: 1, fraction: defaultQuorumFraction },
    threshold: thresholds[given.method],
    isWeighted: false,
    fallback: 'majority',
    tieBreaks,
    ...given,
  };
}

const maybeWeighted: readonly VotingMethod[] = ['approval', 'ranked', 'instant_runoff', 'consensus'];

/** Whether weights count. */
export const countsWeights = ({ method, isWeighted }: VotingRules): boolean =>
  method === 'weighted' || (isWeighted && maybeWeighted.includes(method));

/** Whether as many were heard as the rules insist on. */
export const isHeardEnough = (
  { isQuorumBinding = true }: Pick<VotingRules, 'isQuorumBinding'>,
  quorumMet: boolean,
): boolean => quorumMet || !isQuorumBinding;

/** Matching votes of n that make a certificate where f of them may be faulty, n >= 3f + 1 (Castro & Liskov 1999): 2f + 1. */
export const byzantineQuorum = (voters: number): number => 2 * Math.floor((voters - 1) / 3) + 1;

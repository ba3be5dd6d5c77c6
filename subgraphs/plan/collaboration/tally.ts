export type VoteValue = 'APPROVE' | 'REJECT' | 'ABSTAIN';

export interface Ballot {
  readonly vote: VoteValue;
  /** In thousandths. */
  readonly weight: number;
}

/** Sums of weights in thousandths: whole numbers, so that shares compare exactly. */
export interface Tally {
  readonly approving: number;
  readonly rejecting: number;
  readonly abstaining: number;
  readonly undecided: number;
}

/** Shares in ten-thousandths. */
export interface ConsensusRules {
  readonly threshold: number;
  readonly quorum: number;
}

export type Verdict =
  | { readonly accepted: true; readonly outcome: null }
  | { readonly accepted: false; readonly outcome: 'CONSENSUS_NOT_REACHED' | 'COLLABORATION_TIMEOUT' };

export const whole = 10_000;

/** @param total weight of all who may vote, in thousandths */
export function tallyVotes(total: number, ballots: readonly Ballot[]): Tally {
  const sum = (wanted: VoteValue) =>
    ballots.reduce((weight, ballot) => weight + (ballot.vote === wanted ? ballot.weight : 0), 0);
  const [approving, rejecting, abstaining] = [sum('APPROVE'), sum('REJECT'), sum('ABSTAIN')];
  return { approving, rejecting, abstaining, undecided: total - approving - rejecting - abstaining };
}

/**
 * What the votes decide: null while votes that are still out could make it another. With `isFinal` the votes cast decide.
 * Abstentions count towards the quorum alone; a tie is against.
 */
export function judge(tally: Tally, { threshold, quorum }: ConsensusRules, isFinal: boolean): Verdict | null {
  const { approving, rejecting, abstaining, undecided } = tally;
  const meets = (approve: number, against: number) =>
    approve > against && approve * whole >= threshold * (approve + against);
  const voted = approving + rejecting + abstaining;
  const isQuorate = voted * whole >= quorum * (voted + undecided);
  if (isFinal || undecided === 0) {
    if (!isQuorate) return { accepted: false, outcome: 'COLLABORATION_TIMEOUT' };
    return meets(approving, rejecting)
      ? { accepted: true, outcome: null }
      : { accepted: false, outcome: 'CONSENSUS_NOT_REACHED' };
  }
  // Who is still out could be against, or not vote at all.
  if (isQuorate && meets(approving, rejecting + undecided)) return { accepted: true, outcome: null };
  if (!meets(approving + undecided, rejecting)) return { accepted: false, outcome: 'CONSENSUS_NOT_REACHED' };
  return null;
}

import type { CouncilAdvice, CouncilRules, OptionAction } from './councilRows.ts';
import type { Json } from './rows.ts';
import type { Tally, Vote, Voter, VotingRules } from './voting/index.ts';
import type { Weighting } from './weighting.ts';

/** Rules of a vote, with who sees what of it. */
export interface BallotRules extends VotingRules {
  /** Nobody ever learns who voted what. */
  readonly anonymity: boolean;
  /** Standings are shown while the voting is open; never where it is anonymous. */
  readonly transparency: boolean;
  readonly revisionAllowed: boolean;
  readonly delegationAllowed: boolean;
  readonly abstentionAllowed: boolean;
  readonly timeLimitMs: number;
  /** Weights of the voting, instead of the participants' own. */
  readonly weighting?: Weighting;
  /** Decides or advises instead of all. */
  readonly council?: CouncilRules;
  /** Of the method `custom`: what counts. */
  readonly extension?: { readonly extensionId: string; readonly capabilityId: string; readonly method: string };
}

export interface DecisionOption {
  readonly id: string;
  readonly label: string;
  readonly description: string | null;
  readonly isStatusQuo: boolean;
  /** Those of before there were councils have none. */
  readonly action?: OptionAction | null;
}

export type DecisionStatusValue =
  | 'proposed'
  | 'under_review'
  | 'voting'
  | 'decided'
  | 'implemented'
  | 'reviewed'
  | 'withdrawn';
export type DecisionOutcomeValue = Tally['outcome'] | 'expired' | 'withdrawn' | 'escalated';

/** What a vote came to. */
export interface DecisionResult extends Omit<Tally, 'rounds'> {
  readonly rounds?: Tally['rounds'];
  /** Voters that voted otherwise; none where it was anonymous. */
  readonly dissent: readonly string[];
  readonly rationale: string;
}

export interface DecisionRow {
  readonly tenantId: string;
  readonly id: string;
  readonly collabId: string;
  readonly title: string;
  readonly description: string | null;
  readonly type: string;
  readonly proposedBy: string;
  readonly options: readonly DecisionOption[];
  readonly criteria: readonly Json[];
  readonly rules: BallotRules;
  readonly electorate: readonly Voter[];
  readonly status: DecisionStatusValue;
  readonly outcome: DecisionOutcomeValue | null;
  readonly winner: string | null;
  readonly result: DecisionResult | null;
  readonly impact: number;
  readonly gate: 'auto' | 'confirm' | 'human' | null;
  readonly confirmId: string | null;
  readonly urgency: string | null;
  readonly reversibility: string | null;
  readonly implementation: Implementation | null;
  readonly note: string | null;
  readonly ballotCount: number;
  /** Of its voting, from 1. */
  readonly round: number;
  /** The sitting that it is before, or that decided it. */
  readonly councilId: string | null;
  readonly advice: CouncilAdvice | null;
  readonly openedAt: string | null;
  readonly deadline: string | null;
  readonly decidedAt: string | null;
  readonly version: number;
  readonly createdAt: string;
  readonly createdBy: string;
}

/** How what is decided is carried out, and by whom. */
export interface Implementation {
  readonly summary: string | null;
  /** Participant that sees to it, and says that it is done. */
  readonly ownerId: string | null;
  readonly dueAt: string | null;
  /** What is done where it has to be taken back. */
  readonly rollback: string | null;
  readonly steps: readonly {
    readonly description: string;
    readonly ownerId: string | null;
    readonly taskId: string | null;
    readonly dueAt: string | null;
  }[];
}

export interface BallotRow {
  readonly tenantId: string;
  readonly decisionId: string;
  readonly round: number;
  readonly voter: string;
  readonly collabId: string;
  /** Null where the voice was passed on. */
  readonly vote: Vote | null;
  readonly delegateTo: string | null;
  readonly rationale: string | null;
  readonly revision: number;
  readonly castAt: string;
}

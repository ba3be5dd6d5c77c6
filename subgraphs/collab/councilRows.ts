import type { ConflictResolution } from './conflictRows.ts';
import type { DecisionOutcomeValue } from './decisionRows.ts';
import type { Tally, Voter } from './voting/index.ts';

export const councilTypes = ['advisory', 'executive', 'judicial', 'mixed'] as const;
export type CouncilType = (typeof councilTypes)[number];

/** How a council sits. */
export interface CouncilRules {
  readonly type: CouncilType;
  readonly maxSessionDurationMs: number;
  /** Whether a round counts only with its quorum; else the quorum is reported and no more. */
  readonly quorumEnforced: boolean;
  readonly multipleRoundsAllowed: boolean;
  readonly abstentionAllowed: boolean;
  readonly delegationAllowed: boolean;
}

export const optionActions = [
  'assign_task',
  'cancel_task',
  'name_coordinator',
  'remove_participant',
  'suspend_collaboration',
  'cancel_collaboration',
  'settle_conflict',
] as const;

/** What is done where a council adopts an option. */
export interface OptionAction {
  readonly kind: (typeof optionActions)[number];
  readonly taskId: string | null;
  readonly participantId: string | null;
  readonly strategy: ConflictResolution['strategy'] | null;
}

/** What a council advised, kept with the decision. */
export interface CouncilAdvice {
  readonly councilId: string;
  readonly option: string;
  readonly consensusLevel: number;
  readonly confidence: number;
  readonly rationale: string;
  readonly at: string;
}

export interface CouncilRound {
  /** From 1. */
  readonly number: number;
  readonly openedAt: string;
  readonly deadline: string;
  readonly closedAt: string | null;
  readonly outcome: DecisionOutcomeValue | null;
  readonly winner: string | null;
  readonly tally: Tally | null;
}

export type CouncilOutcome =
  | 'recommended'
  | 'carried_out'
  | 'settled'
  | 'awaits_approval'
  | 'refused'
  | 'failed'
  | 'rejected'
  | 'undecided'
  | 'no_quorum'
  | 'dissolved';

export interface CouncilRow {
  readonly tenantId: string;
  readonly id: string;
  readonly collabId: string;
  readonly decisionId: string;
  readonly conflictId: string | null;
  readonly rules: CouncilRules;
  readonly members: readonly Voter[];
  readonly status: 'voting' | 'deliberating' | 'closed';
  readonly outcome: CouncilOutcome | null;
  readonly winner: string | null;
  readonly note: string | null;
  readonly rounds: readonly CouncilRound[];
  readonly endsAt: string;
  readonly closedAt: string | null;
  readonly version: number;
  readonly createdAt: string;
  readonly createdBy: string;
}

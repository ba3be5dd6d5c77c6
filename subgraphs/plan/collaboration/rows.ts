import type { PlanSummaryValue } from '../rows.ts';
import type { PlanChange } from './inputs.ts';
import type { Ballot } from './tally.ts';
import type { Trail } from './trail.ts';

export type SessionStatus = 'OPEN' | 'CLOSED' | 'TIMED_OUT';
export type ContributionStatus = 'OPEN' | 'APPLIED' | 'REJECTED' | 'CONFLICTED' | 'WITHDRAWN' | 'UNDONE';
export type ContributionOutcome = 'CONSENSUS_NOT_REACHED' | 'COLLABORATION_TIMEOUT' | 'VERSION_CONFLICT';

export interface Participant {
  readonly subject: string;
  /** In thousandths. */
  readonly weight: number;
}

export interface SessionRow {
  readonly tenantId: string;
  readonly id: string;
  readonly planId: string;
  readonly contextId: string;
  readonly status: SessionStatus;
  readonly outcome: ContributionOutcome | null;
  readonly statusReason: string | null;
  readonly participants: readonly Participant[];
  /** Shares in ten-thousandths. */
  readonly threshold: number;
  readonly quorum: number;
  readonly deadlineAt: string;
  readonly version: number;
  readonly createdAt: string;
  readonly createdBy: string;
  readonly closedAt: string | null;
}

export type Measures = Pick<
  PlanSummaryValue,
  'totalSteps' | 'durationMs' | 'cost' | 'riskScore' | 'confidence' | 'feasible'
>;

export interface ContributionRow {
  readonly tenantId: string;
  readonly id: string;
  readonly sessionId: string;
  readonly planId: string;
  readonly author: string;
  readonly rationale: string | null;
  readonly status: ContributionStatus;
  readonly outcome: ContributionOutcome | null;
  readonly planVersion: number;
  readonly revision: number;
  /** Null for what undoes another. */
  readonly change: PlanChange | null;
  readonly undoOf: string | null;
  readonly electorate: readonly Participant[];
  readonly before: Measures;
  readonly after: Measures;
  /** What it touched, once it is applied. */
  readonly trail: Trail | null;
  readonly appliedVersion: number | null;
  readonly createdAt: string;
  readonly decidedAt: string | null;
  readonly ordinal: number;
}

export interface VoteRow extends Ballot {
  readonly tenantId: string;
  readonly contributionId: string;
  readonly revision: number;
  readonly subject: string;
  readonly planId: string;
  readonly comment: string | null;
  readonly castAt: string;
}

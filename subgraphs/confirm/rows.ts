import type { Connection } from '#shared/connection.ts';
import type { ChainReport, Sealed } from './chain/chain.ts';
import type { Attachment, ImpactAssessment } from './impact.ts';
import type { stepPayload } from './payload.ts';
import type { Scores, Vote } from './quorum/index.ts';
import type { RiskAssessment } from './risk.ts';
import type { StepStatus, WorkflowDefinition } from './workflow/index.ts';

export type TargetType = 'context' | 'plan' | 'trace' | 'extension' | 'other';
export type ConfirmStatusValue = 'pending' | 'approved' | 'rejected' | 'cancelled';
export type PhaseValue =
  | 'draft'
  | 'submitted'
  | 'under_review'
  | 'in_progress'
  | 'escalated'
  | 'deferred'
  | 'conditional'
  | 'expired'
  | 'completed'
  | 'archived';

export type Json = Readonly<Record<string, unknown>>;

/** A step as it stands; what it is stands in the definition. */
export interface StepState {
  readonly id: string;
  readonly status: StepStatus;
  /** Escalations it has been through. */
  readonly level: number;
  readonly startedAt: string | null;
  readonly dueAt: string | null;
  /** Reminders sent since it started or was escalated. */
  readonly reminders: number;
  readonly extensions: number;
  /** When those it was escalated to are told; null or absent once they are. */
  readonly notifyAt?: string | null;
  readonly decidedAt: string | null;
  readonly reason: string | null;
}

export interface GovernanceValue {
  readonly lifecyclePhase?: string;
  readonly truthDomain?: string;
  readonly locked?: boolean;
  readonly lastConfirmRef?: { readonly id: string; readonly module: string; readonly description?: string };
}

export interface ConfirmProtocolValue {
  readonly meta?: unknown;
  readonly trace?: unknown;
  readonly events?: unknown;
  readonly requestedAt?: string;
  /** Whether an imported document had a list of decisions, empty or not. */
  readonly hasDecisions?: boolean;
}

/** What a voter said beyond yes or no. */
export interface BallotValue {
  /** The option chosen. */
  readonly optionId?: string;
  /** By criterion. */
  readonly scores?: Scores;
  /** By option and criterion. */
  readonly optionScores?: Readonly<Record<string, Scores>>;
}

/** What a vote over options came to. */
export interface ConsensusResultValue {
  readonly outcome: 'decided' | 'no_decision';
  readonly optionId: string | null;
  readonly reason: string;
}

export type ConditionStatusValue = 'open' | 'fulfilled' | 'breached' | 'waived' | 'lapsed';

/** What an approval was bound to, and how it stands. */
export interface ConditionValue {
  readonly id: string;
  readonly decisionId: string;
  readonly stepId: string | null;
  readonly setBy: string;
  readonly text: string;
  /** Whether the outcome waits for it. */
  readonly required: boolean;
  readonly dueDate: string | null;
  readonly responsible: string | null;
  readonly status: ConditionStatusValue;
  readonly settledBy: string | null;
  readonly settledAt: string | null;
  readonly note: string | null;
}

export interface ConfirmRow {
  readonly tenantId: string;
  readonly id: string;
  readonly contextId: string | null;
  readonly planId: string | null;
  readonly targetType: TargetType;
  readonly targetId: string;
  readonly status: ConfirmStatusValue;
  readonly phase: PhaseValue;
  readonly confirmationType: string | null;
  readonly title: string;
  readonly description: string | null;
  readonly priority: string;
  readonly urgency: string;
  readonly requestedBy: string | null;
  readonly requestedByRole: string;
  readonly requestedAt: string;
  readonly reason: string | null;
  readonly resolution: string | null;
  readonly requester: Json | null;
  readonly subject: Json | null;
  readonly riskAssessment: RiskAssessment | null;
  readonly impact: ImpactAssessment | null;
  readonly attachments: readonly Attachment[] | null;
  /** `reminderHours`, and what those who deliver them read. */
  readonly notifications: Json | null;
  readonly reference: unknown;
  readonly templateId: string | null;
  readonly templateVersion: number | null;
  readonly workflow: WorkflowDefinition | null;
  readonly steps: readonly StepState[];
  readonly decisionCount: number;
  readonly chainHead: string;
  readonly gateKey: string | null;
  readonly requestEventId: string | null;
  readonly governance: GovernanceValue | null;
  readonly protocol: ConfirmProtocolValue | null;
  readonly result: ConsensusResultValue | null;
  /** Null where none was set. */
  readonly conditions: readonly ConditionValue[] | null;
  readonly resubmissionOf: string | null;
  readonly attempt: number;
  readonly nextDeadlineAt: string | null;
  readonly expiresAt: string | null;
  readonly resolvedAt: string | null;
  readonly version: number;
  readonly createdAt: string;
  readonly createdBy: string;
  readonly updatedAt: string;
  readonly updatedBy: string;
}

export type ApproverState = 'queued' | 'waiting' | 'decided' | 'delegated' | 'escalated' | 'closed';

export interface ConfirmApproverRow {
  readonly tenantId: string;
  readonly confirmId: string;
  readonly stepId: string;
  readonly subject: string;
  readonly role: string | null;
  readonly weight: number;
  readonly required: boolean;
  readonly position: number;
  readonly state: ApproverState;
  readonly vote: Vote | null;
  readonly ballot: BallotValue | null;
  readonly delegatedFrom: string | null;
  readonly depth: number;
  readonly level: number;
  readonly dueAt: string;
  /** When it was told that something waits; null where that has still time. */
  readonly waitingSince: string | null;
  readonly decidedAt: string | null;
  /** The condition that it is responsible for; null where it is to decide the step. */
  readonly conditionId: string | null;
}

export type DecisionOutcome =
  | 'approved'
  | 'rejected'
  | 'voted'
  | 'conditional_approval'
  | 'changes_requested'
  | 'abstained'
  | 'deferred'
  | 'delegated'
  | 'escalated'
  | 'condition_fulfilled'
  | 'condition_breached'
  | 'condition_waived'
  | 'cancelled'
  | 'expired';

/** Everything that the seal covers. */
export interface DecisionContent {
  readonly tenantId: string;
  readonly confirmId: string;
  readonly sequence: number;
  readonly id: string;
  readonly stepId: string | null;
  readonly approver: string;
  readonly role: string;
  readonly outcome: DecisionOutcome;
  readonly vote: Vote | null;
  readonly ballot: BallotValue | null;
  readonly rationale: string | null;
  readonly conditions: readonly Json[];
  readonly delegateTo: string | null;
  readonly risk: RiskAssessment | null;
  readonly signature: string | null;
  readonly protocol: Json | null;
  readonly decidedAt: string;
  readonly previousHash: string;
}

export type ConfirmDecisionRow = Sealed<DecisionContent>;

export interface WorkflowTemplateRow {
  readonly tenantId: string;
  readonly id: string;
  readonly name: string;
  readonly description: string | null;
  readonly active: boolean;
  readonly latestVersion: number;
  /** The version shown. */
  readonly version: number;
  readonly triggers: Json;
  readonly definition: WorkflowDefinition;
  readonly createdAt: string;
  readonly createdBy: string;
  readonly updatedAt: string;
  readonly updatedBy: string;
}

/** One thing that waits for a person. */
export interface ApprovalItemRow {
  readonly confirm: ConfirmRow;
  /** Whether all columns of the confirm were read, not only those asked for. */
  readonly isWhole: boolean;
  readonly approver: ConfirmApproverRow;
  readonly isOverdue: boolean;
}

export interface ConfirmConnectionRow extends Connection<ConfirmRow> {
  count(): Promise<number>;
}

export interface ConfirmDecisionConnectionRow extends Connection<ConfirmDecisionRow> {
  /** Up to a bound, which is told as one more. */
  count(): Promise<number>;
}

/** A row of the module's audit about one confirm. */
export interface ConfirmAuditEntryRow {
  readonly id: string;
  readonly confirmId: string;
  readonly action: string;
  readonly actor: string;
  readonly at: string;
  /** Place among all rows of the audit. */
  readonly position: string;
  readonly detail: {
    readonly status?: string;
    readonly phase?: string;
    /** Whether it came to its end by this. */
    readonly resolved?: boolean;
    /** A number in entries of documents that were brought in. */
    readonly decisions?:
      | readonly { readonly sequence: number; readonly outcome: string; readonly hash: string }[]
      | number;
  };
}

export interface ConfirmAuditConnectionRow extends Connection<ConfirmAuditEntryRow> {
  count(): Promise<number>;
}

export interface ApprovalItemConnectionRow extends Connection<ApprovalItemRow> {
  readonly subject: string;
}

export type ApprovalStepRow = ReturnType<typeof stepPayload>;

/** How the workflow of a confirm stands; what of it is asked for is worked out then. */
export interface ApprovalWorkflowStateRow {
  readonly confirm: ConfirmRow;
  /** Parts that were passed on to who may decide no more, and that nobody else can take. @default none */
  readonly lost?: ReadonlySet<string>;
}

/** A confirm whose question is put to the vote. */
export type ConsensusProcessRow = ConfirmRow;

export interface ContextRow {
  readonly id: string;
}

export interface PlanRow {
  readonly id: string;
}

export interface SubjectRow {
  readonly id: string;
}

export interface TraceRow {
  readonly id: string;
}

export type ConfirmTargetRow = ContextRow & { readonly __typename: 'Context' | 'Extension' | 'Plan' | 'Trace' };

export interface DecisionChainReportRow extends ChainReport {
  readonly confirmId: string;
}

export type WorkflowTemplateConnectionRow = Connection<WorkflowTemplateRow>;

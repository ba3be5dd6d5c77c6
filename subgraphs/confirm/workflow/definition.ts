import type { QuorumRule } from '../quorum/index.ts';

export const workflowTypes = [
  'single_approver',
  'sequential',
  'parallel',
  'conditional',
  'hierarchical',
  'consensus',
  'majority_vote',
  'unanimous',
  'weighted_vote',
  'escalation',
] as const;

export type WorkflowType = (typeof workflowTypes)[number];

export type StepKind = 'human_approval' | 'automated_validation' | 'automated_compliance_check';

/** Who decides: a subject, whoever holds a role, a subject by virtue of a role, or whoever has a permission. */
export interface ApproverSpec {
  readonly subject?: string;
  readonly role?: string;
  /** `resource:action`, where the target lies. */
  readonly permission?: string;
  readonly weight: number;
  readonly required: boolean;
}

export const approverSelections = ['role_based', 'capability_based', 'role_hierarchy'] as const;

export type ApproverSelection = (typeof approverSelections)[number];

export type TimeoutAction = 'auto_approve' | 'auto_reject' | 'escalate' | 'extend';

export interface StepTimeout {
  readonly durationMs: number;
  readonly action: TimeoutAction;
}

export interface EscalationLevel {
  readonly role?: string;
  readonly subject?: string;
  readonly timeoutMs: number;
  /** Milliseconds after the escalation before its people are told; they may decide before. @default 0 */
  readonly notificationDelayMs?: number;
}

export interface StepDefinition {
  /** Unique in the workflow. */
  readonly id: string;
  readonly name: string;
  readonly kind: StepKind;
  readonly dependsOn: readonly string[];
  /** Whether all dependencies have to be met or any of them. */
  readonly join: 'all' | 'any';
  /** The step is taken only where this holds. */
  readonly condition?: string;
  /** The step is skipped where this holds. */
  readonly skipCondition?: string;
  /** What an automated step checks. */
  readonly check?: string;
  readonly approvers: readonly ApproverSpec[];
  /** Asked too where the approvers are too few to decide. */
  readonly fallbackApprovers?: readonly ApproverSpec[];
  /** What approvers by role should be able to do. */
  readonly capabilities?: readonly string[];
  /** How the people behind a role are found. @default role_based */
  readonly selection?: ApproverSelection;
  /** Whoever may decide confirms may decide it, named or not. */
  readonly openToAll?: boolean;
  readonly quorum: QuorumRule;
  readonly timeout?: StepTimeout;
  /** Where a late step goes, level by level. */
  readonly escalation: readonly EscalationLevel[];
  readonly delegationAllowed: boolean;
  /** How often a part may be passed on. @default 3 */
  readonly maxDelegations?: number;
  /** Whether a rejection ends the whole, only what depends on the step, or goes to the next level of the escalation. */
  readonly onRejection: 'reject' | 'continue' | 'escalate';
  /** Characters a rationale has at least; rejections always need one. */
  readonly minimumRationale: number;
}

export interface ConsensusOption {
  /** Unique in the vote. */
  readonly id: string;
  readonly label: string;
  readonly description?: string;
}

export interface ConsensusCriterion {
  readonly id: string;
  readonly name: string;
  /** Over 0 to 1; the weights of a vote count by their share of the sum. */
  readonly weight: number;
}

/** A vote over options, in place of yes or no. */
export interface ConsensusDefinition {
  /** What it is about. */
  readonly targetType: string;
  readonly targetId: string;
  readonly options: readonly ConsensusOption[];
  /** Where there are any, a vote scores each option by each of them. */
  readonly criteria: readonly ConsensusCriterion[];
  readonly algorithm: 'simple_majority' | 'weighted_majority' | 'unanimous' | 'quorum_based';
  readonly requireJustification: boolean;
}

export interface WorkflowDefinition {
  readonly type: WorkflowType;
  readonly steps: readonly StepDefinition[];
  /** Milliseconds after which the whole has expired. */
  readonly globalTimeoutMs: number;
  readonly consensus?: ConsensusDefinition;
  /** A template's, with a step that whoever asked has proposed. */
  readonly isExtended?: true;
}

import type { Connection } from '#shared/connection.ts';
import type { AcceptanceCriterion, CriterionJudgement } from './acceptance.ts';
import type { TimedCapacity } from './analysis/calendar.ts';
import type { InfeasibilityReason, ResourceDemand, RiskStatus } from './analysis/index.ts';
import type { ContributionRow, SessionRow, VoteRow } from './collaboration/rows.ts';
import type { Method } from './decomposition/index.ts';
import type { measureKeptSchedule } from './keptSchedule.ts';
import type { MethodStep } from './methodInputs.ts';
import type { DependencyType } from './network/index.ts';
import type { ExecutionMode } from './planDefaults.ts';
import type { WorkWeek } from './workWeek.ts';

export type PlanStatusValue = 'draft' | 'proposed' | 'approved' | 'in_progress' | 'completed' | 'cancelled' | 'failed';
export type StepStatusValue = 'pending' | 'in_progress' | 'completed' | 'blocked' | 'skipped' | 'failed';
export type StepExecutionStatusValue =
  | 'pending'
  | 'leased'
  /** A composite step whose sub-tasks are at work. */
  | 'running'
  | 'finishing'
  | 'blocked'
  | 'completed'
  | 'skipped'
  | 'failed';
export type ExecutionStatusValue = 'RUNNING' | 'PAUSED' | 'COMPLETED' | 'FAILED' | 'CANCELLED';
export type FailureStrategy = 'RETRY' | 'ROLLBACK' | 'SKIP' | 'MANUAL_INTERVENTION';

export interface PlanResourceValue {
  readonly id: string;
  readonly capacity: number;
  readonly costPerHour?: number | null | undefined;
  readonly maxAdded?: number | null | undefined;
  readonly unit?: string | null | undefined;
  /** When there is more or less of it, by ascending time from the start of the plan. */
  readonly calendar?: readonly { readonly fromMs: number; readonly capacity: number }[] | null | undefined;
  /** In its place: when it is there, week by week. */
  readonly workWeek?: WorkWeek | null | undefined;
  /** What a constraint leaves of it at the most. @default all */
  readonly most?: number | undefined;
}

/** A resource that is not always there, as a run keeps it; changes count from its start. */
export interface RunCalendar extends TimedCapacity, Pick<PlanResourceValue, 'workWeek' | 'most'> {
  readonly id: string;
}

/** What a step uses of a resource; absent, the availability is REQUIRED. */
export interface StepDemand extends ResourceDemand {
  readonly availability?: 'REQUIRED' | 'PREFERRED' | 'OPTIONAL' | null | undefined;
}

export interface FailurePolicy {
  readonly strategies: readonly FailureStrategy[];
  readonly maxAttempts: number;
  readonly delayMs: number;
  readonly backoffFactor: number;
  readonly maxDelayMs: number;
  readonly rollbackDepth: number;
  /** @default true */
  readonly lapsesCount?: boolean | undefined;
  /** Of a blocked step; without one it waits for ever. */
  readonly manualTimeoutMs?: number | undefined;
  /** @default true */
  readonly enabled?: boolean | undefined;
  /** Ended steps from checkpoint to checkpoint; without one there are none. */
  readonly checkpointFrequency?: number | undefined;
  /** @default false */
  readonly skipDependents?: boolean | undefined;
  /** @default true */
  readonly approvalRequired?: boolean | undefined;
  /** By their times from when a step is blocked. */
  readonly escalationLevels?: readonly EscalationLevel[] | undefined;
}

export interface EscalationLevel {
  readonly afterMs: number;
  readonly approverRoles: readonly string[];
  readonly approvers: readonly string[];
}

/** Who approves a plan. */
export interface PlanApproval {
  readonly approverRoles: readonly string[];
  readonly approvers: readonly string[];
  readonly quorum: { readonly kind: string; readonly required?: number | undefined };
}

/** What a plan is given beyond its columns. */
export interface PlanDefinition {
  readonly resources: readonly PlanResourceValue[];
  readonly deadlineMs: number | null;
  readonly risks: readonly {
    readonly name: string;
    readonly probability: number;
    readonly impact: number;
    readonly status?: RiskStatus | null | undefined;
    readonly category?: string | null | undefined;
    readonly mitigation?: string | null | undefined;
    readonly contingency?: string | null | undefined;
  }[];
  readonly failureResolver: FailurePolicy;
  readonly maxConcurrentTasks: number;
  readonly approval?: PlanApproval | undefined;
  readonly objectives?: unknown;
  readonly constraints?: unknown;
  readonly timeline?: unknown;
  readonly milestones?: unknown;
  readonly optimization?: unknown;
  readonly executionConfig?: unknown;
  readonly customData?: unknown;
}

export interface PlanSummaryValue {
  readonly totalSteps: number;
  readonly durationMs: number;
  readonly cost: number;
  readonly riskScore: number;
  readonly confidence: number;
  readonly feasible: boolean;
  readonly reasons: readonly InfeasibilityReason[];
  readonly criticalPath: readonly string[];
  readonly peakUse: readonly { readonly resourceId: string; readonly peak: number; readonly capacity: number }[];
  /** Absent where it was made before this was noted. */
  readonly planning?: PlanningValue | undefined;
}

/** How the dates of a version were found. */
export interface PlanningValue {
  readonly algorithm: string;
  /** Lower bound over makespan of the schedule that was applied, 0 to 1; null without one. */
  readonly score: number | null;
  /** Of that schedule, 0 to 100. */
  readonly quality: number | null;
  /** 1 for a feasible plan, else the share of what is needed that is there, of the reason that lacks most. */
  readonly feasibility: number;
  readonly timeMs: number;
}

export interface PlanRow {
  readonly tenantId: string;
  readonly id: string;
  readonly contextId: string;
  readonly title: string;
  readonly objective: string;
  readonly status: PlanStatusValue;
  readonly type: string;
  readonly priority: string;
  readonly requiresApproval: boolean;
  readonly confirmId: string | null;
  readonly statusReason: string | null;
  readonly replans: number;
  readonly definition: PlanDefinition;
  readonly summary: PlanSummaryValue;
  readonly schedule: Readonly<Record<string, number>> | null;
  readonly protocol: Readonly<Record<string, unknown>> | null;
  readonly stepCount: number;
  readonly archivedAt: string | null;
  readonly version: number;
  readonly createdAt: string;
  readonly createdBy: string;
  readonly updatedAt: string;
  readonly updatedBy: string;
}

export interface StepDetails {
  readonly estimate?: { readonly optimisticMs: number; readonly mostLikelyMs: number; readonly pessimisticMs: number };
  readonly earliestStartMs?: number;
  readonly deadlineMs?: number;
  readonly demands?: readonly StepDemand[];
  readonly costPerHour?: number;
  readonly crash?: { readonly minDurationMs: number; readonly costPerHour: number };
  readonly acceptanceCriteria?: readonly AcceptanceCriterion[];
  readonly estimatedEffort?: { readonly value: number; readonly unit: 'HOURS' | 'DAYS' | 'STORY_POINTS' };
  readonly timeoutMs?: number;
}

export interface PlanStepRow {
  readonly tenantId: string;
  readonly planId: string;
  readonly id: string;
  readonly place: number;
  /** The composite step that it is a sub-task of. */
  readonly parentId: string | null;
  readonly name: string | null;
  readonly description: string;
  readonly status: StepStatusValue;
  readonly type: string;
  readonly priority: string;
  readonly agentRole: string | null;
  readonly orderIndex: number | null;
  readonly durationMs: number;
  readonly capabilities: readonly string[];
  readonly assignedAgents: readonly string[];
  readonly details: StepDetails;
  readonly progress: number;
  readonly result: unknown;
  readonly error: string | null;
  readonly retryCount: number;
  readonly startedAt: string | null;
  readonly completedAt: string | null;
  /** Of its acceptance criteria, as they were judged last. */
  readonly criteria: readonly CriterionJudgement[];
  readonly protocol: Readonly<Record<string, unknown>> | null;
}

export interface PlanDependencyRow {
  readonly tenantId: string;
  readonly planId: string;
  readonly id: string;
  readonly place: number;
  readonly sourceId: string;
  readonly targetId: string;
  readonly type: DependencyType;
  readonly lagMs: number;
  readonly criticality: 'blocking' | 'important' | 'nice_to_have';
  readonly condition: string | null;
}

export interface ExecutionPolicy {
  readonly failure: FailurePolicy;
  /** Capacity by resource, the most that there ever is. */
  readonly resources: Readonly<Record<string, number>>;
  /** Of those that are not always there. @default none */
  readonly calendars?: readonly RunCalendar[] | undefined;
  /** Whether dependencies of the plan have conditions. @default false */
  readonly conditional?: boolean | undefined;
  /** Whether dependencies of the plan run from the start of a step. @default true */
  readonly startBound?: boolean | undefined;
  /** Whom a blocked step is brought before, besides who started the run. */
  readonly approval?: PlanApproval | undefined;
  /** Whether only the agents of its pool work on it. @default false */
  readonly pooled?: boolean | undefined;
}

export interface PlanExecutionRow {
  readonly tenantId: string;
  readonly id: string;
  readonly planId: string;
  readonly contextId: string;
  readonly status: ExecutionStatusValue;
  readonly mode: ExecutionMode;
  readonly maxConcurrent: number;
  readonly leaseMs: number;
  readonly planVersion: number;
  readonly policy: ExecutionPolicy;
  readonly totalSteps: number;
  readonly endedSteps: number;
  readonly runningSteps: number;
  readonly totalWorkMs: number;
  readonly doneWorkMs: number;
  readonly pausedBy: string | null;
  readonly statusReason: string | null;
  readonly version: number;
  readonly startedAt: string;
  readonly startedBy: string;
  readonly completedAt: string | null;
  readonly deadlineAt: string | null;
  readonly checkpointAt: string | null;
  readonly checkpoints: number;
  readonly updatedAt: string;
}

export interface PlanStepExecutionRow {
  readonly tenantId: string;
  readonly executionId: string;
  readonly stepId: string;
  readonly planId: string;
  readonly status: StepExecutionStatusValue;
  readonly rank: number;
  readonly waits: number;
  readonly finishWaits: number;
  readonly readyAt: string | null;
  readonly retryAt: string | null;
  readonly finishAt: string | null;
  readonly demands: readonly ResourceDemand[];
  /** Of a composite step the work of its sub-tasks. */
  readonly durationMs: number;
  readonly composite: boolean;
  /** The composite steps that it lies in, the outermost first. */
  readonly ancestors: readonly string[];
  readonly attempt: number;
  readonly failures: number;
  readonly rollbacks: number;
  /** Levels of escalation it has gone through while blocked. */
  readonly escalations: number;
  readonly leaseEpoch: number;
  readonly leaseOwner: string | null;
  readonly leaseSubject: string | null;
  readonly leaseUntil: string | null;
  readonly progress: number;
  /** What its holder reported last. */
  readonly state: unknown;
  readonly result: unknown;
  readonly error: string | null;
  /** Dependencies on it whose condition was false when it ended. */
  readonly waived: readonly string[];
  /** Of its acceptance criteria, as they were judged last. */
  readonly criteria: readonly CriterionJudgement[];
  /** Required reviews that its end waits for. */
  readonly openReviews: number;
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
}

export interface PlanConnectionRow extends Connection<PlanRow> {
  count(): Promise<number>;
}

/** What this subgraph knows of a context in the graph: the rest is its owner's. */
export interface ContextRow {
  readonly id: string;
}

/** The context whose figures are asked for: each is read where it is selected. */
export interface PlanTaskFiguresRow {
  readonly contextId: string;
}

/** What the graph tells of a participant of a context. */
export interface ContextParticipantRow {
  readonly id: string;
  readonly contextId?: string;
  readonly agentId?: string;
}

export interface PlanStepConnectionRow extends Connection<PlanStepRow> {}

/** What this subgraph knows of a subject in the graph. */
export interface SubjectRow {
  readonly id: string;
}

export interface PlanMethodRow extends Omit<Method<MethodStep>, 'order'> {
  readonly tenantId: string;
  /** The lowest is tried first, of equals the lowest ordinal. */
  readonly rank: number;
  readonly subtaskOrder: Method['order'];
  readonly createdAt: string;
  readonly createdBy: string;
  readonly ordinal: number;
}

/** The schedule that a plan keeps to; what it comes to is worked out when it is asked for, once. */
export interface PlanScheduleRow {
  readonly plan: PlanRow;
  measured(): Promise<ReturnType<typeof measureKeptSchedule>>;
}

export type PlanMethodConnectionRow = Connection<PlanMethodRow>;

export type PlanSessionRow = SessionRow;
export type PlanContributionRow = ContributionRow;
export type PlanContributionVoteRow = VoteRow;

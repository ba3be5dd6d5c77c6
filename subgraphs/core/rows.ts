import type { Connection } from '#shared/connection.ts';
import type { AgentRow } from './agents/rows.ts';
import type { AllocationRow, NodeRow } from './allocation/rows.ts';
import type { ManifestRow } from './manifest/rows.ts';
import type { OptimizationRow } from './optimization/rows.ts';
import type { DecisionRow } from './orchestration/decisions.ts';
import type { RuleRow } from './orchestration/orchestration.ts';
import type { WorkflowPlan } from './workflow/compile.ts';
import type { WorkflowDefinition } from './workflow/definition.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

export interface CoreWorkflowRow {
  readonly tenantId: string;
  readonly id: string;
  readonly name: string;
  readonly description: string | null;
  readonly status: 'active' | 'retired';
  readonly latestVersion: number;
  readonly maxExecutions: number | null;
  readonly running: number;
  readonly version: number;
  readonly createdAt: string;
  readonly createdBy: string;
  readonly updatedAt: string;
  readonly updatedBy: string;
}

export interface CoreWorkflowVersionRow {
  readonly tenantId: string;
  readonly workflowId: string;
  readonly version: number;
  readonly definition: WorkflowDefinition;
  readonly plan: WorkflowPlan;
  readonly change: string;
  readonly createdAt: string;
  readonly createdBy: string;
}

export type ExecutionStatus =
  | 'created'
  | 'in_progress'
  | 'paused'
  | 'completed'
  | 'failed'
  | 'cancelled'
  | 'timed_out'
  | 'compensating'
  | 'compensated';

/** What an execution comes to when it does not complete. */
export type Ending = 'failed' | 'cancelled' | 'timed_out';

export interface StepError {
  readonly code: string;
  readonly message: string;
  readonly details?: JsonObject | null;
}

/** Who an execution acts for: its steps hold the rights of who started it. */
export interface StoredPrincipal {
  readonly subject: string;
  readonly subjectType: 'agent' | 'human' | 'service';
  readonly roles: readonly string[];
  readonly scopes: readonly string[];
  /** Of an API token: its scopes are the most that is done in its name. */
  readonly isBounded?: true;
  /** Whether it and its steps may hold resources. */
  readonly mayAllocate?: true;
}

export interface CoreExecutionRow {
  readonly tenantId: string;
  readonly id: string;
  readonly workflowId: string;
  readonly workflowVersion: number;
  readonly body: readonly string[];
  readonly contextId: string | null;
  readonly parentId: string | null;
  readonly parentStepId: string | null;
  readonly depth: number;
  readonly status: ExecutionStatus;
  readonly priority: number;
  readonly input: unknown;
  readonly output: unknown;
  readonly error: StepError | null;
  readonly principal: StoredPrincipal;
  readonly statusReason: string | null;
  readonly ending: Ending | null;
  readonly holdsSlot: boolean;
  /** Resources that the run as a whole waits for or holds. */
  readonly allocationId: string | null;
  /** Whether it has been given them. */
  readonly holdsResources: boolean;
  readonly told: boolean;
  readonly historySequence: number;
  readonly totalSteps: number;
  readonly endedSteps: number;
  readonly retries: number;
  /** Decisions of orchestration that led to it, one after the other, and their rules. */
  readonly ruleDepth: number;
  readonly ruleChain: readonly string[];
  readonly deadlineAt: string | null;
  /** When it is told that its time is nearly over; null once it was. */
  readonly warnAt: string | null;
  readonly nextAt: string | null;
  readonly version: number;
  readonly createdAt: string;
  readonly createdBy: string;
  readonly startedAt: string | null;
  readonly completedAt: string | null;
  readonly updatedAt: string;
}

/** As the graph names it. */
export type CoreWorkflowExecutionRow = CoreExecutionRow;

export type StepStatus =
  | 'pending'
  | 'ready'
  | 'running'
  | 'retry_wait'
  | 'waiting'
  | 'completed'
  | 'failed'
  | 'timed_out'
  | 'skipped'
  | 'cancelled'
  | 'compensated'
  | 'compensation_failed';

/** forward; settle: its call is repeated to learn what it did; backward: it is undone. */
export type StepPhase = 'forward' | 'settle' | 'backward';

export interface CoreStepExecutionRow {
  readonly tenantId: string;
  readonly executionId: string;
  readonly stepId: string;
  readonly place: number;
  readonly status: StepStatus;
  readonly phase: StepPhase;
  readonly attempt: number;
  readonly failures: number;
  readonly leaseOwner: string | null;
  readonly leaseUntil: string | null;
  readonly leaseEpoch: number;
  readonly readyAt: string | null;
  readonly dueAt: string | null;
  readonly timeoutAt: string | null;
  readonly waitsFor: string | null;
  readonly iteration: number;
  readonly input: unknown;
  readonly output: unknown;
  readonly error: StepError | null;
  readonly compensation: unknown;
  readonly outcome: 'completed' | 'unknown' | null;
  /** Resources that it waits for or holds. */
  readonly allocationId: string | null;
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
}

export interface CoreHistoryEntryRow {
  readonly tenantId: string;
  readonly executionId: string;
  readonly sequence: number;
  readonly type: string;
  readonly stepId: string | null;
  readonly attempt: number | null;
  readonly data: JsonObject;
  readonly at: string;
}

export type CoreResourceAllocationRow = AllocationRow;
export type CoreAgentRow = AgentRow;
export type CoreAgentConnectionRow = Connection<AgentRow>;
export type CoreOrchestrationRuleRow = RuleRow;
export type CoreOrchestrationDecisionRow = DecisionRow;
export type CoreOrchestrationDecisionConnectionRow = Connection<DecisionRow>;
export type CoreResourceNodeRow = NodeRow;
export type CoreOptimizationRunRow = OptimizationRow;
export type CoreOptimizationRunConnectionRow = Connection<OptimizationRow>;
export type CoreManifestRow = ManifestRow;
export type CoreResourceAllocationConnectionRow = Connection<AllocationRow>;

/** A context is known here by its id alone. */
export interface ContextRow {
  readonly id: string;
}

export type CoreWorkflowConnectionRow = Connection<CoreWorkflowRow>;
export type CoreWorkflowExecutionConnectionRow = Connection<CoreExecutionRow>;
export type CoreHistoryConnectionRow = Connection<CoreHistoryEntryRow>;

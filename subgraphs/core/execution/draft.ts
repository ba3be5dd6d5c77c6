import type { AllocationRow } from '../allocation/rows.ts';
import type { Vector } from '../allocation/vector.ts';
import type {
  CoreExecutionRow,
  CoreStepExecutionRow,
  Ending,
  ExecutionStatus,
  JsonObject,
  StepError,
  StepStatus,
} from '../rows.ts';
import type { CompiledStep, CompiledWorkflow } from '../workflow/compile.ts';
import type { Scope } from '../workflow/references.ts';

type Mutable<Row> = { -readonly [Key in keyof Row]: Row[Key] };
export type ExecutionDraft = Mutable<CoreExecutionRow>;
export type StepDraft = Mutable<CoreStepExecutionRow>;

export const terminal: ReadonlySet<ExecutionStatus> = new Set([
  'completed',
  'failed',
  'cancelled',
  'timed_out',
  'compensated',
]);
export const ended: ReadonlySet<StepStatus> = new Set([
  'completed',
  'failed',
  'timed_out',
  'skipped',
  'cancelled',
  'compensated',
  'compensation_failed',
]);

export interface SignalRow {
  readonly id: string;
  readonly name: string;
  readonly payload: unknown;
}

/** A sub-execution as its parent sees it. */
export interface ChildView {
  readonly id: string;
  readonly stepId: string;
  readonly status: ExecutionStatus;
  readonly output: unknown;
  readonly error: StepError | null;
  readonly createdAt: string;
}

export interface HistoryEntry {
  readonly sequence: number;
  readonly type: string;
  readonly stepId: string | null;
  readonly attempt: number | null;
  readonly data: JsonObject;
}

/** A step handed to a worker, with all it needs to carry it out. */
export interface Lease {
  readonly tenantId: string;
  readonly executionId: string;
  readonly stepId: string;
  readonly phase: CoreStepExecutionRow['phase'];
  readonly epoch: number;
  readonly attempt: number;
  readonly iteration: number;
  readonly timeoutMs: number;
  readonly variables: JsonObject;
  readonly principal: CoreExecutionRow['principal'];
  readonly step: CompiledStep;
}

/** A sub-execution that is to be stored with the transition that starts it. */
export interface NewChild {
  readonly id: string;
  readonly stepId: string;
  readonly workflowId: string;
  readonly workflowVersion: number;
  readonly body: readonly string[];
  readonly input: unknown;
}

/** What another execution is to be told, after the commit; told again until it has happened. */
export interface Message {
  readonly tenantId: string;
  readonly executionId: string;
  readonly command: 'cancel' | 'compensate' | 'childEnded';
  readonly stepId: string | null;
  readonly childId: string | null;
}

export interface TransitionSettings {
  readonly leaseMs: number;
  /** How long running steps are waited for once the execution is coming to its end. */
  readonly graceMs: number;
  /** Share of the backoff that is waited, 0 to 1: full jitter. */
  readonly random: () => number;
  readonly maxDepth: number;
  /** Versions of the workflows that sub-workflow steps name without one, by id. */
  readonly latestVersions: ReadonlyMap<string, number>;
}

/** An execution under its lock, as it is being changed. */
export interface Draft {
  readonly execution: ExecutionDraft;
  readonly steps: ReadonlyMap<string, StepDraft>;
  /** What the run and its steps wait for or hold, as it was when the execution was locked. */
  readonly allocations: ReadonlyMap<string, Pick<AllocationRow, 'id' | 'status' | 'reason'>>;
  /** Allocations that are to be given back with this transition. */
  readonly released: string[];
  /** What holders said of what they use, to be noted with this transition. */
  readonly reported: { readonly allocationId: string; readonly used: Vector }[];
  /** What was used at most of what has been given back, by the key of its estimate. */
  readonly usages: { readonly key: string; readonly peak: Vector }[];
  readonly workflow: CompiledWorkflow;
  readonly signals: SignalRow[];
  readonly children: readonly ChildView[];
  readonly now: string;
  readonly settings: TransitionSettings;
  readonly actor: string;
  readonly changed: Set<string>;
  readonly history: HistoryEntry[];
  readonly leases: Lease[];
  readonly newChildren: NewChild[];
  readonly messages: Message[];
  /** Signals taken, by the step that took them. */
  readonly taken: { readonly id: string; readonly stepId: string }[];
  /** Signals kept for a step still to come. */
  readonly kept: { readonly id: string; readonly name: string; readonly payload: unknown }[];
  touched: boolean;
  /** Whether it is to be looked at again at once: something may begin that could not in this transition. */
  again: boolean;
}

export const later = (now: string, ms: number): string => new Date(Date.parse(now) + ms).toISOString();
export const earliest = (...times: readonly (string | null)[]): string | null =>
  times.reduce<string | null>(
    (first, time) => (time !== null && (first === null || time < first) ? time : first),
    null,
  );

/** Part of an execution's time after which it is told that it is nearly over. */
const warnedPart = 0.8;

/** When the time of an execution is over, and nearly so. */
export const budgetTimes = (now: string, timeoutMs: number) => ({
  deadlineAt: later(now, timeoutMs),
  warnAt: later(now, warnedPart * timeoutMs),
});

export function note(draft: Draft, type: string, step: StepDraft | null, data: JsonObject = {}): void {
  draft.execution.historySequence += 1;
  draft.touched = true;
  draft.history.push({
    sequence: draft.execution.historySequence,
    type,
    stepId: step?.stepId ?? null,
    attempt: step?.attempt ?? null,
    data,
  });
}

export function changeStep(draft: Draft, step: StepDraft, patch: Partial<StepDraft>): void {
  const was = ended.has(step.status);
  Object.assign(step, patch);
  draft.changed.add(step.stepId);
  draft.touched = true;
  const is = ended.has(step.status);
  if (was !== is) draft.execution.endedSteps += is ? 1 : -1;
}

export function changeExecution(draft: Draft, patch: Partial<ExecutionDraft>): void {
  Object.assign(draft.execution, patch);
  draft.touched = true;
}

/** What templates see: outputs of what is completed. */
export function scopeOf(draft: Draft, more: Pick<Scope, 'loop' | 'self'> = {}): Scope {
  const { execution } = draft;
  const outputs = new Map<string, unknown>();
  for (const step of draft.steps.values())
    if (step.status === 'completed' || step.outcome === 'completed') outputs.set(step.stepId, step.output);
  return {
    input: execution.input,
    outputs,
    execution: { id: execution.id, contextId: execution.contextId, workflowId: execution.workflowId },
    ...more,
  };
}

export const compiledOf = (draft: Draft, step: StepDraft): CompiledStep => draft.workflow.steps.get(step.stepId)!;

/** Whether steps may begin: the run holds nothing as a whole, or has been given what it is to hold. */
export const mayBegin = ({ workflow, execution }: Draft): boolean =>
  workflow.definition.resources == null || execution.holdsResources;

export type { Ending };

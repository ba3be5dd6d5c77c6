import type { Amounts } from '../allocation/vector.ts';

/** JSON with placeholders `${step.output.path}` in its texts. */
export type Template = unknown;

export type StepKind = 'task' | 'pass' | 'wait' | 'signal' | 'approval' | 'workflow' | 'loop';

/** When a step may begin, by how those it depends on have ended. */
export type Join = 'all' | 'any' | 'quorum' | 'settled';

export interface RetryPolicy {
  readonly maxAttempts: number;
  readonly delayMs: number;
  readonly backoffFactor: number;
  readonly maxDelayMs: number;
  /** Codes that are not tried again although they might be. */
  readonly nonRetryable: readonly string[];
  /** Codes that alone are tried again; null for all that may be, and not there in versions of before. */
  readonly retryable?: readonly string[] | null;
}

/** An operation of the graph with what it is called with. */
export interface Call {
  readonly module: string;
  readonly action: string;
  readonly input: Readonly<Record<string, Template>>;
  /** Selection set of its answer, without the braces. @default two levels of it */
  readonly select: string | null;
}

/** What a step holds while it is carried out or waits, or a run as a whole: of one node, all of it or nothing. */
export interface StepResources {
  readonly type: string;
  readonly requirements: Amounts;
  /** Of the agents of the node. */
  readonly capabilities: readonly string[];
  /** Labels that the node has to bear. */
  readonly affinity: Readonly<Record<string, string>>;
  readonly preemptible: boolean;
}

export interface StepDefinition {
  readonly id: string;
  readonly name: string | null;
  readonly kind: StepKind;
  /** Of a task. */
  readonly call: Call | null;
  /** Of other kinds: what comes out of a `pass`, what goes into a sub-workflow or a loop. */
  readonly input: Template;
  readonly dependsOn: readonly string[];
  readonly join: Join;
  readonly quorum: number | null;
  /** Expression over steps, input and execution; a step whose condition is false is skipped. */
  readonly condition: string | null;
  /** Start to close, of an attempt; of a wait for a signal or an approval, of the wait. */
  readonly timeoutMs: number;
  readonly scheduleToStartMs: number | null;
  /** Over all attempts. */
  readonly scheduleToCloseMs: number | null;
  readonly retry: RetryPolicy;
  readonly onFailure: 'fail' | 'continue';
  readonly compensation: Call | null;
  /** Once it is completed, nothing before it is undone. */
  readonly irreversible: boolean;
  /** Null of what holds nothing, and not there in versions of before. */
  readonly resources?: StepResources | null;
  /** Of a signal or an approval: what the run holds goes back while nothing else goes on; not there in versions of before. */
  readonly releasesResources?: boolean;
  readonly waitMs: number | null;
  /** Name of the signal waited for. */
  readonly signal: string | null;
  /** Of a signal: longest silence of who works on it; null for any, and not there in versions of before. */
  readonly heartbeatMs?: number | null;
  /** Id of the Confirm waited for. */
  readonly confirmId: Template;
  readonly workflowId: string | null;
  /** Version of the sub-workflow. @default the latest when it starts */
  readonly workflowVersion: number | null;
  /** Of a loop: it goes on while this is true. */
  readonly loopWhile: string | null;
  readonly maxIterations: number;
  readonly body: readonly StepDefinition[];
}

export type ErrorStrategy = 'fail_fast' | 'continue' | 'rollback';
export type RollbackStrategy = 'none' | 'compensate' | 'manual';

/** What a version of a workflow does, as it is stored: complete, every default filled in. */
export interface WorkflowDefinition {
  readonly steps: readonly StepDefinition[];
  readonly timeoutMs: number;
  readonly maxConcurrentSteps: number;
  /** Held from before the first step to the end of the run; null for nothing, and not there in versions of before. */
  readonly resources?: StepResources | null;
  readonly errorStrategy: ErrorStrategy;
  readonly rollback: RollbackStrategy;
  /** Template of the result. @default outputs of the last steps, by id */
  readonly output: Template;
  /** JSON Schema that the input has to fit; null for any. */
  readonly inputSchema: Readonly<Record<string, unknown>> | null;
  /** JSON Schema that the result has to fit; null for any, and not there in versions of before. */
  readonly outputSchema?: Readonly<Record<string, unknown>> | null;
  /** Of the steps that ran, the part that has to be completed, 0 to 1; null for any, and not there in versions of before. */
  readonly minSuccessRate?: number | null;
  /** What happens after an execution that did not complete, as an execution of its own; not there in versions of before. */
  readonly cleanupSteps?: readonly StepDefinition[];
}

/** Place of the steps that clean up, and of who starts them; no step bears such a name. */
export const cleanupPlace = '#cleanup';

/** Steps of the part of a definition that an execution runs: the whole, the body of a loop, or what cleans up. */
export function stepsAt(definition: WorkflowDefinition, body: readonly string[]): readonly StepDefinition[] {
  const cleans = body[0] === cleanupPlace;
  let steps = cleans ? (definition.cleanupSteps ?? []) : definition.steps;
  for (const stepId of cleans ? body.slice(1) : body) steps = steps.find(({ id }) => id === stepId)?.body ?? [];
  return steps;
}

/** Whether any of the steps starts other workflows, of which nothing is known here. */
export function startsWorkflows(steps: readonly StepDefinition[]): boolean {
  return steps.some(({ kind, body }) => kind === 'workflow' || startsWorkflows(body));
}

const stepsHold = (steps: readonly StepDefinition[]): boolean =>
  steps.some(({ resources, body }) => resources != null || stepsHold(body));

/** Whether a run as a whole, any of its steps, of those they repeat or of those that clean up holds resources. */
export function holdsResources({ resources, steps, cleanupSteps }: WorkflowDefinition): boolean {
  return resources != null || stepsHold(steps) || stepsHold(cleanupSteps ?? []);
}

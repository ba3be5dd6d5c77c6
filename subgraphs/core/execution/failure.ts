import { errorTable, isErrorCode } from '#shared/errors.ts';
import type { Ending, StepError } from '../rows.ts';
import type { RetryPolicy } from '../workflow/definition.ts';
import { changeExecution, changeStep, compiledOf, type Draft, later, note, type StepDraft } from './draft.ts';

/** Classes that the same call meets again: validation, authorisation, not found. */
function isRetryable(code: string): boolean {
  return isErrorCode(code) ? errorTable[code].retryable : true;
}

/** Whether a step is tried again after so many failures, by its policy and what went wrong the last time. */
export function mayTryAgain(retry: RetryPolicy, failures: number, code: string): boolean {
  return (
    failures < retry.maxAttempts &&
    !retry.nonRetryable.includes(code) &&
    (retry.retryable ?? [code]).includes(code) &&
    isRetryable(code)
  );
}

/** Milliseconds until the next try: exponential, capped, with full jitter. */
export function backoffMs(
  {
    delayMs,
    backoffFactor,
    maxDelayMs,
  }: { readonly delayMs: number; readonly backoffFactor: number; readonly maxDelayMs: number },
  failures: number,
  random: () => number,
): number {
  return Math.floor(random() * Math.min(maxDelayMs, delayMs * backoffFactor ** Math.max(0, failures - 1)));
}

export interface FailureOptions {
  /** It is not tried again, whatever its policy says. */
  readonly final?: boolean;
  /** The effect may have happened: nobody has heard how the call ended. */
  readonly unknown?: boolean;
  readonly timedOut?: boolean;
  /** How long to wait at least, as the module asked. */
  readonly retryAfterMs?: number | null;
}

/** Ends an attempt: tried again while its policy allows, else the step has failed. */
export function failStep(draft: Draft, step: StepDraft, error: StepError, options: FailureOptions = {}): void {
  const { definition } = compiledOf(draft, step);
  const failures = step.failures + 1;
  const spent =
    definition.scheduleToCloseMs !== null &&
    step.readyAt !== null &&
    later(step.readyAt, definition.scheduleToCloseMs) <= draft.now;
  const again =
    options.final !== true &&
    !spent &&
    draft.execution.ending === null &&
    mayTryAgain(definition.retry, failures, error.code);
  const released = { leaseOwner: null, leaseUntil: null, timeoutAt: null, waitsFor: null, error, failures };
  // An attempt nobody heard the end of may have had its effect, whatever a later one says.
  const outcome = options.unknown === true || step.outcome === 'unknown' ? ('unknown' as const) : null;
  if (again) {
    const waitMs = Math.max(options.retryAfterMs ?? 0, backoffMs(definition.retry, failures, draft.settings.random));
    changeStep(draft, step, {
      ...released,
      status: 'retry_wait',
      outcome,
      leaseEpoch: step.leaseEpoch + 1,
      dueAt: later(draft.now, waitMs),
    });
    draft.execution.retries += 1;
    note(draft, 'step.retrying', step, { error, dueAt: step.dueAt });
    return;
  }
  changeStep(draft, step, {
    ...released,
    status: options.timedOut === true ? 'timed_out' : 'failed',
    outcome,
    leaseEpoch: step.leaseEpoch + 1,
    dueAt: null,
    finishedAt: draft.now,
  });
  note(draft, options.timedOut === true ? 'step.timed.out' : 'step.failed', step, { error });
  if (!isTolerated(draft, step))
    endExecution(draft, 'failed', { ...error, message: `${step.stepId}: ${error.message}` });
}

/** A failure that the execution goes on with: as the step or the workflow says, or because only joins that bear it follow. */
function isTolerated(draft: Draft, step: StepDraft): boolean {
  const { definition } = compiledOf(draft, step);
  if (definition.onFailure === 'continue' || draft.workflow.definition.errorStrategy === 'continue') return true;
  const successors = draft.workflow.topology.successors.get(step.stepId) ?? [];
  return successors.length > 0 && successors.every((id) => draft.workflow.steps.get(id)!.definition.join !== 'all');
}

/** From now on nothing begins; what runs is waited for, then what was done is undone or the execution is over. */
export function endExecution(
  draft: Draft,
  ending: Ending,
  error: StepError | null,
  reason: string | null = null,
): void {
  const { execution } = draft;
  if (execution.ending !== null) return;
  changeExecution(draft, {
    ending,
    error,
    statusReason: reason ?? execution.statusReason,
    deadlineAt: later(draft.now, draft.settings.graceMs),
    ...(execution.status === 'paused' || execution.status === 'created' ? { status: 'in_progress' as const } : {}),
  });
  note(draft, ending === 'cancelled' ? 'workflow.cancelling' : 'workflow.failing', null, { ending, error, reason });
  for (const step of draft.steps.values()) {
    if (step.status === 'pending' || step.status === 'ready' || step.status === 'retry_wait') cancelStep(draft, step);
    else if (step.status === 'waiting') {
      if (step.waitsFor?.startsWith('child:')) tellChild(draft, step, 'cancel');
      else cancelStep(draft, step);
    }
  }
}

export function cancelStep(draft: Draft, step: StepDraft, unknown = false): void {
  changeStep(draft, step, {
    status: 'cancelled',
    leaseOwner: null,
    leaseUntil: null,
    leaseEpoch: step.leaseEpoch + 1,
    dueAt: null,
    timeoutAt: null,
    waitsFor: null,
    finishedAt: draft.now,
    outcome: unknown || step.outcome === 'unknown' ? 'unknown' : null,
  });
  note(draft, 'step.cancelled', step, {});
}

export function tellChild(draft: Draft, step: StepDraft, command: 'cancel' | 'compensate'): void {
  const childId = step.waitsFor?.slice('child:'.length);
  if (childId === undefined) return;
  draft.messages.push({
    tenantId: draft.execution.tenantId,
    executionId: childId,
    command,
    stepId: null,
    childId: null,
  });
}

import { PlatformError } from '#shared/errors.ts';
import type { Vector } from '../allocation/vector.ts';
import type { StepError } from '../rows.ts';
import { beginSteps, completeStep, nextRound, skipStep } from './begin.ts';
import { childUndone, compensated, compensationFailed, settled, startCompensation } from './compensation.ts';
import {
  budgetTimes,
  changeExecution,
  changeStep,
  compiledOf,
  type Draft,
  ended,
  later,
  note,
  type StepDraft,
  terminal,
} from './draft.ts';
import { meetTimes } from './due.ts';
import { endExecution, failStep } from './failure.ts';
import { finish } from './finish.ts';

/** How a call ended, as its worker heard it. */
export type CallResult =
  | { readonly ok: true; readonly output: unknown }
  | {
      readonly ok: false;
      readonly error: StepError;
      readonly retryable: boolean;
      /** Nobody heard whether it had its effect. */
      readonly unknown: boolean;
      readonly timedOut: boolean;
      readonly retryAfterMs: number | null;
    };

export type RecoveryStrategy = 'RESUME' | 'RETRY_STEP' | 'SKIP' | 'COMPENSATE' | 'RESTART_FROM';

export type ExecutionCommand =
  | { readonly kind: 'due' }
  | { readonly kind: 'outcome'; readonly stepId: string; readonly epoch: number; readonly result: CallResult }
  | { readonly kind: 'heartbeat'; readonly stepId: string; readonly epoch: number }
  | { readonly kind: 'heard'; readonly stepId: string; readonly used: Vector | null }
  | { readonly kind: 'signal'; readonly id: string; readonly name: string; readonly payload: unknown }
  | { readonly kind: 'confirmed'; readonly confirmId: string; readonly approved: boolean; readonly payload: unknown }
  | { readonly kind: 'childEnded'; readonly stepId: string; readonly childId: string }
  | { readonly kind: 'pause' | 'resume' | 'cancel' | 'compensate'; readonly reason: string | null }
  | { readonly kind: 'recover'; readonly strategy: RecoveryStrategy; readonly stepId: string | null };

/** What the sender of a command hears. */
export interface CommandAnswer {
  /** Of a heartbeat: the lease is no longer the sender's, or its work is no longer wanted. */
  readonly lost?: boolean;
  readonly stop?: boolean;
}

/**
 * Applies a command to an execution under its lock. Whatever it was, what has fallen due by now happens too.
 * @throws {LEASE_LOST} {INVALID_STATE} {INVALID_STATE_TRANSITION} {NOT_FOUND}
 */
export function decide(draft: Draft, command: ExecutionCommand): CommandAnswer {
  const answer = apply(draft, command);
  const { execution } = draft;
  if (!terminal.has(execution.status) && execution.status !== 'created') {
    meetTimes(draft);
    beginSteps(draft);
    finish(draft);
  }
  return answer;
}

/** Begins an execution that was only stored so far. */
export function startExecution(draft: Draft): void {
  changeExecution(draft, { status: 'in_progress', startedAt: draft.now, nextAt: null });
  note(draft, 'workflow.started', null, {});
  if (draft.workflow.definition.resources != null && draft.execution.principal.mayAllocate !== true)
    endExecution(draft, 'failed', {
      code: 'PERMISSION_DENIED',
      message: 'who started the execution may not allocate resources',
    });
  beginSteps(draft);
  finish(draft);
}

function apply(draft: Draft, command: ExecutionCommand): CommandAnswer {
  switch (command.kind) {
    case 'due':
      return {};
    case 'outcome': {
      const step = requireLease(draft, command);
      takeOutcome(draft, step, command.result);
      return {};
    }
    case 'heartbeat': {
      const step = draft.steps.get(command.stepId);
      if (step?.status !== 'running' || step.leaseEpoch !== command.epoch) return { lost: true };
      changeStep(draft, step, { leaseUntil: later(draft.now, draft.settings.leaseMs) });
      return { stop: draft.execution.ending === 'cancelled' };
    }
    case 'heard':
      return heard(draft, command);
    case 'signal':
      return signal(draft, command);
    case 'confirmed':
      for (const step of draft.steps.values())
        if (step.status === 'waiting' && step.waitsFor === `confirm:${command.confirmId}`) {
          if (command.approved) completeStep(draft, step, command.payload);
          else
            failStep(
              draft,
              step,
              { code: 'APPROVAL_REFUSED', message: `the Confirm ${command.confirmId} was not approved` },
              { final: true },
            );
        }
      return {};
    case 'childEnded':
      childEnded(draft, command);
      return {};
    case 'pause':
      requireStatus(draft, ['in_progress'], 'pause');
      changeExecution(draft, { status: 'paused', statusReason: command.reason });
      note(draft, 'workflow.paused', null, { reason: command.reason });
      return {};
    case 'resume':
      requireStatus(draft, ['paused'], 'resume');
      changeExecution(draft, { status: 'in_progress', statusReason: null });
      note(draft, 'workflow.resumed', null, {});
      return {};
    case 'cancel':
      if (draft.execution.ending !== null && !terminal.has(draft.execution.status)) return {};
      requireStatus(draft, ['created', 'in_progress', 'paused'], 'cancel');
      endExecution(draft, 'cancelled', null, command.reason);
      return {};
    case 'compensate':
      if (draft.execution.status === 'compensated' || draft.execution.status === 'compensating') {
        if (draft.execution.status === 'compensated' && draft.execution.parentId !== null)
          changeExecution(draft, { told: false });
        return {};
      }
      requireStatus(draft, ['completed', 'failed', 'cancelled', 'timed_out'], 'compensate');
      changeExecution(draft, { ending: draft.execution.ending ?? 'cancelled', completedAt: null });
      startCompensation(draft);
      finish(draft);
      return {};
    case 'recover':
      recover(draft, command);
      return {};
    default:
      return command satisfies never;
  }
}

function requireStatus(draft: Draft, allowed: readonly string[], what: string): void {
  const { status, ending } = draft.execution;
  if (!allowed.includes(status) || (ending !== null && !terminal.has(status)))
    throw new PlatformError(
      'INVALID_STATE_TRANSITION',
      `expected an execution that is ${allowed.join(' or ').toUpperCase()} to ${what}, it is ${(ending ?? status).toUpperCase()}`,
      { path: ['executionId'], details: { status: status.toUpperCase() } },
    );
}

/** @throws {LEASE_LOST} where the lease has passed on */
function requireLease(draft: Draft, { stepId, epoch }: { readonly stepId: string; readonly epoch: number }): StepDraft {
  const step = draft.steps.get(stepId);
  if (
    step?.status !== 'running' ||
    step.leaseEpoch !== epoch ||
    (step.leaseUntil !== null && step.leaseUntil <= draft.now)
  )
    throw new PlatformError('LEASE_LOST', 'the lease of the step has ended or passed to another worker', {
      path: ['stepId'],
    });
  return step;
}

function takeOutcome(draft: Draft, step: StepDraft, result: CallResult): void {
  if (step.phase === 'forward') {
    if (result.ok) completeStep(draft, step, result.output);
    else
      failStep(draft, step, result.error, {
        final: !result.retryable,
        unknown: result.unknown,
        timedOut: result.timedOut,
        retryAfterMs: result.retryAfterMs,
      });
  } else if (step.phase === 'settle') {
    if (result.ok) settled(draft, step, result.output, true);
    else if (!result.unknown && !result.retryable) settled(draft, step, null, false);
    else compensationFailed(draft, step, result.error, true);
  } else if (result.ok) compensated(draft, step);
  else compensationFailed(draft, step, result.error, result.retryable || result.unknown);
}

/** Who works on a step that waits for its signal is still there. */
function heard(draft: Draft, { stepId, used }: Extract<ExecutionCommand, { kind: 'heard' }>): CommandAnswer {
  const step = draft.steps.get(stepId);
  if (step === undefined) throw new PlatformError('NOT_FOUND', 'no such step in this execution', { path: ['stepId'] });
  const silenceMs = compiledOf(draft, step).definition.heartbeatMs ?? null;
  if (step.status !== 'waiting' || step.phase !== 'forward' || silenceMs === null)
    throw new PlatformError('INVALID_STATE', `expected a step that waits and is watched, ${stepId} is not`, {
      path: ['stepId'],
      details: { status: step.status.toUpperCase() },
    });
  if (used !== null) {
    if (step.allocationId === null)
      throw new PlatformError('INVALID_STATE', `expected a step that holds resources, ${stepId} does not`, {
        path: ['usage'],
      });
    draft.reported.push({ allocationId: step.allocationId, used });
  }
  changeStep(draft, step, { leaseUntil: later(draft.now, silenceMs) });
  return {};
}

function signal(draft: Draft, { id, name, payload }: Extract<ExecutionCommand, { kind: 'signal' }>): CommandAnswer {
  if (terminal.has(draft.execution.status))
    throw new PlatformError('INVALID_STATE', `the execution is ${draft.execution.status.toUpperCase()}`, {
      path: ['executionId'],
    });
  note(draft, 'signal.received', null, { name, payload: payload ?? null });
  const step = [...draft.steps.values()].find(
    ({ status, waitsFor }) => status === 'waiting' && waitsFor === `signal:${name}`,
  );
  if (step) completeStep(draft, step, payload);
  else {
    draft.kept.push({ id, name, payload });
    draft.signals.push({ id, name, payload });
  }
  return {};
}

function childEnded(draft: Draft, { stepId, childId }: Extract<ExecutionCommand, { kind: 'childEnded' }>) {
  const step = draft.steps.get(stepId);
  const child = draft.children.find(({ id }) => id === childId);
  if (
    !step ||
    !child ||
    step.status !== 'waiting' ||
    step.waitsFor !== `child:${childId}` ||
    !terminal.has(child.status)
  )
    return;
  if (step.phase === 'backward') return childUndone(draft, step, child.status !== 'compensated');
  if (child.status !== 'completed')
    return failStep(
      draft,
      step,
      {
        code: 'CHILD_FAILED',
        message: `${child.status}: ${child.error?.message ?? 'no reason given'}`,
        details: { childId, cause: child.error },
      },
      { final: true },
    );
  if (draft.workflow.steps.get(stepId)!.definition.kind === 'loop') {
    changeStep(draft, step, { status: 'running', waitsFor: null });
    if (draft.execution.ending === null) nextRound(draft, step, child.output);
    else completeStep(draft, step, { iterations: step.iteration, output: child.output });
  } else completeStep(draft, step, child.output);
}

/** A person's decision about what has failed. */
function recover(draft: Draft, { strategy, stepId }: Extract<ExecutionCommand, { kind: 'recover' }>) {
  const { execution } = draft;
  if (strategy === 'COMPENSATE') {
    for (const step of draft.steps.values())
      if (step.status === 'compensation_failed')
        changeStep(draft, step, { status: 'completed', phase: 'forward', failures: 0 });
    apply(draft, { kind: 'compensate', reason: null });
    return;
  }
  requireStatus(draft, ['failed', 'timed_out'], strategy.toLowerCase());
  const undone = [...draft.steps.values()].find(({ phase }) => phase !== 'forward');
  if (undone)
    throw new PlatformError('INVALID_STATE', `${undone.stepId} has been compensated: start anew`, {
      path: ['executionId'],
    });
  const chosen = stepId === null ? null : draft.steps.get(stepId);
  if (chosen === undefined || (chosen === null && strategy !== 'RESUME'))
    throw new PlatformError('NOT_FOUND', 'no such step in this execution', { path: ['stepId'] });
  const failed = ({ status }: StepDraft) => status === 'failed' || status === 'timed_out';
  if (chosen !== null && strategy !== 'RESTART_FROM' && !failed(chosen))
    throw new PlatformError(
      'INVALID_STATE',
      `expected a step that failed, ${chosen.stepId} is ${chosen.status.toUpperCase()}`,
      { path: ['stepId'] },
    );
  changeExecution(draft, {
    status: 'in_progress',
    ending: null,
    error: null,
    completedAt: null,
    ...budgetTimes(draft.now, draft.workflow.definition.timeoutMs),
    retries: execution.retries + 1,
  });
  note(draft, 'workflow.recovered', null, { strategy, stepId });
  const again = (step: StepDraft, anew: boolean) =>
    changeStep(draft, step, {
      ...{ status: 'pending', failures: 0, error: null, waitsFor: null, dueAt: null, readyAt: null, finishedAt: null },
      // A step that is to happen once more, though it was completed, is another call to its module.
      ...(anew ? { iteration: step.iteration + 1, outcome: null, output: null } : {}),
    });
  for (const step of draft.steps.values()) {
    if (strategy === 'RESTART_FROM') {
      const follows = step === chosen || draft.workflow.topology.ancestors.get(step.stepId)!.has(chosen!.stepId);
      if (follows) again(step, step.outcome === 'completed');
      else if (step.status === 'cancelled') again(step, false);
    } else if (step.status === 'cancelled' || (failed(step) && strategy === 'RESUME') || step === chosen)
      again(step, false);
    else if (step.status === 'skipped' && dependsOnFailed(draft, step)) again(step, false);
  }
  if (strategy === 'SKIP') skipStep(draft, chosen!, 'skipped by decision');
}

function dependsOnFailed(draft: Draft, step: StepDraft): boolean {
  return [...draft.workflow.topology.ancestors.get(step.stepId)!].some((id) => {
    const { status } = draft.steps.get(id)!;
    return !ended.has(status) || status === 'failed' || status === 'timed_out' || status === 'cancelled';
  });
}

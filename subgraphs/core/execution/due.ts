import { beginWait, completeStep } from './begin.ts';
import { compensationFailed } from './compensation.ts';
import { changeExecution, changeStep, compiledOf, type Draft, later, note, type StepDraft } from './draft.ts';
import { endExecution, failStep, mayTryAgain, tellChild } from './failure.ts';
import { awaitsResources, giveBack, mayWait, meetAllocation } from './holding.ts';
import { meetRunAllocation } from './runResources.ts';

/** What time alone does: leases that lapsed, attempts past their time, timers, retries, the deadline. */
export function meetTimes(draft: Draft): void {
  const { execution, now } = draft;
  if (execution.deadlineAt !== null && execution.deadlineAt <= now && execution.ending === null)
    endExecution(draft, 'timed_out', { code: 'DEADLINE_EXCEEDED', message: 'the time of the execution is over' });
  if (execution.warnAt !== null && execution.warnAt <= now) {
    const isLate = execution.ending !== null;
    changeExecution(draft, { warnAt: null });
    if (!isLate) note(draft, 'workflow.budget.warning', null, { deadlineAt: execution.deadlineAt });
  }
  meetRunAllocation(draft, lapse);
  for (const step of draft.steps.values()) {
    if (step.allocationId !== null) meetAllocation(draft, step, lapse);
    if (mayWait(draft, step)) beginWait(draft, step);
    if (step.status === 'running') {
      if (step.timeoutAt !== null && step.timeoutAt <= now) runOut(draft, step);
      else if (step.leaseUntil !== null && step.leaseUntil <= now) lapse(draft, step);
    } else if (step.status === 'waiting') {
      if (step.dueAt !== null && step.dueAt <= now) {
        note(draft, 'timer.fired', step, {});
        completeStep(draft, step, null);
      } else if (step.phase === 'backward') tellChild(draft, step, 'compensate');
      else if (step.timeoutAt !== null && step.timeoutAt <= now)
        failStep(
          draft,
          step,
          { code: 'STEP_TIMEOUT', message: `nothing came of ${step.waitsFor}` },
          { final: true, timedOut: true },
        );
      else if (step.leaseUntil !== null && step.leaseUntil <= now) missHeartbeat(draft, step);
    } else if (step.status === 'retry_wait' && step.dueAt !== null && step.dueAt <= now)
      changeStep(draft, step, { status: 'ready', dueAt: null });
    const isHeldUp = step.status === 'ready' || awaitsResources(step);
    if (isHeldUp && step.phase === 'forward' && step.attempt === 0) {
      const { scheduleToStartMs } = compiledOf(draft, step).definition;
      if (scheduleToStartMs !== null && step.readyAt !== null && later(step.readyAt, scheduleToStartMs) <= now)
        failStep(
          draft,
          step,
          {
            code: 'STEP_TIMEOUT',
            message: step.status === 'ready' ? 'no worker took it in time' : 'it found no resources in time',
          },
          { final: true, timedOut: true },
        );
    }
  }
}

/** Nobody is heard of who works on it: whoever takes it up has an attempt more, while its policy allows. */
function missHeartbeat(draft: Draft, step: StepDraft): void {
  const { heartbeatMs, retry } = compiledOf(draft, step).definition;
  const error = { code: 'STEP_TIMEOUT', message: `no heartbeat within ${heartbeatMs} ms` };
  const failures = step.failures + 1;
  if (!mayTryAgain(retry, failures, error.code) || draft.execution.ending !== null) {
    failStep(draft, step, error, { final: true, timedOut: true });
    return;
  }
  changeStep(draft, step, {
    ...{ failures, attempt: step.attempt + 1, error },
    leaseUntil: later(draft.now, heartbeatMs!),
  });
  draft.execution.retries += 1;
  note(draft, 'step.retrying', step, { error, dueAt: draft.now });
}

/** The attempt is over; whether its call has had its effect nobody knows. */
function runOut(draft: Draft, step: StepDraft): void {
  const error = {
    code: 'STEP_TIMEOUT',
    message: `no answer within ${compiledOf(draft, step).definition.timeoutMs} ms`,
  };
  if (step.phase === 'forward') failStep(draft, step, error, { unknown: true, timedOut: true });
  else compensationFailed(draft, step, error, true);
}

/** Its worker is gone. That is no failure of the step: it is handed out again, under a higher epoch. */
function lapse(draft: Draft, step: StepDraft): void {
  giveBack(draft, step);
  const isOver = draft.execution.ending !== null && draft.execution.status === 'in_progress';
  changeStep(draft, step, {
    status: isOver ? 'cancelled' : 'ready',
    ...(isOver ? { finishedAt: draft.now } : {}),
    ...(step.phase === 'forward' ? { outcome: 'unknown' as const } : {}),
    leaseOwner: null,
    leaseUntil: null,
    timeoutAt: null,
    leaseEpoch: step.leaseEpoch + 1,
  });
  note(draft, 'step.lapsed', step, {});
}

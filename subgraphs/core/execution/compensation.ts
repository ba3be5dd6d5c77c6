import type { StepError } from '../rows.ts';
import { changeExecution, changeStep, compiledOf, type Draft, ended, note, type StepDraft, terminal } from './draft.ts';
import { backoffMs, tellChild } from './failure.ts';

/** Tries of a compensation before it is parked for a person. */
export const maxCompensationAttempts = 10;
const backoff = { delayMs: 200, backoffFactor: 2, maxDelayMs: 60_000 };

const hasChildren = (draft: Draft, step: StepDraft) =>
  ['workflow', 'loop'].includes(compiledOf(draft, step).definition.kind) && step.attempt > 0;

/** Steps at and before one that cannot be taken back and is completed: they stand. */
function findKept(draft: Draft): ReadonlySet<string> {
  const kept = new Set<string>();
  for (const step of draft.steps.values()) {
    if (!compiledOf(draft, step).definition.irreversible || step.outcome !== 'completed') continue;
    kept.add(step.stepId);
    for (const id of draft.workflow.topology.ancestors.get(step.stepId)!) kept.add(id);
  }
  return kept;
}

function findUndoable(draft: Draft): readonly StepDraft[] {
  const kept = findKept(draft);
  return draft.workflow.topology.order
    .map((id) => draft.steps.get(id)!)
    .filter(
      (step) =>
        !kept.has(step.stepId) &&
        step.status !== 'compensated' &&
        step.status !== 'compensation_failed' &&
        (hasChildren(draft, step) || (step.outcome !== null && compiledOf(draft, step).compensation !== null)),
    );
}

/** Whether anything that was done, or may have been, is to be undone. */
export const hasUndoable = (draft: Draft): boolean => findUndoable(draft).length > 0;

export function startCompensation(draft: Draft): void {
  changeExecution(draft, { status: 'compensating', deadlineAt: null });
  note(draft, 'workflow.compensating', null, { steps: findUndoable(draft).map(({ stepId }) => stepId) });
  goOnCompensating(draft);
}

/** Undoes in reverse order of dependency what was completed or may have been; each step after all that built on it. */
export function goOnCompensating(draft: Draft): void {
  const open = findUndoable(draft);
  for (const step of open.toReversed()) {
    if (step.phase !== 'forward' && !ended.has(step.status)) continue;
    const holds = open.some(
      (other) => other !== step && draft.workflow.topology.ancestors.get(other.stepId)!.has(step.stepId),
    );
    if (holds) continue;
    if (hasChildren(draft, step)) undoChildren(draft, step);
    else {
      const needsAnswer = step.outcome === 'unknown' && JSON.stringify(step.compensation).includes('${self.');
      changeStep(draft, step, {
        phase: needsAnswer ? 'settle' : 'backward',
        status: 'ready',
        failures: 0,
        readyAt: draft.now,
        dueAt: null,
        error: null,
      });
    }
  }
}

function undoChildren(draft: Draft, step: StepDraft) {
  const next = draft.children
    .filter(({ stepId, status }) => stepId === step.stepId && status !== 'compensated')
    .toSorted((one, two) => (one.createdAt < two.createdAt ? 1 : -1))[0];
  if (!next) return compensated(draft, step, 'its executions are undone');
  changeStep(draft, step, { phase: 'backward', status: 'waiting', waitsFor: `child:${next.id}` });
  tellChild(draft, step, 'compensate');
}

/** The next of its executions, or the step is undone. @param childFailed a child could not be undone */
export function childUndone(draft: Draft, step: StepDraft, childFailed: boolean) {
  if (childFailed)
    park(draft, step, {
      code: 'COMPENSATION_FAILED',
      message: `${step.stepId}: an execution of it could not be undone`,
    });
  else {
    changeStep(draft, step, { status: 'completed', phase: 'forward', waitsFor: null });
    undoChildren(draft, step);
  }
}

export function compensated(draft: Draft, step: StepDraft, reason: string | null = null): void {
  changeStep(draft, step, {
    status: 'compensated',
    phase: 'backward',
    waitsFor: null,
    leaseOwner: null,
    leaseUntil: null,
    timeoutAt: null,
    dueAt: null,
    error: null,
    finishedAt: draft.now,
  });
  note(draft, 'step.compensated', step, reason === null ? {} : { reason });
}

/** An attempt to undo has failed: tried again with backoff, in the end parked. */
export function compensationFailed(draft: Draft, step: StepDraft, error: StepError, retryable: boolean) {
  // What perhaps never happened is not there to be undone.
  if (error.code === 'NOT_FOUND' && step.outcome === 'unknown')
    return compensated(draft, step, 'there was nothing to undo');
  const failures = step.failures + 1;
  if (!retryable || failures >= maxCompensationAttempts) return park(draft, step, error, failures);
  const waitMs = backoffMs(backoff, failures, draft.settings.random);
  changeStep(draft, step, {
    status: 'retry_wait',
    failures,
    error,
    leaseOwner: null,
    leaseUntil: null,
    timeoutAt: null,
    leaseEpoch: step.leaseEpoch + 1,
    dueAt: new Date(Date.parse(draft.now) + waitMs).toISOString(),
  });
  note(draft, 'step.compensation.retrying', step, { error });
}

function park(draft: Draft, step: StepDraft, error: StepError, failures = step.failures): void {
  changeStep(draft, step, {
    status: 'compensation_failed',
    phase: 'backward',
    failures,
    error,
    waitsFor: null,
    leaseOwner: null,
    leaseUntil: null,
    timeoutAt: null,
    dueAt: null,
    leaseEpoch: step.leaseEpoch + 1,
    finishedAt: draft.now,
  });
  note(draft, 'step.compensation.failed', step, { error });
}

/** What settled the outcome of a call: it happened and is undone, or it did not and there is nothing to undo. */
export function settled(draft: Draft, step: StepDraft, output: unknown, happened: boolean) {
  if (!happened) return compensated(draft, step, 'its call has no effect');
  changeStep(draft, step, {
    ...{ outcome: 'completed', output: output ?? null, phase: 'backward', status: 'ready', failures: 0 },
    ...{ readyAt: draft.now, leaseOwner: null, leaseUntil: null, timeoutAt: null, dueAt: null },
  });
  note(draft, 'step.settled', step, { output: output ?? null });
}

/** Whether everything that can be undone is, or is parked. */
export function isCompensated(draft: Draft): boolean {
  return !terminal.has(draft.execution.status) && findUndoable(draft).length === 0;
}

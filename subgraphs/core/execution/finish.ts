import type { ExecutionStatus, StepError } from '../rows.ts';
import { fillTemplate, UnresolvedReference } from '../workflow/references.ts';
import { startCleanup } from './cleanup.ts';
import { goOnCompensating, hasUndoable, isCompensated, startCompensation } from './compensation.ts';
import {
  changeExecution,
  changeStep,
  type Draft,
  earliest,
  ended,
  later,
  mayBegin,
  note,
  type StepDraft,
  scopeOf,
  terminal,
} from './draft.ts';
import { cancelStep, endExecution, tellChild } from './failure.ts';
import { awaitsResources, holdsByItself, lacksResources, mayAsk, mayWait, resourceLeaseMs } from './holding.ts';
import { outputProblem } from './inputSchema.ts';

/** A child that does not answer is told again after this, ms. */
const tellAgainMs = 5_000;
/** Who waits for resources hears of them; where the word is lost it looks after this, ms. */
const lookAgainMs = 15_000;

/** Moves the execution itself on after its steps have moved: to its end, or into and out of compensation. */
export function finish(draft: Draft): void {
  const { execution } = draft;
  if (execution.status === 'in_progress' && execution.ending === null) {
    if ([...draft.steps.values()].every(({ status }) => ended.has(status))) complete(draft);
  }
  if (execution.status === 'in_progress' && execution.ending !== null) comeToEnd(draft);
  if (execution.status === 'compensating') {
    goOnCompensating(draft);
    if (isCompensated(draft)) {
      const parked = [...draft.steps.values()].filter(({ status }) => status === 'compensation_failed');
      if (parked.length === 0) close(draft, 'compensated', execution.error);
      else
        close(draft, 'failed', {
          code: 'COMPENSATION_FAILED',
          message: `not undone: ${parked.map(({ stepId }) => stepId).join(', ')}`,
          details: { cause: execution.error },
        });
    }
  }
}

/** What keeps an execution from counting as completed: too few of the steps that ran were. */
function successProblem({ steps, workflow }: Draft): string | null {
  const { minSuccessRate } = workflow.definition;
  if (minSuccessRate == null) return null;
  const count = (...of: readonly string[]) => [...steps.values()].filter(({ status }) => of.includes(status)).length;
  const [completed, failed] = [count('completed'), count('failed', 'timed_out')];
  const isEnough = failed === 0 || completed / (completed + failed) >= minSuccessRate;
  return isEnough ? null : `expected ${minSuccessRate} of the steps, ${completed} of ${completed + failed} completed`;
}

function complete(draft: Draft): void {
  const { output: template } = draft.workflow.definition;
  const tooFew = successProblem(draft);
  if (tooFew !== null) {
    endExecution(draft, 'failed', { code: 'SUCCESS_RATE_TOO_LOW', message: tooFew });
    return;
  }
  try {
    const last = [...draft.steps.values()].filter(
      ({ stepId }) => (draft.workflow.topology.successors.get(stepId) ?? []).length === 0,
    );
    const output =
      template === null
        ? Object.fromEntries(
            last.flatMap(({ stepId, status, output: own }) => (status === 'completed' ? [[stepId, own]] : [])),
          )
        : fillTemplate(template, scopeOf(draft));
    const { outputSchema } = draft.workflow.definition;
    const problem = outputSchema == null ? null : outputProblem(outputSchema, output);
    if (problem !== null) endExecution(draft, 'failed', { code: 'OUTPUT_INVALID', message: problem });
    else {
      changeExecution(draft, { output });
      close(draft, 'completed', null);
    }
  } catch (error) {
    if (!(error instanceof UnresolvedReference)) throw error;
    endExecution(draft, 'failed', { code: 'UNRESOLVED_REF', message: `output: ${error.message}` });
  }
}

/** Running steps are waited for, then given up: what became of them nobody knows. */
function comeToEnd(draft: Draft): void {
  const { execution, workflow } = draft;
  const open = [...draft.steps.values()].filter(({ status }) => status === 'running' || status === 'waiting');
  for (const step of open) {
    if (execution.deadlineAt === null || execution.deadlineAt > draft.now) break;
    if (step.status === 'running') cancelStep(draft, step, true);
    else {
      tellChild(draft, step, 'cancel');
      changeExecution(draft, { deadlineAt: later(draft.now, tellAgainMs) });
    }
  }
  if ([...draft.steps.values()].some(({ status }) => status === 'running' || status === 'waiting')) return;
  const { errorStrategy, rollback } = workflow.definition;
  if (rollback === 'compensate' && errorStrategy === 'rollback' && hasUndoable(draft)) startCompensation(draft);
  else close(draft, execution.ending!, execution.error);
}

const eventTypes: Readonly<Record<string, string>> = {
  completed: 'workflow.completed',
  failed: 'workflow.failed',
  cancelled: 'workflow.cancelled',
  timed_out: 'workflow.timed.out',
  compensated: 'workflow.compensated',
};

function close(draft: Draft, status: ExecutionStatus, error: StepError | null): void {
  changeExecution(draft, {
    status,
    error,
    completedAt: draft.now,
    ...{ deadlineAt: null, warnAt: null },
    told: draft.execution.parentId === null,
  });
  for (const step of draft.steps.values())
    if (step.status === 'pending' || step.status === 'ready')
      changeStep(draft, step, { status: 'cancelled', finishedAt: draft.now });
  note(draft, eventTypes[status]!, null, { error, output: status === 'completed' ? draft.execution.output : null });
  if (status !== 'completed') startCleanup(draft);
  const { parentId, parentStepId, tenantId, id } = draft.execution;
  if (parentId !== null)
    draft.messages.push({ tenantId, executionId: parentId, command: 'childEnded', stepId: parentStepId, childId: id });
}

/** When a step that nobody took is late. */
function lateAt({ workflow }: Draft, { stepId, readyAt }: StepDraft): string | null {
  const { scheduleToStartMs } = workflow.steps.get(stepId)!.definition;
  return scheduleToStartMs === null || readyAt === null ? null : later(readyAt, scheduleToStartMs);
}

/** When the execution has to be looked at next without anybody asking. */
export function nextAtOf(draft: Draft): string | null {
  const { execution, workflow, now } = draft;
  if (terminal.has(execution.status)) return null;
  if (execution.status === 'created') return execution.nextAt ?? now;
  if (draft.again) return now;
  const steps = [...draft.steps.values()];
  const running = steps.filter(({ status }) => status === 'running');
  const dispatches =
    (execution.status === 'in_progress' && execution.ending === null) || execution.status === 'compensating';
  const hasRoom =
    dispatches &&
    running.length < workflow.definition.maxConcurrentSteps &&
    (execution.status === 'compensating' || mayBegin(draft));
  const awaitsOwn = execution.allocationId !== null && !execution.holdsResources;
  return earliest(
    execution.deadlineAt,
    execution.ending === null ? execution.warnAt : null,
    awaitsOwn ? later(now, lookAgainMs) : null,
    holdsByItself(draft) ? later(now, resourceLeaseMs(draft.settings.leaseMs) / 3) : null,
    ...steps.map((step) => {
      switch (step.status) {
        case 'running':
          return earliest(step.leaseUntil, step.timeoutAt);
        case 'waiting':
          // An execution that was to be undone is told again.
          if (awaitsResources(step)) return earliest(later(now, lookAgainMs), lateAt(draft, step));
          return step.phase === 'backward'
            ? later(now, tellAgainMs)
            : earliest(step.dueAt, step.timeoutAt, step.leaseUntil);
        case 'ready':
          if (lacksResources(draft, step)) return mayAsk(draft) ? now : lateAt(draft, step);
          return hasRoom || mayWait(draft, step) ? now : lateAt(draft, step);
        case 'retry_wait':
          return dispatches ? step.dueAt : null;
        default:
          return null;
      }
    }),
  );
}

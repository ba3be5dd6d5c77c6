import type { NewEvent } from '#shared/outbox.ts';
import type { BudgetEventType } from '../budgetEvents.ts';
import type { CoreExecutionRow, CoreStepExecutionRow } from '../rows.ts';
import { systemEvent } from '../systemEvents.ts';
import type { Draft } from './draft.ts';

/** An execution as others may see it: whose rights it holds is nobody's business. */
export function publicExecution({ principal: _principal, told: _told, holdsSlot: _slot, ...row }: CoreExecutionRow) {
  return row;
}

export function publicStep({ compensation: _compensation, input: _input, ...step }: CoreStepExecutionRow) {
  return step;
}

/** What an entry of a history says of the execution's time; null of others. */
export function budgetOf(type: string, data: Readonly<Record<string, unknown>>): BudgetEventType | null {
  if (type === 'workflow.budget.warning') return 'budget.warning';
  return type === 'workflow.failing' && data['ending'] === 'timed_out' ? 'budget.exceeded' : null;
}

/**
 * An event for each entry of the history, in its order: the stream of an execution is its history. What is parked waits for a
 * person, and time that is over or nearly so is a budget of the tenant, so whoever looks after the tenant hears of it too.
 */
export function executionEvents(draft: Draft): NewEvent[] {
  const { tenantId, id: executionId, workflowId } = draft.execution;
  const alarms = draft.history.flatMap(({ type, stepId, data }) => {
    if (type === 'step.compensation.failed')
      return [systemEvent(tenantId, 'workflow.compensation.failed', { executionId, workflowId, stepId })];
    const budget = budgetOf(type, data);
    // The context has it by the stream of the execution.
    return budget === null ? [] : [systemEvent(tenantId, budget, { budget: 'time', executionId, workflowId })];
  });
  return [...historyEvents(draft), ...alarms];
}

function historyEvents(draft: Draft): NewEvent[] {
  const { execution, history, steps } = draft;
  const row = publicExecution(execution);
  return history.map(({ type, stepId, attempt, data, sequence }, at) => {
    const step = stepId === null ? null : publicStep(steps.get(stepId)!);
    return {
      streamId: execution.id,
      type,
      // What a step answered stands in the step; who wants the input of the execution reads it.
      data: {
        execution: { ...row, input: null, output: at === history.length - 1 ? row.output : null },
        step,
        attempt,
        number: sequence,
        ...(step === null ? { detail: data } : {}),
      },
      tags: at === history.length - 1 ? [`CoreWorkflowExecution:${execution.id}`] : [],
    };
  });
}

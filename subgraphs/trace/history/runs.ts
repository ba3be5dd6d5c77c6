import type { EventRow } from '#shared/events.ts';
import type { TraceStatusValue } from '../rows.ts';

/** What an event of a plan's run says of the run's trace. */
export interface RunChange {
  readonly executionId: string;
  readonly planId: string;
  readonly contextId: string | null;
  /** Null for a step's event. */
  readonly status: TraceStatusValue | null;
  readonly startedAt: string | null;
  readonly step: StepAttempt | null;
}

export interface StepAttempt {
  readonly stepId: string;
  readonly attempt: number;
  readonly startedAt: string;
  readonly endedAt: string | null;
  readonly status: 'unset' | 'ok' | 'error';
  readonly agent: string | null;
}

const outcomes: Readonly<Record<string, TraceStatusValue>> = {
  'plan.execution.completed': 'completed',
  'plan.execution.failed': 'failed',
  'plan.execution.cancelled': 'cancelled',
};
const stepOutcomes: Readonly<Record<string, StepAttempt['status']>> = {
  'step.started': 'unset',
  'step.completed': 'ok',
  'step.failed': 'error',
  'step.retrying': 'error',
  'step.blocked': 'error',
  'step.lease.lapsed': 'error',
  'step.lease.released': 'error',
};

/** Null for events of no run. */
export function runChangeOf(event: EventRow): RunChange | null {
  if (event.module !== 'plan') return null;
  const execution = event.data['execution'] as Readonly<Record<string, unknown>> | undefined;
  if (event.type.startsWith('plan.execution.') && typeof execution?.['planId'] === 'string')
    return {
      executionId: event.streamId,
      planId: execution['planId'],
      contextId: textOf(execution['contextId']),
      status: outcomes[event.type] ?? 'running',
      startedAt: textOf(execution['startedAt']),
      step: null,
    };
  const step = event.data['step'] as Readonly<Record<string, unknown>> | undefined;
  if (!event.type.startsWith('step.') || typeof step?.['planId'] !== 'string') return null;
  return {
    executionId: event.streamId,
    planId: step['planId'],
    contextId: textOf(step['contextId']),
    status: null,
    startedAt: null,
    step: stepOf(event, step),
  };
}

function stepOf(event: EventRow, step: Readonly<Record<string, unknown>>): StepAttempt | null {
  const status = stepOutcomes[event.type];
  const stepId = textOf(step['stepId']);
  if (status === undefined || stepId === null) return null;
  return {
    stepId,
    attempt: typeof step['attempt'] === 'number' ? step['attempt'] : 1,
    // The step's own times are those of all its attempts together.
    startedAt: event.createdAt,
    endedAt: status === 'unset' ? null : event.createdAt,
    status,
    agent: textOf(step['agentId']),
  };
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

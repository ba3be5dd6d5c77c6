import { findPlace, followSight } from '#shared/contextSight.ts';
import { encodeCursor } from '#shared/cursor.ts';
import { PlatformError } from '#shared/errors.ts';
import type { EphemeralEvent, EventRow, StreamSubscription } from '#shared/events.ts';
import type { NewEvent } from '#shared/outbox.ts';
import { type Guarded, requireVisible } from './access.ts';
import type { PlanExecutionRow, PlanRow, PlanStepExecutionRow } from './rows.ts';
import {
  contributionPayload,
  executionPayload,
  planPayload,
  sessionPayload,
  stepExecutionPayload,
  votePayload,
} from './updatePayload.ts';

/** An event of a plan's stream; it carries the whole row and what changed. */
export function planEvent(type: string, row: PlanRow, changes: Readonly<Record<string, unknown>> = {}): NewEvent {
  const { protocol: _protocol, ...plan } = row;
  return {
    streamId: row.id,
    type,
    data: { plan, changes },
    tags: [`Plan:${row.id}`, 'plans', `Context:${row.contextId}:plans`],
  };
}

/** An event of a run's stream. */
export function executionEvent(
  type: string,
  execution: PlanExecutionRow,
  detail: Readonly<Record<string, unknown>> = {},
): NewEvent {
  return {
    streamId: execution.id,
    type,
    data: { execution, ...detail },
    tags: [`PlanExecution:${execution.id}`, `Plan:${execution.planId}`],
  };
}

/** What happens to a step stands in its run's stream and, for who follows the plan, in the plan's. */
export function stepEvents(
  type: string,
  step: PlanStepExecutionRow,
  execution: PlanExecutionRow,
  detail: Readonly<Record<string, unknown>> = {},
): NewEvent[] {
  const data = {
    step: { ...step, id: step.stepId, contextId: execution.contextId, agentId: step.leaseOwner },
    ...detail,
  };
  const tags = [`PlanExecution:${execution.id}`, `Plan:${step.planId}`];
  return [
    { streamId: execution.id, type, data, tags },
    { streamId: step.planId, type: `task.${type}`, data, tags: [] },
  ];
}

function place(event: EventRow | EphemeralEvent) {
  const sequence = 'sequence' in event ? event.sequence : 0;
  return {
    cursor: encodeCursor(event.streamId, sequence),
    sequence,
    type: event.type,
    timestamp: event.createdAt,
    actor: event.actor,
  };
}

/** A row that the event carries, in the shape of the API; null where it carries none. */
function told<Row>(
  event: EventRow | EphemeralEvent,
  part: string,
  shape: (row: Row) => Record<string, unknown>,
): Record<string, unknown> | null {
  const row = event.data[part];
  return row === undefined || row === null ? null : shape(row as Row);
}

function admitReaders(table: Guarded, argument: string): StreamSubscription['admit'] {
  return async (principal, args, { sql }) => {
    const id = args[argument];
    const found = await findPlace(sql, { schema: 'plan', table }, { tenantId: principal.tenantId, id });
    if (!found) throw new PlatformError('NOT_FOUND', `no such ${table}`, { path: [argument] });
    await requireVisible(sql, principal, table, String(id));
    const sees = followSight(principal, found);
    let over = false;
    return {
      decide(event) {
        if (over || !sees(event)) return 'end';
        over = event.type === 'plan.deleted';
        return 'deliver';
      },
    };
  };
}

/** Fields of `Subscription` that the plan module feeds. */
export const planSubscriptions: Readonly<Record<string, StreamSubscription>> = {
  planExecutionUpdates: {
    module: 'plan',
    kind: 'stream',
    streamId: (args) => String(args['executionId']),
    types: ['plan.execution.*', 'step.*'],
    payload: (event) => ({
      ...place(event),
      executionId: event.streamId,
      execution: told(event, 'execution', executionPayload),
      step: told(event, 'step', stepExecutionPayload),
    }),
    admit: admitReaders('execution', 'executionId'),
  },
  taskProgressUpdates: {
    module: 'plan',
    kind: 'stream',
    streamId: (args) => String(args['planId']),
    types: ['plan.*', 'task.*'],
    payload: (event) => ({
      ...place(event),
      planId: event.streamId,
      plan: told(event, 'plan', planPayload),
      step: told(event, 'step', stepExecutionPayload),
    }),
    admit: admitReaders('plan', 'planId'),
  },
  planSessionUpdates: {
    module: 'plan',
    kind: 'stream',
    streamId: (args) => String(args['sessionId']),
    types: ['plan.session.*', 'plan.contribution.*'],
    payload: (event) => ({
      ...place(event),
      sessionId: event.streamId,
      session: told(event, 'session', sessionPayload),
      contribution: told(event, 'contribution', contributionPayload),
      vote: told(event, 'vote', votePayload),
    }),
    admit: admitReaders('session', 'sessionId'),
  },
};

import type { EventRow } from '#shared/events.ts';
import { contextTraceId } from '#shared/traceIds.ts';
import { derivedId } from '../ids/traceIds.ts';
import type { TraceStatusValue, TraceTypeValue } from '../rows.ts';
import { repeatedDenials } from '../security.ts';
import { type RunChange, runChangeOf } from './runs.ts';

/** A trace that an event belongs to, and what the event does to it. */
export interface Target {
  readonly tenantId: string;
  readonly traceId: string;
  readonly contextId: string | null;
  readonly planId: string | null;
  readonly name: string;
  readonly type: TraceTypeValue;
  readonly status: TraceStatusValue | null;
  readonly run: RunChange | null;
  readonly event: EventRow;
}

export function runTraceId(tenantId: string, executionId: string): string {
  return derivedId(`trace of run ${tenantId} ${executionId}`);
}

export function securityTraceId(tenantId: string): string {
  return derivedId(`security of ${tenantId}`);
}

const contextStatuses: Readonly<Record<string, TraceStatusValue>> = {
  draft: 'pending',
  active: 'running',
  suspended: 'running',
  closed: 'completed',
  archived: 'completed',
};

/** Steps and progress stand in the run's trace alone, everything else also or only in its context's. */
export function targetsOf(event: EventRow, contextId: string | null): readonly Target[] {
  const { tenantId } = event;
  if (event.module === 'role' && event.type === repeatedDenials)
    return [
      {
        tenantId,
        traceId: securityTraceId(tenantId),
        contextId: null,
        planId: null,
        name: 'security',
        type: 'audit',
        status: null,
        run: null,
        event,
      },
    ];
  const run = runChangeOf(event);
  const targets: Target[] = [];
  if (run !== null) {
    targets.push({
      tenantId,
      traceId: runTraceId(tenantId, run.executionId),
      contextId: run.contextId ?? contextId,
      planId: run.planId,
      name: `plan ${run.planId}`,
      type: 'execution',
      status: run.status,
      run,
      event,
    });
    if (run.status === null || event.type === 'plan.execution.progress') return targets;
  }
  if (contextId !== null)
    targets.push({
      tenantId,
      traceId: contextTraceId(tenantId, contextId),
      contextId,
      planId: null,
      name: 'context history',
      type: 'execution',
      status: contextStatus(event),
      run: null,
      event,
    });
  return targets;
}

function contextStatus(event: EventRow): TraceStatusValue | null {
  if (event.module !== 'context') return null;
  if (event.type === 'context.deleted') return 'cancelled';
  const status = (event.data['context'] as { readonly status?: unknown } | undefined)?.status;
  return typeof status === 'string' ? (contextStatuses[status] ?? null) : null;
}

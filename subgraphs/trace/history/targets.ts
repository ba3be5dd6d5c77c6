import type { EventRow } from '#shared/events.ts';
import { contextTraceId } from '#shared/traceIds.ts';
import { derivedId } from '../ids/traceIds.ts';
import type { TraceRow, TraceStatusValue, TraceTypeValue } from '../rows.ts';
import { repeatedDenials } from '../security.ts';
import { type RunChange, runChangeOf } from './runs.ts';
import type { Place } from './streamContexts.ts';

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
  /** Of a trace that stands, whoever made it: the event happened below this span of it. */
  readonly spanId: string | null;
}

/** A trace that stands, and the span of it that an event names. */
export interface NamedTrace {
  readonly trace: TraceRow;
  readonly spanId: string;
}

export function runTraceId(tenantId: string, executionId: string): string {
  return derivedId(`trace of run ${tenantId} ${executionId}`);
}

export function securityTraceId(tenantId: string): string {
  return derivedId(`security of ${tenantId}`);
}

/** The standing trace of what belongs to a tenant as a whole. */
export function tenantTraceId(tenantId: string): string {
  return derivedId(`history of ${tenantId}`);
}

/** Who was let in and who was not, where no context says who may know. */
const accessTypes: ReadonlySet<string> = new Set(['access.granted', 'access.denied', repeatedDenials]);

/** Whether an event tells of somebody whom only the audit names. */
export const isOfAudit = ({ module, type }: EventRow, contextId: string | null): boolean =>
  module === 'role' && (type === repeatedDenials || (contextId === null && accessTypes.has(type)));

const contextStatuses: Readonly<Record<string, TraceStatusValue>> = {
  draft: 'pending',
  active: 'running',
  suspended: 'running',
  closed: 'completed',
  archived: 'completed',
};

/**
 * Steps and progress stand in the run's trace alone, everything else also or only in the standing trace of its place, or
 * instead of that in the trace that it names. What moves the state of a context moves its standing trace in any case.
 */
export function targetsOf(event: EventRow, place: Place | null, named: NamedTrace | null): readonly Target[] {
  const { tenantId } = event;
  const contextId = place?.contextId ?? null;
  const common = { tenantId, contextId: null, planId: null, status: null, run: null, event, spanId: null } as const;
  if (event.type === repeatedDenials ? event.module === 'role' : place !== null && isOfAudit(event, contextId))
    return [{ ...common, traceId: securityTraceId(tenantId), name: 'security', type: 'audit' }];
  const run = runChangeOf(event);
  const targets: Target[] = [];
  if (run !== null) {
    targets.push({
      ...common,
      traceId: runTraceId(tenantId, run.executionId),
      contextId: run.contextId ?? contextId,
      planId: run.planId,
      name: `plan ${run.planId}`,
      type: 'execution',
      status: run.status,
      run,
    });
    if (run.status === null || event.type === 'plan.execution.progress') return targets;
  }
  if (place === null) return targets;
  const status = contextStatus(event);
  if (named !== null) {
    const { id: traceId, planId, name, type } = named.trace;
    targets.push({ ...common, traceId, contextId, planId, name, type, spanId: named.spanId });
    if (status === null) return targets;
  }
  targets.push(
    contextId === null
      ? { ...common, traceId: tenantTraceId(tenantId), name: 'tenant history', type: 'audit' }
      : {
          ...{ ...common, traceId: contextTraceId(tenantId, contextId), contextId, status },
          ...{ name: 'context history', type: 'execution' },
        },
  );
  return targets;
}

function contextStatus(event: EventRow): TraceStatusValue | null {
  if (event.module !== 'context') return null;
  if (event.type === 'context.deleted') return 'cancelled';
  const status = (event.data['context'] as { readonly status?: unknown } | undefined)?.status;
  return typeof status === 'string' ? (contextStatuses[status] ?? null) : null;
}

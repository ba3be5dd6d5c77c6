import type { EventRow } from '#shared/events.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import { isLockedTrace } from '../governance.ts';
import { traceIdOf } from '../ids/traceIds.ts';
import { parseTraceparent, type SpanReference } from '../ids/traceparent.ts';
import { keeper } from '../keeper.ts';
import { graceMs } from '../lifecycle.ts';
import type { TraceRow } from '../rows.ts';
import { traceColumns } from '../store/traces.ts';
import type { Place } from './streamContexts.ts';
import type { NamedTrace } from './targets.ts';

/**
 * The trace that each event names by its `traceparent`, in their order; null where the tenant has none of that id that takes
 * it. Who reads a trace reads its events: it has to lie where the event does, so that nobody sees by the one what the
 * other hides.
 */
export async function namedTracesOf(
  tx: SqlTransaction,
  events: readonly EventRow[],
  places: readonly (Place | null)[],
): Promise<readonly (NamedTrace | null)[]> {
  const named = events.map(({ tenantId, traceparent }, at) => {
    const reference = traceparent === undefined || places[at] == null ? null : parseTraceparent(traceparent);
    return reference && { tenantId, id: traceIdOf(reference.traceId), reference };
  });
  const wanted = named.filter((one) => one !== null);
  if (wanted.length === 0) return named.map(() => null);
  const rows = (await tx.unsafe(
    `SELECT ${traceColumns} FROM trace.trace
     WHERE (tenant_id, id) IN (SELECT DISTINCT * FROM unnest($1::text[], $2::uuid[])) AND created_by <> $3`,
    [wanted.map(({ tenantId }) => tenantId), wanted.map(({ id }) => id), keeper],
    { prepare: true },
  )) as unknown as TraceRow[];
  const byKey = new Map(rows.map((row) => [`${row.tenantId}/${row.id}`, row]));
  return named.map((one, at) => {
    const trace = one && byKey.get(`${one.tenantId}/${one.id}`);
    return trace && takes(trace, events[at]!, { place: places[at]!, reference: one.reference })
      ? { trace, spanId: one.reference.spanId }
      : null;
  });
}

/** What has ended takes what happened up to a minute later. */
function takes(
  trace: TraceRow,
  event: EventRow,
  { place, reference }: { readonly place: Place; readonly reference: SpanReference },
): boolean {
  const ended = trace.finishedAt?.getTime() ?? Number.POSITIVE_INFINITY;
  return (
    trace.w3cId === reference.traceId &&
    trace.contextId === place.contextId &&
    isTaking(trace) &&
    Date.parse(event.createdAt) <= ended + graceMs
  );
}

export const isTaking = (trace: TraceRow): boolean => !isLockedTrace(trace) && trace.archivedAt === null;

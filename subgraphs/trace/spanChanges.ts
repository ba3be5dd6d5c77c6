import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { IdempotentCall } from '#shared/idempotency.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import { requireVersion } from '#shared/validation.ts';
import { requireVisible } from './access.ts';
import { type ChangeTrace, requireTaking } from './lifecycle.ts';
import { noSuchTrace } from './noSuchTrace.ts';
import { limits } from './otlp/attributes.ts';
import { failureOf, type SpanEvent, type SpanStatusValue } from './otlp/span.ts';
import type { TraceRow, TraceSpanRow } from './rows.ts';
import { writeDetail } from './store/spanDetail.ts';
import { findSpan } from './store/spans.ts';
import { begun, lockTrace, traceColumns } from './store/traces.ts';

export interface SpanChange {
  readonly traceId: string;
  readonly spanId: string;
  readonly expectedVersion: number | null;
}

export interface SpanPatch {
  readonly status?: SpanStatusValue | undefined;
  readonly statusMessage?: string | null | undefined;
  readonly attributes?: TraceSpanRow['attributes'] | undefined;
  readonly endNs?: string | undefined;
  readonly events?: readonly SpanEvent[] | undefined;
}

/** Changes of a span that stands; its trace's sums follow in the same transaction. */
export function createSpanChanges(change: ChangeTrace) {
  return (scope: RequestScope, target: SpanChange, patch: SpanPatch, call: IdempotentCall | null) =>
    change(scope, call, patch.endNs === undefined ? 'trace.span.updated' : 'trace.span.ended', async (tx) => {
      const trace = await lockTrace(tx, scope.principal.tenantId, target.traceId);
      if (!trace) throw noSuchTrace();
      await requireVisible(tx, scope.principal, [target.traceId]);
      requireVersion(target.expectedVersion, trace.revision);
      requireTaking(trace);
      const span = await findSpan(tx, trace, target.spanId);
      if (!span) throw new PlatformError('NOT_FOUND', 'no such span', { path: ['spanId'] });
      const next = patched(span, patch);
      const row = await write(tx, trace, span, next);
      const isEnd = trace.finishedAt === null && row.finishedAt !== null;
      const ended = patch.endNs === undefined ? {} : { endedSpans: [next] };
      return { trace: row, told: {}, isEnd, noted: { ...ended, ended: isEnd } };
    });
}

function patched(span: TraceSpanRow, patch: SpanPatch): TraceSpanRow {
  if (patch.endNs !== undefined) {
    if (span.endNs !== null)
      throw new PlatformError('INVALID_STATE_TRANSITION', 'the span has ended already', { path: ['spanId'] });
    if (BigInt(patch.endNs) < BigInt(span.startNs))
      throw new PlatformError(
        'VALIDATION_FAILED',
        `endTimeUnixNano: expected ${span.startNs} or later, got ${patch.endNs}`,
        { path: ['endTimeUnixNano'] },
      );
  }
  const attributes = Object.entries({ ...span.attributes, ...patch.attributes });
  const events = [...span.events, ...(patch.events ?? [])];
  return {
    ...span,
    endNs: patch.endNs ?? span.endNs,
    status: patch.status ?? span.status,
    statusMessage: patch.statusMessage === undefined ? span.statusMessage : patch.statusMessage,
    attributes: Object.fromEntries(attributes.slice(0, limits.attributes)),
    droppedAttributes: span.droppedAttributes + Math.max(0, attributes.length - limits.attributes),
    events: events.slice(0, limits.events),
    droppedEvents: span.droppedEvents + Math.max(0, events.length - limits.events),
  };
}

async function write(tx: SqlTransaction, trace: TraceRow, before: TraceSpanRow, span: TraceSpanRow): Promise<TraceRow> {
  await tx.unsafe(
    `UPDATE trace.span SET end_ns = $5::bigint, status = $6, status_message = $7, detail = $8::text::jsonb, late = late OR $9::boolean
     WHERE tenant_id = $1 AND trace_id = $2 AND span_id = $3 AND traced_at = $4::text::timestamptz`,
    [
      trace.tenantId,
      trace.id,
      span.spanId,
      trace.createdAt.toISOString(),
      span.endNs,
      span.status,
      span.statusMessage,
      writeDetail(span),
      trace.finishedAt !== null,
    ],
    { prepare: true },
  );
  const failed = (status: SpanStatusValue) => (status === 'error' ? 1 : 0);
  const [row] = (await tx.unsafe(
    `UPDATE trace.trace SET error_count = error_count + $3::int, end_ns = greatest(end_ns, $4::bigint),
       revision = revision + 1, updated_at = now(), status = coalesce($5::text, ${begun}),
       finished_at = coalesce(finished_at, CASE WHEN $5::text IS NOT NULL THEN now() END)
     WHERE tenant_id = $1 AND id = $2 RETURNING ${traceColumns}`,
    [
      trace.tenantId,
      trace.id,
      failed(span.status) - failed(before.status),
      span.endNs ?? span.startNs,
      // What has ended ends no other way by what comes late.
      trace.finishedAt === null ? failureOf([span]) : null,
    ],
    { prepare: true },
  )) as unknown as TraceRow[];
  return row!;
}

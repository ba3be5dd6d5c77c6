import type { Sql, SqlTransaction } from '#shared/sql.ts';
import { derivedId } from '../ids/traceIds.ts';
import type { TraceEventRow, TraceRow, TraceSpanRow } from '../rows.ts';
import { historyColumns } from '../store/history.ts';
import { errorOf } from './classify.ts';
import { storedDecision, storedError } from './inputs.ts';
import type { recordTypes } from './kinds.ts';

export const maxRead = 100;

/** The newest records of one kind, by the id of their trace. */
export async function findRecords(
  db: Sql | SqlTransaction,
  tenantId: string,
  traceIds: readonly string[],
  type: (typeof recordTypes)[keyof typeof recordTypes],
): Promise<ReadonlyMap<string, readonly TraceEventRow[]>> {
  const rows = (await db.unsafe(
    `SELECT r.* FROM unnest($2::uuid[]) AS k(id) CROSS JOIN LATERAL (
       SELECT ${historyColumns} FROM trace.history WHERE tenant_id = $1 AND trace_id = k.id AND source = 'trace' AND type = $3
       ORDER BY occurred_at DESC, position DESC LIMIT ${maxRead}) AS r`,
    [tenantId, [...traceIds], type],
    { prepare: true },
  )) as unknown as TraceEventRow[];
  return Map.groupBy(rows, ({ traceId }) => traceId);
}

export type RecordedError = NonNullable<ReturnType<typeof toError>>;
export type RecordedDecision = NonNullable<ReturnType<typeof toDecision>>;

const upper = <Word extends string>(text: Word) => text.toUpperCase() as Uppercase<Word>;

/** Null for an event that an importer gave the type of an error and not its form. */
export function toError({ traceId, eventId, detail, occurredAt, actor }: TraceEventRow) {
  const { success, data } = storedError.safeParse(detail);
  if (!success) return null;
  return {
    id: eventId,
    traceId,
    ...data,
    type: upper(data.type),
    stack: data.stack ?? null,
    spanId: data.spanId ?? null,
    recoveryActions: data.recoveryActions.map(upper),
    origin: 'RECORDED' as 'RECORDED' | 'SPAN',
    occurredAt,
    recordedBy: actor as string | null,
  };
}

/** What was recorded, and what each other failed span tells; the latest first. */
export function errorsOf(trace: TraceRow, recorded: readonly TraceEventRow[], spans: readonly TraceSpanRow[]) {
  const errors = recorded.flatMap((event) => toError(event) ?? []);
  const told = new Set(errors.map(({ spanId }) => spanId));
  const failed = spans.filter(({ status, spanId }) => status === 'error' && !told.has(spanId));
  const ofSpans = failed.map((span) => {
    const { type, recoveryActions, ...error } = errorOf(span);
    return {
      id: derivedId(`error of ${trace.id} ${span.spanId}`),
      traceId: trace.id,
      ...error,
      type: upper(type),
      recoveryActions: recoveryActions.map(upper),
      spanId: span.spanId,
      origin: 'SPAN' as RecordedError['origin'],
      occurredAt: new Date(Number(BigInt(span.endNs ?? span.startNs) / 1_000_000n)),
      recordedBy: null as string | null,
    };
  });
  return [...errors, ...ofSpans].sort((a, b) => b.occurredAt.getTime() - a.occurredAt.getTime()).slice(0, maxRead);
}

/** Null for an event that an importer gave the type of a decision and not its form. */
export function toDecision({ traceId, eventId, detail, occurredAt, actor }: TraceEventRow) {
  const { success, data } = storedDecision.safeParse(detail);
  if (!success) return null;
  const options = data.options.map(({ option, score, rationale }) => ({
    option,
    score: score ?? null,
    rationale: rationale ?? null,
  }));
  const chosen = options.find(({ option }) => option === data.selected)?.score ?? null;
  const others = options.flatMap(({ option, score }) => (option === data.selected || score === null ? [] : [score]));
  return {
    id: eventId,
    traceId,
    ...data,
    options,
    confidence: data.confidence ?? null,
    spanId: data.spanId ?? null,
    margin: chosen === null || others.length === 0 ? null : chosen - Math.max(...others),
    occurredAt,
    decidedBy: actor,
  };
}

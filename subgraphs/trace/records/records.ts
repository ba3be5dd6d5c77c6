import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { IdempotentCall } from '#shared/idempotency.ts';
import { newId } from '#shared/ids.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';
import { derivedId } from '../ids/traceIds.ts';
import { type ChangeTrace, requireKept, requireTaking } from '../lifecycle.ts';
import { maskSecrets } from '../otlp/attributes.ts';
import type { TraceEventRow, TraceRow } from '../rows.ts';
import { findEvents, insertHistory } from '../store/history.ts';
import { begun, traceColumns } from '../store/traces.ts';
import { requireTrace } from '../traceChanges.ts';
import { recoveryOf } from './classify.ts';
import type { GivenDecision, GivenError, GivenEvent } from './inputs.ts';
import { recordTypes } from './kinds.ts';

/** Records of one trace at most; those of other modules and of importers are not counted. */
export const maxRecords = 1_000;

export interface NewRecord {
  readonly type: string;
  readonly occurredAt: Date | null;
  readonly detail: Readonly<Record<string, unknown>>;
}

interface RecordOptions {
  /** Of the event that tells it. */
  readonly type: string;
  /** Throws where the trace takes no such record. */
  readonly requireOpen: (trace: TraceRow) => void;
}

/** An id that a repeat of the call comes to as well. */
export function recordIdOf(call: IdempotentCall | null, place = 0): string {
  return call === null ? newId() : derivedId(`record ${call.tenantId} ${call.subject} ${call.key} ${place}`);
}

/** The trace has taken something in. */
export async function touchTrace(tx: SqlTransaction, { tenantId, id }: TraceRow): Promise<TraceRow> {
  const [row] = (await tx.unsafe(
    `UPDATE trace.trace SET revision = revision + 1, updated_at = now(), status = ${begun} WHERE tenant_id = $1 AND id = $2 RETURNING ${traceColumns}`,
    [tenantId, id],
    { prepare: true },
  )) as unknown as TraceRow[];
  return row!;
}

/** @throws {QUOTA_EXCEEDED} where the trace, which is locked, would hold more than it may. */
export async function requireRoom(tx: SqlTransaction, trace: TraceRow, more: number): Promise<void> {
  const [count] = (await tx.unsafe(
    `SELECT count(*)::int AS n FROM trace.history WHERE tenant_id = $1 AND trace_id = $2 AND source = 'trace'`,
    [trace.tenantId, trace.id],
    { prepare: true },
  )) as unknown as { n: number }[];
  if (count!.n + more > maxRecords)
    throw new PlatformError(
      'QUOTA_EXCEEDED',
      `expected at most ${maxRecords} records of a trace, got ${count!.n + more}`,
      {
        path: ['traceId'],
      },
    );
}

/** What is told of a trace by who works in it. Each record is one of its events, and leaves with its frozen form. */
export function createRecords(sql: Sql, change: ChangeTrace) {
  /** @throws {NOT_FOUND} {INVALID_STATE} where the trace ended more than a minute ago, {QUOTA_EXCEEDED} */
  async function record(
    scope: RequestScope,
    traceId: string,
    records: readonly NewRecord[],
    call: IdempotentCall | null,
    { type = 'trace.events.added', requireOpen = requireTaking }: Partial<RecordOptions> = {},
  ): Promise<{ readonly trace: TraceRow; readonly events: readonly TraceEventRow[] }> {
    const { tenantId, subject } = scope.principal;
    const ids = records.map((_record, at) => recordIdOf(call, at));
    const trace = await change(scope, call, type, async (tx) => {
      const locked = await requireTrace(tx, scope, { traceId, expectedVersion: null });
      requireOpen(locked);
      await requireRoom(tx, locked, records.length);
      const now = new Date().toISOString();
      await insertHistory(
        tx,
        records.map(({ type, occurredAt, detail }, at) => ({
          tenantId,
          traceId,
          eventId: ids[at]!,
          type,
          source: 'trace',
          actor: subject,
          occurredAt: occurredAt?.toISOString() ?? now,
          recordedAt: now,
          detail,
        })),
      );
      const told = { events: records.map(({ type }, at) => ({ id: ids[at]!, type })) };
      return { trace: await touchTrace(tx, locked), told };
    });
    return { trace, events: await findEvents(sql, tenantId, traceId, ids) };
  }

  return {
    /** What an analysis came to; it may come long after the end. @throws {GOVERNANCE_LOCKED} {INVALID_STATE} {QUOTA_EXCEEDED} */
    analysis(scope: RequestScope, traceId: string, detail: NewRecord['detail'], call: IdempotentCall | null) {
      const options = { type: recordTypes.analysis, requireOpen: requireKept };
      return record(scope, traceId, [{ type: recordTypes.analysis, occurredAt: null, detail }], call, options);
    },

    events(scope: RequestScope, traceId: string, given: readonly GivenEvent[], call: IdempotentCall | null) {
      const records = given.map(
        ({ phase, name, source, spanId, data, occurredAt }): NewRecord => ({
          type: `trace.${phase}`,
          occurredAt: occurredAt ?? null,
          detail: {
            name,
            origin: { component: source.component, module: source.module ?? null, function: source.function ?? null },
            ...(spanId == null ? {} : { spanId }),
            ...(data == null ? {} : { data: maskSecrets(data) }),
          },
        }),
      );
      return record(scope, traceId, records, call);
    },

    async error(scope: RequestScope, traceId: string, given: GivenError, call: IdempotentCall | null) {
      const { occurredAt, recoverable, recoveryActions, stack, spanId, ...error } = given;
      const isRecoverable = recoverable ?? (error.type === 'network' || error.type === 'timeout');
      const detail = {
        ...error,
        recoverable: isRecoverable,
        recoveryActions: recoveryActions ?? recoveryOf(error.type, isRecoverable),
        ...(stack == null ? {} : { stack }),
        ...(spanId == null ? {} : { spanId }),
      };
      return record(scope, traceId, [{ type: recordTypes.error, occurredAt: occurredAt ?? null, detail }], call);
    },

    async decision(scope: RequestScope, traceId: string, given: GivenDecision, call: IdempotentCall | null) {
      const { occurredAt, criteria, confidence, spanId, ...decision } = given;
      const detail = {
        ...decision,
        criteria: criteria ?? [],
        ...(confidence == null ? {} : { confidence }),
        ...(spanId == null ? {} : { spanId }),
      };
      return record(scope, traceId, [{ type: recordTypes.decision, occurredAt: occurredAt ?? null, detail }], call);
    },
  };
}

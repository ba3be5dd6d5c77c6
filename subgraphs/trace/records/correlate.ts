import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { IdempotentCall } from '#shared/idempotency.ts';
import type { Once } from '#shared/once.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';
import { requireVisible, viewerOf } from '../access.ts';
import { requireUnlocked } from '../governance.ts';
import { traceIdOf } from '../ids/traceIds.ts';
import { noSuchTrace } from '../noSuchTrace.ts';
import type { TraceEventRow, TraceRow, TraceSpanRow } from '../rows.ts';
import { findCorrelated } from '../store/correlated.ts';
import { insertHistory } from '../store/history.ts';
import { findSpansOf } from '../store/spans.ts';
import { findTraces, tagsOf, traceColumns } from '../store/traces.ts';
import { type GivenCorrelation, storedCorrelation } from './inputs.ts';
import { type CorrelationKind, recordTypes } from './kinds.ts';
import { findRecords } from './read.ts';
import { recordIdOf, requireRoom, touchTrace } from './records.ts';
import { correlationsOf } from './strengths.ts';

export interface TraceCorrelation {
  readonly relatedTraceId: string;
  readonly type: Uppercase<CorrelationKind>;
  readonly strength: number;
  readonly evidence: string;
  readonly causeId: string | null;
  /** Null of one that is found. */
  readonly recordedBy: string | null;
  readonly recordedAt: Date | null;
}

const maxCorrelations = 50;

function sidesOf(trace: TraceRow, spans: readonly TraceSpanRow[]) {
  const linked = Map.groupBy(
    spans.flatMap(({ links }) => links.map(({ traceId }) => traceIdOf(traceId))),
    (id) => id,
  );
  const own = { ...trace, services: [...new Set(spans.map(({ service }) => service))] };
  return { own, linked };
}

/** What each of the traces hangs together with, strongest first: recorded ones, and beside them what is found. */
export async function findCorrelations(
  sql: Sql,
  { principal }: Pick<RequestScope, 'principal'>,
  traces: readonly TraceRow[],
): Promise<readonly (readonly TraceCorrelation[])[]> {
  const ids = traces.map(({ id }) => id);
  const [spans, records] = await Promise.all([
    findSpansOf(sql, principal.tenantId, traces),
    findRecords(sql, principal.tenantId, ids, recordTypes.correlation),
  ]);
  const spansOf = Map.groupBy(spans, ({ traceRowId }) => traceRowId);
  const sides = traces.map((trace) => ({ trace, ...sidesOf(trace, spansOf.get(trace.id) ?? []) }));
  const recorded = new Map(ids.map((id) => [id, (records.get(id) ?? []).flatMap(readRecorded)]));
  const named = sides.flatMap(({ trace: { id: of }, linked }) => [
    ...[...linked.keys()].map((id) => ({ of, id })),
    ...recorded.get(of)!.map(({ relatedTraceId: id }) => ({ of, id })),
  ]);
  const rows = await findCorrelated(sql, traces, { named, viewer: viewerOf(principal) });
  const byTrace = Map.groupBy(rows, ({ of }) => of);
  return sides.map(({ trace, own, linked }) => {
    const candidates = byTrace.get(trace.id) ?? [];
    const seen = new Set(candidates.map(({ id }) => id));
    const found = new Map<string, TraceCorrelation>();
    const keep = (correlation: TraceCorrelation) => {
      const key = `${correlation.type}/${correlation.relatedTraceId}`;
      if (!found.has(key)) found.set(key, correlation);
    };
    for (const correlation of recorded.get(trace.id)!) if (seen.has(correlation.relatedTraceId)) keep(correlation);
    for (const other of candidates)
      for (const { type, ...rest } of correlationsOf(own, other, {
        from: linked.get(other.id)?.length ?? 0,
        to: other.links,
      }))
        keep({ relatedTraceId: other.id, type: upper(type), ...rest, recordedBy: null, recordedAt: null });
    return [...found.values()]
      .sort((a, b) => b.strength - a.strength || (a.relatedTraceId < b.relatedTraceId ? -1 : 1))
      .slice(0, maxCorrelations);
  });
}

const upper = (type: CorrelationKind) => type.toUpperCase() as Uppercase<CorrelationKind>;

function readRecorded({ detail, actor, occurredAt }: TraceEventRow): TraceCorrelation[] {
  const { success, data } = storedCorrelation.safeParse(detail);
  if (!success) return [];
  const { relatedTraceId, type, strength, evidence, causeId } = data;
  return [
    {
      relatedTraceId,
      type: upper(type),
      strength,
      evidence,
      causeId: causeId ?? null,
      recordedBy: actor,
      recordedAt: occurredAt,
    },
  ];
}

/** Records that two traces hang together, with both of them. */
export function createCorrelating(sql: Sql, once: Once) {
  /** @throws {NOT_FOUND} {GOVERNANCE_LOCKED} {INVALID_STATE} where one is archived. */
  async function lockBoth(tx: SqlTransaction, { principal }: RequestScope, ids: readonly [string, string]) {
    const rows = (await tx.unsafe(
      `SELECT ${traceColumns} FROM trace.trace WHERE tenant_id = $1 AND id = ANY($2::uuid[]) ORDER BY id FOR UPDATE`,
      [principal.tenantId, [...ids]],
      { prepare: true },
    )) as unknown as TraceRow[];
    const paths = [['traceId'], ['input', 'relatedTraceId']];
    return Promise.all(
      ids.map(async (id, at) => {
        const row = rows.find((one) => one.id === id);
        if (!row) throw noSuchTrace(paths[at]);
        await requireVisible(tx, principal, [id]).catch(() => {
          throw noSuchTrace(paths[at]);
        });
        requireUnlocked(row);
        if (row.archivedAt !== null)
          throw new PlatformError('INVALID_STATE', 'the trace is archived', { path: paths[at]! });
        return row;
      }),
    ) as Promise<[TraceRow, TraceRow]>;
  }

  /** @throws {VALIDATION_FAILED} where nothing is found that such a correlation could be computed from. */
  async function compute(tx: SqlTransaction, [one, other]: readonly [TraceRow, TraceRow], type: CorrelationKind) {
    const { own, linked } = sidesOf(one, await findSpansOf(tx, one.tenantId, [one]));
    const named = [{ of: one.id, id: other.id }];
    const [row] = await findCorrelated(tx, [one], { named, viewer: null, onlyNamed: true });
    const links = { from: linked.get(other.id)?.length ?? 0, to: row!.links };
    const found = correlationsOf(own, row!, links).find((correlation) => correlation.type === type);
    if (!found)
      throw new PlatformError(
        'VALIDATION_FAILED',
        `input.strength: expected one, since nothing tells a ${type} correlation`,
        {
          path: ['input', 'strength'],
        },
      );
    return found;
  }

  return async (
    scope: RequestScope,
    traceId: string,
    { relatedTraceId, type, strength, note }: GivenCorrelation,
    call: IdempotentCall | null,
  ): Promise<TraceRow> => {
    if (traceId === relatedTraceId)
      throw new PlatformError('VALIDATION_FAILED', 'input.relatedTraceId: expected another trace', {
        path: ['input', 'relatedTraceId'],
      });
    const { tenantId, subject } = scope.principal;
    return once<TraceRow>(scope, {
      call,
      async write(tx) {
        const both = await lockBoth(tx, scope, [traceId, relatedTraceId]);
        const found =
          strength == null
            ? await compute(tx, both, type)
            : { strength, evidence: note ?? 'as it was stated', causeId: type === 'causation' ? relatedTraceId : null };
        const now = new Date().toISOString();
        const changed: TraceRow[] = [];
        for (const [at, trace] of both.entries()) {
          await requireRoom(tx, trace, 1);
          const detail = {
            relatedTraceId: both[1 - at]!.id,
            type,
            strength: found.strength,
            evidence: note ?? found.evidence,
            causeId: found.causeId,
          };
          const event = { tenantId, traceId: trace.id, eventId: recordIdOf(call, at), type: recordTypes.correlation };
          await insertHistory(tx, [
            { ...event, source: 'trace', actor: subject, occurredAt: now, recordedAt: now, detail },
          ]);
          changed.push(await touchTrace(tx, trace));
        }
        return {
          row: changed[0]!,
          response: { traceId },
          changes: changed.map((row, at) => ({
            events: [
              {
                streamId: row.id,
                type: 'trace.correlated',
                data: { trace: row, related: both[1 - at]!.id, correlation: type },
                tags: tagsOf(row),
              },
            ],
            audit: at === 0 ? [{ action: 'trace.correlated', resource: 'Trace', resourceId: row.id }] : [],
          })),
        };
      },
      async repeat() {
        const [row] = await findTraces(sql, tenantId, [traceId]);
        if (!row) throw noSuchTrace();
        return row;
      },
    });
  };
}

import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import { readChildPage } from '#shared/childPages.ts';
import { createConnection, type PageInput } from '#shared/connection.ts';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { Graph } from '#shared/graph.ts';
import type { IdempotentCall } from '#shared/idempotency.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';
import { jsonProblem } from '#shared/validation.ts';
import { noteListAccess, viewerOf, visibleCondition } from '../access.ts';
import { type ChangeTrace, requireTaking } from '../lifecycle.ts';
import { maskSecrets } from '../otlp/attributes.ts';
import type { TraceRow, TraceSnapshotRow } from '../rows.ts';
import { insertHistory } from '../store/history.ts';
import { requireTrace } from '../traceChanges.ts';
import { recordTypes } from './kinds.ts';
import { recordIdOf, requireRoom, touchTrace } from './records.ts';

export interface StoredSnapshot {
  readonly id: string;
  readonly traceId: string;
  readonly contextId: string;
  readonly capturedAt: Date;
  readonly capturedBy: string;
  readonly reason: string | null;
  readonly checksum: string;
  readonly state: Readonly<Record<string, unknown>>;
}

type State = Readonly<Record<string, unknown>>;

interface Asked {
  readonly context: (State & { readonly sharedState: State & { readonly document: State } }) | null;
}

const askState = `query TraceContextState($id: ID!) { context(contextId: $id) { status lifecycleStage version participantCount
  sharedState { version checksum document } } }`;
const maxStateBytes = 65_536;
const maxRead = 100;

const columns = `s.id, s.trace_id AS "traceId", s.context_id AS "contextId", s.captured_at AS "capturedAt", s.captured_by AS "capturedBy",
  s.reason, s.checksum, s.state`;

/** States of the context that a trace lies in, kept as they were. */
export function createSnapshots({ sql, graph }: { readonly sql: Sql; readonly graph: Graph }, change: ChangeTrace) {
  /** What the caller sees of the context. @throws {NOT_FOUND} {UNAVAILABLE} */
  async function ask({ principal }: RequestScope, contextId: string): Promise<State> {
    const { data, errors } = await graph.execute<Asked>(askState, { id: contextId }, principal);
    if (data?.context) {
      const { document, ...head } = data.context.sharedState;
      return { ...data.context, sharedState: { ...head, ...document } };
    }
    if (errors.length > 0)
      throw new PlatformError('UNAVAILABLE', 'the context could not be looked up', { path: ['traceId'] });
    throw new PlatformError('NOT_FOUND', 'no such context', { path: ['traceId'] });
  }

  return {
    /**
     * Keeps the state that is given, else the context's own as the caller sees it.
     * @throws {NOT_FOUND} {UNAVAILABLE} {INVALID_STATE} where the trace lies in no context or takes nothing more,
     * {VALIDATION_FAILED} where the context's own state is over 64 KiB, {QUOTA_EXCEEDED}
     */
    async capture(
      scope: RequestScope,
      trace: TraceRow,
      given: { readonly reason?: string | null | undefined; readonly state?: State | null | undefined },
      call: IdempotentCall | null,
    ): Promise<{ readonly trace: TraceRow; readonly snapshot: TraceSnapshotRow }> {
      const { contextId } = trace;
      if (contextId === null)
        throw new PlatformError('INVALID_STATE', 'expected a trace of a context', { path: ['traceId'] });
      const state = maskSecrets(given.state ?? (await ask(scope, contextId))) as State;
      const problem = jsonProblem(state, { maxBytes: maxStateBytes });
      if (problem !== null)
        throw new PlatformError('VALIDATION_FAILED', `input.state: ${problem}`, { path: ['input', 'state'] });
      const checksum = createHash('sha256').update(canonicalize(state)!).digest('hex');
      const id = recordIdOf(call);
      const { tenantId, subject } = scope.principal;
      const row = await change(scope, call, 'trace.events.added', async (tx) => {
        const locked = await requireTrace(tx, scope, { traceId: trace.id, expectedVersion: null });
        requireTaking(locked);
        await requireRoom(tx, locked, 1);
        const now = new Date().toISOString();
        await tx.unsafe(
          `INSERT INTO trace.snapshot (tenant_id, trace_id, id, context_id, captured_at, captured_by, reason, checksum, state)
           VALUES ($1, $2, $3, $4, $5::text::timestamptz, $6, $7, $8, $9::text::jsonb)`,
          [tenantId, trace.id, id, contextId, now, subject, given.reason ?? null, checksum, JSON.stringify(state)],
          { prepare: true },
        );
        // What the context holds is for who may read it: the history names it only.
        const detail = {
          snapshotId: id,
          contextId,
          checksum,
          ...(given.reason == null ? {} : { reason: given.reason }),
        };
        await insertHistory(tx, [
          {
            tenantId,
            traceId: trace.id,
            eventId: id,
            type: recordTypes.snapshot,
            source: 'trace',
            actor: subject,
            occurredAt: now,
            recordedAt: now,
            detail,
          },
        ]);
        return { trace: await touchTrace(tx, locked), told: { events: [{ id, type: recordTypes.snapshot }] } };
      });
      const kept = (await findSnapshots(sql, tenantId, [trace.id])).get(trace.id)!;
      return { trace: row, snapshot: withChanges(kept).find((snapshot) => snapshot.id === id)! };
    },
  };
}

/** The newest hundred of each trace, newest first, and the one before them. */
export async function findSnapshots(
  db: Sql | SqlTransaction,
  tenantId: string,
  traceIds: readonly string[],
): Promise<ReadonlyMap<string, readonly StoredSnapshot[]>> {
  const rows = (await db.unsafe(
    `SELECT f.* FROM unnest($2::uuid[]) AS k(id) CROSS JOIN LATERAL (
       SELECT ${columns} FROM trace.snapshot s WHERE s.tenant_id = $1 AND s.trace_id = k.id
       ORDER BY s.captured_at DESC, s.id DESC LIMIT ${maxRead + 1}) AS f`,
    [tenantId, [...traceIds]],
    { prepare: true },
  )) as unknown as StoredSnapshot[];
  return Map.groupBy(rows, ({ traceId }) => traceId);
}

/** The newest hundred, with the keys to the second level that differ from the one before; null of the first that is kept. */
export function withChanges(snapshots: readonly StoredSnapshot[]): readonly TraceSnapshotRow[] {
  return snapshots.slice(0, maxRead).map((snapshot, at) => withChange(snapshot, snapshots[at + 1]?.state ?? null));
}

function withChange(snapshot: StoredSnapshot, before: State | null): TraceSnapshotRow {
  return { ...snapshot, changedKeys: before === null ? null : changedKeys(before, snapshot.state) };
}

const list = 'traceSnapshots';
const snapshotSort = [{ type: 'timestamptz' }, { type: 'uuid' }] as const;

export interface SnapshotSearch {
  readonly contextId: string;
  readonly capturedBy: string | null;
  readonly from: Date | null;
  readonly to: Date | null;
}

/** States of a context in the traces that the caller sees, newest first. @throws {CURSOR_INVALID} {VALIDATION_FAILED} */
export async function listSnapshots(sql: Sql, scope: RequestScope, search: SnapshotSearch, input: PageInput) {
  const page = readChildPage({ list, sort: snapshotSort }, input);
  await noteListAccess(sql, scope);
  const [at, behind] = (page.from ?? [null, null]) as readonly [string | null, string | null];
  const rows = (await sql.unsafe(
    `SELECT ${columns}, b.state AS before FROM trace.snapshot s LEFT JOIN LATERAL (
       SELECT p.state FROM trace.snapshot p WHERE p.tenant_id = s.tenant_id AND p.trace_id = s.trace_id
         AND (p.captured_at, p.id) < (s.captured_at, s.id) ORDER BY p.captured_at DESC, p.id DESC LIMIT 1) AS b ON true
     WHERE s.tenant_id = $1 AND s.context_id = $2 AND ($3::text[] IS NULL OR EXISTS (SELECT FROM trace.trace t
         WHERE t.tenant_id = s.tenant_id AND t.id = s.trace_id AND ${visibleCondition('t', '$3')}))
       AND ($4::text IS NULL OR s.captured_by = $4)
       AND ($5::text IS NULL OR s.captured_at >= $5::text::timestamptz)
       AND ($6::text IS NULL OR s.captured_at < $6::text::timestamptz)
       AND ($7::text IS NULL OR (s.captured_at, s.id) < ($7::text::timestamptz, $8::text::uuid))
     ORDER BY s.captured_at DESC, s.id DESC LIMIT $9`,
    [
      ...[scope.principal.tenantId, search.contextId, viewerOf(scope.principal) as string[] | null],
      ...[search.capturedBy, search.from?.toISOString() ?? null, search.to?.toISOString() ?? null],
      ...[at, behind, page.limit + 1],
    ],
    { prepare: true },
  )) as unknown as (StoredSnapshot & { readonly before: State | null })[];
  const found = rows.map(({ before, ...snapshot }) => withChange(snapshot, before));
  return createConnection(list, page, found, (row) => [row.capturedAt.toISOString(), row.id]);
}

function changedKeys(before: State, after: State): string[] {
  const [was, is] = [flatten(before), flatten(after)];
  return [...new Set([...was.keys(), ...is.keys()])].filter((key) => was.get(key) !== is.get(key)).sort();
}

function flatten(state: State): ReadonlyMap<string, string> {
  return new Map(
    Object.entries(state).flatMap(([key, value]): [string, string][] => {
      if (typeof value !== 'object' || value === null || Array.isArray(value))
        return [[key, canonicalize(value) ?? '']];
      return Object.entries(value).map(([inner, item]) => [`${key}.${inner}`, canonicalize(item) ?? '']);
    }),
  );
}

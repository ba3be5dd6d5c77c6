import type { SubgraphName } from '../names.ts';
import type { EventRow } from './events.ts';
import { newId } from './ids.ts';
import type { SqlTransaction } from './sql.ts';

export interface NewEvent {
  readonly streamId: string;
  /** Dotted, lower case, without underscores. */
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
  /** Cache tags the change makes stale. */
  readonly tags: readonly string[];
}

export interface NewAudit {
  /** What was done: `context.update`. */
  readonly action: string;
  readonly resource: string;
  readonly resourceId: string;
  readonly detail?: Readonly<Record<string, unknown>>;
}

export interface NewJob {
  readonly task: string;
  readonly payload: Readonly<Record<string, unknown>>;
  readonly runAt?: Date;
  /** A job with the same key replaces the one that waits. */
  readonly key?: string;
  /** @default 10 */
  readonly maxAttempts?: number;
}

export interface IdempotencyRecord {
  readonly subject: string;
  readonly key: string;
  readonly operation: string;
  /** SHA-256 of the canonical input, hex. */
  readonly requestHash: string;
  /** What a repeat answers; enough to build the payload again. */
  readonly response: unknown;
}

/** Everything a mutation leaves behind beside its own rows. */
export interface Change {
  readonly tenantId: string;
  readonly actor: string;
  /** What events name as actor where others may not learn who it was; the audit names the actor. */
  readonly shownActor?: string | undefined;
  readonly traceparent?: string | undefined;
  readonly events: readonly NewEvent[];
  readonly audit?: readonly NewAudit[];
  readonly idempotency?: IdempotencyRecord | undefined;
  readonly jobs?: readonly NewJob[];
}

/** The two kinds of transaction: postgres.js (`unsafe`) and Prisma (`$queryRawUnsafe`). */
export type ChangeTransaction =
  | Pick<SqlTransaction, 'unsafe'>
  | { $queryRawUnsafe<T>(query: string, ...values: unknown[]): Promise<T> };

interface AppendedRow {
  event_id: string;
  sequence: number;
  created_at: string;
}

const statements = new Map<SubgraphName, string>();

/**
 * The condition on the audit rows holds always; it is looked at once, before the first row, and gives the transaction
 * its id before any position is drawn. The sealer relies on that: see `settledPositionsOf`.
 */
function statement(module: SubgraphName): string {
  const known = statements.get(module);
  if (known) return known;
  const text = `
WITH input AS MATERIALIZED (
  SELECT * FROM json_to_recordset($1::text::json) AS e(ord int, tenant_id text, stream_id uuid, event_id uuid, type text, actor text, data jsonb, tags text[], traceparent text)
), counts AS (
  SELECT tenant_id, stream_id, count(*) AS n FROM input GROUP BY tenant_id, stream_id
), heads AS (
  INSERT INTO ${module}.stream_head AS h (tenant_id, stream_id, last_sequence)
  SELECT tenant_id, stream_id, n FROM counts ORDER BY tenant_id, stream_id
  ON CONFLICT (tenant_id, stream_id) DO UPDATE SET last_sequence = h.last_sequence + EXCLUDED.last_sequence
  RETURNING h.tenant_id, h.stream_id, h.last_sequence
), events AS (
  INSERT INTO ${module}.event (tenant_id, stream_id, sequence, event_id, type, actor, data, tags, traceparent)
  SELECT i.tenant_id, i.stream_id,
         h.last_sequence - c.n + row_number() OVER (PARTITION BY i.tenant_id, i.stream_id ORDER BY i.ord),
         i.event_id, i.type, i.actor, i.data, i.tags, i.traceparent
  FROM input i JOIN heads h USING (tenant_id, stream_id) JOIN counts c USING (tenant_id, stream_id)
  ORDER BY i.ord
  RETURNING event_id, sequence, created_at
), audits AS (
  INSERT INTO ${module}.audit (tenant_id, id, action, resource, resource_id, actor, detail, traceparent)
  SELECT * FROM json_to_recordset($2::text::json) AS a(tenant_id text, id uuid, action text, resource text, resource_id text, actor text, detail jsonb, traceparent text)
  WHERE pg_current_xact_id() IS NOT NULL
), keys AS (
  INSERT INTO ${module}.idempotency (tenant_id, subject, key, operation, request_hash, response)
  SELECT tenant_id, subject, key, operation, decode(request_hash, 'hex'), response
  FROM json_to_recordset($3::text::json) AS k(tenant_id text, subject text, key text, operation text, request_hash text, response jsonb)
), added AS (
  SELECT count(graphile_worker.add_job(j.task, j.payload, NULL, j.run_at, j.max_attempts, j.key)) AS n
  FROM json_to_recordset($4::text::json) AS j(task text, payload json, run_at timestamptz, max_attempts int, key text)
)
SELECT COALESCE((SELECT json_agg(json_build_object('event_id', event_id, 'sequence', sequence, 'created_at', to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))) FROM events), '[]'::json) AS events,
       (SELECT n FROM added) AS jobs`;
  statements.set(module, text);
  return text;
}

/**
 * Writes events, audit rows, idempotency records and jobs of the changes in one statement of the caller's transaction,
 * and answers the events as they will stand once it commits, in the order given. Streams are locked in id order.
 */
export async function appendChange(
  tx: ChangeTransaction,
  module: SubgraphName,
  changes: readonly Change[],
): Promise<readonly EventRow[]> {
  const events: Record<string, unknown>[] = [];
  const pending: Omit<EventRow, 'sequence' | 'createdAt'>[] = [];
  const audits: Record<string, unknown>[] = [];
  const keys: Record<string, unknown>[] = [];
  const jobs: Record<string, unknown>[] = [];
  for (const change of changes) {
    const { tenantId, actor, traceparent } = change;
    const shownActor = change.shownActor ?? actor;
    for (const event of change.events) {
      const eventId = newId();
      events.push({
        ord: events.length,
        tenant_id: tenantId,
        stream_id: event.streamId,
        event_id: eventId,
        type: event.type,
        actor: shownActor,
        data: event.data,
        tags: event.tags,
        traceparent,
      });
      pending.push({
        tenantId,
        module,
        streamId: event.streamId,
        eventId,
        type: event.type,
        actor: shownActor,
        data: event.data,
        tags: event.tags,
        ...(traceparent === undefined ? {} : { traceparent }),
      });
    }
    for (const entry of change.audit ?? []) {
      audits.push({
        tenant_id: tenantId,
        id: newId(),
        action: entry.action,
        resource: entry.resource,
        resource_id: entry.resourceId,
        actor,
        detail: entry.detail ?? {},
        traceparent,
      });
    }
    if (change.idempotency) {
      const { subject, key, operation, requestHash, response } = change.idempotency;
      keys.push({
        tenant_id: tenantId,
        subject,
        key,
        operation,
        request_hash: requestHash,
        response: response ?? null,
      });
    }
    for (const job of change.jobs ?? []) {
      jobs.push({
        task: job.task,
        payload: job.payload,
        run_at: job.runAt?.toISOString(),
        max_attempts: job.maxAttempts ?? 10,
        key: job.key,
      });
    }
  }
  const parameters = [events, audits, keys, jobs].map((list) => JSON.stringify(list));
  const query = statement(module);
  const rows = ('unsafe' in tx
    ? await tx.unsafe(query, parameters, { prepare: true })
    : await tx.$queryRawUnsafe(query, ...parameters)) as unknown as { events: AppendedRow[] }[];
  const appended = new Map(rows[0]!.events.map((row) => [row.event_id, row]));
  return pending.map((event) => {
    const row = appended.get(event.eventId)!;
    return { ...event, sequence: Number(row.sequence), createdAt: row.created_at };
  });
}

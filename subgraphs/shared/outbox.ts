import type { SubgraphName } from '../names.ts';
import { plainArray, textArray } from './arrayLiteral.ts';
import type { EventRow } from './events.ts';
import { newId } from './ids.ts';
import { originOf } from './requestOrigin.ts';
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

/** Of a stream that events were appended to. */
interface AppendedRow {
  readonly tenant_id: string;
  readonly stream_id: string;
  readonly last_sequence: number | bigint;
  readonly created_at: string;
}

const statements = new Map<string, string>();

/** What a statement writes: only that stands in it, since the server prepares to run each part, with rows or without. */
interface Written {
  readonly events: boolean;
  readonly audits: boolean;
  readonly keys: boolean;
  readonly jobs: boolean;
}

/**
 * The condition on the audit rows holds always; it is looked at once, before the first row, and gives the transaction
 * its id before any position is drawn. The sealer relies on that: see `settledPositionsOf`. An event draws its
 * position when the head of its stream is locked, without which it has no sequence.
 */
function statement(module: SubgraphName, { events, audits, keys, jobs }: Written): string {
  const name = `${module} ${events} ${audits} ${keys} ${jobs}`;
  const known = statements.get(name);
  if (known) return known;
  let parameters = 0;
  const next = (type: string) => {
    parameters += 1;
    return `$${parameters}::text::${type}`;
  };
  const parts: string[] = [];
  if (events)
    parts.push(`heads AS (
  INSERT INTO ${module}.stream_head AS h (tenant_id, stream_id, last_sequence)
  SELECT tenant_id, stream_id, n FROM unnest(${next('text[]')}, ${next('uuid[]')}, ${next('bigint[]')}) AS s(tenant_id, stream_id, n)
  ORDER BY tenant_id, stream_id
  ON CONFLICT (tenant_id, stream_id) DO UPDATE SET last_sequence = h.last_sequence + EXCLUDED.last_sequence
  RETURNING h.tenant_id, h.stream_id, h.last_sequence
), events AS (
  INSERT INTO ${module}.event (tenant_id, stream_id, sequence, event_id, type, actor, data, tags, traceparent)
  SELECT i.tenant_id, i.stream_id, h.last_sequence - i.behind, i.event_id, i.type, i.actor, i.data, i.tags::text[], i.traceparent
  FROM ROWS FROM (unnest(${next('text[]')}), unnest(${next('uuid[]')}), unnest(${next('bigint[]')}), unnest(${next('uuid[]')}),
    unnest(${next('text[]')}), unnest(${next('text[]')}), jsonb_array_elements(${next('jsonb')}), unnest(${next('text[]')}),
    unnest(${next('text[]')})) WITH ORDINALITY
    AS i(tenant_id, stream_id, behind, event_id, type, actor, data, tags, traceparent, ord)
  JOIN heads h USING (tenant_id, stream_id) ORDER BY i.ord
)`);
  if (audits)
    parts.push(`audits AS (
  INSERT INTO ${module}.audit (tenant_id, id, action, resource, resource_id, actor, detail, traceparent, origin)
  SELECT * FROM json_to_recordset(${next('json')}) AS a(tenant_id text, id uuid, action text, resource text, resource_id text, actor text, detail jsonb, traceparent text, origin jsonb)
  WHERE pg_current_xact_id() IS NOT NULL
)`);
  if (keys)
    parts.push(`keys AS (
  INSERT INTO ${module}.idempotency (tenant_id, subject, key, operation, request_hash, response)
  SELECT tenant_id, subject, key, operation, decode(request_hash, 'hex'), response
  FROM json_to_recordset(${next('json')}) AS k(tenant_id text, subject text, key text, operation text, request_hash text, response jsonb)
)`);
  if (jobs)
    parts.push(`added AS (
  SELECT count(graphile_worker.add_job(j.task, j.payload, NULL, j.run_at, j.max_attempts, j.key)) AS n
  FROM json_to_recordset(${next('json')}) AS j(task text, payload json, run_at timestamptz, max_attempts int, key text)
)`);
  const createdAt = `to_char(now()::timestamptz(3) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS created_at`;
  // What only selects runs where it is asked for.
  const asked = jobs ? ', (SELECT n FROM added) AS jobs' : '';
  const text = `WITH ${parts.join(', ')}
SELECT ${events ? 'tenant_id, stream_id::text, last_sequence, ' : ''}${createdAt}${asked}${events ? ' FROM heads' : ''}`;
  statements.set(name, text);
  return text;
}

type PendingEvent = Omit<EventRow, 'sequence' | 'createdAt'>;

/** What the events hand to the statement, and how far each lies behind the last of its stream. */
function columnsOf(events: readonly PendingEvent[]): { columns: string[]; behind: readonly number[] } {
  const streams = new Map<string, { readonly tenantId: string; readonly streamId: string; count: number }>();
  const places = events.map(({ tenantId, streamId }) => {
    const key = streamKey(tenantId, streamId);
    let stream = streams.get(key);
    if (stream === undefined) {
      stream = { tenantId, streamId, count: 0 };
      streams.set(key, stream);
    }
    stream.count += 1;
    return { stream, at: stream.count };
  });
  const list = [...streams.values()];
  const behind = places.map(({ stream, at }) => stream.count - at);
  const columns = [
    textArray(list.map(({ tenantId }) => tenantId)),
    plainArray(list.map(({ streamId }) => streamId)),
    plainArray(list.map(({ count }) => count)),
    textArray(events.map(({ tenantId }) => tenantId)),
    plainArray(events.map(({ streamId }) => streamId)),
    plainArray(behind),
    plainArray(events.map(({ eventId }) => eventId)),
    textArray(events.map(({ type }) => type)),
    textArray(events.map(({ actor }) => actor)),
    JSON.stringify(events.map(({ data }) => data)),
    textArray(events.map(({ tags }) => textArray(tags))),
    textArray(events.map(({ traceparent }) => traceparent ?? null)),
  ];
  return { columns, behind };
}

/** As the server writes ids: in lower case. */
const streamKey = (tenantId: string, streamId: string) => `${streamId.toLowerCase()}/${tenantId}`;

/**
 * Writes events, audit rows, idempotency records and jobs of the changes in one statement of the caller's transaction,
 * and answers the events as they will stand once it commits, in the order given. Streams are locked in id order.
 */
export async function appendChange(
  tx: ChangeTransaction,
  module: SubgraphName,
  changes: readonly Change[],
): Promise<readonly EventRow[]> {
  const pending: PendingEvent[] = [];
  const audits: Record<string, unknown>[] = [];
  const keys: Record<string, unknown>[] = [];
  const jobs: Record<string, unknown>[] = [];
  for (const change of changes) {
    const { tenantId, actor, traceparent } = change;
    const shownActor = change.shownActor ?? actor;
    for (const event of change.events) {
      pending.push({
        tenantId,
        module,
        streamId: event.streamId,
        eventId: newId(),
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
        origin: originOf(traceparent) ?? undefined,
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
  const lists = [audits, keys, jobs].filter((list) => list.length > 0);
  if (pending.length === 0 && lists.length === 0) return [];
  const { columns, behind } = pending.length === 0 ? { columns: [], behind: [] } : columnsOf(pending);
  const parameters = [...columns, ...lists.map((list) => JSON.stringify(list))];
  const query = statement(module, {
    events: pending.length > 0,
    audits: audits.length > 0,
    keys: keys.length > 0,
    jobs: jobs.length > 0,
  });
  const rows = ('unsafe' in tx
    ? await tx.unsafe(query, parameters, { prepare: true })
    : await tx.$queryRawUnsafe(query, ...parameters)) as unknown as AppendedRow[];
  if (pending.length === 0) return [];
  const last = new Map(rows.map((row) => [streamKey(row.tenant_id, row.stream_id), Number(row.last_sequence)]));
  const createdAt = rows[0]!.created_at;
  return pending.map((event, at) => {
    const sequence = last.get(streamKey(event.tenantId, event.streamId))! - behind[at]!;
    return { ...event, sequence, createdAt };
  });
}

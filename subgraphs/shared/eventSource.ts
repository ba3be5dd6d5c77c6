import type { SubgraphName } from '../names.ts';
import type { EventRow } from './events.ts';
import type { Sql, SqlTransaction } from './sql.ts';

/** A place in a module's events in commit-safe order: everything before it has been seen, nothing after it. */
export interface EventPosition {
  readonly txid: number;
  readonly position: number;
}

export interface PositionedEvent {
  readonly at: EventPosition;
  readonly event: EventRow;
}

interface EventRecord {
  tenant_id: string;
  stream_id: string;
  sequence: number;
  event_id: string;
  type: string;
  actor: string;
  data: Record<string, unknown>;
  tags: string[];
  traceparent: string | null;
  created_at: Date;
  txid: number;
  position: number;
}

export const eventColumns =
  'tenant_id, stream_id, sequence, event_id, type, actor, data, tags, traceparent, created_at';

export function toEventRow(module: SubgraphName, record: Omit<EventRecord, 'txid' | 'position'>): EventRow {
  return {
    tenantId: record.tenant_id,
    module,
    streamId: record.stream_id,
    sequence: record.sequence,
    eventId: record.event_id,
    type: record.type,
    actor: record.actor,
    data: record.data,
    tags: record.tags,
    ...(record.traceparent === null ? {} : { traceparent: record.traceparent }),
    createdAt: record.created_at.toISOString(),
  };
}

/** Where a reader that wants only what comes from now on begins. */
export async function currentPosition(sql: Sql | SqlTransaction): Promise<EventPosition> {
  const [row] = await sql<
    { txid: number }[]
  >`SELECT (pg_snapshot_xmin(pg_current_snapshot())::text)::bigint - 1 AS txid`;
  return { txid: row!.txid, position: Number.MAX_SAFE_INTEGER };
}

/**
 * Events after a position, oldest first, of transactions that are over for good: a transaction still open may commit
 * events with earlier positions, so nothing at or above the oldest running one is read yet.
 */
export async function readEventsAfter(
  sql: Sql | SqlTransaction,
  module: SubgraphName,
  after: EventPosition,
  limit: number,
): Promise<readonly PositionedEvent[]> {
  const rows = (await sql.unsafe(
    `SELECT ${eventColumns}, txid, position FROM ${module}.event
     WHERE (txid, position) > ($1::bigint, $2::bigint) AND txid < (pg_snapshot_xmin(pg_current_snapshot())::text)::bigint
     ORDER BY txid, position LIMIT $3`,
    [after.txid, after.position, limit],
    { prepare: true },
  )) as unknown as EventRecord[];
  return rows.map((row) => ({ at: { txid: row.txid, position: row.position }, event: toEventRow(module, row) }));
}

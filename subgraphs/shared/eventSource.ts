import { setTimeout as sleep } from 'node:timers/promises';
import type { SubgraphName } from '../names.ts';
import type { EventRow } from './events.ts';
import type { Sql, SqlTransaction } from './sql.ts';

export interface PositionedEvent {
  readonly position: number;
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
  position: number;
}

export const eventColumns =
  'tenant_id, stream_id, sequence, event_id, type, actor, data, tags, traceparent, created_at';

export function toEventRow(module: SubgraphName, record: Omit<EventRecord, 'position'>): EventRow {
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

export interface SettledPositions {
  /** Looks once and answers the position up to which nothing can appear any more. One statement, two where something new is drawn. */
  advance(): Promise<number>;
  /** Looks until all that was drawn before the call is settled, `maxWaitMs` at most; answers how far it came. */
  reach(maxWaitMs: number): Promise<number>;
}

/** Transactions last a few ms: looking more often costs a busy server more than it brings. */
const lookAgainMs = 15;

/**
 * Positions are drawn from a sequence under the lock of the event's stream, so they order each stream, but a
 * transaction may commit lower ones after another committed higher ones. What is drawn is read first, then a transaction
 * id is taken: every transaction that drew any of it has a lower one, for the stream's lock comes before. Once the
 * oldest running transaction is at or past that id, all those positions are final: committed or never to be seen.
 * A snapshot's `xmax` would not do: it follows the last transaction that ended, and passes over running ones above it
 * (seen: the position of an event still being written was taken for settled, and the event never read).
 * Transaction ids do not serve as the order: a transaction has its id before it waits for a stream's lock.
 */
export function createSettledPositions(sql: Sql, module: SubgraphName): SettledPositions {
  const query = `SELECT (pg_snapshot_xmin(s)::text)::bigint AS xmin,
    (SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM ${module}.event_position_seq) AS drawn
    FROM pg_current_snapshot() AS s`;
  let settled = 0;
  /** As last looked at. */
  let drawn = 0;
  let pending: { readonly position: number; readonly transaction: number } | null = null;

  async function advance(): Promise<number> {
    const [row] = (await sql.unsafe(query, [], { prepare: true })) as unknown as { xmin: number; drawn: number }[];
    if (pending && row!.xmin >= pending.transaction) {
      settled = pending.position;
      pending = null;
    }
    drawn = row!.drawn;
    if (drawn > settled && pending === null) {
      const [next] = (await sql.unsafe('SELECT (pg_current_xact_id()::text)::bigint AS transaction', [], {
        prepare: true,
      })) as unknown as { transaction: number }[];
      pending = { position: row!.drawn, transaction: next!.transaction };
    }
    return settled;
  }

  return {
    advance,
    async reach(maxWaitMs) {
      const deadline = performance.now() + maxWaitMs;
      await advance();
      const goal = drawn;
      while (settled < goal) {
        if ((await advance()) >= goal || performance.now() >= deadline) break;
        await sleep(lookAgainMs);
      }
      return settled;
    },
  };
}

/**
 * Events after a position and up to a settled one, of the types named or of all, in an order in which each stream stands
 * by its sequence.
 */
export async function readEvents(
  sql: Sql | SqlTransaction,
  module: SubgraphName,
  range: {
    readonly after: number;
    readonly upTo: number;
    readonly limit: number;
    readonly types?: readonly string[] | undefined;
  },
): Promise<readonly PositionedEvent[]> {
  if (range.upTo <= range.after) return [];
  const rows = (await sql.unsafe(
    `SELECT ${eventColumns}, position FROM ${module}.event WHERE position > $1::bigint AND position <= $2::bigint
       AND ($4::text[] IS NULL OR type = ANY($4::text[])) ORDER BY position LIMIT $3`,
    [range.after, range.upTo, range.limit, (range.types as string[] | undefined) ?? null],
    { prepare: true },
  )) as unknown as EventRecord[];
  return rows.map((row) => ({ position: row.position, event: toEventRow(module, row) }));
}

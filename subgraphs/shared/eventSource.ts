import { setTimeout as sleep } from 'node:timers/promises';
import type { SubgraphName } from '../names.ts';
import { runForAll } from './cancellation.ts';
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
  /** Looks once and answers the position up to which nothing can appear any more. */
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
 *
 * One look serves all modules of a database and all who ask before it begins: one statement, two where something new is
 * drawn, however many follow.
 */
function createHorizon(sql: Sql, table: PositionedTable) {
  const settled = new Map<SubgraphName, number>();
  /** As last looked at. */
  let drawn: ReadonlyMap<SubgraphName, number> = new Map();
  let pending: { readonly positions: ReadonlyMap<SubgraphName, number>; readonly transaction: number } | null = null;
  /** A look that has not begun. */
  let waiting: Promise<void> | null = null;
  let running: Promise<void> = Promise.resolve();

  async function lookNow(): Promise<void> {
    const modules = [...settled.keys()];
    const sequences = modules.map(
      (module) =>
        `(SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM ${module}.${table}_position_seq) AS ${module}`,
    );
    const [row] = (await sql.unsafe(
      `SELECT (pg_snapshot_xmin(s)::text)::bigint AS xmin, ${sequences.join(', ')} FROM pg_current_snapshot() AS s`,
      [],
      { prepare: true },
    )) as unknown as ({ xmin: number } & Record<SubgraphName, number>)[];
    if (pending && row!.xmin >= pending.transaction) {
      for (const [module, position] of pending.positions) settled.set(module, position);
      pending = null;
    }
    drawn = new Map(modules.map((module) => [module, row![module]]));
    if (pending !== null || modules.every((module) => drawn.get(module)! <= settled.get(module)!)) return;
    const positions = drawn;
    const [next] = (await sql.unsafe('SELECT (pg_current_xact_id()::text)::bigint AS transaction', [], {
      prepare: true,
    })) as unknown as { transaction: number }[];
    pending = { positions, transaction: next!.transaction };
  }

  /** A look that begins after the call. */
  function look(): Promise<void> {
    waiting ??= running
      .catch(() => {})
      .then(() => {
        waiting = null;
        running = runForAll(lookNow);
        return running;
      });
    return waiting;
  }

  return {
    of(module: SubgraphName): SettledPositions {
      if (!settled.has(module)) settled.set(module, 0);
      return {
        async advance() {
          await look();
          return settled.get(module)!;
        },
        async reach(maxWaitMs) {
          const deadline = performance.now() + maxWaitMs;
          // A look that had begun before this module was known does not tell of it.
          do await look();
          while (!drawn.has(module));
          const goal = drawn.get(module)!;
          while (settled.get(module)! < goal) {
            await look();
            if (settled.get(module)! >= goal || performance.now() >= deadline) break;
            await sleep(lookAgainMs);
          }
          return settled.get(module)!;
        },
      };
    },
  };
}

/** Tables of every module whose rows draw a position after their transaction has its id. */
export type PositionedTable = 'event' | 'audit';

const horizons = {
  event: new WeakMap<Sql, ReturnType<typeof createHorizon>>(),
  audit: new WeakMap<Sql, ReturnType<typeof createHorizon>>(),
};

/** Settled positions of a module's events or audit rows; all who ask by the same pool share its looks. */
export function settledPositionsOf(sql: Sql, module: SubgraphName, table: PositionedTable = 'event'): SettledPositions {
  const horizon = horizons[table].get(sql) ?? createHorizon(sql, table);
  horizons[table].set(sql, horizon);
  return horizon.of(module);
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

/** Ages of the events after a position, the oldest first, `limit` at most: s, by the database's clock. */
export async function readEventAges(
  sql: Sql,
  module: SubgraphName,
  range: { readonly after: number; readonly limit: number },
): Promise<readonly { readonly id: string; readonly seconds: number }[]> {
  return (await sql.unsafe(
    `SELECT event_id AS id, greatest(0, extract(epoch FROM now() - created_at))::float8 AS seconds FROM ${module}.event
     WHERE position > $1::bigint ORDER BY position LIMIT $2`,
    [range.after, range.limit],
    { prepare: true },
  )) as unknown as { id: string; seconds: number }[];
}

export interface UnseenEvents {
  readonly events: readonly EventRow[];
  /** How many there are in the range, those seen included, `limit` at most. */
  readonly found: number;
  /** Position up to which they were read. */
  readonly reached: number;
}

/**
 * As `readEvents`, without those that the caller has seen: of them the id alone is read. What an event carries is most of
 * what reading it costs, at either end.
 */
export async function readUnseenEvents(
  sql: Sql,
  module: SubgraphName,
  range: { readonly after: number; readonly upTo: number; readonly limit: number },
  isSeen: (eventId: string) => boolean,
): Promise<UnseenEvents> {
  if (range.upTo <= range.after) return { events: [], found: 0, reached: range.upTo };
  const found = (await sql.unsafe(
    `SELECT position, event_id AS id FROM ${module}.event WHERE position > $1::bigint AND position <= $2::bigint
     ORDER BY position LIMIT $3`,
    [range.after, range.upTo, range.limit],
    { prepare: true },
  )) as unknown as { position: number; id: string }[];
  const reached = found.length < range.limit ? range.upTo : found.at(-1)!.position;
  const unseen = found.filter(({ id }) => !isSeen(id)).map(({ position }) => position);
  if (unseen.length === 0) return { events: [], found: found.length, reached };
  const rows = (await sql.unsafe(
    `SELECT ${eventColumns} FROM ${module}.event WHERE position = ANY($1::bigint[]) ORDER BY position`,
    [unseen],
    { prepare: true },
  )) as unknown as EventRecord[];
  return { events: rows.map((row) => toEventRow(module, row)), found: found.length, reached };
}

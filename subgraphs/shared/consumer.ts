import { setTimeout as sleep } from 'node:timers/promises';
import type { SubgraphName } from '../names.ts';
import { backedOff } from './backoff.ts';
import type { Bus } from './bus.ts';
import { readEvents, settledPositionsOf } from './eventSource.ts';
import type { EventRow } from './events.ts';
import { eventWindowOf, type WindowReader } from './eventWindow.ts';
import { everyTick } from './sharedTicker.ts';
import type { Sql, SqlTransaction } from './sql.ts';
import type { Logger } from './telemetry.ts';

export interface ConsumerOptions {
  /** Name of the consumer: one reader at a time over all instances. */
  readonly name: string;
  readonly module: SubgraphName;
  readonly sql: Sql;
  readonly bus: Bus;
  readonly logger: Logger;
  /** Handles a page of events in order; its writes through `tx` commit together with the new offset. */
  readonly handle: (events: readonly EventRow[], tx: SqlTransaction) => Promise<void>;
  /**
   * Gets events as the bus brings them, at once and perhaps before its page, which waits for transactions still open and brings
   * each of them again: what it does has to be harmless to repeat and to leave out. @default nothing
   */
  readonly hear?: (events: readonly EventRow[]) => Promise<void>;
  /** Called once what `handle` wrote is committed. */
  readonly afterCommit?: () => void;
  /** @default 1_000 */
  readonly pollMs?: number;
  readonly pageSize?: number;
  /** Only these types are read. @default all */
  readonly types?: readonly string[];
  /** Where it says no, what has come is passed over unread: nobody waits for it. @default always */
  readonly isNeeded?: (tx: SqlTransaction) => Promise<boolean>;
  /**
   * Least time between two looks, ms. The first event after a quiet time is read at once; of a stream of them each look
   * takes what has gathered, so that a busy module does not pay for every consumer at each event. @default 100
   */
  readonly pauseMs?: number | (() => number);
}

export interface Consumer {
  /**
   * Reads everything that is committed now; for tests and for shutdown. A transaction that stays open, of whatever database
   * of the server, holds back what was written beside it: it is waited for ten seconds at most.
   */
  catchUp(): Promise<void>;
  close(): Promise<void>;
}

interface RunningConsumer {
  readonly module: SubgraphName;
  readonly name: string;
}

const running = new WeakMap<Sql, Set<RunningConsumer>>();

/** The consumers of this process that read by a pool. */
export function consumersOf(sql: Sql): readonly RunningConsumer[] {
  return [...(running.get(sql) ?? [])];
}

/** Events heard that wait for those before them; what is more comes with its page. */
const maxHeard = 5_000;
/** How long a look waits for transactions still open, ms; what they hold is read at the next one. */
const settleMs = 50;
/** How long catching up waits for them, and for another reader of the same name, ms. */
const catchUpMs = 10_000;
/** How often it asks whether the other reader is done, ms. */
const elsewhereMs = 20;

/** Reads every event of a module exactly once into the consumer's own tables, each stream in the order of its sequence, across restarts. */
export async function createConsumer(options: ConsumerOptions): Promise<Consumer> {
  const { sql, module, name, logger } = options;
  const { pageSize = 500, pauseMs = 100 } = options;
  await sql.unsafe(
    `INSERT INTO ${module}.consumer_offset (consumer, position) VALUES ($1, 0) ON CONFLICT DO NOTHING`,
    [name],
    { prepare: true },
  );
  let closed = false;
  let active: Promise<void> | null = null;
  let again = false;
  /** Looks in a row that failed. */
  let failures = 0;
  let lookedAt = Number.NEGATIVE_INFINITY;
  const closing = new AbortController();

  /** Answers whether the reading has to go on now, is done, or is another instance's at the moment. */
  async function page(upTo: number): Promise<'more' | 'done' | 'elsewhere'> {
    let handled = false;
    const state = await (sql.begin(async (tx) => {
      const [offset] = (await tx.unsafe(
        `SELECT position FROM ${module}.consumer_offset WHERE consumer = $1 FOR UPDATE SKIP LOCKED`,
        [name],
        { prepare: true },
      )) as unknown as { position: number }[];
      if (!offset) return 'elsewhere';
      const isNeeded = options.isNeeded === undefined || (await options.isNeeded(tx));
      const range = { after: offset.position, upTo, limit: pageSize };
      const events = isNeeded
        ? (window.peek(reader, range) ?? (await readEvents(tx, module, { ...range, types: options.types })))
        : [];
      const isFull = events.length === pageSize;
      handled = events.length > 0;
      if (events.length > 0)
        await options.handle(
          events.map((entry) => entry.event),
          tx,
        );
      const reached = isFull ? events.at(-1)!.position : upTo;
      if (reached > offset.position)
        await tx.unsafe(
          `UPDATE ${module}.consumer_offset SET position = $2, updated_at = now() WHERE consumer = $1`,
          [name, reached],
          { prepare: true },
        );
      return isFull ? 'more' : 'done';
    }) as Promise<'more' | 'done' | 'elsewhere'>);
    if (handled) options.afterCommit?.();
    return state;
  }

  // Known outside of the page's transaction: its own id would hold the horizon back.
  const positions = settledPositionsOf(sql, module);
  const types = options.types === undefined ? null : new Set(options.types);
  const window = eventWindowOf(sql, module);
  const reader: WindowReader = { types, position: null };
  const leave = window.join(reader);

  /** Whether nothing between two positions is this consumer's and its offset has moved over it. */
  async function passOver(from: number, upTo: number): Promise<boolean> {
    await window.extend(from, upTo);
    return window.peek(reader, { after: from, upTo, limit: 1 })?.length === 0 && window.pass(name, from, upTo);
  }

  let readUpTo = 0;
  /** Answers whether all that had settled is read; if not, another reader holds the offset. */
  async function drain(maxWaitMs = settleMs): Promise<boolean> {
    const upTo = await positions.reach(maxWaitMs);
    // A page that failed or was another's leaves readUpTo behind: it is looked at again even if nothing new comes.
    if (upTo === readUpTo) return true;
    // The first page begins where the offset stands, which only it knows.
    const passed = reader.position !== null && (await passOver(readUpTo, upTo));
    let state: Awaited<ReturnType<typeof page>> = passed ? 'done' : await page(upTo);
    while (state === 'more' && !closed) state = await page(upTo);
    if (state !== 'done') return false;
    readUpTo = upTo;
    reader.position = upTo;
    window.trim();
    return true;
  }

  function wake(): Promise<void> {
    if (active) {
      again = true;
      return active;
    }
    active = (async () => {
      do {
        const pause = typeof pauseMs === 'number' ? pauseMs : pauseMs();
        const wait = lookedAt + backedOff(pause, failures) - performance.now();
        if (wait > 0) await sleep(wait, undefined, { signal: closing.signal }).catch(() => {});
        if (closed) return;
        again = false;
        lookedAt = performance.now();
        try {
          await drain();
          failures = 0;
        } catch (error) {
          failures += 1;
          if (!closed) logger.error({ consumer: name, error: String(error) }, 'consumer failed; it tries again');
          return;
        }
      } while (again && !closed);
    })().finally(() => {
      active = null;
    });
    return active;
  }

  let heard: EventRow[] = [];
  let hearing: Promise<void> | null = null;
  async function hear(handle: (events: readonly EventRow[]) => Promise<void>): Promise<void> {
    while (heard.length > 0 && !closed) {
      const events = heard;
      heard = [];
      await handle(events).catch((error: unknown) =>
        logger.debug({ consumer: name, error: String(error) }, 'what was heard comes with its page'),
      );
    }
    hearing = null;
  }

  const unsubscribe = options.bus.subscribe(module, (messages) => {
    void wake();
    if (options.hear === undefined) return;
    for (const message of messages)
      if ('eventId' in message && types?.has(message.type) !== false && heard.length < maxHeard) heard.push(message);
    if (heard.length > 0) hearing ??= hear(options.hear);
  });
  const stopPolling = everyTick(options.pollMs ?? 1_000, () => void wake());
  void wake();
  const own = running.get(sql) ?? new Set();
  running.set(sql, own);
  const entry: RunningConsumer = { module, name };
  own.add(entry);
  return {
    async catchUp() {
      const deadline = performance.now() + catchUpMs;
      await active;
      while (!(await drain(deadline - performance.now())) && !closed && performance.now() < deadline)
        await sleep(elsewhereMs);
      // A look that began meanwhile may not have committed yet.
      await active;
    },
    async close() {
      closed = true;
      own.delete(entry);
      closing.abort();
      unsubscribe();
      stopPolling();
      await Promise.all([active, hearing]);
      // A look under way still goes by what the window holds of its types.
      leave();
    },
  };
}

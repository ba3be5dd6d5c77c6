import type { SubgraphName } from '../names.ts';
import type { Bus } from './bus.ts';
import { readEventsAfter } from './eventSource.ts';
import type { EventRow } from './events.ts';
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
  /** @default 1_000 */
  readonly pollMs?: number;
  readonly pageSize?: number;
}

export interface Consumer {
  /** Reads everything that is committed now; for tests and for shutdown. */
  catchUp(): Promise<void>;
  close(): Promise<void>;
}

/** Reads every event of a module exactly once into the consumer's own tables, in commit order, across restarts. */
export async function createConsumer(options: ConsumerOptions): Promise<Consumer> {
  const { sql, module, name, logger } = options;
  const pageSize = options.pageSize ?? 500;
  await sql.unsafe(
    `INSERT INTO ${module}.consumer_offset (consumer, txid, position) VALUES ($1, 0, 0) ON CONFLICT DO NOTHING`,
    [name],
  );
  let closed = false;
  let active: Promise<void> | null = null;
  let again = false;

  async function page(): Promise<number> {
    return sql.begin(async (tx) => {
      const [offset] = (await tx.unsafe(
        `SELECT txid, position FROM ${module}.consumer_offset WHERE consumer = $1 FOR UPDATE SKIP LOCKED`,
        [name],
      )) as unknown as { txid: number; position: number }[];
      // Another instance reads at the moment.
      if (!offset) return 0;
      const events = await readEventsAfter(tx, module, offset, pageSize);
      if (events.length === 0) return 0;
      await options.handle(
        events.map((entry) => entry.event),
        tx,
      );
      const last = events.at(-1)!.at;
      await tx.unsafe(
        `UPDATE ${module}.consumer_offset SET txid = $2, position = $3, updated_at = now() WHERE consumer = $1`,
        [name, last.txid, last.position],
      );
      return events.length;
    }) as Promise<number>;
  }

  async function drain(): Promise<void> {
    while (!closed && (await page()) === pageSize);
  }

  function wake(): Promise<void> {
    if (active) {
      again = true;
      return active;
    }
    active = (async () => {
      do {
        again = false;
        try {
          await drain();
        } catch (error) {
          if (!closed) logger.error({ consumer: name, error: String(error) }, 'consumer failed; it tries again');
          return;
        }
      } while (again && !closed);
    })().finally(() => {
      active = null;
    });
    return active;
  }

  const unsubscribe = options.bus.subscribe(module, () => void wake());
  const timer = setInterval(() => void wake(), options.pollMs ?? 1_000);
  void wake();
  return {
    async catchUp() {
      await active;
      await drain();
    },
    async close() {
      closed = true;
      unsubscribe();
      clearInterval(timer);
      await active;
    },
  };
}

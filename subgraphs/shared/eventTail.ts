import type { SubgraphName } from '../names.ts';
import { backedOff } from './backoff.ts';
import type { Bus, BusMessage } from './bus.ts';
import { createListenerSet } from './bus.ts';
import { readEventAges, readUnseenEvents, settledPositionsOf } from './eventSource.ts';
import type { Sql } from './sql.ts';
import type { Logger } from './telemetry.ts';

export interface EventTailOptions {
  readonly bus: Bus;
  readonly modules: readonly SubgraphName[];
  readonly sqlOf: (module: SubgraphName) => Sql;
  readonly logger: Logger;
  /** Poll while the bus connects the instances, ms: catches what a crash or the bus lost. @default 500 */
  readonly connectedPollMs?: number;
  /** Poll while it does not, ms. */
  readonly disconnectedPollMs: number;
  readonly onListenerError: (error: unknown) => void;
}

/** A bus that also hands on what only the event tables know: nothing committed is lost to a listener for long. */
export interface EventTail extends Bus {
  /** Polls now and resolves when everything committed before the call has been handed on. */
  sweep(): Promise<void>;
  /** What is committed and has not been handed on to the listeners of this process. */
  waiting(): Promise<readonly WaitingEvents[]>;
}

export interface WaitingEvents {
  readonly module: SubgraphName;
  /** `maxWaiting` at most. */
  readonly events: number;
  /** Age of the oldest, s; 0 of none. */
  readonly seconds: number;
}

const rememberedEvents = 50_000;
const pageSize = 1_000;
/** Events that wait are counted up to here. */
export const maxWaiting = 10_000;
/** How long a poll waits for transactions still open, ms; what they hold comes with the next one. */
const settleMs = 50;
const startWaitMs = 10_000;

/**
 * Wraps the bus. Events arrive by the bus at once; each instance also reads the event tables behind it and hands on
 * whatever the bus did not bring: events of a process that died between COMMIT and publish, of instances without a
 * common Redis, and of any time Redis was away. Listeners see each event once per instance, save after an overflow of
 * the memory of seen events, and must treat a repeat (same stream and sequence) as nothing new.
 */
export async function createEventTail(options: EventTailOptions): Promise<EventTail> {
  const { bus, logger } = options;
  const listeners = createListenerSet(options.onListenerError);
  const seen = new Set<string>();
  const remember = (eventId: string) => {
    seen.add(eventId);
    if (seen.size > rememberedEvents) {
      for (const oldest of seen) {
        seen.delete(oldest);
        break;
      }
    }
  };
  const readers = await Promise.all(
    options.modules.map(async (module) => {
      const sql = options.sqlOf(module);
      const positions = settledPositionsOf(sql, module);
      // From now on. A transaction that stays open for longer is one whose events only the bus will bring.
      return { module, sql, positions, at: await positions.reach(startWaitMs) };
    }),
  );

  const unsubscribe = bus.subscribe('*', (messages) => {
    const fresh = messages.filter((message) => !('eventId' in message && seen.has(message.eventId)));
    for (const message of fresh) if ('eventId' in message) remember(message.eventId);
    if (fresh.length > 0) listeners.dispatch(fresh);
  });

  async function read(reader: (typeof readers)[number]): Promise<void> {
    const upTo = await reader.positions.reach(settleMs);
    for (;;) {
      const range = { after: reader.at, upTo, limit: pageSize };
      const page = await readUnseenEvents(reader.sql, reader.module, range, (eventId) => seen.has(eventId));
      // The bus may have brought some of them meanwhile.
      const fresh: BusMessage[] = page.events.filter((event) => !seen.has(event.eventId));
      for (const event of fresh) if ('eventId' in event) remember(event.eventId);
      if (fresh.length > 0) listeners.dispatch(fresh);
      reader.at = page.reached;
      if (page.found < pageSize) return;
    }
  }

  let closed = false;
  /** Looks in a row that failed. */
  let failures = 0;
  let running: Promise<void> | null = null;
  function sweep(): Promise<void> {
    running ??= Promise.all(readers.map(read))
      .then(() => {
        failures = 0;
      })
      .catch((error: unknown) => {
        if (failures === 0 && !closed) logger.warn({ error: String(error) }, 'the event tables cannot be read');
        failures += 1;
      })
      .finally(() => {
        running = null;
      });
    return running;
  }
  let timer: NodeJS.Timeout;
  const schedule = () => {
    timer = setTimeout(
      async () => {
        await sweep();
        if (!closed) schedule();
      },
      backedOff(bus.connected ? (options.connectedPollMs ?? 500) : options.disconnectedPollMs, failures),
    );
  };
  schedule();

  return {
    get connected() {
      return bus.connected;
    },
    publish: (messages) => bus.publish(messages),
    subscribe: (module, listener) => listeners.add(module, listener),
    async sweep() {
      await running;
      await sweep();
    },
    waiting: () =>
      Promise.all(
        readers.map(async ({ sql, module, at }): Promise<WaitingEvents> => {
          const ages = await readEventAges(sql, module, { after: at, limit: maxWaiting });
          const unseen = ages.filter(({ id }) => !seen.has(id));
          return {
            module,
            events: unseen.length,
            seconds: Math.max(0, ...unseen.slice(0, 1).map((one) => one.seconds)),
          };
        }),
      ),
    async close() {
      closed = true;
      clearTimeout(timer);
      unsubscribe();
      await running;
      await bus.close();
    },
  };
}

import { PlatformError } from '#shared/errors.ts';
import type { EphemeralEvent, EventRow } from '#shared/events.ts';
import type { EventLog, StreamKey } from './eventLog.ts';
import type { HubLogger } from './logger.ts';
import type { GapSource, HubMetrics } from './metrics.ts';
import type { RecentEvents } from './recentEvents.ts';

export interface StreamListener {
  /** The next event of the stream: sequences come one after the other. */
  onEvent(event: EventRow): void;
  onEphemeral(event: EphemeralEvent): void;
  /** Events were dropped by retention before they could be read: the order cannot be continued. */
  onBroken(error: PlatformError): void;
}

export interface FollowerOptions {
  readonly key: StreamKey;
  readonly eventLog: EventLog;
  readonly pageSize: number;
  readonly recentEvents: RecentEvents;
  readonly logger: HubLogger;
  readonly metrics: HubMetrics;
}

/** Events that came too early and wait for the ones before them; beyond this the log is read again instead. */
const maxPending = 1_000;

/**
 * Turns what the bus brings of one stream (late, twice, out of order or not at all) into its events in order:
 * what is missing is read from the log, what was seen is dropped by its sequence.
 */
export function createStreamFollower({ key, eventLog, pageSize, recentEvents, logger, metrics }: FollowerOptions) {
  const listeners = new Set<StreamListener>();
  const pending = new Map<number, EventRow>();
  const recent = recentEvents.ofStream();
  /** Sequence of the last event that memory keeps. */
  let keptTo = 0;
  let watchers = 0;
  const reads = new Map<number, Promise<readonly EventRow[]>>();
  /** Last sequence handed to listeners; undefined until the head is known. */
  let position: number | undefined;
  /** Highest sequence known to exist. */
  let known = 0;
  let filling = false;
  let broken: PlatformError | undefined;

  const opened = available(eventLog.head(key)).then((head) => {
    position = head.lastSequence;
    known = Math.max(known, position);
    advance('live');
  });
  // Whoever acquires the stream awaits it; nobody else may.
  opened.catch(() => {});

  function dispatch(event: EventRow): void {
    position = event.sequence;
    known = Math.max(known, event.sequence);
    // A single one who goes takes the follower with it: nobody would ever ask for what is kept.
    if (watchers > 1) {
      recent.add(event);
      keptTo = event.sequence;
    }
    for (const listener of listeners) {
      try {
        listener.onEvent(event);
      } catch (err) {
        logger.error({ err, ...key, sequence: event.sequence }, 'a subscription group failed on an event');
      }
    }
  }

  /** Hands out what continues the order, and fetches what is missing before anything that already waits. */
  function advance(source: GapSource): void {
    if (position === undefined || broken !== undefined) return;
    for (let next = pending.get(position + 1); next !== undefined; next = pending.get(position + 1)) {
      pending.delete(next.sequence);
      dispatch(next);
    }
    if (pending.size > 0) {
      for (const sequence of pending.keys()) if (sequence <= position) pending.delete(sequence);
    }
    if (known > position) void fill(source);
  }

  async function fill(source: GapSource): Promise<void> {
    if (filling) return;
    filling = true;
    let filled = 0;
    try {
      while (position !== undefined && position < known && broken === undefined) {
        const rows = await readLog(position);
        const before = position;
        for (const row of rows) {
          if (row.sequence <= position) continue;
          if (row.sequence > position + 1) return breakOff();
          pending.delete(row.sequence);
          dispatch(row);
          filled++;
        }
        // A head read from a table whose event is not visible here yet: the next poll or sweep asks again.
        if (position === before) break;
      }
    } catch (err) {
      logger.warn({ err, ...key, position }, 'missing events could not be read; the next sweep tries again');
    } finally {
      filling = false;
      if (filled > 0) metrics.gapFilled(source, filled);
    }
    if (position !== undefined && pending.has(position + 1)) advance(source);
  }

  function breakOff(): void {
    broken = new PlatformError('RESUME_TOO_OLD', 'Events of this stream are no longer kept: read the state anew.');
    for (const listener of [...listeners]) listener.onBroken(broken);
  }

  /** Concurrent readers of one place share one query. */
  function readLog(afterSequence: number): Promise<readonly EventRow[]> {
    const running = reads.get(afterSequence);
    if (running !== undefined) return running;
    const read = available(eventLog.read({ ...key, afterSequence, limit: pageSize })).finally(() =>
      reads.delete(afterSequence),
    );
    reads.set(afterSequence, read);
    return read;
  }

  return {
    key,
    opened,
    get position(): number {
      return position ?? 0;
    },
    get broken(): PlatformError | undefined {
      return broken;
    },

    /** Takes one message of the bus. */
    offer(message: EventRow | EphemeralEvent): void {
      if (!('sequence' in message)) {
        if (position !== undefined) for (const listener of listeners) listener.onEphemeral(message);
        return;
      }
      if (position !== undefined && message.sequence === position + 1 && broken === undefined) {
        dispatch(message);
        if (pending.size > 0 || known > message.sequence) advance('live');
        return;
      }
      if (position !== undefined && message.sequence <= position) return;
      if (pending.size < maxPending) pending.set(message.sequence, message);
      known = Math.max(known, message.sequence);
      advance('live');
    },

    /** Takes what a poll or sweep found as the newest sequence. */
    offerHead(lastSequence: number, source: GapSource): void {
      known = Math.max(known, lastSequence);
      advance(source);
    },

    /** Events after `afterSequence` up to the present, where memory reaches back so far and up to it. */
    recentAfter: (afterSequence: number): readonly EventRow[] | undefined =>
      keptTo === position ? recent.after(afterSequence) : undefined,

    /** One more subscriber follows the stream, until the answer is called. Events are kept in memory for two and more. */
    watch(): () => void {
      watchers += 1;
      return () => {
        watchers -= 1;
      };
    },

    readLog,
    readHead: () => available(eventLog.head(key)),

    listen(listener: StreamListener): () => void {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

export type StreamFollower = ReturnType<typeof createStreamFollower>;

/** @throws {PlatformError} UNAVAILABLE instead of what the database says. */
async function available<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (cause) {
    throw new PlatformError('UNAVAILABLE', 'The event log does not answer at the moment.', { cause });
  }
}

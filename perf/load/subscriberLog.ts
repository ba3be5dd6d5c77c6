import { createHistogram } from './histogram.ts';
import type { SubscriberFinish, SubscriberReport } from './subscriberMessages.ts';
import type { ReceivedEvent } from './workload.ts';

interface Receipts {
  readonly cursor: string | undefined;
  times: Float64Array;
  count: number;
}

export interface SubscriberLog {
  /** @param socket number of the socket within this process */
  receive(socket: number, event: ReceivedEvent, atMs: number, epochMs: number): void;
  readonly received: number;
  /** Forgets latencies so far, keeps sequences: the window begins. */
  beginWindow(): void;
  report(
    finish: SubscriberFinish,
  ): Pick<
    SubscriberReport,
    'received' | 'sinceCommitted' | 'sinceCreated' | 'sinceAcknowledged' | 'gaps' | 'duplicates' | 'missing' | 'silent'
  >;
}

/** Keeps what the sockets of one process got: order per stream, and when. */
export function createSubscriberLog(sockets: number): SubscriberLog {
  /** Last sequence by socket and stream; a socket's first event sets where it joined. */
  const last: Map<string, number>[] = [];
  const receipts = new Map<string, Receipts>();
  let sinceCreated = createHistogram();
  let received = 0;
  let gaps = 0;
  let duplicates = 0;

  function note(key: string, cursor: string | undefined, atMs: number): void {
    let entry = receipts.get(key);
    if (!entry) {
      entry = { cursor, times: new Float64Array(64), count: 0 };
      receipts.set(key, entry);
    }
    if (entry.count === entry.times.length) {
      const grown = new Float64Array(entry.times.length * 4);
      grown.set(entry.times);
      entry.times = grown;
    }
    entry.times[entry.count++] = atMs;
  }

  return {
    get received() {
      return received;
    },
    receive(socket, event, atMs, epochMs) {
      received += 1;
      let streams = last[socket];
      if (!streams) {
        streams = new Map();
        last[socket] = streams;
      }
      const before = streams.get(event.stream);
      if (before === undefined || event.sequence > before) {
        if (before !== undefined) gaps += event.sequence - before - 1;
        streams.set(event.stream, event.sequence);
      } else duplicates += 1;
      if (event.createdAtMs !== undefined) sinceCreated.record(epochMs - event.createdAtMs);
      if (event.key !== undefined) note(event.key, event.cursor, atMs);
    },
    beginWindow() {
      sinceCreated = createHistogram();
      receipts.clear();
      received = 0;
    },
    report(finish) {
      const sinceAcknowledged = createHistogram();
      const sinceCommitted = createHistogram();
      const acknowledged = new Map(finish.acknowledged);
      const committed = new Map(finish.committed);
      for (const [key, { cursor, times, count }] of receipts) {
        const acknowledgedMs = acknowledged.get(key);
        const committedMs = cursor === undefined ? undefined : committed.get(cursor);
        for (let i = 0; i < count; i += 1) {
          if (acknowledgedMs !== undefined) sinceAcknowledged.record(times[i]! - acknowledgedMs);
          if (committedMs !== undefined) sinceCommitted.record(times[i]! - committedMs);
        }
      }
      let missing = 0;
      for (const [stream, sequence] of finish.lastSequences) {
        for (const streams of last) {
          const got = streams?.get(stream);
          if (got !== undefined) missing += Math.max(0, sequence - got);
        }
      }
      return {
        received,
        sinceCommitted: sinceCommitted.toData(),
        sinceCreated: sinceCreated.toData(),
        sinceAcknowledged: sinceAcknowledged.toData(),
        gaps,
        duplicates,
        missing,
        silent: Array.from({ length: sockets }, (_, socket) => last[socket]).filter((streams) => streams === undefined)
          .length,
      };
    },
  };
}

import { createFollowedStream, type FollowedStream } from './followedStream.ts';

/** A row as it stands in the record after the run. */
export interface FinalRow {
  readonly stream: string;
  readonly id: string;
  readonly sequence: number;
  readonly type?: string;
}

export type ViolationKind =
  | 'acknowledged-lost'
  | 'acknowledged-changed'
  | 'acknowledged-twice'
  | 'refused-stored'
  | 'never-sent'
  | 'duplicate-write'
  | 'sequence-gap'
  | 'sequence-repeat'
  | 'delivered-uncommitted'
  | 'delivered-changed'
  | 'delivery-out-of-order'
  | 'delivery-duplicate'
  | 'delivery-gap'
  | 'delivery-missing'
  | 'delivery-after-removal';

export interface Violation {
  readonly kind: ViolationKind;
  readonly message: string;
  readonly stream?: string;
  readonly id?: string;
  readonly sequence?: number;
  readonly subscriber?: string;
}

export interface Delivery {
  readonly stream: string;
  readonly id: string;
  readonly sequence: number;
}

export interface SubscriptionStart {
  readonly stream: string;
  /** Sequence after which it begins; without it, whatever comes first is the beginning. */
  readonly after?: number;
  /** Rows it selects; all by default. */
  selects?(row: FinalRow): boolean;
}

export interface CheckOptions {
  /** Demands that everyone who neither left nor was removed has received the record to its end. @default true */
  readonly complete?: boolean;
  /** Allows rows that no client said it sent, such as the server's own. @default true */
  readonly unsentAllowed?: boolean;
  /** Lowest sequence still kept in each stream. @default 1 */
  readonly firstSequence?: number;
}

export interface HistoryReport {
  readonly violations: readonly Violation[];
  readonly sent: number;
  readonly acknowledged: number;
  readonly committed: number;
  /** Stored although the client never heard so: allowed, the answer was lost. */
  readonly committedUnacknowledged: number;
  /** Stored and never sent by a client that this history knows. */
  readonly committedUnsent: number;
  readonly deliveries: number;
  /** Received again because the subscriber resumed from an older cursor: allowed. */
  readonly redelivered: number;
}

export interface History {
  sent(id: string): void;
  acknowledged(stream: string, write: { id: string; sequence: number }): void;
  /** The platform said definitely no: it must not be stored. A timeout is no refusal. */
  refused(id: string): void;
  subscribed(subscriber: string, start: SubscriptionStart): void;
  delivered(subscriber: string, delivery: Delivery): void;
  /** The subscriber asked to go on after this sequence; without a stream, in all it follows. */
  resumed(subscriber: string, afterSequence: number, stream?: string): void;
  /** The subscriber lost access by the event of this sequence: it may see that event and none after. */
  removed(subscriber: string, stream: string, atSequence: number): void;
  /** The subscriber went away by itself: it need not have received the rest. */
  left(subscriber: string, stream?: string): void;
  /** Compares what the clients did and saw with the record. */
  check(rows: readonly FinalRow[], options?: CheckOptions): HistoryReport;
}

/** One stream of the record, by sequence. */
export interface RecordedStream {
  readonly rows: readonly FinalRow[];
  readonly byId: ReadonlyMap<string, FinalRow>;
}

function indexRecord(
  rows: readonly FinalRow[],
  firstSequence: number,
  report: (violation: Violation) => void,
): ReadonlyMap<string, RecordedStream> {
  const streams = new Map<string, { rows: FinalRow[]; byId: Map<string, FinalRow> }>();
  const places = new Map<string, FinalRow>();
  for (const row of rows) {
    const stream = streams.get(row.stream) ?? { rows: [], byId: new Map<string, FinalRow>() };
    streams.set(row.stream, stream);
    const before = places.get(row.id);
    if (before) {
      report({
        kind: 'duplicate-write',
        ...row,
        message: `${row.id} is stored twice: as ${before.stream}#${before.sequence} and as ${row.stream}#${row.sequence}`,
      });
    }
    places.set(row.id, row);
    if (!stream.byId.has(row.id)) stream.byId.set(row.id, row);
    stream.rows.push(row);
  }
  for (const [name, stream] of streams) {
    stream.rows.sort((left, right) => left.sequence - right.sequence);
    let expected = firstSequence;
    for (const row of stream.rows) {
      if (row.sequence > expected) {
        const missing = row.sequence - 1 > expected ? `${expected} to ${row.sequence - 1}` : `${expected}`;
        report({
          kind: 'sequence-gap',
          stream: name,
          sequence: expected,
          message: `${name}: sequence ${missing} is missing in the record, before ${row.id}`,
        });
      } else if (row.sequence < expected) {
        report({
          kind: 'sequence-repeat',
          ...row,
          message: `${name}: sequence ${row.sequence} occurs again, at ${row.id}`,
        });
      }
      expected = Math.max(expected, row.sequence + 1);
    }
  }
  return streams;
}

/**
 * Records what clients did and saw and finds what a correct platform cannot have produced: lost or doubled writes,
 * holes in a stream's sequence, and deliveries that are missing, repeated, out of order, unfounded or no longer allowed.
 */
export function createHistory(): History {
  const sentIds = new Set<string>();
  const refusedIds = new Set<string>();
  const acknowledgements: { stream: string; id: string; sequence: number }[] = [];
  const subscribers = new Map<string, Map<string, FollowedStream>>();
  let deliveries = 0;

  function follow(subscriber: string, stream: string): FollowedStream {
    const streams = subscribers.get(subscriber) ?? new Map<string, FollowedStream>();
    subscribers.set(subscriber, streams);
    const followed = streams.get(stream) ?? createFollowedStream(subscriber, stream);
    streams.set(stream, followed);
    return followed;
  }

  function followedBy(subscriber: string, stream: string | undefined): FollowedStream[] {
    return stream === undefined ? [...(subscribers.get(subscriber)?.values() ?? [])] : [follow(subscriber, stream)];
  }

  function checkWrites(rows: readonly FinalRow[], unsentAllowed: boolean, report: (violation: Violation) => void) {
    const stored = new Map<string, FinalRow>();
    for (const row of rows) if (!stored.has(row.id)) stored.set(row.id, row);
    const promised = new Map<string, { stream: string; sequence: number }>();
    for (const write of acknowledgements) {
      const { stream, id, sequence } = write;
      const before = promised.get(id);
      if (before && (before.stream !== stream || before.sequence !== sequence)) {
        report({
          kind: 'acknowledged-twice',
          ...write,
          message: `${id} was acknowledged as ${before.stream}#${before.sequence} and again as ${stream}#${sequence}`,
        });
        continue;
      }
      if (before) continue;
      promised.set(id, write);
      const row = stored.get(id);
      if (!row)
        report({
          kind: 'acknowledged-lost',
          ...write,
          message: `${id} was acknowledged as ${stream}#${sequence} and is not in the record`,
        });
      else if (row.stream !== stream || row.sequence !== sequence) {
        report({
          kind: 'acknowledged-changed',
          ...write,
          message: `${id} was acknowledged as ${stream}#${sequence}, the record has it as ${row.stream}#${row.sequence}`,
        });
      }
    }
    let committedUnacknowledged = 0;
    let committedUnsent = 0;
    for (const row of stored.values()) {
      if (refusedIds.has(row.id))
        report({
          kind: 'refused-stored',
          ...row,
          message: `${row.id} was refused and is stored as ${row.stream}#${row.sequence}`,
        });
      if (promised.has(row.id)) continue;
      if (sentIds.has(row.id)) committedUnacknowledged += 1;
      else {
        committedUnsent += 1;
        if (!unsentAllowed)
          report({
            kind: 'never-sent',
            ...row,
            message: `${row.id} is stored as ${row.stream}#${row.sequence} and no client sent it`,
          });
      }
    }
    return { acknowledged: promised.size, committed: stored.size, committedUnacknowledged, committedUnsent };
  }

  return {
    sent: (id) => void sentIds.add(id),
    acknowledged: (stream, { id, sequence }) => void acknowledgements.push({ stream, id, sequence }),
    refused: (id) => void refusedIds.add(id),
    subscribed: (subscriber, { stream, after, selects }) => follow(subscriber, stream).start(after, selects),
    delivered(subscriber, { stream, id, sequence }) {
      deliveries += 1;
      follow(subscriber, stream).deliver(id, sequence);
    },
    resumed(subscriber, afterSequence, stream) {
      const followed = followedBy(subscriber, stream);
      // Otherwise the cursor would vanish unchecked.
      if (followed.length === 0) throw new Error(`resumed(${subscriber}): it follows no stream yet, name one`);
      for (const entry of followed) entry.resume(afterSequence);
    },
    removed: (subscriber, stream, atSequence) => follow(subscriber, stream).remove(atSequence),
    left(subscriber, stream) {
      for (const entry of followedBy(subscriber, stream)) entry.leave();
    },
    check(rows, { complete = true, unsentAllowed = true, firstSequence = 1 } = {}) {
      const violations: Violation[] = [];
      const report = (violation: Violation) => void violations.push(violation);
      const record = indexRecord(rows, firstSequence, report);
      const writes = checkWrites(rows, unsentAllowed, report);
      let redelivered = 0;
      for (const streams of subscribers.values()) {
        for (const [name, followed] of streams)
          redelivered += followed.check(record.get(name) ?? { rows: [], byId: new Map() }, complete, report);
      }
      return { violations, sent: sentIds.size, ...writes, deliveries, redelivered };
    },
  };
}

import type { EventRow } from '#shared/events.ts';

export interface RecentEventsOptions {
  /** Bytes that the events of all streams may take. */
  readonly maxBytes: number;
  /** Newest events kept of each stream. */
  readonly maxEvents: number;
}

/** Newest events of one stream, so that who reconnects need not read the log. */
export interface RecentStreamEvents {
  /** Keeps an event: the one after the last that was kept. */
  add(event: EventRow): void;
  /** Events after `sequence` up to the newest, or undefined where they do not reach back so far. */
  after(sequence: number): readonly EventRow[] | undefined;
}

/** Memory is taken as it is needed, this much at once. */
const chunkBytes = 1024 * 1024;
const lengthBytes = 4;

/**
 * The newest events of all streams as JSON in a ring of bytes, where the newest takes the place of the oldest. Kept as
 * objects, each event outlived the young generation: the collector copied it twice, and a thousand busy streams took a
 * gigabyte.
 */
export function createRecentEvents({ maxBytes, maxEvents }: RecentEventsOptions) {
  const chunks: Buffer[] = [];
  const maxChunks = Math.max(1, Math.floor(maxBytes / chunkBytes));
  /** Where the next event is written: bytes since the beginning, of which the last `maxChunks` chunks are there. */
  let end = 0;

  /** Answers where it stands; undefined of what no chunk holds. */
  function write(text: string): number | undefined {
    // Three bytes a character at most; only what may be too long is counted.
    if (text.length * 3 + lengthBytes > chunkBytes && Buffer.byteLength(text) + lengthBytes > chunkBytes)
      return undefined;
    let free = chunkBytes - (end % chunkBytes);
    if (text.length * 3 + lengthBytes > free && Buffer.byteLength(text) + lengthBytes > free) {
      end += free;
      free = chunkBytes;
    }
    const index = Math.floor(end / chunkBytes) % maxChunks;
    chunks[index] ??= Buffer.allocUnsafeSlow(chunkBytes);
    const chunk = chunks[index];
    const at = end % chunkBytes;
    const length = chunk.write(text, at + lengthBytes);
    chunk.writeUInt32LE(length, at);
    const start = end;
    end += lengthBytes + length;
    return start;
  }

  function read(start: number): EventRow | undefined {
    const chunkNumber = Math.floor(start / chunkBytes);
    // A chunk is written anew from its beginning: all that stood in it counts as gone.
    if (Math.floor(end / chunkBytes) - chunkNumber >= maxChunks) return undefined;
    const chunk = chunks[chunkNumber % maxChunks];
    if (chunk === undefined) return undefined;
    const at = (start % chunkBytes) + lengthBytes;
    const text = chunk.toString('utf8', at, at + chunk.readUInt32LE(at - lengthBytes));
    return JSON.parse(text) as EventRow;
  }

  return {
    ofStream(): RecentStreamEvents {
      /** Where each event stands, a ring as well. */
      const starts: number[] = [];
      /** Sequence of the event that was kept first of all. */
      let base = 0;
      let oldest = 0;
      let next = 0;
      return {
        add(event) {
          const { sequence } = event;
          const start = maxEvents === 0 ? undefined : write(JSON.stringify(event));
          if (start === undefined || sequence !== next) {
            // What was kept does not reach up to what comes now.
            starts.length = 0;
            base = sequence;
            oldest = sequence;
          }
          next = sequence + 1;
          if (start === undefined) {
            base = next;
            oldest = next;
            return;
          }
          starts[(sequence - base) % maxEvents] = start;
          if (next - oldest > maxEvents) oldest = next - maxEvents;
        },

        after(sequence) {
          if (oldest === next || sequence + 1 < oldest) return undefined;
          const events: EventRow[] = [];
          for (let wanted = sequence + 1; wanted < next; wanted++) {
            const start = starts[(wanted - base) % maxEvents];
            const event = start === undefined ? undefined : read(start);
            if (event === undefined) return undefined;
            events.push(event);
          }
          return events;
        },
      };
    },
  };
}

export type RecentEvents = ReturnType<typeof createRecentEvents>;

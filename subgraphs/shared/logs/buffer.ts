import { type LogRecord, logLevels } from './record.ts';

/** A line as pino wrote it, read only when it is stored. */
export type BufferedLog = LogRecord | string;

export interface LogBuffer {
  /** Takes pino's line. Never waits. */
  line(text: string): void;
  /** Takes a record. False where it was dropped, which only records below WARN are. Never waits. */
  add(record: LogRecord): boolean;
  /** The oldest, those of WARN and above first. */
  take(max: number): readonly BufferedLog[];
  /** Puts back what could not be stored: it comes first again. */
  putBack(records: readonly BufferedLog[]): void;
  /** Called at each record that comes. */
  onPending: ((isSevere: boolean) => void) | null;
  readonly size: number;
  /** Records dropped since the process began. */
  readonly dropped: number;
}

/** pino writes the level first: `{"level":30,`. */
const levelAt = '{"level":'.length;

function levelOf(record: BufferedLog): number {
  return typeof record === 'string' ? Number(record.slice(levelAt, levelAt + 2)) : record.level;
}

/**
 * Records between who logs and the table. Those below WARN stand in a ring of `capacity`: when it is full, new ones are
 * dropped and counted. Those of WARN and above are never dropped.
 */
export function createLogBuffer({ capacity = 20_000 }: { readonly capacity?: number } = {}): LogBuffer {
  const ring = new Array<BufferedLog | undefined>(capacity);
  let first = 0;
  let count = 0;
  let severe: BufferedLog[] = [];
  let dropped = 0;

  function accept(record: BufferedLog): boolean {
    const isSevere = levelOf(record) >= logLevels.WARN;
    if (isSevere) severe.push(record);
    else if (count === capacity) {
      dropped += 1;
      return false;
    } else {
      ring[(first + count) % capacity] = record;
      count += 1;
    }
    buffer.onPending?.(isSevere);
    return true;
  }

  const buffer: LogBuffer = {
    line: (text) => void accept(text),
    add: accept,
    take(max) {
      const taken = severe.slice(0, max);
      severe = severe.length > max ? severe.slice(max) : [];
      while (taken.length < max && count > 0) {
        taken.push(ring[first]!);
        ring[first] = undefined;
        first = (first + 1) % capacity;
        count -= 1;
      }
      return taken;
    },
    putBack(records) {
      severe = [...records.filter((record) => levelOf(record) >= logLevels.WARN), ...severe];
      for (const record of records.filter((one) => levelOf(one) < logLevels.WARN).reverse()) {
        if (count === capacity) {
          dropped += 1;
          continue;
        }
        first = (first - 1 + capacity) % capacity;
        ring[first] = record;
        count += 1;
      }
    },
    onPending: null,
    get size() {
      return count + severe.length;
    },
    get dropped() {
      return dropped;
    },
  };
  return buffer;
}

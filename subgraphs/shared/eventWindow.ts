import type { SubgraphName } from '../names.ts';
import { runForAll } from './cancellation.ts';
import { type PositionedEvent, readEvents } from './eventSource.ts';
import type { Sql } from './sql.ts';

/** One of those who read a module's events by the same pool. */
export interface WindowReader {
  /** Types it reads; null: all. */
  readonly types: ReadonlySet<string> | null;
  /** Up to here it has read; null before its first page. */
  position: number | null;
}

/** The newest settled events of a module, read once for all consumers of this process. */
export interface EventWindow {
  /** Takes part; answers how to leave. */
  join(reader: WindowReader): () => void;
  /** Reads what follows a position, where that is near enough to be worth keeping. */
  extend(after: number, upTo: number): Promise<void>;
  /**
   * The reader's events after a position and up to a settled one, `limit` at most; null where they are not at hand.
   * All readers are given the same objects: none may change them.
   */
  peek(
    reader: WindowReader,
    range: { readonly after: number; readonly upTo: number; readonly limit: number },
  ): readonly PositionedEvent[] | null;
  /** Lets go of what all readers have read. */
  trim(): void;
  /** Moves a consumer's offset over what holds nothing for it; false where its offset lies before `from` or another instance has it. */
  pass(consumer: string, from: number, upTo: number): Promise<boolean>;
}

/** What is further behind is read by whoever is: after a pause, at a start. */
const maxPositions = 2_000;
const fetchEvents = 500;
/** Rows may be rewritten (the erasure of a subject): nothing is handed out that was read longer ago, ms. */
const maxAgeMs = 1_000;

interface KeptEvent extends PositionedEvent {
  readonly readAtMs: number;
}

/** What is to move to one position in one turn of the event loop. */
interface Passing {
  readonly upTo: number;
  /** Where each consumer stands. */
  readonly from: Map<string, number>;
  /** Those that have moved. */
  readonly passed: Promise<ReadonlySet<string>>;
}

/**
 * Consumers are woken by the same events and look at the same moments: what each of them would read, and most would find
 * nothing of theirs in, is read once, and those it holds nothing for move on together in one statement.
 */
export function createEventWindow(sql: Sql, module: SubgraphName): EventWindow {
  const readers = new Set<WindowReader>();
  /** Those after `from` and up to `to`, of the types of all readers. */
  let events: readonly KeptEvent[] = [];
  let from = 0;
  let to = 0;
  let generation = 0;
  let extending: Promise<void> | null = null;
  let passing: Passing | null = null;

  function restart(at: number): void {
    events = [];
    from = at;
    to = at;
    generation += 1;
  }

  function trim(): void {
    const positions = [...readers].flatMap(({ position }) => (position === null ? [] : [position]));
    const oldestMs = performance.now() - maxAgeMs;
    const needed = Math.max(from, to - maxPositions, Math.min(to, ...positions));
    const kept = events.findIndex(({ position, readAtMs }) => position > needed && readAtMs > oldestMs);
    const next = kept === -1 ? [] : events.slice(kept);
    if (next.length === events.length) return;
    from = kept === -1 ? to : Math.max(needed, events[kept - 1]!.position);
    events = next;
  }

  async function fetch(upTo: number): Promise<void> {
    const begun = generation;
    const types = [...readers].some((reader) => reader.types === null)
      ? undefined
      : [...new Set([...readers].flatMap((reader) => [...reader.types!]))];
    const found = await readEvents(sql, module, { after: to, upTo, limit: fetchEvents, types });
    // Begun anew meanwhile: for a reader of other types, or further on.
    if (generation !== begun) return;
    const readAtMs = performance.now();
    events = events.concat(found.map((one) => ({ ...one, readAtMs })));
    to = found.length === fetchEvents ? found.at(-1)!.position : upTo;
  }

  async function moveOn(upTo: number, standing: ReadonlyMap<string, number>): Promise<ReadonlySet<string>> {
    const rows = (await sql.unsafe(
      `UPDATE ${module}.consumer_offset AS o SET position = greatest(o.position, $3::bigint), updated_at = now() FROM (
         SELECT k.consumer FROM ${module}.consumer_offset k
         JOIN unnest($1::text[], $2::bigint[]) AS s(consumer, position) ON k.consumer = s.consumer AND k.position >= s.position
         FOR UPDATE OF k SKIP LOCKED) AS free
       WHERE o.consumer = free.consumer RETURNING o.consumer`,
      [[...standing.keys()], [...standing.values()], upTo],
      { prepare: true },
    )) as unknown as { consumer: string }[];
    return new Set(rows.map(({ consumer }) => consumer));
  }

  return {
    join(reader) {
      const known = [...readers];
      const isRead = (type: string) => known.some(({ types }) => types === null || types.has(type));
      readers.add(reader);
      if (known.some(({ types }) => types === null)) return () => readers.delete(reader);
      // What is kept does not hold its types.
      if (reader.types === null || ![...reader.types].every(isRead)) restart(to);
      return () => readers.delete(reader);
    },
    trim,
    async extend(after, upTo) {
      if (upTo - after > maxPositions) return;
      for (;;) {
        while (extending !== null) await extending.catch(() => {});
        trim();
        if (after > to) restart(after);
        if (after < from || to >= upTo) return;
        extending = runForAll(() => fetch(upTo)).finally(() => {
          extending = null;
        });
        await extending;
      }
    },
    peek(reader, { after, upTo, limit }) {
      // Of types that nobody here reads nothing is at hand, which is not to say that there is nothing.
      if (!readers.has(reader) || after < from || upTo > to) return null;
      const { types } = reader;
      const found: PositionedEvent[] = [];
      const oldestMs = performance.now() - maxAgeMs;
      for (const one of events) {
        if (one.position > upTo || found.length === limit) break;
        if (one.position <= after || types?.has(one.event.type) === false) continue;
        if (one.readAtMs < oldestMs) return null;
        found.push(one);
      }
      return found;
    },
    async pass(consumer, position, upTo) {
      if (passing?.upTo !== upTo) {
        const standing = new Map<string, number>();
        const passed = new Promise((resolve) => setImmediate(resolve)).then(() => {
          if (passing?.from === standing) passing = null;
          return runForAll(() => moveOn(upTo, standing));
        });
        passing = { upTo, from: standing, passed };
      }
      passing.from.set(consumer, position);
      return (await passing.passed).has(consumer);
    },
  };
}

const windows = new WeakMap<Sql, Map<SubgraphName, EventWindow>>();

/** The window of all who read the module by this pool. */
export function eventWindowOf(sql: Sql, module: SubgraphName): EventWindow {
  const ofPool = windows.get(sql) ?? new Map<SubgraphName, EventWindow>();
  windows.set(sql, ofPool);
  const window = ofPool.get(module) ?? createEventWindow(sql, module);
  ofPool.set(module, window);
  return window;
}

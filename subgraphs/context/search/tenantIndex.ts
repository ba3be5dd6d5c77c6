import { setImmediate as nextTurn } from 'node:timers/promises';
import { runForAll } from '#shared/cancellation.ts';
import type { Sql } from '#shared/sql.ts';
import { type ContextIndex, createContextIndex, readDocuments, readSlice, toDocument } from './documents.ts';

export interface TenantIndexOptions {
  readonly sql: Sql;
  readonly tenantId: string;
}

/** One tenant's contexts in memory, current as of what this process has heard. */
export interface TenantIndex {
  /** To be searched once `settle` has resolved. */
  readonly index: ContextIndex;
  readonly loaded: boolean;
  /** Contexts that have changed and are not read again yet. */
  readonly dirtyCount: number;
  /** Reads all contexts. What changes meanwhile is marked, and read again before this resolves. */
  load(maxBytes: number): Promise<void>;
  /** A context has changed: it is read again before the next search is answered. */
  mark(contextId: string): void;
  /** Resolves when every change marked before the call is in the index. */
  settle(): Promise<void>;
}

/** The index outgrew what it may take. */
export class IndexTooLarge extends Error {}

const sliceRows = 1_000;
/** Documents put in before other work gets its turn: about 5 ms. */
const rowsPerTurn = 200;
const rereadRows = 500;
const lowestId = '00000000-0000-0000-0000-000000000000';

/**
 * No change is lost: marks are taken from before the first slice is read, and whatever was committed before an event
 * was heard stands in what is read after it. Rereads run one after the other, so that a later one always sees more.
 */
export function createTenantIndex({ sql, tenantId }: TenantIndexOptions): TenantIndex {
  const index = createContextIndex();
  const dirty = new Set<string>();
  let loaded = false;
  let marks = 0;
  let settled = 0;
  let rereading: Promise<void> | null = null;

  async function reread(): Promise<void> {
    const upTo = marks;
    const ids = [...dirty];
    dirty.clear();
    try {
      for (let from = 0; from < ids.length; from += rereadRows) {
        const part = ids.slice(from, from + rereadRows);
        const rows = await readDocuments(sql, tenantId, part);
        const found = new Set(rows.map(({ id }) => id));
        for (const id of part) if (!found.has(id)) index.remove(id);
        for (const row of rows) index.put(toDocument(row));
      }
      settled = upTo;
    } catch (error) {
      for (const id of ids) dirty.add(id);
      throw error;
    } finally {
      rereading = null;
    }
  }

  async function settle(): Promise<void> {
    const goal = marks;
    while (settled < goal) {
      rereading ??= runForAll(reread);
      await rereading;
    }
  }

  return {
    index,
    get loaded() {
      return loaded;
    },
    get dirtyCount() {
      return dirty.size;
    },
    async load(maxBytes) {
      // A connection of its own: behind every search that waits for one, the index that relieves them would never come.
      const connection = await sql.reserve();
      try {
        let after = lowestId;
        for (;;) {
          const rows = await readSlice(connection, tenantId, after, sliceRows);
          for (const [at, row] of rows.entries()) {
            if (at % rowsPerTurn === rowsPerTurn - 1) await nextTurn();
            index.put(toDocument(row));
          }
          if (index.bytes > maxBytes) throw new IndexTooLarge(`over ${maxBytes} bytes at ${index.size} contexts`);
          if (rows.length < sliceRows) break;
          after = rows.at(-1)!.id;
        }
      } finally {
        connection.release();
      }
      await settle();
      loaded = true;
    },
    mark(contextId) {
      dirty.add(contextId);
      marks += 1;
    },
    settle,
  };
}

import DataLoader from 'dataloader';
import type { RequestScope } from './context.ts';

export interface LoaderOptions<Key, Row> {
  /** One query for all keys; rows in any order, absent keys left out. */
  readonly fetch: (keys: readonly Key[]) => Promise<readonly Row[]>;
  readonly keyOf: (row: Row) => Key;
  /** Cache tag of a key: reported also for keys that have no row, so that its creation drops the cached absence. */
  readonly tagOf?: (key: Key) => string;
  readonly scope: RequestScope;
  /** @default 500 */
  readonly maxBatchSize?: number;
}

/** A loader of single rows by key; answers null for keys without a row. */
export function createRowLoader<Key extends string, Row>(
  options: LoaderOptions<Key, Row>,
): DataLoader<Key, Row | null> {
  return new DataLoader<Key, Row | null>(
    async (keys) => {
      const byKey = new Map<Key, Row>();
      for (const row of await options.fetch(keys)) byKey.set(options.keyOf(row), row);
      if (options.tagOf) for (const key of keys) options.scope.readTags.add(options.tagOf(key));
      return keys.map((key) => byKey.get(key) ?? null);
    },
    { maxBatchSize: options.maxBatchSize ?? 500 },
  );
}

export interface ListLoaderOptions<Key, Row> extends LoaderOptions<Key, Row> {}

/** A loader of lists by parent key: one query for all parents, rows grouped and kept in the query's order. */
export function createListLoader<Key extends string, Row>(
  options: ListLoaderOptions<Key, Row>,
): DataLoader<Key, readonly Row[]> {
  return new DataLoader<Key, readonly Row[]>(
    async (keys) => {
      const byKey = new Map<Key, Row[]>();
      for (const row of await options.fetch(keys)) {
        const key = options.keyOf(row);
        const list = byKey.get(key);
        if (list) list.push(row);
        else byKey.set(key, [row]);
      }
      if (options.tagOf) for (const key of keys) options.scope.readTags.add(options.tagOf(key));
      return keys.map((key) => byKey.get(key) ?? []);
    },
    { maxBatchSize: options.maxBatchSize ?? 500 },
  );
}

/** A loader whose keys are objects (a page of a parent): equal by their JSON form. */
export function createPageLoader<Key, Value>(
  fetch: (keys: readonly Key[]) => Promise<readonly (Value | Error)[]>,
): DataLoader<Key, Value, string> {
  return new DataLoader<Key, Value, string>(fetch, { cacheKeyFn: (key) => JSON.stringify(key) });
}

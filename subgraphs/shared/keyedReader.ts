import { type Batcher, createBatcher } from './batch.ts';
import type { Sql } from './sql.ts';

export type KeyedReader<Key, Row> = Pick<Batcher<Key, Row | null>, 'add'>;

export interface KeyedReaderOptions<Key> {
  /** Answers with each row `ord`, the place of its key from 1. */
  readonly text: string;
  /** Its parameters: an array, or the literal of one, for each part of the key. */
  readonly parametersOf: (keys: readonly Key[]) => (string | string[])[];
}

/** Reads rows by key, null where there is none. What concurrent requests ask for shares a statement. */
export function createKeyedReader<Key, Row extends object>(
  sql: Sql,
  { text, parametersOf }: KeyedReaderOptions<Key>,
): KeyedReader<Key, Row> {
  return createBatcher<Key, Row | null>({
    maxItems: 200,
    maxDelayMs: 0,
    maxRuns: 2,
    async run(keys) {
      const found = (await sql.unsafe(text, parametersOf(keys), { prepare: true })) as unknown as (Row & {
        readonly ord: number;
      })[];
      const rows = new Array<Row | null>(keys.length).fill(null);
      for (const { ord, ...row } of found) rows[ord - 1] = row as unknown as Row;
      return rows;
    },
  });
}

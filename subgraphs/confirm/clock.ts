import type { Sql, SqlTransaction } from '#shared/sql.ts';

/** The database's time in whole milliseconds, as a column: no deadline knows another clock. */
export const clockText = `floor(extract(epoch FROM clock_timestamp()) * 1000)::float8`;

/** The database's time, ms. */
export async function readClock(sql: Pick<Sql | SqlTransaction, 'unsafe'>): Promise<number> {
  const [row] = (await sql.unsafe(`SELECT ${clockText} AS ms`, [], { prepare: true })) as unknown as { ms: number }[];
  return row!.ms;
}

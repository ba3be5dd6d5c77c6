import type { Sql } from '../sql.ts';

export interface KeptRecord {
  readonly tenantId: string;
  readonly id: string;
  readonly atMs: number;
}

/**
 * Ids of the records that a table holds already. Where the answer to a COMMIT is lost, nobody is told that it came about:
 * what is then written again is found to be there, or a record would be refused for ever.
 */
export async function findStored(
  sql: Sql,
  table: 'platform.log' | 'platform.error',
  records: readonly KeptRecord[],
): Promise<ReadonlySet<string>> {
  const found = (await sql.unsafe(
    `SELECT id FROM ${table} WHERE (tenant_id, id, at) IN (SELECT * FROM unnest($1::text[], $2::uuid[], $3::timestamptz[]))`,
    [
      records.map(({ tenantId }) => tenantId),
      records.map(({ id }) => id),
      records.map(({ atMs }) => new Date(atMs).toISOString()),
    ],
  )) as unknown as { id: string }[];
  return new Set(found.map(({ id }) => id));
}

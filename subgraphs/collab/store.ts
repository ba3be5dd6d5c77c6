import type { Sql, SqlTransaction } from '#shared/sql.ts';
import { collabRecord } from './records.ts';
import type { CollabRow } from './rows.ts';

type Db = Pick<Sql | SqlTransaction, 'unsafe'>;

export interface CollabKey {
  readonly tenantId: string;
  readonly id: string;
}

export const keyOf = ({ tenantId, id }: CollabKey): string => `${tenantId}/${id}`;
export const keysOf = (keys: readonly CollabKey[]) => [keys.map(({ tenantId }) => tenantId), keys.map(({ id }) => id)];

export const collabColumns = collabRecord.select('c');

/** Rows by key, locked in the order of their ids. */
export async function lockCollabs(tx: SqlTransaction, keys: readonly CollabKey[]): Promise<readonly CollabRow[]> {
  return (await tx.unsafe(
    `SELECT ${collabColumns} FROM collab.collaboration c WHERE (c.tenant_id, c.id) IN (SELECT * FROM unnest($1::text[], $2::uuid[]))
     ORDER BY c.tenant_id, c.id FOR UPDATE`,
    keysOf(keys) as never[],
    { prepare: true },
  )) as unknown as CollabRow[];
}

export async function findCollabs(db: Db, tenantId: string, ids: readonly string[]): Promise<readonly CollabRow[]> {
  return (await db.unsafe(
    `SELECT ${collabColumns} FROM collab.collaboration c WHERE c.tenant_id = $1 AND c.id = ANY($2::uuid[])`,
    [tenantId, ids as string[]],
    { prepare: true },
  )) as unknown as CollabRow[];
}

export async function insertCollabs(tx: SqlTransaction, rows: readonly CollabRow[]): Promise<void> {
  await tx.unsafe(
    `INSERT INTO collab.collaboration (${collabRecord.names}) SELECT ${collabRecord.from('x')} FROM json_to_recordset($1::text::json) AS x(${collabRecord.recordset}) ORDER BY x.ord`,
    [JSON.stringify(rows.map(collabRecord.toRecord))],
    { prepare: true },
  );
}

const updated = collabRecord.names
  .split(', ')
  .filter((name) => !['tenant_id', 'id', 'created_at', 'created_by'].includes(name));

export async function updateCollabs(tx: SqlTransaction, rows: readonly CollabRow[]): Promise<void> {
  await tx.unsafe(
    `UPDATE collab.collaboration c SET ${updated.map((name) => `${name} = x.${name}`).join(', ')}
     FROM json_to_recordset($1::text::json) AS x(${collabRecord.recordset}) WHERE c.tenant_id = x.tenant_id AND c.id = x.id`,
    [JSON.stringify(rows.map(collabRecord.toRecord))],
    { prepare: true },
  );
}

import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import type { Sql } from '#shared/sql.ts';

export type CopyValue = string | number | boolean | null | Date | readonly string[] | Readonly<Record<string, unknown>>;

const escapes: Readonly<Record<string, string>> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' };
const escapeText = (text: string): string => text.replace(/[\\\t\n\r]/g, (character) => escapes[character]!);

function encode(value: CopyValue): string {
  if (value === null) return '\\N';
  if (typeof value === 'string') return escapeText(value);
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) {
    const items = (value as readonly string[]).map((item) => `"${item.replace(/[\\"]/g, '\\$&')}"`);
    return escapeText(`{${items.join(',')}}`);
  }
  return escapeText(JSON.stringify(value));
}

/** Rows as COPY reads them. */
export function copyText(rows: readonly (readonly CopyValue[])[]): string {
  return rows.map((row) => `${row.map(encode).join('\t')}\n`).join('');
}

const chunkBytes = 1_048_576;

/** Lines of COPY in chunks: a write for each row costs more than the row. */
function* chunksOf(rows: Iterable<readonly CopyValue[]>): Generator<string> {
  let chunk = '';
  for (const row of rows) {
    chunk += `${row.map(encode).join('\t')}\n`;
    if (chunk.length < chunkBytes) continue;
    yield chunk;
    chunk = '';
  }
  if (chunk !== '') yield chunk;
}

/**
 * Streams rows into a table by COPY, on a connection of its own: postgres.js leaves a copy that the server refuses without
 * an answer.
 *
 * @throws {Error} when a row does not fit; none is stored then
 */
export async function copyRows(
  sql: Sql,
  table: string,
  columns: readonly string[],
  rows: Iterable<readonly CopyValue[]>,
): Promise<void> {
  const { host, port, database, user, pass } = sql.options;
  const client = new pg.Client({
    host: host[0]!,
    port: port[0]!,
    database,
    user,
    password: pass ?? undefined,
    statement_timeout: 600_000,
  });
  await client.connect();
  try {
    await pipeline(
      Readable.from(chunksOf(rows)),
      client.query(copyFrom(`COPY ${table} (${columns.join(', ')}) FROM STDIN`)),
    );
  } finally {
    await client.end();
  }
}

/**
 * Drops the indexes of a table that no constraint needs, runs the work, and builds them again over what it left: a
 * million rows through an inverted index one by one take minutes.
 */
export async function withoutIndexes(sql: Sql, table: string, work: () => Promise<void>): Promise<void> {
  const indexes = await sql<{ name: string; definition: string }[]>`
    SELECT i.indexrelid::regclass::text AS name, pg_get_indexdef(i.indexrelid) AS definition FROM pg_index i
    WHERE i.indrelid = ${table}::regclass AND NOT i.indisunique
      AND NOT EXISTS (SELECT 1 FROM pg_constraint c WHERE c.conindid = i.indexrelid)`;
  for (const { name } of indexes) await sql.unsafe(`DROP INDEX ${name}`);
  await work();
  await sql.begin(async (tx) => {
    await tx.unsafe("SET LOCAL maintenance_work_mem = '512MB'");
    // Of a partitioned table the definition says ONLY: as it stands it would leave the partitions without.
    for (const { definition } of indexes) await tx.unsafe(definition.replace(' ON ONLY ', ' ON '));
  });
}

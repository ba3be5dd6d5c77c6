import { ConcurrentInsert } from '#shared/codec.ts';
import { createKeyedReader, type KeyedReader } from '#shared/keyedReader.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';
import { listedReaders } from './accessList.ts';
import type { ContextRow } from './rows.ts';

/** Columns in the order of the upsert: database name, row name, type in the JSON record set. */
const columns = [
  ['tenant_id', 'tenantId', 'text'],
  ['id', 'id', 'uuid'],
  ['title', 'title', 'text'],
  ['status', 'status', 'text'],
  ['root', 'root', 'jsonb'],
  ['domain', 'domain', 'text'],
  ['environment', 'environment', 'text'],
  ['summary', 'summary', 'text'],
  ['tags', 'tags', 'text[]'],
  ['language', 'language', 'text'],
  ['owner_role', 'ownerRole', 'text'],
  ['constraints', 'constraints', 'jsonb'],
  ['governance', 'governance', 'jsonb'],
  ['protocol', 'protocol', 'jsonb'],
  ['type', 'type', 'text'],
  ['lifecycle_stage', 'lifecycleStage', 'text'],
  ['owner_id', 'ownerId', 'text'],
  ['owner_type', 'ownerType', 'text'],
  ['unique_name', 'uniqueName', 'text'],
  ['configuration', 'configuration', 'jsonb'],
  ['access_control', 'accessControl', 'jsonb'],
  ['priority', 'priority', 'text'],
  ['category', 'category', 'text'],
  ['custom_data', 'customData', 'jsonb'],
  ['metadata_text', 'metadataText', 'text'],
  ['join_token_hash', 'joinTokenHash', 'text'],
  ['version', 'version', 'int'],
  ['participant_count', 'participantCount', 'int'],
  ['session_count', 'sessionCount', 'int'],
  ['shared_version', 'sharedVersion', 'int'],
  ['shared_checksum', 'sharedChecksum', 'text'],
  ['shared_updated_at', 'sharedUpdatedAt', 'timestamptz'],
  ['last_activity_at', 'lastActivityAt', 'timestamptz'],
  ['expires_at', 'expiresAt', 'timestamptz'],
  ['close_reason', 'closeReason', 'text'],
  ['closed_at', 'closedAt', 'timestamptz'],
  ['deleted_at', 'deletedAt', 'timestamptz'],
  ['created_at', 'createdAt', 'timestamptz'],
  ['created_by', 'createdBy', 'text'],
  ['updated_at', 'updatedAt', 'timestamptz'],
  ['updated_by', 'updatedBy', 'text'],
] as const satisfies readonly (readonly [string, keyof ContextRow, string])[];

/** ISO text straight from the database: the row goes into events and answers without a Date in between. */
export function isoText(column: string): string {
  return `to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;
}

/** Select list that yields a ContextRow, or of it only the properties named. */
export function contextColumns(alias: string, only?: ReadonlySet<string>): string {
  return columns
    .filter(([, name]) => only?.has(name) ?? true)
    .map(
      ([column, name, type]) =>
        `${type === 'timestamptz' ? isoText(`${alias}.${column}`) : `${alias}.${column}`} AS "${name}"`,
    )
    .join(', ');
}

const names = columns.map(([column]) => column).join(', ');

/** Weighted words of a row: title (A), tags (B), summary (C) and public metadata (D). */
export function searchVector(row: string, metadataText = `${row}.metadata_text`): string {
  const weighted = (text: string, weight: string) =>
    `setweight(to_tsvector('simple', ${withoutTags(text)}), '${weight}')`;
  return [
    weighted(`${row}.title`, 'A'),
    weighted(`array_to_string(${row}.tags, ' ')`, 'B'),
    weighted(`left(coalesce(${row}.summary, ''), 100000)`, 'C'),
    weighted(`left(${metadataText}, 100000)`, 'D'),
  ].join(' || ');
}

/** PostgreSQL's parser passes over what looks like a markup tag: words in angle brackets are words all the same. */
function withoutTags(text: string): string {
  return `translate(${text}, '<>', '  ')`;
}

const upsertText = `
INSERT INTO context.context AS c (${names}, search, is_private, readers, conditional_readers)
SELECT ${columns.map(([column]) => `i.${column}`).join(', ')}, ${searchVector('i')}, coalesce(i.access_control->>'visibility' = 'PRIVATE', false), i.readers, i.conditional
FROM json_to_recordset($1::text::json) AS i(${columns.map(([column, , type]) => `${column} ${type}`).join(', ')}, readers text[], conditional jsonb, ord int)
ORDER BY i.ord
ON CONFLICT (tenant_id, id) DO UPDATE SET ${columns
  .slice(2)
  .map(([column]) => `${column} = EXCLUDED.${column}`)
  .join(
    ', ',
  )}, search = EXCLUDED.search, is_private = EXCLUDED.is_private, readers = EXCLUDED.readers, conditional_readers = EXCLUDED.conditional_readers`;

function recordsOf(rows: readonly ContextRow[]): string {
  return JSON.stringify(
    rows.map((row, ord) => {
      const { readers, conditional } = listedReaders(row);
      return {
        ...Object.fromEntries(columns.map(([column, name]) => [column, row[name]])),
        ...{ readers, conditional: conditional.length === 0 ? null : conditional, ord },
      };
    }),
  );
}

/** Writes whole rows, new or changed, in one statement. */
export async function upsertContexts(tx: SqlTransaction, rows: readonly ContextRow[]): Promise<void> {
  if (rows.length === 0) return;
  await tx.unsafe(upsertText, [recordsOf(rows)], { prepare: true });
}

const selectText = `SELECT ${contextColumns('c')} FROM unnest($1::text[], $2::uuid[]) AS k(tenant_id, id) JOIN context.context c USING (tenant_id, id)`;

/**
 * Writes rows that are new to the reader: only a deleted one of the same id gives way.
 * @throws {ConcurrentInsert} when somebody else has written one of them meanwhile.
 */
export async function insertContexts(tx: SqlTransaction, rows: readonly ContextRow[]): Promise<void> {
  const written = await tx.unsafe(`${upsertText} WHERE c.deleted_at IS NOT NULL RETURNING id`, [recordsOf(rows)], {
    prepare: true,
  });
  if (written.length < rows.length) throw new ConcurrentInsert();
}

/** Rows by (tenant, id), deleted ones included, locked in id order. */
export async function lockContexts(
  tx: SqlTransaction,
  keys: readonly { readonly tenantId: string; readonly id: string }[],
): Promise<readonly ContextRow[]> {
  return (await tx.unsafe(
    `${selectText} ORDER BY c.tenant_id, c.id FOR UPDATE OF c`,
    [keys.map((key) => key.tenantId), keys.map((key) => key.id)],
    { prepare: true },
  )) as unknown as ContextRow[];
}

const visibleText = `SELECT ${contextColumns('c')} FROM context.context c WHERE c.tenant_id = $1 AND c.id = ANY($2::uuid[]) AND c.deleted_at IS NULL`;

const byKeyText = `
SELECT k.ord::int, ${contextColumns('c')} FROM unnest($1::text[], $2::uuid[]) WITH ORDINALITY AS k(tenant_id, id, ord)
JOIN context.context c ON c.tenant_id = k.tenant_id AND c.id = k.id WHERE c.deleted_at IS NULL`;

export interface ContextKey {
  readonly tenantId: string;
  readonly id: string;
}

/** As `findContexts`, for concurrent requests together. */
export function createContextReader(sql: Sql): KeyedReader<ContextKey, ContextRow> {
  return createKeyedReader(sql, {
    text: byKeyText,
    parametersOf: (keys) => [keys.map((key) => key.tenantId), keys.map((key) => key.id)],
  });
}

/** Rows of one tenant by id, without deleted ones. */
export async function findContexts(
  sql: Sql | SqlTransaction,
  tenantId: string,
  ids: readonly string[],
): Promise<readonly ContextRow[]> {
  return (await sql.unsafe(visibleText, [tenantId, ids as string[]], { prepare: true })) as unknown as ContextRow[];
}

import type { Sql } from 'postgres';
import type { Platform } from '../../support/platform.ts';
import { type Json, until } from '../rig.ts';

export const fields = `id subject pseudonym content dryRun status reason requestedBy startedAt finishedAt cancelledBy progress pages rowCount
  counts { module table rows } exemptions { module table columns rows reason } certificate { subjectDigest sha256 }`;

/** Asks, and takes no errors. */
export async function ask(platform: Platform, token: string, document: string, variables: Json = {}): Promise<Json> {
  const { data, errors } = await platform.query<Json>(document, variables, { token });
  if (errors.length > 0) throw new Error(JSON.stringify(errors));
  return data;
}

export const erasing = `mutation ($input: EraseSubjectInput!) { eraseSubject(input: $input) { erasure { ${fields} } userErrors { code path } } }`;

/** Code of the refusal; null where there is none. */
export async function codeOf(platform: Platform, token: string, document: string, variables: Json) {
  const { data, errors } = await platform.query<Json>(document, variables, { token });
  const payload = data && (Object.values(data)[0] as Json);
  return errors[0]?.extensions.code ?? payload?.userErrors[0]?.code ?? null;
}

export async function erase(platform: Platform, token: string, input: Json): Promise<Json> {
  const { eraseSubject } = await ask(platform, token, erasing, { input });
  if (eraseSubject.userErrors.length > 0) throw new Error(JSON.stringify(eraseSubject.userErrors));
  return ended(platform, token, eraseSubject.erasure.id);
}

export async function ended(platform: Platform, token: string, id: string): Promise<Json> {
  const { subjectErasure } = await until(
    () => ask(platform, token, `query ($id: ID!) { subjectErasure(id: $id) { ${fields} } }`, { id }),
    ({ subjectErasure: { status } }) => ['DONE', 'CANCELLED'].includes(status),
    120_000,
  );
  return subjectErasure;
}

/**
 * Columns of all schemas, those of the job queue too, in which rows have the text anywhere in them, `other`, which begins
 * with it, left aside.
 */
export async function placesOf(sql: Sql, tenant: string, text: string, other: string): Promise<readonly string[]> {
  const columns = await sql<{ schema: string; table: string; column: string; tenanted: boolean }[]>`
    SELECT n.nspname AS schema, c.relname AS table, a.attname AS column,
      EXISTS (SELECT 1 FROM pg_attribute t WHERE t.attrelid = c.oid AND t.attname = 'tenant_id') AS tenanted
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped
      AND a.atttypid::regtype::text IN ('text', 'text[]', 'jsonb', 'json', 'character varying', 'tsvector', 'bytea')
      AND n.nspname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2, 3`;
  const places: string[] = [];
  for (const { schema, table, column, tenanted } of columns) {
    const own = tenanted ? 't.tenant_id = $2' : `t."${column}"::text LIKE '%' || $2 || '%'`;
    const [row] = (await sql.unsafe(
      `SELECT count(*)::int AS n FROM "${schema}"."${table}" t WHERE ${own}
         AND (strpos(replace(t."${column}"::text, $3, ''), $1) > 0
           OR strpos(t."${column}"::text, encode(convert_to($1, 'UTF8'), 'hex')) > 0)`,
      [text, tenant, other],
    )) as unknown as { n: number }[];
    if (row!.n > 0) places.push(`${schema}.${table}.${column}`);
  }
  return places;
}

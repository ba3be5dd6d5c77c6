import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import type { Sql } from '#shared/sql.ts';
import { type SubgraphName, subgraphNames } from '../../names.ts';
import type { FileSource } from '../files/writer.ts';

const pageSize = 500;
/** At most for one table. */
const tableTimeoutMs = 600_000;
/** Digests and keys are nobody's data, and help to guess what they protect. */
const neverShown = new Set(['secret', 'secret_hash', 'wrapped', 'request_hash', 'join_token_hash', 'lease_token']);

export interface PersonalDataRequest {
  readonly subject: string;
}

/** A table of a module that can name a subject. */
interface NamingTable {
  readonly module: SubgraphName;
  readonly table: string;
  /** A condition on the row `t` and what is `given`. */
  readonly condition: string;
  /** Columns that are not shown. */
  readonly hidden: readonly string[];
}

interface Column {
  readonly table: string;
  readonly column: string;
  readonly type: string;
}

/** The subject, and as a text within JSON. */
const givenColumns = '(SELECT $2::text AS subject, $3::text AS quoted) AS g';

/** How a column of a type names a subject; undefined for types that cannot. */
const namings: Readonly<Record<string, (column: string) => string>> = {
  text: (column) => `${column} = g.subject`,
  varchar: (column) => `${column} = g.subject`,
  _text: (column) => `g.subject = ANY(${column})`,
  // A subject has no character that JSON escapes, so that it stands in quotes wherever it is a text or a key of its own.
  jsonb: (column) => `strpos(${column}::text, g.quoted) > 0`,
  json: (column) => `strpos(${column}::text, g.quoted) > 0`,
};

/** Tables are found in the catalogue of the database, so that none is forgotten when one is added. */
async function findTables(sql: Sql, module: SubgraphName): Promise<readonly NamingTable[]> {
  const columns = (await sql.unsafe(
    `SELECT c.relname AS "table", a.attname AS "column", t.typname AS type
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
       JOIN pg_type t ON t.oid = a.atttypid
     WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped
       AND EXISTS (SELECT 1 FROM pg_attribute own WHERE own.attrelid = c.oid AND own.attname = 'tenant_id' AND NOT own.attisdropped)
     ORDER BY c.relname, a.attnum`,
    [module],
  )) as unknown as Column[];
  return [...Map.groupBy(columns, ({ table }) => table)].flatMap(([table, all]) => {
    const conditions = all.flatMap(({ column, type }) =>
      column === 'tenant_id' || neverShown.has(column) ? [] : (namings[type]?.(`t."${column}"`) ?? []),
    );
    if (conditions.length === 0) return [];
    return {
      module,
      table,
      condition: conditions.join(' OR '),
      hidden: all.filter(({ column, type }) => neverShown.has(column) || type === 'bytea').map(({ column }) => column),
    };
  });
}

type Line = { readonly data: string };

/** The rows of a statement, page by page in one transaction, no faster than they are taken. */
async function* pagesOf(sql: Sql, text: string, parameters: readonly unknown[]): AsyncGenerator<readonly Line[]> {
  const pages = new PassThrough({ objectMode: true, highWaterMark: 1 });
  const left = new AbortController();
  const reading = sql
    .begin(async (tx) => {
      // Few of these columns have an index: a table is read from end to end.
      await tx.unsafe(`SET LOCAL statement_timeout = ${tableTimeoutMs}`);
      for await (const rows of tx.unsafe(text, parameters as never[]).cursor(pageSize)) {
        if (!pages.write(rows)) await once(pages, 'drain', { signal: left.signal });
      }
    })
    .then(
      () => void pages.end(),
      (error: Error) => void pages.destroy(error),
    );
  try {
    yield* pages as AsyncIterable<readonly Line[]>;
  } finally {
    left.abort();
    pages.destroy();
    await reading;
  }
}

/**
 * Everything that the platform keeps of a subject in the tenant: each row of each module in which it is named, a line of JSON
 * each, after a line that says whose it is. What stands in free text is found only where it is the subject and nothing else.
 */
export function createPersonalDataSource(sqlOf: (module: SubgraphName) => Sql): FileSource {
  return async function* write({ tenantId, request, createdAt, createdBy }, signal) {
    const { subject } = request as unknown as PersonalDataRequest;
    const head = { subject, tenantId, requestedAt: createdAt, requestedBy: createdBy };
    yield { text: `${JSON.stringify(head)}\n`, rows: 0, progress: 0 };
    const tables = (await Promise.all(subgraphNames.map((module) => findTables(sqlOf(module), module)))).flat();
    for (const [at, { module, table, condition, hidden }] of tables.entries()) {
      const text = `SELECT (to_jsonb(t) - $4::text[])::text AS data FROM ${module}."${table}" t, ${givenColumns} WHERE t.tenant_id = $1 AND (${condition})`;
      const parameters = [tenantId, subject, JSON.stringify(subject), [...hidden]];
      for await (const rows of pagesOf(sqlOf(module), text, parameters)) {
        signal.throwIfAborted();
        const lines = rows.map(({ data }) => `{"module":"${module}","table":"${table}","data":${data}}\n`).join('');
        yield { text: lines, rows: rows.length, progress: at / tables.length };
      }
    }
  };
}

import type { Sql } from '#shared/sql.ts';
import { type SubgraphName, subgraphNames } from '../../names.ts';
import type { FileSource } from '../files/writer.ts';

const pageSize = 500;
/** At most for one table. */
const tableTimeoutMs = 600_000;
/** Digests and keys are nobody's data, and help to guess what they protect. */
const neverShown = new Set(['secret', 'secret_hash', 'wrapped', 'request_hash']);

export interface PersonalDataRequest {
  readonly subject: string;
}

/** A table of a module that can name a subject. */
interface NamingTable {
  readonly module: SubgraphName;
  readonly table: string;
  /** A condition on `t` with the tenant as $1, the subject as $2 and the subject as a text within JSON as $3. */
  readonly condition: string;
  /** Columns that are not shown. */
  readonly hidden: readonly string[];
}

interface Column {
  readonly table: string;
  readonly column: string;
  readonly type: string;
}

/** How a column of a type names a subject; undefined for types that cannot. */
const namings: Readonly<Record<string, (column: string) => string>> = {
  text: (column) => `${column} = $2`,
  varchar: (column) => `${column} = $2`,
  _text: (column) => `$2 = ANY(${column})`,
  // A subject has no character that JSON escapes, so that it stands in quotes wherever it is a text or a key of its own.
  jsonb: (column) => `strpos(${column}::text, $3) > 0`,
  json: (column) => `strpos(${column}::text, $3) > 0`,
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
      const connection = await sqlOf(module).reserve();
      try {
        // Few of these columns have an index: a table is read from end to end.
        await connection.unsafe(`SET statement_timeout = ${tableTimeoutMs}`);
        const reading = connection
          .unsafe(
            `SELECT (to_jsonb(t) - $4::text[])::text AS data FROM ${module}."${table}" t WHERE t.tenant_id = $1 AND (${condition})`,
            [tenantId, subject, JSON.stringify(subject), [...hidden]],
          )
          .cursor(pageSize);
        for await (const rows of reading) {
          signal.throwIfAborted();
          const text = rows.map(({ data }) => `{"module":"${module}","table":"${table}","data":${data}}\n`).join('');
          yield { text, rows: rows.length, progress: at / tables.length };
        }
      } finally {
        await connection.unsafe('RESET statement_timeout');
        connection.release();
      }
    }
  };
}

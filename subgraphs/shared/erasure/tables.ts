import type { SubgraphName } from '../../names.ts';
import type { Sql } from '../sql.ts';
import { auditExemption, type ErasureRules } from './rules.ts';

interface CatalogueRow {
  readonly table: string;
  readonly column: string;
  readonly type: string;
  /** Place in the primary key; null outside of it. */
  readonly keyAt: number | null;
}

export type TextKind = 'text' | 'array' | 'json';

export interface TextColumn {
  readonly column: string;
  readonly type: string;
  readonly kind: TextKind;
}

/** A table whose rows may name a subject. */
export interface ErasableTable {
  readonly module: SubgraphName;
  readonly table: string;
  /** The primary key without the tenant. */
  readonly keys: readonly { readonly column: string; readonly type: string }[];
  readonly columns: readonly TextColumn[];
}

const kinds: Readonly<Record<string, TextKind>> = {
  text: 'text',
  'character varying': 'text',
  'text[]': 'array',
  jsonb: 'json',
  json: 'json',
};
/** Where erasures are kept themselves. */
const own = new Set(['erasure_progress', 'subject_erasure']);

/** A table, or columns of it, left as it is. */
export interface ExemptTable extends ErasableTable {
  /** Search vectors made of what stays. */
  readonly vectors: readonly string[];
  readonly reason: string;
}

/** Columns of a module's tables of tenants, found in the catalogue of the database, so that none is forgotten when one is added. */
async function readCatalogue(sql: Sql, module: SubgraphName): Promise<readonly CatalogueRow[]> {
  return (await sql.unsafe(
    `SELECT c.relname AS "table", a.attname AS "column", format_type(a.atttypid, NULL) AS type,
       array_position(i.indkey::int2[], a.attnum) AS "keyAt"
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
       JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
     WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped
       AND a.attgenerated = ''
       AND EXISTS (SELECT 1 FROM pg_attribute t WHERE t.attrelid = c.oid AND t.attname = 'tenant_id' AND NOT t.attisdropped)
     ORDER BY c.relname, a.attnum`,
    [module],
  )) as unknown as CatalogueRow[];
}

/** The tables to go through, and those left as they are with the columns by which their rows name the subject. */
export async function findErasableTables(
  sql: Sql,
  module: SubgraphName,
  rules: ErasureRules,
): Promise<{
  readonly tables: readonly ErasableTable[];
  readonly exempt: readonly ExemptTable[];
  readonly structural: ReadonlySet<string>;
}> {
  const catalogue = await readCatalogue(sql, module);
  const tables: ErasableTable[] = [];
  const exempt: ExemptTable[] = [];
  const exemptions = [auditExemption, ...(rules.exempt ?? [])];
  for (const [table, all] of Map.groupBy(catalogue, (row) => row.table)) {
    if (own.has(table)) continue;
    const keys = all
      .filter(({ column, keyAt }) => keyAt !== null && column !== 'tenant_id')
      .toSorted((one, two) => one.keyAt! - two.keyAt!);
    const texts = all.flatMap(({ column, type }): TextColumn[] => {
      const kind = kinds[type];
      return kind === undefined || column === 'tenant_id' ? [] : [{ column, type, kind }];
    });
    const left = exemptions.filter((exemption) => exemption.table === table);
    const isLeft = (column: string) => left.some(({ columns }) => columns === undefined || columns.includes(column));
    for (const { columns, reason } of left) {
      const named = texts.filter(({ column }) => columns === undefined || columns.includes(column));
      const vectors = all.flatMap(({ column, type }) => (type === 'tsvector' && columns === undefined ? [column] : []));
      exempt.push({ module, table, keys, columns: named, vectors, reason });
    }
    const columns = texts.filter(({ column }) => !isLeft(column));
    if (columns.length > 0) tables.push({ module, table, keys, columns });
  }
  const structural = new Set(catalogue.flatMap(({ column }) => [column, column.replaceAll('_', '').toLowerCase()]));
  return { tables, exempt, structural };
}

/** Whether a text of the row `t` has the subject in it: `parameter` names it. Finds too much rather than too little. */
export function namesCondition(columns: readonly TextColumn[], parameter: string): string {
  return columns
    .map(({ column, kind }) => {
      const text = kind === 'array' ? `array_to_string(t."${column}", ' ')` : `t."${column}"::text`;
      return `strpos(${text}, ${parameter}) > 0`;
    })
    .join(' OR ');
}

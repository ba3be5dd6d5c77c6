import type { SqlTransaction } from '../sql.ts';
import type { ErasureRules } from './rules.ts';
import { type ErasableTable, namesCondition, type TextColumn } from './tables.ts';
import { type Plain, readPlain, type Words } from './words.ts';

export const pageSize = 500;

export interface RowsPage {
  /** Rows that were, or in a dry run would be, written anew. */
  readonly changed: number;
  /** Key of the last row looked at; null where the table has no more. */
  readonly cursor: readonly string[] | null;
}

export interface RowsRequest {
  readonly tx: SqlTransaction;
  readonly tenantId: string;
  readonly subject: string;
  readonly words: Words;
  readonly rules: ErasureRules;
  readonly dryRun: boolean;
  /** A condition on rows that go as a whole, and are counted there. */
  readonly gone: string | null;
}

type Texts = Readonly<Record<string, string | null>>;

/** One page of a table's rows that name the subject, in the order of their key, locked and written back. */
export async function replacePage(
  table: ErasableTable,
  after: readonly string[] | null,
  request: RowsRequest,
): Promise<RowsPage> {
  const { tx, tenantId, subject, dryRun, gone } = request;
  const { keys, columns } = table;
  const name = `${table.module}."${table.table}"`;
  const keyList = keys.map(({ column }) => `t."${column}"`).join(', ');
  const from = keys.map(({ type }, at) => `($3::text[])[${at + 1}]::${type}`).join(', ');
  const rows = (await tx.unsafe(
    `SELECT ${keys.map(({ column }, at) => `t."${column}"::text AS k${at}, `).join('')}
       ${columns.map((column, at) => `${readText(column)} AS c${at}`).join(', ')}
     FROM ${name} t WHERE t.tenant_id = $1 AND (${namesCondition(columns, '$2::text')})
       ${gone === null ? '' : `AND NOT (${gone})`} AND ($3::text[] IS NULL ${keys.length === 0 ? '' : `OR (${keyList}) > (${from})`})
     ${keys.length === 0 ? '' : `ORDER BY ${keyList}`} LIMIT ${pageSize} ${dryRun ? '' : 'FOR UPDATE OF t'}`,
    [tenantId, subject, after === null ? null : [...after]],
  )) as unknown as Texts[];
  const changes = rows.flatMap((row) => {
    const changed = replaceRow(table, row, request);
    return changed === null ? [] : [changed];
  });
  if (!dryRun && changes.length > 0) await writeRows(table, changes, request);
  const last = rows.at(-1);
  const isFull = rows.length === pageSize && last !== undefined && keys.length > 0;
  return { changed: changes.length, cursor: isFull ? keys.map((_key, at) => last[`k${at}`]!) : null };
}

const readText = ({ column, kind }: TextColumn) =>
  kind === 'array' ? `to_json(t."${column}")::text` : `t."${column}"::text`;

/** The row with what became of its texts; null where nothing did. */
function replaceRow(
  { table, columns }: ErasableTable,
  row: Texts,
  { words, rules }: Pick<RowsRequest, 'words' | 'rules'>,
): Texts | null {
  const before: [string, Plain][] = columns.map(({ column, kind }, at) => {
    const text = row[`c${at}`] ?? null;
    return [column, text === null || kind === 'text' ? text : readPlain(text)];
  });
  const after = Object.values(words.replace(Object.fromEntries(before), table) as { [key: string]: Plain });
  const changed: Record<string, string | null> = { ...row };
  let count = 0;
  for (const [at, { column, kind }] of columns.entries()) {
    const [was, is] = [before[at]![1], after[at]!];
    const text = kind === 'text' || is === null ? (is as string | null) : JSON.stringify(is);
    if (was === is || (kind !== 'text' && JSON.stringify(was) === text)) continue;
    changed[`c${at}`] = text;
    count += 1;
    const rule = rules.computed?.[table];
    if (rule?.of === column) {
      const target = columns.findIndex((other) => other.column === rule.column);
      changed[`c${target}`] = rule.compute(JSON.parse(text ?? 'null'));
    }
  }
  return count === 0 ? null : changed;
}

async function writeRows(
  { module, table, keys, columns }: ErasableTable,
  rows: readonly Texts[],
  { tx, tenantId, rules }: Pick<RowsRequest, 'tx' | 'tenantId' | 'rules'>,
): Promise<void> {
  const name = `${module}."${table}"`;
  const set = columns.map(({ column, kind, type }, at) => {
    const value = kind === 'array' ? `ARRAY(SELECT json_array_elements_text(x.c${at}::json))` : `x.c${at}::${type}`;
    return `"${column}" = CASE WHEN x.c${at} IS NULL THEN NULL ELSE ${value} END`;
  });
  const members = [...keys.map((_key, at) => `k${at} text`), ...columns.map((_column, at) => `c${at} text`)];
  const same = keys.map(({ column, type }, at) => ` AND t."${column}" = x.k${at}::${type}`).join('');
  await tx.unsafe(
    `UPDATE ${name} t SET ${set.join(', ')} FROM json_to_recordset($2::text::json) AS x(${members.join(', ')})
     WHERE t.tenant_id = $1${same}`,
    [tenantId, JSON.stringify(rows)],
  );
  const search = rules.search?.[table];
  const idAt = keys.findIndex(({ column }) => column === 'id');
  if (search === undefined || idAt < 0) return;
  const ids = rows.map((row) => row[`k${idAt}`]!);
  await tx.unsafe(`UPDATE ${name} t SET search = ${search('t')} WHERE t.tenant_id = $1 AND t.id = ANY($2::uuid[])`, [
    tenantId,
    ids,
  ]);
}

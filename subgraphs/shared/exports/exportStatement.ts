import pg from 'pg';
import { PlatformError } from '../errors.ts';
import type { Principal } from '../principal.ts';
import { placesOf } from '../rights.ts';
import type { ExportEntity, Literals } from './exportEntity.ts';
import type { ExportQuery } from './exportQuery.ts';

const { escapeLiteral } = pg;
const array = (values: readonly string[]) => `ARRAY[${values.map(escapeLiteral).join(', ')}]`;

export const literals: Literals = {
  text: escapeLiteral,
  uuid: (value) => `${escapeLiteral(value)}::uuid`,
  uuids: (values) => `${array(values)}::uuid[]`,
  texts: (values) => `${array(values)}::text[]`,
};

const instant = (ms: number) => `${escapeLiteral(new Date(ms).toISOString())}::timestamptz`;

/** Condition on the context of a row that the permission holds there. @throws {PERMISSION_DENIED} where it holds nowhere */
function placesCondition({ requires, context }: ExportEntity, principal: Principal): string | null {
  const { everywhere, except } = placesOf(principal, [requires]);
  if (everywhere && except.length === 0) return null;
  if (context === null || (!everywhere && except.length === 0))
    throw new PlatformError('PERMISSION_DENIED', `this needs the permission ${requires}`, {
      details: { permission: requires },
    });
  const listed = `${context} = ANY(${literals.uuids(except)})`;
  return everywhere ? `(${context} IS NULL OR NOT ${listed})` : listed;
}

const none: ReadonlySet<string> = new Set();

/**
 * The rows of an export as a SELECT: those of the principal's tenant that it sees, in the order of their keys. The first
 * condition is the tenant's, and nothing that the caller sends stands in the text but as an escaped literal.
 * @param asText columns that are selected as text
 * @throws {PERMISSION_DENIED}
 */
export function selectRows(entity: ExportEntity, principal: Principal, query: ExportQuery, asText = none): string {
  const { alias, keys, context, about } = entity;
  const where = [`${alias}.tenant_id = ${literals.text(principal.tenantId)}`];
  const places = placesCondition(entity, principal);
  if (places !== null) where.push(places);
  where.push(...(entity.visible?.(principal, literals) ?? []));
  if (query.contextId !== null) {
    const contextId = literals.uuid(query.contextId);
    if (about) where.push(about(contextId));
    else if (context !== null) where.push(`${context} = ${contextId}`);
  }
  if (query.from !== null) where.push(`${entity.time} >= ${instant(query.from)}`);
  where.push(`${entity.time} < ${instant(query.to)}`);
  const key = keys.map(([column]) => `${alias}.${column}`).join(', ');
  if (query.after !== null) {
    const last = query.after.map((text, at) => `${escapeLiteral(text)}::${keys[at]![1]}`);
    where.push(`(${key}) > (${last.join(', ')})`);
  }
  const shown = entity.columnText?.(principal, literals) ?? {};
  const columnOf = (column: string) => {
    const own = `${alias}.${column}`;
    const text = asText.has(column) ? `(${shown[column] ?? own})::text` : (shown[column] ?? own);
    return text === own ? own : `${text} AS ${column}`;
  };
  const columns = [...keys.map(([column]) => column), ...entity.columns].map(columnOf).join(', ');
  const limit = query.limit === null ? '' : ` LIMIT ${query.limit}`;
  return `SELECT ${columns} FROM ${entity.from} WHERE ${where.join(' AND ')} ORDER BY ${key}${limit}`;
}

/**
 * COPY that hands the rows over in a form of PostgreSQL's own. A line of JSON has no control characters: with two of them
 * as delimiter and quote the CSV form leaves every line as it is.
 */
export function copyStatement(select: string, format: 'copy' | 'binary' | 'csv' | 'ndjson'): string {
  const json = `SELECT row_to_json(exported) FROM (${select}) exported`;
  switch (format) {
    case 'copy':
      return `COPY (${select}) TO STDOUT`;
    case 'binary':
      return `COPY (${select}) TO STDOUT (FORMAT binary)`;
    case 'csv':
      return `COPY (${select}) TO STDOUT (FORMAT csv, HEADER)`;
    case 'ndjson':
      return `COPY (${json}) TO STDOUT (FORMAT csv, QUOTE E'\\x01', DELIMITER E'\\x02')`;
  }
}

import { createHash } from 'node:crypto';
import { isoText } from '#shared/record.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';
import type { SubgraphName } from '../../names.ts';

/** An audit row as it is read of its module; `detail` is the database's own text of the JSON, so that no byte is lost. */
export interface AuditRow {
  readonly tenantId: string;
  readonly module: SubgraphName;
  readonly position: number;
  readonly id: string;
  readonly action: string;
  readonly resource: string;
  readonly resourceId: string;
  readonly actor: string;
  readonly detail: string;
  readonly traceparent: string | null;
  /** Where the request came from, as the database writes its JSON; null of what no request asked for. */
  readonly origin: string | null;
  /** ISO 8601 with milliseconds. */
  readonly createdAt: string;
}

/** Select list over an audit table that yields rows. */
export function auditColumns(module: SubgraphName, alias = 'a'): string {
  return `${alias}.tenant_id AS "tenantId", '${module}' AS module, ${alias}.position, ${alias}.id, ${alias}.action,
    ${alias}.resource, ${alias}.resource_id AS "resourceId", ${alias}.actor, ${alias}.detail::text AS detail,
    ${alias}.traceparent, ${alias}.origin::text AS origin, ${isoText(`${alias}.created_at`)} AS "createdAt"`;
}

/**
 * The canonical text of a row, which is what is hashed and what an export in NDJSON has as its line: JSON with its members
 * in this order, `detail` and, where there is one, `origin` as PostgreSQL writes jsonb.
 */
export function canonicalText(row: AuditRow): string {
  const {
    detail,
    origin,
    tenantId,
    module,
    position,
    id,
    createdAt,
    action,
    resource,
    resourceId,
    actor,
    traceparent,
  } = row;
  const head = { tenantId, module, position, id, createdAt, action, resource, resourceId, actor, traceparent };
  const came = origin === null ? '' : `,"origin":${origin}`;
  return `${JSON.stringify(head).slice(0, -1)},"detail":${detail}${came}}`;
}

/** SHA-256 over the SHA-256 of each row's canonical text, in the order given. */
export function hashRows(rows: readonly AuditRow[]): Buffer {
  const whole = createHash('sha256');
  for (const row of rows) whole.update(createHash('sha256').update(canonicalText(row)).digest());
  return whole.digest();
}

export interface AuditRange {
  readonly module: SubgraphName;
  readonly after: number;
  readonly upTo: number;
  /** Rows at most. */
  readonly limit?: number;
}

/** Rows of ranges of one database, of one tenant or of all, by module in the order given and position. */
export async function readAuditRows(
  db: Sql | SqlTransaction,
  ranges: readonly AuditRange[],
  tenantId: string | null = null,
): Promise<readonly AuditRow[]> {
  const values: (string | number)[] = [];
  const bind = (value: string | number, type: string) => `$${values.push(value)}::${type}`;
  const parts = ranges.map(
    ({ module, after, upTo, limit }, at) =>
      `(SELECT ${at} AS ord, ${auditColumns(module)} FROM ${module}.audit a
        WHERE a.position > ${bind(after, 'bigint')} AND a.position <= ${bind(upTo, 'bigint')}
        ${tenantId === null ? '' : `AND a.tenant_id = ${bind(tenantId, 'text')}`}
        ORDER BY a.position ${limit === undefined ? '' : `LIMIT ${bind(limit, 'int')}`})`,
  );
  if (parts.length === 0) return [];
  return (await db.unsafe(`SELECT * FROM (${parts.join(' UNION ALL ')}) AS r ORDER BY ord, position`, values, {
    prepare: true,
  })) as unknown as AuditRow[];
}

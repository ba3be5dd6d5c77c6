import { type Connection, createConnection, type Page, type PageInput, readPage } from '#shared/connection.ts';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { isId } from '#shared/ids.ts';
import type { Sql } from '#shared/sql.ts';
import { parseInput } from '#shared/validation.ts';
import { noteListAccess, viewerOf, visibleCondition } from './access.ts';
import * as inputs from './inputs.ts';
import type { PlanRow } from './rows.ts';
import { planColumns } from './store.ts';

/** Plans of a tenant, newest first. @throws {CURSOR_INVALID} {VALIDATION_FAILED} */
export async function listPlans(
  sql: Sql,
  scope: Pick<RequestScope, 'principal' | 'readTags'>,
  rawFilter: unknown,
  input: PageInput,
): Promise<Connection<PlanRow>> {
  const filter = parseInput(inputs.filter, rawFilter ?? {}, ['filter']);
  const page = readPage('plans', 2, input);
  const parameters: unknown[] = [scope.principal.tenantId];
  const param = (value: unknown) => `$${parameters.push(value)}`;
  const where = ['p.tenant_id = $1'];
  const viewer = viewerOf(scope.principal);
  if (viewer !== null) where.push(visibleCondition('p', param(viewer)));
  if (filter.contextId != null) where.push(`p.context_id = ${param(filter.contextId)}`);
  if (filter.status != null)
    where.push(`p.status = ANY(${param(filter.status.map((status) => status.toLowerCase()))}::text[])`);
  if (filter.type != null) where.push(`p.type = ANY(${param(filter.type)}::text[])`);
  if (filter.priority != null) where.push(`p.priority = ANY(${param(filter.priority)}::text[])`);
  where.push(`p.archived_at IS ${filter.archived === true ? 'NOT ' : ''}NULL`);
  if (filter.createdBy != null) where.push(`p.created_by = ${param(filter.createdBy)}`);
  if (filter.titlePattern != null)
    where.push(`p.title ILIKE ${param(`%${filter.titlePattern.replace(/[\\%_]/g, '\\$&')}%`)}`);
  const backward = page.direction === 'backward';
  if (page.from !== null) {
    const [at, id] = placeOf(page.from);
    const time = `${param(at)}::text::timestamptz`;
    where.push(
      `(p.created_at ${backward ? '>' : '<'} ${time} OR (p.created_at = ${time} AND p.id ${backward ? '<' : '>'} ${param(id)}::uuid))`,
    );
  }
  const noted = noteListAccess(sql, scope);
  const rows = (await sql.unsafe(
    `SELECT ${planColumns} FROM plan.plan p WHERE ${where.join(' AND ')} ORDER BY p.created_at ${backward ? 'ASC' : 'DESC'}, p.id ${backward ? 'DESC' : 'ASC'} LIMIT ${param(page.limit + 1)}`,
    parameters as never[],
    { prepare: true },
  )) as unknown as PlanRow[];
  await noted;
  return createConnection<PlanRow>('plans', page, rows, (row) => [row.createdAt, row.id]);
}

function placeOf([at, id]: NonNullable<Page['from']>): readonly [string, string] {
  if (typeof at !== 'string' || Number.isNaN(Date.parse(at)) || !isId(id))
    throw new PlatformError('CURSOR_INVALID', 'expected a cursor of this list', { path: ['after'] });
  return [at, id];
}

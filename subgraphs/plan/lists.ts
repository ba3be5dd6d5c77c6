import type { z } from 'zod';
import { createConnection, type Page, type PageInput, readPage } from '#shared/connection.ts';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { isId } from '#shared/ids.ts';
import type { Principal } from '#shared/principal.ts';
import type { Sql } from '#shared/sql.ts';
import { parseInput } from '#shared/validation.ts';
import { noteListAccess, viewerOf, visibleCondition } from './access.ts';
import * as inputs from './inputs.ts';
import type { PlanConnectionRow, PlanRow } from './rows.ts';
import { planColumns } from './store.ts';

/** Conditions on plans that the caller sees, and their parameters. */
function createWhere(principal: Principal, filter: z.output<typeof inputs.filter>) {
  const parameters: unknown[] = [principal.tenantId];
  const param = (value: unknown) => `$${parameters.push(value)}`;
  const where = ['p.tenant_id = $1'];
  const viewer = viewerOf(principal);
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
  return { parameters, param, where };
}

/** Plans of a tenant, newest first. @throws {CURSOR_INVALID} {VALIDATION_FAILED} */
export async function listPlans(
  sql: Sql,
  scope: Pick<RequestScope, 'principal' | 'readTags'>,
  rawFilter: unknown,
  input: PageInput,
): Promise<PlanConnectionRow> {
  const filter = parseInput(inputs.filter, rawFilter ?? {}, ['filter']);
  const page = readPage('plans', 2, input);
  const { parameters, param, where } = createWhere(scope.principal, filter);
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
  return {
    ...createConnection<PlanRow>('plans', page, rows, (row) => [row.createdAt, row.id]),
    async count() {
      const counted = createWhere(scope.principal, filter);
      const [row] = (await sql.unsafe(
        `SELECT count(*)::int AS n FROM plan.plan p WHERE ${counted.where.join(' AND ')}`,
        counted.parameters as never[],
        { prepare: true },
      )) as unknown as { n: number }[];
      return row!.n;
    },
  };
}

function placeOf([at, id]: NonNullable<Page['from']>): readonly [string, string] {
  if (typeof at !== 'string' || Number.isNaN(Date.parse(at)) || !isId(id))
    throw new PlatformError('CURSOR_INVALID', 'expected a cursor of this list', { path: ['after'] });
  return [at, id];
}

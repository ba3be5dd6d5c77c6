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

export interface ContextPlansKey {
  readonly contextId: string;
  readonly status: readonly string[] | null;
  readonly first: number | null;
  readonly after: string | null;
}

/** The page of each context by one statement; a page that was asked for wrongly fails alone. */
export async function listContextPlans(
  sql: Sql,
  scope: Pick<RequestScope, 'principal' | 'readTags'>,
  keys: readonly ContextPlansKey[],
): Promise<readonly (Connection<PlanRow> | Error)[]> {
  const pages = keys.map(({ first, after }) => {
    try {
      const page = readPage('plans', 2, { first, after });
      return { page, from: page.from && placeOf(page.from) };
    } catch (error) {
      if (!(error instanceof PlatformError)) throw error;
      return error;
    }
  });
  const asked = keys.flatMap(({ contextId, status }, at) => {
    const read = pages[at]!;
    if (read instanceof Error || !isId(contextId)) return [];
    const [fromAt, fromId] = read.from ?? [null, null];
    return [
      { at, contextId, status: status?.map((entry) => entry.toLowerCase()), fromAt, fromId, most: read.page.limit + 1 },
    ];
  });
  const viewer = viewerOf(scope.principal);
  const [rows] = await Promise.all([
    sql.unsafe(
      `SELECT k.at AS "keyAt", ${planColumns}
       FROM json_to_recordset($2::text::json) AS k(at int, "contextId" uuid, status text[], "fromAt" timestamptz, "fromId" uuid, most int)
       CROSS JOIN LATERAL (
         SELECT * FROM plan.plan p WHERE p.tenant_id = $1 AND p.context_id = k."contextId" AND (k.status IS NULL OR p.status = ANY(k.status))
           AND (k."fromId" IS NULL OR p.created_at < k."fromAt" OR (p.created_at = k."fromAt" AND p.id > k."fromId"))
           AND ($3::text[] IS NULL OR ${visibleCondition('p', '$3')})
         ORDER BY p.created_at DESC, p.id LIMIT k.most) p
       ORDER BY k.at, p.created_at DESC, p.id`,
      [scope.principal.tenantId, JSON.stringify(asked), viewer as string[] | null],
      { prepare: true },
    ) as unknown as Promise<readonly (PlanRow & { readonly keyAt: number })[]>,
    noteListAccess(sql, scope),
  ]);
  const byKey = Map.groupBy(rows, ({ keyAt }) => keyAt);
  return pages.map((read, at) =>
    read instanceof Error
      ? read
      : createConnection<PlanRow>('plans', read.page, byKey.get(at) ?? [], (row) => [row.createdAt, row.id]),
  );
}

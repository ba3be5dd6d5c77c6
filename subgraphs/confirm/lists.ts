import { z } from 'zod';
import { type ChildList, readChildPage } from '#shared/childPages.ts';
import { createConnection, type PageInput } from '#shared/connection.ts';
import type { RequestScope } from '#shared/context.ts';
import type { Principal } from '#shared/principal.ts';
import type { Sql } from '#shared/sql.ts';
import { id, parseInput, text } from '#shared/validation.ts';
import { noteListAccess, visibleTo } from './access.ts';
import type { ConfirmConnectionRow, ConfirmRow } from './rows.ts';
import { confirmColumns } from './store.ts';

/** Enum values of GraphQL, and names, as they are stored. */
export const words = z
  .array(text({ min: 1, max: 100 }).transform((value) => value.toLowerCase()))
  .max(50)
  .nullish();
export const range = z.object({ from: z.date().nullish(), to: z.date().nullish() }).nullish();

export const filterShape = z.object({
  contextId: id.nullish(),
  planId: id.nullish(),
  targetType: words,
  targetId: id.nullish(),
  status: words,
  phase: words,
  confirmationType: words,
  priority: words,
  requestedBy: text({ min: 1, max: 255 }).nullish(),
  approver: text({ min: 1, max: 255 }).nullish(),
  openConditionOf: text({ min: 1, max: 255 }).nullish(),
  createdAt: range,
});

export type ConfirmFilterInput = z.output<typeof filterShape>;

export const readFilter = (raw: unknown): ConfirmFilterInput => parseInput(filterShape, raw ?? {}, ['filter']);

/** Collects conditions and their parameters. */
export function createWhere(tenantId: string, parameters: unknown[] = []) {
  const param = (value: unknown) => `$${parameters.push(value)}`;
  const conditions = [`c.tenant_id = ${param(tenantId)}`];
  return {
    parameters,
    param,
    add: (condition: string) => void conditions.push(condition),
    text: () => conditions.join(' AND '),
  };
}

export type Where = ReturnType<typeof createWhere>;

export function addFilter(where: Where, filter: ConfirmFilterInput): void {
  const equal = (column: string, value: unknown) => {
    if (value != null) where.add(`c.${column} = ${where.param(value)}`);
  };
  const among = (column: string, values: readonly string[] | null | undefined) => {
    if (values != null) where.add(`c.${column} = ANY(${where.param(values)}::text[])`);
  };
  equal('context_id', filter.contextId);
  equal('plan_id', filter.planId);
  equal('target_id', filter.targetId);
  equal('requested_by', filter.requestedBy);
  among('target_type', filter.targetType);
  among('status', filter.status);
  among('phase', filter.phase);
  among('confirmation_type', filter.confirmationType);
  among('priority', filter.priority);
  if (filter.createdAt?.from)
    where.add(`c.created_at >= ${where.param(filter.createdAt.from.toISOString())}::text::timestamptz`);
  if (filter.createdAt?.to)
    where.add(`c.created_at < ${where.param(filter.createdAt.to.toISOString())}::text::timestamptz`);
  if (filter.approver != null)
    where.add(
      `EXISTS (SELECT 1 FROM confirm.approver a WHERE a.tenant_id = c.tenant_id AND a.confirm_id = c.id AND a.subject = ${where.param(filter.approver)} AND a.condition_id IS NULL)`,
    );
  if (filter.openConditionOf != null) {
    const open = JSON.stringify([{ responsible: filter.openConditionOf, status: 'open' }]);
    where.add(`c.conditions IS NOT NULL AND c.conditions @> ${where.param(open)}::text::jsonb`);
  }
}

/** Leaves out what the principal may not see. */
export function addVisible(where: Where, principal: Principal): void {
  const visible = visibleTo(principal, 'c', where.param);
  if (visible !== null) where.add(visible);
}

/** As lists show them: what one may see, and what was put away only where its phase is asked for. */
function addListFilter(where: Where, principal: Principal, filter: ConfirmFilterInput): void {
  addFilter(where, filter);
  addVisible(where, principal);
  if (filter.phase == null) where.add(`c.phase <> 'archived'`);
}

const list = 'confirms';

const confirmSort = [
  { column: 'c.created_at', type: 'timestamptz', keyOf: (row: ConfirmRow) => row.createdAt },
  { column: 'c.id', type: 'uuid', keyOf: (row: ConfirmRow) => row.id },
] as const;

/** Confirms below a context, a plan or a target, newest first. */
export function confirmsBelow(
  parent: 'context_id' | 'plan_id' | 'target_id',
  principal: Principal,
  filter: ConfirmFilterInput,
): ChildList<ConfirmRow> {
  return {
    list,
    columns: confirmColumns,
    from: () => 'confirm.confirm c',
    parent: { type: 'uuid', condition: `c.${parent} = k.parent` },
    sort: confirmSort,
    descending: true,
    conditions(parameters) {
      const where = createWhere(principal.tenantId, parameters);
      addListFilter(where, principal, filter);
      return [where.text()];
    },
  };
}

/** Confirms of the tenant, newest first. @throws {CURSOR_INVALID} {VALIDATION_FAILED} */
export async function listConfirms(
  sql: Sql,
  scope: RequestScope,
  filter: ConfirmFilterInput,
  input: PageInput,
): Promise<ConfirmConnectionRow> {
  const page = readChildPage({ list, sort: confirmSort }, input);
  const where = createWhere(scope.principal.tenantId);
  addListFilter(where, scope.principal, filter);
  const forward = page.direction === 'forward';
  if (page.from) {
    const [at, from] = page.from;
    where.add(
      `(c.created_at, c.id) ${forward ? '<' : '>'} (${where.param(at)}::text::timestamptz, ${where.param(from)}::text::uuid)`,
    );
  }
  scope.readTags.add(
    filter.contextId != null
      ? `Context:${filter.contextId}:confirms`
      : filter.planId != null
        ? `Plan:${filter.planId}:confirms`
        : 'confirms',
  );
  const direction = forward ? 'DESC' : 'ASC';
  const noted = noteListAccess(sql, scope);
  const rows = (await sql.unsafe(
    `SELECT ${confirmColumns} FROM confirm.confirm c WHERE ${where.text()} ORDER BY c.created_at ${direction}, c.id ${direction} LIMIT ${where.param(page.limit + 1)}`,
    where.parameters as never[],
    { prepare: true },
  )) as unknown as ConfirmRow[];
  await noted;
  return {
    ...createConnection<ConfirmRow>(list, page, rows, (row) => [row.createdAt, row.id]),
    count: () => countConfirms(sql, scope, filter),
  };
}

async function countConfirms(sql: Sql, scope: RequestScope, filter: ConfirmFilterInput): Promise<number> {
  const where = createWhere(scope.principal.tenantId);
  addListFilter(where, scope.principal, filter);
  const [row] = (await sql.unsafe(
    `SELECT count(*)::int AS n FROM confirm.confirm c WHERE ${where.text()}`,
    where.parameters as never[],
    { prepare: true },
  )) as unknown as { n: number }[];
  return row!.n;
}

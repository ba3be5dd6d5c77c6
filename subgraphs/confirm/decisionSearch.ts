import { z } from 'zod';
import { readChildPage } from '#shared/childPages.ts';
import { createConnection, type PageInput } from '#shared/connection.ts';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { Principal } from '#shared/principal.ts';
import type { Sql } from '#shared/sql.ts';
import { id, parseInput, text } from '#shared/validation.ts';
import { noteListAccess, visibleTo } from './access.ts';
import { range, words } from './lists.ts';
import type { ConfirmDecisionConnectionRow, ConfirmDecisionRow } from './rows.ts';
import { decisionColumns } from './store.ts';

const searchQuery = text({ min: 1, max: 1_000 }).nullish();
const label = text({ min: 1, max: 255 }).nullish();
const decisionFilter = z.object({
  confirmId: id.nullish(),
  contextId: id.nullish(),
  planId: id.nullish(),
  targetType: words,
  targetId: id.nullish(),
  confirmationType: words,
  approver: label,
  decidedByRole: label,
  outcome: words,
  decidedAt: range,
});

/** Matches that a count goes up to; one more stands for any number above. */
const maxCounted = 10_000;

const list = 'searchDecisions';
const sort = [{ type: 'timestamptz' }, { type: 'uuid' }, { type: 'bigint' }] as const;

interface Selection {
  readonly parameters: unknown[];
  readonly param: (value: unknown) => string;
  /** FROM and WHERE over decisions d. */
  text(): string;
  add(condition: string): void;
}

function select(principal: Principal, query: string | null, filter: z.output<typeof decisionFilter>): Selection {
  const parameters: unknown[] = [];
  const param = (value: unknown) => `$${parameters.push(value)}`;
  const conditions = [`d.tenant_id = ${param(principal.tenantId)}`];
  const add = (condition: string) => void conditions.push(condition);
  const visible = visibleTo(principal, 'c', param);
  if (visible !== null) add(visible);
  let ofConfirm = visible !== null;
  const both = (column: string, value: string | readonly string[] | null | undefined, type: string) => {
    if (value == null) return;
    add(
      typeof value === 'string'
        ? `${column} = ${param(value)}::${type}`
        : `${column} = ANY(${param(value)}::${type}[])`,
    );
    ofConfirm ||= column.startsWith('c.');
  };
  // The index over words is a partial one: it is used where its condition stands.
  if (query !== null) add(`d.search @@ websearch_to_tsquery('simple', ${param(query)}::text) AND d.sequence > 0`);
  both('d.confirm_id', filter.confirmId, 'uuid');
  both('d.approver', filter.approver, 'text');
  both('d.role', filter.decidedByRole, 'text');
  both('d.outcome', filter.outcome, 'text');
  both('c.context_id', filter.contextId, 'uuid');
  both('c.plan_id', filter.planId, 'uuid');
  both('c.target_id', filter.targetId, 'uuid');
  both('c.target_type', filter.targetType, 'text');
  both('c.confirmation_type', filter.confirmationType, 'text');
  if (filter.decidedAt?.from) add(`d.decided_at >= ${param(filter.decidedAt.from.toISOString())}::text::timestamptz`);
  if (filter.decidedAt?.to) add(`d.decided_at < ${param(filter.decidedAt.to.toISOString())}::text::timestamptz`);
  return {
    parameters,
    param,
    add,
    text: () =>
      `confirm.decision d${ofConfirm ? ' JOIN confirm.confirm c ON c.tenant_id = d.tenant_id AND c.id = d.confirm_id' : ''} WHERE ${conditions.join(' AND ')}`,
  };
}

/**
 * Planned for its own words: common ones are met soon on the way through time, rare ones are looked up in the inverted
 * index, and a plan made for any words would do the one or the other for all.
 * @throws {DEADLINE_EXCEEDED} when the statement is given up.
 */
async function run<Row>(sql: Sql, statement: string, parameters: readonly unknown[]): Promise<readonly Row[]> {
  try {
    return (await sql.begin('READ ONLY', async (tx) => {
      const [, rows] = await Promise.all([
        tx.unsafe('SET LOCAL plan_cache_mode = force_custom_plan'),
        tx.unsafe(statement, parameters as never[], { prepare: true }),
      ]);
      return rows;
    })) as unknown as Row[];
  } catch (error) {
    if (typeof error === 'object' && error !== null && 'code' in error && error.code === '57014')
      throw new PlatformError('DEADLINE_EXCEEDED', 'the search took too long: name more of what is looked for');
    throw error;
  }
}

/** Decisions of the tenant, newest first. @throws {CURSOR_INVALID} {VALIDATION_FAILED} {DEADLINE_EXCEEDED} */
export async function searchDecisions(
  sql: Sql,
  scope: RequestScope,
  input: PageInput & { readonly query?: string | null | undefined; readonly filter?: unknown },
): Promise<ConfirmDecisionConnectionRow> {
  const query = parseInput(searchQuery, input.query, ['query']) ?? null;
  const filter = parseInput(decisionFilter, input.filter ?? {}, ['filter']);
  const page = readChildPage({ list, sort }, input);
  const selection = select(scope.principal, query, filter);
  const { param, add } = selection;
  const [compare, direction] = page.direction === 'forward' ? ['<', 'DESC'] : ['>', 'ASC'];
  if (page.from) {
    const [at, confirmId, sequence] = page.from;
    add(
      `(d.decided_at, d.confirm_id, d.sequence) ${compare} (${param(at)}::text::timestamptz, ${param(confirmId)}::text::uuid, ${param(sequence)}::int)`,
    );
  }
  scope.readTags.add(filter.confirmId == null ? 'confirms' : `Confirm:${filter.confirmId}`);
  const order = ['d.decided_at', 'd.confirm_id', 'd.sequence'].map((column) => `${column} ${direction}`).join(', ');
  const noted = noteListAccess(sql, scope);
  const rows = await run<ConfirmDecisionRow>(
    sql,
    `SELECT ${decisionColumns} FROM ${selection.text()} ORDER BY ${order} LIMIT ${param(page.limit + 1)}::int`,
    selection.parameters,
  );
  await noted;
  return {
    ...createConnection(list, page, rows, (row) => [row.decidedAt, row.confirmId, row.sequence]),
    async count() {
      const counted = select(scope.principal, query, filter);
      const [row] = await run<{ n: number }>(
        sql,
        `SELECT count(*)::int AS n FROM (SELECT FROM ${counted.text()} LIMIT ${maxCounted + 1}) found`,
        counted.parameters,
      );
      return row!.n;
    },
  };
}

import { type ChildList, readChildPage } from '#shared/childPages.ts';
import { type Connection, createConnection, type PageInput } from '#shared/connection.ts';
import type { RequestScope } from '#shared/context.ts';
import type { Principal } from '#shared/principal.ts';
import { isoText } from '#shared/record.ts';
import type { Sql } from '#shared/sql.ts';
import { parseInput } from '#shared/validation.ts';
import { noteListAccess, viewerOf, visibleCondition } from '../access.ts';
import * as inputs from '../inputs.ts';
import type { CoreExecutionRow, CoreHistoryEntryRow } from '../rows.ts';
import { executionColumns } from './store.ts';

export interface ExecutionFilter {
  readonly workflowId?: string | null | undefined;
  readonly contextId?: string | null | undefined;
  readonly status?: readonly string[] | null | undefined;
  readonly priority?: readonly string[] | null | undefined;
  readonly createdBy?: string | null | undefined;
  readonly createdAfter?: Date | null | undefined;
  readonly createdBefore?: Date | null | undefined;
  readonly includeChildren?: boolean | null | undefined;
}

/** Conditions on executions `e` of a filter, as the principal sees them; values go to the parameters. */
export function executionConditions(principal: Principal, filter: ExecutionFilter, parameters: unknown[]): string[] {
  const bind = (value: unknown) => `$${parameters.push(value)}`;
  const where = [`e.tenant_id = ${bind(principal.tenantId)}`];
  const viewer = viewerOf(principal);
  if (viewer !== null) where.push(visibleCondition('e', bind(viewer)));
  if (filter.workflowId != null) where.push(`e.workflow_id = ${bind(filter.workflowId)}::uuid`);
  if (filter.contextId != null) where.push(`e.context_id = ${bind(filter.contextId)}::uuid`);
  if (filter.status != null)
    where.push(`e.status = ANY(${bind(filter.status.map((one) => one.toLowerCase()))}::text[])`);
  if (filter.priority != null)
    where.push(
      `e.priority = ANY(${bind(filter.priority.map((one) => inputs.priorities.indexOf(one as never)))}::int[])`,
    );
  if (filter.createdBy != null) where.push(`e.created_by = ${bind(filter.createdBy)}`);
  if (filter.createdAfter != null)
    where.push(`e.created_at >= ${bind(filter.createdAfter.toISOString())}::text::timestamptz`);
  if (filter.createdBefore != null)
    where.push(`e.created_at < ${bind(filter.createdBefore.toISOString())}::text::timestamptz`);
  if (filter.includeChildren !== true) where.push('e.parent_id IS NULL');
  return where;
}

const list = 'workflowExecutions';

/** Executions of a tenant, newest first. @throws {CURSOR_INVALID} {VALIDATION_FAILED} */
export async function listExecutions(
  sql: Sql,
  scope: Pick<RequestScope, 'principal' | 'readTags'>,
  rawFilter: unknown,
  input: PageInput,
): Promise<Connection<CoreExecutionRow>> {
  const filter = parseInput(inputs.executionFilter, rawFilter ?? {}, ['filter']);
  const page = readChildPage({ list, sort: [{ type: 'timestamptz' }, { type: 'uuid' }] }, input);
  const parameters: unknown[] = [];
  const where = executionConditions(scope.principal, filter, parameters);
  const bind = (value: unknown) => `$${parameters.push(value)}`;
  const backward = page.direction === 'backward';
  if (page.from !== null) {
    const [at, id] = page.from;
    where.push(`(e.created_at, e.id) ${backward ? '>' : '<'} (${bind(at)}::text::timestamptz, ${bind(id)}::uuid)`);
  }
  const order = backward ? 'ASC' : 'DESC';
  const noted = noteListAccess(sql, scope);
  const rows = (await sql.unsafe(
    `SELECT ${executionColumns} FROM core.execution e WHERE ${where.join(' AND ')} ORDER BY e.created_at ${order}, e.id ${order} LIMIT ${bind(page.limit + 1)}`,
    parameters as never[],
    { prepare: true },
  )) as unknown as CoreExecutionRow[];
  await noted;
  return createConnection(list, page, rows, (row) => [row.createdAt, row.id]);
}

const byAge = [
  { column: 'e.created_at', type: 'timestamptz', keyOf: ({ createdAt }: CoreExecutionRow) => createdAt },
  { column: 'e.id', type: 'uuid', keyOf: ({ id }: CoreExecutionRow) => id },
] as const;

function executionsBelow(name: string, condition: string) {
  return (principal: Principal, status: readonly string[] | null): ChildList<CoreExecutionRow> => ({
    list: name,
    columns: executionColumns,
    from: () => 'core.execution e',
    parent: { type: 'uuid', condition },
    sort: byAge,
    descending: true,
    conditions: (parameters) => executionConditions(principal, { status, includeChildren: true }, parameters),
  });
}

/** Executions in a context, those that others started included; newest first. */
export const executionsOfContext = executionsBelow('contextWorkflows', 'e.context_id = k.parent');
export const executionsOfWorkflow = executionsBelow('workflowExecutionsOf', 'e.workflow_id = k.parent');
export const executionsOfParent = executionsBelow('childExecutions', 'e.parent_id = k.parent');

/** What happened in an execution, from its beginning. */
export function historyOf(tenantId: string): ChildList<CoreHistoryEntryRow> {
  return {
    list: 'executionHistory',
    columns: `h.tenant_id AS "tenantId", h.execution_id AS "executionId", h.sequence, h.type, h.step_id AS "stepId", h.attempt, h.data, ${isoText('h.at')} AS at`,
    from: () => 'core.history h',
    parent: { type: 'uuid', condition: 'h.execution_id = k.parent' },
    sort: [{ column: 'h.sequence', type: 'bigint', keyOf: ({ sequence }) => sequence }],
    conditions: (parameters) => [`h.tenant_id = $${parameters.push(tenantId)}`],
  };
}

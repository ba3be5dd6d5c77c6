import type { Sql } from '#shared/sql.ts';
import type { CoreExecutionRow, CoreStepExecutionRow } from '../rows.ts';
import { executionColumns, stepColumns } from './store.ts';

export async function findExecutions(sql: Sql, tenantId: string, ids: readonly string[]): Promise<CoreExecutionRow[]> {
  return (await sql.unsafe(
    `SELECT ${executionColumns} FROM core.execution e WHERE e.tenant_id = $1 AND e.id = ANY($2::uuid[])`,
    [tenantId, ids as string[]],
    { prepare: true },
  )) as unknown as CoreExecutionRow[];
}

/** Steps of executions in the order of their definition. */
export async function findStepsOf(
  sql: Sql,
  tenantId: string,
  executionIds: readonly string[],
): Promise<CoreStepExecutionRow[]> {
  return (await sql.unsafe(
    `SELECT ${stepColumns} FROM core.step_execution s WHERE s.tenant_id = $1 AND s.execution_id = ANY($2::uuid[]) ORDER BY s.execution_id, s.place`,
    [tenantId, executionIds as string[]],
    { prepare: true },
  )) as unknown as CoreStepExecutionRow[];
}

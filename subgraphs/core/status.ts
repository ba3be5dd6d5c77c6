import type { Sql } from '#shared/sql.ts';
import type { CoreAllocationStatus, CoreExecutionStatus } from './resolvers.generated.ts';

/** How many executions and allocations of a tenant are in which status; those that have ended count for a day. */
export async function countByStatus(sql: Sql, tenantId: string) {
  const rows = (await sql.unsafe(
    `SELECT 'executions' AS kind, status, count(*)::int AS count FROM core.execution
       WHERE tenant_id = $1 AND (completed_at IS NULL OR completed_at > now() - interval '1 day') GROUP BY status
     UNION ALL SELECT 'allocations', status, count(*)::int FROM core.allocation
       WHERE tenant_id = $1 AND (ended_at IS NULL OR ended_at > now() - interval '1 day') GROUP BY status`,
    [tenantId],
    { prepare: true },
  )) as unknown as { kind: 'executions' | 'allocations'; status: string; count: number }[];
  const of = (wanted: string) =>
    rows.flatMap(({ kind, status, count }) => (kind === wanted ? [{ status: status.toUpperCase(), count }] : []));
  return {
    executions: of('executions') as { status: CoreExecutionStatus; count: number }[],
    allocations: of('allocations') as { status: CoreAllocationStatus; count: number }[],
  };
}

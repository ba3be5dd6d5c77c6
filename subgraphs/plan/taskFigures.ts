import type { Sql } from '#shared/sql.ts';

/** An agent as far as it takes part in one context. */
export interface AgentInContext {
  readonly contextId: string;
  readonly agentId: string;
}

/** Steps of plan runs in the context that the agent holds, or was the last to hold. */
export interface AgentTasks {
  readonly totalTasks: number;
  readonly completedTasks: number;
  /** Failed for good: what is tried again is nobody's until it is claimed. */
  readonly failedTasks: number;
  /** Mean time from the start of a completed step to its end, ms; null before there is one. */
  readonly averageResponseMs: number | null;
}

const agentText = `
SELECT count(t.step_id)::int AS "totalTasks", count(*) FILTER (WHERE t.status = 'completed')::int AS "completedTasks",
  count(*) FILTER (WHERE t.status = 'failed')::int AS "failedTasks",
  (avg(extract(epoch FROM t.finished_at - t.started_at)) FILTER (WHERE t.status = 'completed') * 1000)::float8 AS "averageResponseMs"
FROM unnest($2::uuid[], $3::text[]) WITH ORDINALITY AS k(context_id, agent_id, ord)
LEFT JOIN (plan.execution e JOIN plan.step_execution t ON t.tenant_id = e.tenant_id AND t.execution_id = e.id)
  ON e.tenant_id = $1 AND e.context_id = k.context_id AND t.lease_subject = k.agent_id
GROUP BY k.ord ORDER BY k.ord`;

/** One for each key, in the order of the keys. */
export async function findAgentTasks(
  sql: Sql,
  tenantId: string,
  keys: readonly AgentInContext[],
): Promise<readonly AgentTasks[]> {
  return (await sql.unsafe(
    agentText,
    [tenantId, keys.map(({ contextId }) => contextId), keys.map(({ agentId }) => agentId)],
    { prepare: true },
  )) as unknown as AgentTasks[];
}

/** What goes on in the plan runs of a context, and how it went within the last hour. */
export interface TaskFigures {
  readonly contextId: string;
  readonly runningTasks: number;
  readonly blockedTasks: number;
  readonly completedLastHour: number;
  readonly failedLastHour: number;
  /** From the start of a step to its end, of those completed within the hour; null without any. */
  readonly averageTaskMs: number | null;
  readonly p95TaskMs: number | null;
}

const lately = `t.finished_at > now() - interval '1 hour'`;
const tookMs = 'extract(epoch FROM t.finished_at - t.started_at) * 1000';

const contextText = `
SELECT k.context_id AS "contextId",
  count(*) FILTER (WHERE t.status IN ('leased', 'running', 'finishing'))::int AS "runningTasks",
  count(*) FILTER (WHERE t.status = 'blocked')::int AS "blockedTasks",
  count(*) FILTER (WHERE t.status = 'completed' AND ${lately})::int AS "completedLastHour",
  count(*) FILTER (WHERE t.status = 'failed' AND ${lately})::int AS "failedLastHour",
  (avg(${tookMs}) FILTER (WHERE t.status = 'completed' AND ${lately}))::float8 AS "averageTaskMs",
  (percentile_cont(0.95) WITHIN GROUP (ORDER BY ${tookMs}) FILTER (WHERE t.status = 'completed' AND ${lately}))::float8 AS "p95TaskMs"
FROM unnest($2::uuid[]) AS k(context_id)
LEFT JOIN (plan.execution e JOIN plan.step_execution t ON t.tenant_id = e.tenant_id AND t.execution_id = e.id AND NOT t.composite)
  ON e.tenant_id = $1 AND e.context_id = k.context_id
GROUP BY k.context_id`;

/** In any order. */
export async function findTaskFigures(
  sql: Sql,
  tenantId: string,
  contextIds: readonly string[],
): Promise<readonly TaskFigures[]> {
  return (await sql.unsafe(contextText, [tenantId, contextIds as string[]], {
    prepare: true,
  })) as unknown as TaskFigures[];
}

/** How many runs go on in each context, in the order given. */
export async function countRunningExecutions(
  sql: Sql,
  tenantId: string,
  contextIds: readonly string[],
): Promise<readonly number[]> {
  const rows = (await sql.unsafe(
    `SELECT (SELECT count(*)::int FROM plan.execution e WHERE e.tenant_id = $1 AND e.context_id = k.context_id AND e.status = 'RUNNING') AS n
     FROM unnest($2::uuid[]) WITH ORDINALITY AS k(context_id, ord) ORDER BY k.ord`,
    [tenantId, contextIds as string[]],
    { prepare: true },
  )) as unknown as { readonly n: number }[];
  return rows.map(({ n }) => n);
}

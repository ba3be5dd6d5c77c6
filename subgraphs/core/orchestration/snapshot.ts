import type { Graph } from '#shared/graph.ts';
import type { Principal } from '#shared/principal.ts';
import type { Sql } from '#shared/sql.ts';
import { findQuotas } from '../allocation/store.ts';
import { subtract, unlimited, type Vector } from '../allocation/vector.ts';
import { openConfirmClause } from '../execution/approvals.ts';

const slackText = `query CorePlanSlack($id: ID!) {
  plan(planId: $id) { definition summary { durationMs } executions(first: 5) { status startedAt overallProgress } }
}`;
/** A decision does not wait longer for how urgent its plans are, ms. */
const slackTimeoutMs = 100;
const maxPlans = 20;

/** Confirms that nobody has decided yet, by what they are about. */
export async function findPendingConfirms(
  sql: Sql,
  tenantId: string,
  ids: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  if (ids.length === 0) return new Map();
  const rows = (await sql.unsafe(
    `SELECT r.id, r.detail->>'targetId' AS "targetId" FROM core.replica r
     WHERE r.tenant_id = $1 AND r.type = 'Confirm' AND r.detail->>'targetId' = ANY($2::text[]) AND ${openConfirmClause} ORDER BY r.id`,
    [tenantId, [...new Set(ids)]],
    { prepare: true },
  )) as unknown as { id: string; targetId: string }[];
  return new Map(rows.map(({ id, targetId }) => [targetId, id]));
}

/** What the quota of an owner still leaves. */
export async function findHeadroom(sql: Sql, tenantId: string, owner: string): Promise<Vector> {
  const [quota] = await findQuotas(sql, tenantId, [owner]);
  return quota === undefined ? unlimited : subtract(quota.hard, quota.used);
}

interface AskedPlan {
  readonly definition: { readonly deadlineMs?: unknown } | null;
  readonly summary: { readonly durationMs: number };
  readonly executions: readonly {
    readonly status: string;
    readonly startedAt: string;
    readonly overallProgress: number;
  }[];
}

/**
 * What plans may still be late by before they miss their deadlines, ms: what is left of the time to it, less the longest
 * path as far as it is not done. A plan without a deadline, or that was not heard of in time, has none.
 */
export async function findSlack(
  graph: Graph,
  principal: Principal,
  planIds: readonly string[],
): Promise<ReadonlyMap<string, number>> {
  const timeout = AbortSignal.timeout(slackTimeoutMs);
  const late = new Promise<null>((resolve) => timeout.addEventListener('abort', () => resolve(null), { once: true }));
  const asked = [...new Set(planIds)].slice(0, maxPlans).map(async (id) => {
    const answer = graph.execute<{ plan: AskedPlan | null }>(slackText, { id }, principal, timeout).catch(() => null);
    const plan = (await Promise.race([answer, late]))?.data?.plan;
    const slack = plan ? slackOf(plan, Date.now()) : null;
    return slack === null ? [] : [[id, slack] as const];
  });
  return new Map((await Promise.all(asked)).flat());
}

export function slackOf({ definition, summary, executions }: AskedPlan, nowMs: number): number | null {
  const deadlineMs = definition?.deadlineMs;
  if (typeof deadlineMs !== 'number') return null;
  const run = executions.find(({ status }) => status === 'RUNNING' || status === 'PAUSED');
  if (run === undefined) return deadlineMs - summary.durationMs;
  const elapsedMs = nowMs - Date.parse(run.startedAt);
  return Math.round(deadlineMs - elapsedMs - summary.durationMs * (1 - run.overallProgress));
}

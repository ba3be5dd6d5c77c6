import type { Principal } from '#shared/principal.ts';
import type { Sql } from '#shared/sql.ts';
import { addFilter, addVisible, type ConfirmFilterInput, createWhere } from './lists.ts';

export interface ConfirmCount {
  readonly key: string;
  readonly count: number;
}

export interface ConfirmStatisticsShape {
  readonly total: number;
  readonly byStatus: ConfirmCount[];
  readonly byType: ConfirmCount[];
  readonly overdue: number;
  readonly approvalRate: number | null;
  readonly meanResolutionMs: number | null;
  readonly p95ResolutionMs: number | null;
}

/** Figures over the confirms that a filter selects and the principal may see. */
export async function readStatistics(
  sql: Sql,
  principal: Principal,
  filter: ConfirmFilterInput,
): Promise<ConfirmStatisticsShape> {
  const where = createWhere(principal.tenantId);
  addFilter(where, filter);
  addVisible(where, principal);
  const [row] = (await sql.unsafe(
    `WITH s AS MATERIALIZED (
       SELECT c.tenant_id, c.id, c.status, c.confirmation_type, extract(epoch FROM c.resolved_at - c.requested_at) * 1000 AS ms FROM confirm.confirm c WHERE ${where.text()}
     )
     SELECT (SELECT count(*)::int FROM s) AS total,
       (SELECT coalesce(json_agg(x ORDER BY x.key), '[]') FROM (SELECT status AS key, count(*)::int AS count FROM s GROUP BY status) x) AS "byStatus",
       (SELECT coalesce(json_agg(x ORDER BY x.key), '[]') FROM (SELECT confirmation_type AS key, count(*)::int AS count FROM s WHERE confirmation_type IS NOT NULL GROUP BY confirmation_type) x) AS "byType",
       (SELECT count(*)::int FROM s WHERE status = 'pending' AND EXISTS (SELECT FROM confirm.approver a
         WHERE a.tenant_id = s.tenant_id AND a.confirm_id = s.id AND a.state = 'waiting' AND a.due_at <= now())) AS overdue,
       (SELECT count(*) FILTER (WHERE status = 'approved')::float8 / nullif(count(*) FILTER (WHERE status IN ('approved', 'rejected')), 0) FROM s) AS "approvalRate",
       (SELECT avg(ms)::float8 FROM s WHERE status <> 'pending') AS "meanResolutionMs",
       (SELECT percentile_cont(0.95) WITHIN GROUP (ORDER BY ms)::float8 FROM s WHERE status <> 'pending' AND ms IS NOT NULL) AS "p95ResolutionMs"`,
    where.parameters as never[],
    { prepare: true },
  )) as unknown as ConfirmStatisticsShape[];
  return row!;
}

export interface ApprovalMetricsShape {
  readonly approverId: string;
  readonly waiting: number;
  readonly overdue: number;
  readonly decided: number;
  readonly approved: number;
  readonly rejected: number;
  readonly abstained: number;
  readonly delegated: number;
  readonly escalatedAway: number;
  readonly meanDecisionMs: number | null;
}

/** How one approver does: what waits, what was decided and how fast. */
export async function readMetrics(sql: Sql, tenantId: string, subject: string): Promise<ApprovalMetricsShape> {
  const [row] = (await sql.unsafe(
    `SELECT count(*) FILTER (WHERE state = 'waiting')::int AS waiting, count(*) FILTER (WHERE state = 'waiting' AND due_at <= now())::int AS overdue,
       count(*) FILTER (WHERE state = 'decided')::int AS decided, count(*) FILTER (WHERE vote = 'approve')::int AS approved,
       count(*) FILTER (WHERE vote = 'reject')::int AS rejected, count(*) FILTER (WHERE vote = 'abstain')::int AS abstained,
       count(*) FILTER (WHERE state = 'delegated')::int AS delegated, count(*) FILTER (WHERE state = 'escalated')::int AS "escalatedAway",
       (avg(extract(epoch FROM decided_at - waiting_since) * 1000) FILTER (WHERE state = 'decided'))::float8 AS "meanDecisionMs"
     FROM confirm.approver WHERE tenant_id = $1 AND subject = $2 AND condition_id IS NULL`,
    [tenantId, subject],
    { prepare: true },
  )) as unknown as Omit<ApprovalMetricsShape, 'approverId'>[];
  return { approverId: subject, ...row! };
}

/** Mean time a step of these ids took in the confirms of a template, ms by step. */
export async function readStepTimes(
  sql: Sql,
  tenantId: string,
  templateId: string,
): Promise<ReadonlyMap<string, number>> {
  const rows = (await sql.unsafe(
    `SELECT s->>'id' AS id, avg(extract(epoch FROM (s->>'decidedAt')::timestamptz - (s->>'startedAt')::timestamptz) * 1000)::float8 AS ms
     FROM (SELECT steps FROM confirm.confirm WHERE tenant_id = $1 AND template_id = $2 AND status <> 'pending' ORDER BY created_at DESC LIMIT 200) c,
       jsonb_array_elements(c.steps) s
     WHERE s->>'status' IN ('approved', 'rejected') AND s->>'startedAt' IS NOT NULL GROUP BY 1`,
    [tenantId, templateId],
    { prepare: true },
  )) as unknown as { id: string; ms: number }[];
  return new Map(rows.map(({ id, ms }) => [id, ms]));
}

import type { SqlTransaction } from '#shared/sql.ts';
import type { PlanStepExecutionRow } from './rows.ts';
import { stepExecutionColumns } from './store.ts';

/** A composite step that is not what it was. */
export type RolledUpStep = PlanStepExecutionRow & { readonly was: PlanStepExecutionRow['status'] };

const parts = (...statuses: string[]) =>
  `count(*) FILTER (WHERE p.status IN (${statuses.map((status) => `'${status}'`).join(', ')}))`;

/**
 * Rolls up the composite steps that these rows of a run lie in, level by level from the deepest, by the rules of
 * `rollUpParts`; one whose parts have all ended stays at work while a relation holds its end. Under the run's lock.
 */
export async function rollUpRun(
  tx: SqlTransaction,
  rows: readonly PlanStepExecutionRow[],
): Promise<readonly RolledUpStep[]> {
  const levels: Set<string>[] = [];
  for (const { ancestors } of rows)
    for (const [level, id] of ancestors.entries()) {
      levels[level] ??= new Set();
      levels[level].add(id);
    }
  const changed: RolledUpStep[] = [];
  const [row] = rows;
  for (const ids of levels.toReversed()) {
    changed.push(
      ...((await tx.unsafe(
        `WITH part AS (
           SELECT p.parent_id, ${parts('failed')} AS failed, ${parts('completed')} AS completed, ${parts('completed', 'skipped')} AS ended,
             ${parts('leased', 'running', 'finishing')} AS busy, ${parts('blocked')} AS blocked, count(*) AS parts,
             COALESCE(sum(p.duration_ms) FILTER (WHERE p.status <> 'skipped'), 0)::bigint AS work,
             COALESCE(CASE WHEN sum(p.duration_ms) FILTER (WHERE p.status <> 'skipped') > 0
               THEN sum(p.duration_ms * p.progress) FILTER (WHERE p.status <> 'skipped') / sum(p.duration_ms) FILTER (WHERE p.status <> 'skipped')
               ELSE avg(p.progress) FILTER (WHERE p.status <> 'skipped') END, 1) AS progress,
             min(p.started_at) AS started_at, max(p.finished_at) AS finished_at
           FROM plan.step_execution p WHERE p.tenant_id = $1 AND p.execution_id = $2 AND p.parent_id = ANY($3::uuid[]) GROUP BY p.parent_id
         ), next AS (
           SELECT o.step_id, o.status AS was, o.progress AS had, r.work, LEAST(r.progress, 1) AS progress, r.started_at, r.finished_at,
             CASE WHEN r.failed > 0 THEN 'failed'
               WHEN r.ended = r.parts AND r.completed = 0 THEN 'skipped'
               WHEN r.ended = r.parts THEN CASE WHEN o.finish_waits > 0 OR o.finish_at > clock_timestamp() THEN 'finishing' ELSE 'completed' END
               WHEN r.busy > 0 THEN 'running' WHEN r.blocked > 0 THEN 'blocked' WHEN r.ended > 0 THEN 'running' ELSE 'pending' END AS status
           FROM part r JOIN plan.step_execution o ON o.tenant_id = $1 AND o.execution_id = $2 AND o.step_id = r.parent_id
         )
         UPDATE plan.step_execution t SET status = n.status, progress = n.progress, duration_ms = n.work, started_at = n.started_at,
           finished_at = CASE WHEN n.status NOT IN ('completed', 'skipped') THEN NULL WHEN t.status = 'finishing' THEN clock_timestamp() ELSE n.finished_at END
         FROM next n WHERE t.tenant_id = $1 AND t.execution_id = $2 AND t.step_id = n.step_id
           AND (t.status, t.progress, t.duration_ms, t.started_at) IS DISTINCT FROM (n.status, n.progress, n.work, n.started_at)
         RETURNING ${stepExecutionColumns}, n.was`,
        [row!.tenantId, row!.executionId, [...ids]],
        { prepare: true },
      )) as unknown as RolledUpStep[]),
    );
  }
  return changed;
}

const hasEnded = (status: PlanStepExecutionRow['status']) => status === 'completed' || status === 'skipped';

/** Of these the ones that have ended just now, and those that go on again. */
export function splitByEnd(rolled: readonly RolledUpStep[]) {
  return {
    ended: rolled.filter(({ status, was }) => hasEnded(status) && !hasEnded(was)),
    reopened: rolled.filter(({ status, was }) => !hasEnded(status) && hasEnded(was)),
    begun: rolled.filter(({ status, was }) => was === 'pending' && status !== 'pending'),
  };
}

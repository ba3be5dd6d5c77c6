import type { Sql } from '#shared/sql.ts';

/** What executions of one version took, execution by execution in the same order for each step. */
export interface Recorded {
  /** From start to end, ms. */
  readonly durationsMs: readonly number[];
  readonly steps: readonly RecordedStep[];
}

export interface RecordedStep {
  readonly stepId: string;
  /** Since the execution started, ms; null where the step did not run. */
  readonly startedMs: readonly (number | null)[];
  readonly endedMs: readonly (number | null)[];
}

/** The newest completed executions of a version that nobody else started, up to `limit`. */
export async function findRecorded(
  sql: Sql,
  {
    tenantId,
    workflowId,
    version,
  }: { readonly tenantId: string; readonly workflowId: string; readonly version: number },
  limit: number,
): Promise<Recorded> {
  const [row] = (await sql.unsafe(
    `WITH e AS MATERIALIZED (
       SELECT id, started_at, extract(epoch FROM completed_at - started_at)::float8 * 1000 AS ms, row_number() OVER (ORDER BY created_at DESC, id) AS at
       FROM core.execution WHERE tenant_id = $1 AND workflow_id = $2 AND workflow_version = $3 AND status = 'completed' AND parent_id IS NULL
       ORDER BY created_at DESC, id LIMIT $4
     ), s AS (
       SELECT s.step_id, min(s.place) AS place,
         json_agg(CASE WHEN s.status = 'completed' THEN round((extract(epoch FROM COALESCE(s.started_at, s.finished_at) - e.started_at) * 1000)::numeric, 1) END ORDER BY e.at) AS started,
         json_agg(CASE WHEN s.status = 'completed' THEN round((extract(epoch FROM s.finished_at - e.started_at) * 1000)::numeric, 1) END ORDER BY e.at) AS ended
       FROM e JOIN core.step_execution s ON s.tenant_id = $1 AND s.execution_id = e.id GROUP BY s.step_id
     )
     SELECT COALESCE((SELECT json_agg(round(e.ms::numeric, 1) ORDER BY e.at) FROM e), '[]') AS durations,
       COALESCE((SELECT json_agg(json_build_object('stepId', s.step_id, 'startedMs', s.started, 'endedMs', s.ended) ORDER BY s.place) FROM s), '[]') AS steps`,
    [tenantId, workflowId, version, limit],
    { prepare: true },
  )) as unknown as [{ durations: number[]; steps: RecordedStep[] }];
  return { durationsMs: row.durations, steps: row.steps };
}

/** @param share 0 to 1 @returns 0 of nothing */
export function percentile(values: readonly number[], share: number): number {
  if (values.length === 0) return 0;
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!;
}

/** Medians of the newest 500 completed executions of versions, by `workflowId/version`, ms; null of fewer than five. */
export async function findMedians(sql: Sql, tenantId: string, keys: readonly string[]): Promise<(number | null)[]> {
  const parts = keys.map((key) => key.split('/') as [string, string]);
  const rows = (await sql.unsafe(
    `SELECT k.ord, (SELECT CASE WHEN count(*) >= 5 THEN percentile_cont(0.5) WITHIN GROUP (ORDER BY e.ms) END FROM (
         SELECT extract(epoch FROM completed_at - started_at)::float8 * 1000 AS ms FROM core.execution
         WHERE tenant_id = $1 AND workflow_id = k.id AND workflow_version = k.version AND status = 'completed' AND parent_id IS NULL
         ORDER BY created_at DESC LIMIT 500) e) AS ms
     FROM unnest($2::uuid[], $3::int[]) WITH ORDINALITY AS k(id, version, ord) ORDER BY k.ord`,
    [tenantId, parts.map(([id]) => id), parts.map(([, version]) => Number(version))],
    { prepare: true },
  )) as unknown as { ms: number | null }[];
  return rows.map(({ ms }) => ms);
}

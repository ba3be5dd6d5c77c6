import type { Sql } from '#shared/sql.ts';
import { parseInput } from '#shared/validation.ts';
import { definition } from '../../subgraphs/core/inputs.ts';
import { planOf } from '../../subgraphs/core/workflow/compile.ts';
import { perfTenant } from './context.ts';
import { seedId } from './seedId.ts';

export interface CoreHistorySeed {
  /** Workflows of many steps, each with as many ended executions. */
  readonly tuned: number;
  readonly steps: number;
  readonly executions: number;
  /** Stretches of 15 s that were measured, in 50 series. */
  readonly stretches: number;
}

export const tunedId = (workflow: number): string => seedId('tunedWorkflow', workflow);
const processes = 4;

/** Reads one after the other in ten chains, each step of which needs nothing of the one before. */
const chains = (steps: number) => ({
  steps: Array.from({ length: steps }, (_, at) => ({
    ...{
      stepId: `step${at}`,
      module: 'context',
      action: 'context',
      input: { contextId: '$'.concat('{input.contextId}') },
    },
    ...(at < 10 ? {} : { dependsOn: [`step${at - 10}`] }),
  })),
  output: { done: true },
});

/** What a day has left behind: measured sums, executions of a bounded workflow, and recorded steps. */
export async function seedCoreHistory(sql: Sql, seed: CoreHistorySeed, log: (text: string) => void): Promise<void> {
  // 12 series of four processes, and two of the tenant: a day's course between idle and nine tenths busy.
  await sql.unsafe(
    `INSERT INTO core.metric_sample (tenant_id, series, at, instance, length_ms, count, sum, squares)
     SELECT s.tenant_id, s.series, now() - n * interval '15 seconds', ('00000000-0000-4000-8000-00000000000' || p)::uuid, 15000, c.count, c.count::float8 * s.mean, c.count::float8 * s.mean * s.mean * 1.5
     FROM (VALUES ('', 'step.arrived', 1), ('', 'step.wait', 60), ('', 'step.service', 80), ('', 'step.failed', 1), ('', 'step.lapsed', 1), ('', 'execution.wait', 100), ('', 'execution.run', 900),
       ('', 'execution.failed', 1), ('', 'worker.busy', 20), ('', 'worker.slots', 32), ('', 'pool.wait', 1), ('', 'loop.delay', 2), ($1, 'step.wait', 60), ($1, 'step.service', 80)) AS s(tenant_id, series, mean)
     CROSS JOIN generate_series(0, CASE WHEN s.tenant_id = '' THEN ${processes - 1} ELSE 0 END) p CROSS JOIN generate_series(0, $2::int - 1) n
     CROSS JOIN LATERAL (SELECT CASE WHEN s.series LIKE '%failed' OR s.series LIKE '%lapsed' THEN 1 WHEN s.series ~ '^(worker|pool|loop)' THEN 1 ELSE 2700 + round(2700 * sin(n / 900.0))::int END AS count) c`,
    [perfTenant, seed.stretches],
  );
  // One that lets two run at a time, with a day of executions that waited for it.
  await sql.unsafe(
    `UPDATE core.workflow SET max_executions = 2 WHERE tenant_id = $1 AND id = (SELECT id FROM core.workflow WHERE tenant_id = $1 ORDER BY id LIMIT 1)`,
    [perfTenant],
  );
  await sql.unsafe(
    `INSERT INTO core.execution (tenant_id, id, workflow_id, workflow_version, body, status, priority, input, principal, total_steps, ended_steps, created_by, created_at, started_at, completed_at)
     SELECT $1, gen_random_uuid(), w.id, 1, '{}', 'completed', 2, '{}', '{}', 9, 9, 'seed', now() - n * interval '20 seconds', now() - n * interval '20 seconds' + interval '40 seconds', now() - n * interval '20 seconds' + interval '75 seconds'
     FROM (SELECT id FROM core.workflow WHERE tenant_id = $1 AND max_executions = 2) w, generate_series(4, 2003) n`,
    [perfTenant],
  );
  const parsed = parseInput(definition, chains(seed.steps));
  for (let workflow = 0; workflow < seed.tuned; workflow += 1) {
    await sql.unsafe(
      `WITH w AS (INSERT INTO core.workflow (tenant_id, id, name, status, latest_version, created_by, updated_by) VALUES ($1, $2, $3, 'active', 1, 'seed', 'seed'))
       INSERT INTO core.workflow_version (tenant_id, workflow_id, version, definition, plan, change, created_by) VALUES ($1, $2, 1, $4::text::jsonb, $5::text::jsonb, 'workflow_created', 'seed')`,
      [
        ...[perfTenant, tunedId(workflow), `tuned ${workflow}`],
        ...[
          JSON.stringify(parsed),
          JSON.stringify(planOf({ definition: parsed, workflowId: null, timings: new Map() })),
        ],
      ],
    );
    // Each step takes 50 to 150 ms, after the one ten places before it.
    await sql.unsafe(
      `WITH e AS (
         INSERT INTO core.execution (tenant_id, id, workflow_id, workflow_version, body, status, priority, input, principal, total_steps, ended_steps, created_by, created_at, started_at, completed_at)
         SELECT $1, gen_random_uuid(), $2, 1, '{}', 'completed', 2, '{}', '{}', $3::int, $3::int, 'seed', at, at, at + ceil($3 / 10.0) * interval '100 milliseconds'
         FROM (SELECT now() - n * interval '10 seconds' AS at FROM generate_series(1, $4::int) n) t RETURNING id, started_at)
       INSERT INTO core.step_execution (tenant_id, execution_id, step_id, place, status, attempt, lease_epoch, output, outcome, ready_at, started_at, finished_at)
       SELECT $1, e.id, 'step' || s, s, 'completed', 1, 1, '{}', 'completed', e.started_at + (s / 10) * interval '100 milliseconds', e.started_at + (s / 10) * interval '100 milliseconds',
         e.started_at + (s / 10) * interval '100 milliseconds' + (50 + (hashtext(e.id::text || s) & 63)) * interval '1 millisecond'
       FROM e, generate_series(0, $3::int - 1) s`,
      [perfTenant, tunedId(workflow), seed.steps, seed.executions],
    );
  }
  log(
    `${seed.stretches * 50} sums, ${seed.tuned} workflows of ${seed.steps} steps with ${seed.executions} executions each`,
  );
}

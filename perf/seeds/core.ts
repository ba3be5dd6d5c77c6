import type { Sql } from '#shared/sql.ts';
import { parseInput } from '#shared/validation.ts';
import { definition } from '../../subgraphs/core/inputs.ts';
import { planOf } from '../../subgraphs/core/workflow/compile.ts';
import { perfTenant } from './context.ts';
import { seedId } from './seedId.ts';

export interface CoreSeed {
  readonly workflows: number;
  readonly nodes: number;
  /** Live leases, spread over the nodes. */
  readonly leases: number;
  /** Ended executions of 10 steps each. */
  readonly executions: number;
}

/** Nodes come in groups, each at a place of its own in its group. */
export const groupNodes = 10;

/** What each rule does: one read of every module. */
export const asked = [
  ['context', 'context', 'contextId'],
  ['plan', 'plan', 'planId'],
  ['role', 'role', 'roleId'],
  ['confirm', 'confirm', 'id'],
  ['trace', 'trace', 'traceId'],
  ['extension', 'extension', 'id'],
  ['dialog', 'dialog', 'id'],
  ['collab', 'collaboration', 'id'],
  ['network', 'network', 'networkId'],
].map(([module, action, argument]) => ({ module, action, input: { [argument!]: `\${input.id}` } }));

/** Stages of the workflows that are seeded. */
export const stages = 9;
export const workflowId = (workflow: number): string => seedId('workflow', workflow);
export const executionId = (execution: number): string => seedId('workflowExecution', execution);

/** Nine stages one after the other, none of which does any work. */
export const stagesOf = (step: (at: number) => object) => ({
  steps: Array.from({ length: stages }, (_, at) => ({
    stepId: `stage${at}`,
    ...step(at),
    ...(at === 0 ? {} : { dependsOn: [`stage${at - 1}`] }),
  })),
  timeoutMs: 3_600_000,
});

/** Even workflows pass through by themselves, odd ones wait for the signal `go` at each stage. */
export const waits = (workflow: number): boolean => workflow % 2 === 1;

export async function seedCore(
  sql: Sql,
  { workflows, nodes, leases, executions }: CoreSeed,
  log: (text: string) => void,
): Promise<void> {
  const kinds = [
    stagesOf((at) => ({ kind: 'PASS', input: { at } })),
    stagesOf(() => ({ kind: 'SIGNAL', signal: 'go' })),
  ].map((raw) => {
    const parsed = parseInput(definition, raw);
    return { definition: parsed, plan: planOf({ definition: parsed, workflowId: null, timings: new Map() }) };
  });
  const rows = Array.from({ length: workflows }, (_, at) => ({
    id: workflowId(at),
    name: `workflow ${at}`,
    ...kinds[Number(waits(at))]!,
  }));
  await sql.unsafe(
    `WITH x AS (SELECT * FROM json_to_recordset($1::text::json) AS x(id uuid, name text, definition jsonb, plan jsonb)), w AS (
       INSERT INTO core.workflow (tenant_id, id, name, status, latest_version, created_by, updated_by) SELECT $2, id, name, 'active', 1, 'seed', 'seed' FROM x)
     INSERT INTO core.workflow_version (tenant_id, workflow_id, version, definition, plan, change, created_by) SELECT $2, id, 1, definition, plan, 'workflow_created', 'seed' FROM x`,
    [JSON.stringify(rows), perfTenant],
  );
  await sql.unsafe(
    `INSERT INTO core.node (tenant_id, id, name, pool, labels, capabilities, capacity, used, created_by)
     SELECT $1, gen_random_uuid(), 'node ' || n, 'pool ' || n % 10, jsonb_build_object('group', ((n - 1) / $3::int)::text, 'place', ((n - 1) % $3::int)::text), '{}', '{64,262144,4000000,10000,32}', '{0,0,0,0,0}', 'seed' FROM generate_series(1, $2::int) n`,
    [perfTenant, nodes, groupNodes],
  );
  // Each lease holds two cores of a node; the sums are written once.
  await sql.unsafe(
    `INSERT INTO core.allocation (tenant_id, id, owner, type, requested, capabilities, labels, priority, preemptible, status, node_id, lease_epoch, lease_ms, allocated_at, expires_at, created_by)
     SELECT $1, gen_random_uuid(), 'owner ' || l % 100, 'compute', '{2,1024,0,0,1}', '{}', '{}', 2, true, 'active', n.id, 1, 86400000, now(), now() + interval '1 day', 'seed'
     FROM generate_series(0, $2::int - 1) l JOIN (SELECT id, row_number() OVER (ORDER BY name) - 1 AS at FROM core.node WHERE tenant_id = $1) n ON n.at = l % $3::int`,
    [perfTenant, leases, nodes],
  );
  await sql.unsafe(
    `UPDATE core.node n SET used = ARRAY[a.n * 2, a.n * 1024, 0, 0, a.n]::float8[] FROM (SELECT node_id, count(*)::float8 AS n FROM core.allocation WHERE tenant_id = $1 GROUP BY node_id) a WHERE n.tenant_id = $1 AND n.id = a.node_id`,
    [perfTenant],
  );
  await sql.unsafe(
    `INSERT INTO core.quota (tenant_id, owner, hard, soft, used, updated_by) SELECT $1, owner, '{1e15,1e15,1e15,1e15,1e15}', '{1e15,1e15,1e15,1e15,1e15}', ARRAY[count(*) * 2, count(*) * 1024, 0, 0, count(*)]::float8[], 'seed'
     FROM core.allocation WHERE tenant_id = $1 GROUP BY owner`,
    [perfTenant],
  );
  const ids = Array.from({ length: executions }, (_, at) => ({
    id: executionId(at),
    workflow: workflowId((at * 2) % workflows),
  }));
  await sql.unsafe(
    `WITH x AS (SELECT * FROM json_to_recordset($1::text::json) AS x(id uuid, workflow uuid)), e AS (
       INSERT INTO core.execution (tenant_id, id, workflow_id, workflow_version, body, status, priority, input, principal, history_sequence, total_steps, ended_steps, created_by, started_at, completed_at)
       SELECT $2, id, workflow, 1, '{}', 'completed', 2, '{}', '{}', 20, 10, 10, 'seed', now() - interval '1 minute', now() FROM x), s AS (
       INSERT INTO core.step_execution (tenant_id, execution_id, step_id, place, status, attempt, output, outcome, started_at, finished_at)
       SELECT $2, id, 'stage' || n, n, 'completed', 1, '{}', 'completed', now() - interval '1 minute', now() FROM x, generate_series(0, 9) n)
     INSERT INTO core.history (tenant_id, execution_id, sequence, type, step_id, attempt, data)
     SELECT $2, id, n, CASE WHEN n % 2 = 1 THEN 'step.started' ELSE 'step.completed' END, 'stage' || (n - 1) / 2, 1, '{}' FROM x, generate_series(1, 20) n`,
    [JSON.stringify(ids), perfTenant],
  );
  await sql.unsafe(
    `INSERT INTO core.rule (tenant_id, id, name, trigger, condition, actions, rank, enabled, created_by)
     SELECT $1, gen_random_uuid(), 'rule ' || n, 'context.created', 'input.size >= ' || n, $2::text::jsonb, n, true, 'seed' FROM generate_series(1, 20) n`,
    [perfTenant, JSON.stringify(asked)],
  );
  log(`${workflows} workflows, ${nodes} nodes, ${leases} leases, ${executions} executions`);
}

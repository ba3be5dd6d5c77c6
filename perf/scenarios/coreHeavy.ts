import { once } from 'node:events';
import { createSql } from '#shared/sql.ts';
import { endChild, forkModule } from '../load/childProcess.ts';
import type { HeldSteps } from '../load/heldSteps.ts';
import { createHistogram } from '../load/histogram.ts';
import type { Measurement } from '../measurement.ts';
import { agentTokens, measureBeside } from '../moduleMix.ts';
import type { PerfEnvironment, Scenario } from '../scenario.ts';
import { contextId, perfTenant, seedContexts } from '../seeds/context.ts';
import { seedCore } from '../seeds/core.ts';
import { type CoreHistorySeed, seedCoreHistory } from '../seeds/coreHistory.ts';
import type { CoreParams } from '../workloads/core.ts';
import type { CoreHeavyParams } from '../workloads/coreHeavy.ts';

const mixRow = 'l2.core_module.orchestration_decision';
const recoveryRow = 'l3.execution_manager.failure_recovery';
const smokeHistory: CoreHistorySeed = { tuned: 1, steps: 100, executions: 20, stretches: 240 };
const fullHistory: CoreHistorySeed = { tuned: 3, steps: 100, executions: 1_000, stretches: 5_760 };
/** Of the leases of steps that are taken over. */
const leaseMs = 3_000;

function heavyRow(
  environment: PerfEnvironment,
  row: string,
  operation: CoreHeavyParams['operation'],
  besideRate: number,
) {
  const history = environment.smoke ? smokeHistory : fullHistory;
  const core = environment.smoke
    ? { workflows: 40, nodes: 50, leases: 200, executions: 300 }
    : { workflows: 1_000, nodes: 1_000, leases: 10_000, executions: 10_000 };
  return measureBeside<CoreHeavyParams>(environment, {
    ...{ row, operation, env: { OPERATOR_TENANT: perfTenant } },
    seed: {
      ...{ name: `corehistory${history.stretches}and${history.executions}`, version: 1 },
      async load(sql, log) {
        await seedCore(sql, core, log);
        await seedCoreHistory(sql, history, log);
      },
    },
    workload: new URL('../workloads/coreHeavy.ts', import.meta.url),
    params: async (server) => ({
      ...{ seed: history, operation },
      admin: await server.token({ tenant: perfTenant, subject: 'core-admin', roles: ['admin'] }),
    }),
    beside: {
      workload: new URL('../workloads/core.ts', import.meta.url),
      ratePerSecond: besideRate,
      params: async (server): Promise<CoreParams> => ({
        ...{ seed: core, tokens: await agentTokens(server, 50), url: server.url },
        mix: environment.design(mixRow).mix,
      }),
    },
  });
}

/** A worker is killed while it holds steps; each is measured from the end of its lease until another runs it. */
async function measureRecovery(environment: PerfEnvironment): Promise<Measurement[]> {
  const count = environment.smoke ? 20 : 150;
  const database = await environment.prepareDatabase({
    ...{ name: 'corerecovery', version: 1 },
    load: (sql, log) => seedContexts(sql, 50, log),
  });
  await environment.startServer({
    database,
    env: { CORE_LEASE_MS: String(leaseMs), CORE_WORKER_SLOTS: String(count) },
  });
  const child = forkModule(new URL('../load/heldSteps.ts', import.meta.url));
  environment.defer(() => endChild(child));
  const held: HeldSteps = {
    ...{ databaseUrl: database.url, tenantId: perfTenant, contextId: contextId(0), count, leaseMs },
  };
  child.send(held);
  const [{ workflowId }] = (await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(() => Promise.reject(new Error('the worker that was to be killed ended by itself'))),
  ])) as [{ workflowId: string }];
  const sql = createSql(database.url, { applicationName: 'perf-recovery', max: 2 });
  environment.defer(() => sql.end());
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
  const leases = (await sql`
    SELECT s.execution_id AS id, s.lease_until AS until FROM core.step_execution s JOIN core.execution e ON e.tenant_id = s.tenant_id AND e.id = s.execution_id
    WHERE e.workflow_id = ${workflowId} AND s.status = 'running'`) as unknown as { id: string; until: Date }[];
  if (leases.length !== count) throw new Error(`expected ${count} steps to be held, got ${leases.length}`);
  let open = count;
  for (const until = Date.now() + 60_000; open > 0 && Date.now() < until; ) {
    await new Promise((resolve) => setTimeout(resolve, 200));
    const [row] = (await sql`
      SELECT count(*)::int AS open FROM core.execution WHERE workflow_id = ${workflowId} AND completed_at IS NULL`) as unknown as [
      { open: number },
    ];
    open = row.open;
  }
  const again = (await sql`
    SELECT h.execution_id AS id, min(h.at) AS at, bool_and(e.status = 'completed') AS completed FROM core.history h JOIN core.execution e ON e.tenant_id = h.tenant_id AND e.id = h.execution_id
    WHERE e.workflow_id = ${workflowId} AND h.type = 'step.started' AND h.attempt = 2 GROUP BY h.execution_id`) as unknown as {
    id: string;
    at: Date;
    completed: boolean;
  }[];
  const found = new Map(again.map((row) => [row.id, row]));
  const latencies = createHistogram();
  const wrong: string[] = [];
  for (const { id, until } of leases) {
    const row = found.get(id);
    if (!row?.completed) wrong.push(`${id} was not taken over`);
    else latencies.record(row.at.getTime() - until.getTime());
  }
  return [
    {
      ...{ row: recoveryRow, variant: 'caches on', latency: latencies.summary(), operations: count, errors: {} },
      ...{ wrong: wrong.length, wrongExamples: wrong.slice(0, 3) },
      load: `a worker killed holding ${count} steps at once, leases of ${leaseMs} ms`,
      notes: ['from the end of the lease until the step runs at another worker; the lease itself comes before'],
    },
  ];
}

export const scenarios: readonly Scenario[] = [
  {
    rows: ['l2.core_module.system_optimization'],
    title: 'system optimisation',
    run: (environment) => heavyRow(environment, 'l2.core_module.system_optimization', 'system_optimization', 50),
  },
  {
    rows: ['l3.workflow_manager.workflow_optimization'],
    title: 'workflow optimisation',
    run: (environment) =>
      heavyRow(environment, 'l3.workflow_manager.workflow_optimization', 'workflow_optimization', 10),
  },
  { rows: [recoveryRow], title: 'recovery of steps', run: measureRecovery },
];

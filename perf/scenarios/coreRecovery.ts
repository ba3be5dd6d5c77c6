import { once } from 'node:events';
import { createSql, type Sql } from '#shared/sql.ts';
import type { PreparedDatabase } from '../database.ts';
import { endChild, forkModule } from '../load/childProcess.ts';
import type { HeldSteps } from '../load/heldSteps.ts';
import { createHistogram } from '../load/histogram.ts';
import { startRetriedSteps } from '../load/retriedSteps.ts';
import type { Measurement } from '../measurement.ts';
import type { PerfEnvironment, Scenario } from '../scenario.ts';
import { contextId, perfTenant, seedContexts, seededContext } from '../seeds/context.ts';
import type { RunningServer } from '../serverProcess.ts';

const row = 'l3.execution_manager.failure_recovery';
const contexts = 50;
/** Of the leases of steps that are taken over. */
const leaseMs = 3_000;
const retriesPerSecond = 5;

interface Recoveries {
  readonly latenciesMs: readonly number[];
  readonly wrong: readonly string[];
}

/** Waits until all executions of a workflow have ended; answers how many have not within a minute. */
async function untilEnded(sql: Sql, workflowId: string): Promise<number> {
  for (const until = Date.now() + 60_000; ; ) {
    const [found] = (await sql`
      SELECT count(*)::int AS open FROM core.execution WHERE workflow_id = ${workflowId} AND completed_at IS NULL`) as unknown as [
      { open: number },
    ];
    if (found.open === 0 || Date.now() > until) return found.open;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/** A worker is killed while it holds steps; each is measured from the end of its lease until another runs it. */
async function measureLapses(
  environment: PerfEnvironment,
  { database, sql, count }: { readonly database: PreparedDatabase; readonly sql: Sql; readonly count: number },
): Promise<Recoveries> {
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
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
  const leases = (await sql`
    SELECT s.execution_id AS id, s.lease_until AS until FROM core.step_execution s JOIN core.execution e ON e.tenant_id = s.tenant_id AND e.id = s.execution_id
    WHERE e.workflow_id = ${workflowId} AND s.status = 'running'`) as unknown as { id: string; until: Date }[];
  if (leases.length !== count) throw new Error(`expected ${count} steps to be held, got ${leases.length}`);
  await untilEnded(sql, workflowId);
  const again = (await sql`
    SELECT h.execution_id AS id, min(h.at) AS at, bool_and(e.status = 'completed') AS completed FROM core.history h JOIN core.execution e ON e.tenant_id = h.tenant_id AND e.id = h.execution_id
    WHERE e.workflow_id = ${workflowId} AND h.type = 'step.started' AND h.attempt = 2 GROUP BY h.execution_id`) as unknown as {
    id: string;
    at: Date;
    completed: boolean;
  }[];
  const found = new Map(again.map((one) => [one.id, one]));
  const latenciesMs: number[] = [];
  const wrong: string[] = [];
  for (const { id, until } of leases) {
    const one = found.get(id);
    if (!one?.completed) wrong.push(`${id} was not taken over`);
    else latenciesMs.push(one.at.getTime() - until.getTime());
  }
  return { latenciesMs, wrong };
}

/** Steps fail and are tried again; each retry is measured from the instant its back-off ends until it runs. */
async function measureRetries(
  server: RunningServer,
  { sql, count }: { readonly sql: Sql; readonly count: number },
): Promise<Recoveries> {
  const active = Array.from({ length: contexts }, (_, at) => at).filter((at) => seededContext(at).status === 'active');
  const workflowId = await startRetriedSteps(server, {
    token: await server.token({ tenant: perfTenant, subject: 'core-admin', roles: ['admin'] }),
    contextIds: active.map(contextId),
    count,
    ratePerSecond: retriesPerSecond,
  });
  await untilEnded(sql, workflowId);
  const retries = (await sql`
    SELECT f.execution_id AS id, extract(epoch FROM s.at - greatest(f.at, (f.data->>'dueAt')::timestamptz))::float8 * 1000 AS ms
    FROM core.execution e JOIN core.history f ON f.tenant_id = e.tenant_id AND f.execution_id = e.id AND f.type = 'step.retrying'
    LEFT JOIN core.history s ON s.tenant_id = f.tenant_id AND s.execution_id = f.execution_id AND s.step_id = f.step_id AND s.type = 'step.started' AND s.attempt = f.attempt + 1
    WHERE e.workflow_id = ${workflowId}`) as unknown as { id: string; ms: number | null }[];
  const executions = (await sql`
    SELECT id, status FROM core.execution WHERE workflow_id = ${workflowId}`) as unknown as {
    id: string;
    status: string;
  }[];
  const retried = new Set(retries.map(({ id }) => id));
  return {
    latenciesMs: retries.flatMap(({ ms }) => (ms === null ? [] : [ms])),
    wrong: [
      ...retries.flatMap(({ id, ms }) => (ms === null ? [`${id}: a step was not tried again`] : [])),
      ...executions.flatMap(({ id, status }) =>
        status !== 'completed' ? [`${id} is ${status}`] : retried.has(id) ? [] : [`${id}: no step had failed`],
      ),
    ],
  };
}

function columnOf(variant: string, found: readonly Recoveries[], load: string): Measurement {
  const latencies = createHistogram();
  for (const ms of found.flatMap(({ latenciesMs }) => latenciesMs)) latencies.record(ms);
  const wrong = found.flatMap((one) => one.wrong);
  return {
    row,
    variant,
    latency: latencies.summary(),
    operations: latencies.count + wrong.length,
    errors: {},
    wrong: wrong.length,
    wrongExamples: wrong.slice(0, 3),
    load,
    notes: [
      'from the end of a lease until the step runs at another worker, the lease itself comes before; from the end of the back-off until the step that failed runs again',
    ],
  };
}

async function measureRecovery(environment: PerfEnvironment): Promise<Measurement[]> {
  const count = environment.smoke ? 20 : 150;
  const database = await environment.prepareDatabase({
    ...{ name: 'corerecovery', version: 1 },
    load: (sql, log) => seedContexts(sql, contexts, log),
  });
  const server = await environment.startServer({
    database,
    env: { CORE_LEASE_MS: String(leaseMs), CORE_WORKER_SLOTS: String(count) },
  });
  const sql = createSql(database.url, { applicationName: 'perf-recovery', max: 2 });
  environment.defer(() => sql.end());
  const lapses = await measureLapses(environment, { database, sql, count });
  const retries = await measureRetries(server, { sql, count });
  const lapsed = `a worker killed holding ${count} steps at once, leases of ${leaseMs} ms`;
  const failed = `${count} executions at ${retriesPerSecond}/s, a step of each fails until another has done its work`;
  return [
    columnOf('caches on', [lapses, retries], `${lapsed}; then ${failed}`),
    columnOf('a lease expires', [lapses], lapsed),
    columnOf('a task fails', [retries], failed),
  ];
}

export const scenarios: readonly Scenario[] = [{ rows: [row], title: 'recovery of steps', run: measureRecovery }];

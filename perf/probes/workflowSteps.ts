/**
 * Durable steps of workflows a second through the core module's own workers (claim, call, outcome, history, event, each
 * committed with fsync on) against what the database does by itself in the same run: TPC-B-like transactions and single
 * updates of one row, each on as many connections. The called module answers at once.
 * `node perf/probes/workflowSteps.ts [executions] [steps of each]`
 */
import { runMigrations } from 'graphile-worker';
import pino from 'pino';
import { createScopeAuthorizer } from '#shared/auth.ts';
import { createLocalBus } from '#shared/bus.ts';
import { readConfig } from '#shared/config.ts';
import { createRequestScope } from '#shared/context.ts';
import { createPrincipal } from '#shared/principal.ts';
import { createPublisher } from '#shared/publisher.ts';
import { createSql, type Sql } from '#shared/sql.ts';
import { startTemporaryPostgres } from '../../prisma/embedded.ts';
import { migrate } from '../../prisma/migrate.ts';
import { createCoreService } from '../../subgraphs/core/service.ts';
import { figure } from '../figure.ts';
import { tellFigures } from './tellFigures.ts';

const executions = Number(process.argv[2] ?? 300);
const stepsEach = Number(process.argv[3] ?? 9);
const connections = 10;
const secondsEach = 4;

await using server = await startTemporaryPostgres();
await migrate(server.url);
await runMigrations({ connectionString: server.url });
const sql = createSql(server.url, { applicationName: 'workflow-probe', max: connections });
const [settings] = await sql<
  { fsync: string; commit: string }[]
>`SELECT current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS commit`;
if (settings!.fsync !== 'on' || settings!.commit !== 'on') throw new Error('expected fsync and synchronous_commit on');

const bus = createLocalBus((error) => {
  throw error;
});
let calls = 0;
const service = createCoreService({
  config: readConfig({ NODE_ENV: 'test', CORE_WORKER_SLOTS: '64' }),
  sql,
  bus,
  publisher: createPublisher(bus, null),
  authorizer: createScopeAuthorizer(),
  graph: {
    execute: async () => {
      calls += 1;
      return { data: { createContext: { context: { id: `c${calls}` }, userErrors: [] } }, errors: [] };
    },
  },
  logger: pino({ level: 'warn' }),
  sqlOf: () => sql,
  codecs: new Map(),
} as never);
const scope = () =>
  createRequestScope({
    principal: createPrincipal({ tenantId: 'one', subject: 'probe', scopes: ['*'] }),
    correlationId: crypto.randomUUID(),
    traceparent: '00-11111111111111111111111111111111-2222222222222222-01',
  });

/** Transactions a second of `work`, on all connections for some seconds. */
async function rateOf(work: (db: Sql, at: number) => Promise<unknown>): Promise<number> {
  const until = performance.now() + secondsEach * 1_000;
  const counts = await Promise.all(
    Array.from({ length: connections }, async () => {
      let count = 0;
      for (; performance.now() < until; count += 1) await work(sql, count);
      return count;
    }),
  );
  return counts.reduce((sum, count) => sum + count, 0) / secondsEach;
}

await sql.unsafe(`CREATE SCHEMA probe;
  CREATE TABLE probe.account (id int PRIMARY KEY, balance int NOT NULL) WITH (fillfactor = 50); INSERT INTO probe.account SELECT n, 0 FROM generate_series(1, 100000) n;
  CREATE TABLE probe.teller (id int PRIMARY KEY, balance int NOT NULL) WITH (fillfactor = 20); INSERT INTO probe.teller SELECT n, 0 FROM generate_series(1, 100) n;
  CREATE TABLE probe.branch (id int PRIMARY KEY, balance int NOT NULL) WITH (fillfactor = 20); INSERT INTO probe.branch SELECT n, 0 FROM generate_series(1, 10) n;
  CREATE TABLE probe.entry (account int, teller int, branch int, delta int, at timestamptz);`);
const some = (most: number) => 1 + Math.floor(Math.random() * most);
const tpcb = () =>
  rateOf((db) =>
    db.begin(async (tx) => {
      const [account, teller, branch, delta] = [some(100_000), some(100), some(10), some(5_000)];
      await tx`UPDATE probe.account SET balance = balance + ${delta} WHERE id = ${account}`;
      await tx`SELECT balance FROM probe.account WHERE id = ${account}`;
      await tx`UPDATE probe.teller SET balance = balance + ${delta} WHERE id = ${teller}`;
      await tx`UPDATE probe.branch SET balance = balance + ${delta} WHERE id = ${branch}`;
      await tx`INSERT INTO probe.entry VALUES (${account}, ${teller}, ${branch}, ${delta}, now())`;
    }),
  );
const single = () => rateOf((db) => db`UPDATE probe.account SET balance = balance + 1 WHERE id = ${some(100_000)}`);

const steps = Array.from({ length: stepsEach }, (_, at) => ({
  ...{ stepId: `s${at}`, module: 'context', action: 'createContext', select: 'context { id } userErrors { code }' },
  input: { input: { title: 'probe', root: { domain: 'd', environment: 'e' } } },
  dependsOn: at === 0 ? [] : [`s${at - 1}`],
}));
const workflowId = await service.workflows.create(scope(), { name: 'probe', definition: { steps } });

async function stepsPerSecond(count: number): Promise<number> {
  const before = calls;
  const started = performance.now();
  await Promise.all(Array.from({ length: count }, () => service.executions.start(scope(), { workflowId })));
  for (;;) {
    const [open] = await sql<
      { count: number }[]
    >`SELECT count(*)::int AS count FROM core.execution WHERE completed_at IS NULL`;
    if (open!.count === 0) break;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const seconds = (performance.now() - started) / 1_000;
  if (calls - before !== count * stepsEach)
    throw new Error(`expected ${count * stepsEach} calls, got ${calls - before}`);
  return (count * stepsEach) / seconds;
}

service.worker.start(service.transitions, async () => null);
await stepsPerSecond(30);
const [tpcbBefore, singleBefore] = [await tpcb(), await single()];
const rate = await stepsPerSecond(executions);
const [tpcbAfter, singleAfter] = [await tpcb(), await single()];
const [gaps] = await sql<
  { count: number }[]
>`SELECT count(*)::int AS count FROM (SELECT 1 FROM core.history GROUP BY execution_id HAVING max(sequence) <> count(*)) g`;
const mean = (one: number, two: number) => (one + two) / 2;
const round = (value: number) => Math.round(value * 100) / 100;
process.stdout.write(
  `${JSON.stringify({
    ...{ executions, stepsEach, stepsPerSecond: Math.round(rate), historiesWithGaps: gaps!.count },
    ...{ tpcbPerSecond: Math.round(mean(tpcbBefore, tpcbAfter)), ofTpcb: round(rate / mean(tpcbBefore, tpcbAfter)) },
    ...{
      updatesPerSecond: Math.round(mean(singleBefore, singleAfter)),
      ofUpdates: round(rate / mean(singleBefore, singleAfter)),
    },
  })}\n`,
);
tellFigures(
  figure('durable workflow steps', rate, 'a second', {
    atLeast: 200,
    note: `${executions} executions of ${stepsEach} steps, the called module answers at once; perf/probes/workflowSteps.ts`,
  }),
  figure('of the rate of TPC-B transactions', rate / mean(tpcbBefore, tpcbAfter), 'times', {
    atLeast: 0.8,
    note: `${Math.round(mean(tpcbBefore, tpcbAfter))} transactions of five statements a second on ${connections} connections, same run`,
  }),
  figure('of the rate of updates of one row', rate / mean(singleBefore, singleAfter), 'times', {
    note: `${Math.round(mean(singleBefore, singleAfter))} a second, each its own transaction; a step is claim, outcome, history and event`,
  }),
);
await service.worker.close();
await service.transitions.drain();
await sql.end();

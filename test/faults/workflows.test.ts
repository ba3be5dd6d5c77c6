import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Sql } from 'postgres';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import postgres from '#shared/postgresDriver.ts';
import { type EmbeddedPostgres, startTemporaryPostgres } from '../../prisma/embedded.ts';
import {
  type HostedPlatform,
  hostPlatform,
  type OwnPlatform,
  type PlatformOptions,
  startPlatform,
} from '../support/platform.ts';

const total = 500;
const errors = 'userErrors { code message }';
const create = `mutation ($input: CreateCoreWorkflowInput!) { createWorkflow(input: $input) { workflow { id } ${errors} } }`;
const execute = `mutation ($input: ExecuteCoreWorkflowInput!) { executeWorkflow(input: $input) { execution { id } ${errors} } }`;
const ref = (path: string) => `\${${path}}`;

const effect = (stepId: string, dependsOn: string[]) => ({
  stepId,
  module: 'context',
  action: 'createContext',
  select: 'context { id } userErrors { code message retryable retryAfterMs }',
  input: { input: { title: `${ref('input.name')}-${stepId}`, root: { domain: 'workflows', environment: 'fault' } } },
  dependsOn,
  retry: { maxAttempts: 10, delayMs: 100, maxDelayMs: 1_000 },
  compensation: {
    module: 'context',
    action: 'deleteContext',
    input: { contextId: ref('self.output.context.id'), force: true },
  },
});
/** The same while it holds a core. */
const holding = (stepId: string, dependsOn: string[]) => ({
  ...effect(stepId, dependsOn),
  resources: { requirements: { cpuCores: 1 } },
});
const leased = { steps: [holding('a', []), holding('b', ['a'])] };
const good = { steps: [effect('a', []), effect('b', ['a'])] };
/** Its last step deletes what does not exist: everything before it has to be undone. */
const bad = {
  steps: [
    effect('a', []),
    holding('b', ['a']),
    {
      stepId: 'end',
      module: 'context',
      action: 'deleteContext',
      input: { contextId: '5b1f0c52-91d4-4e0b-8c6a-00000000abcd' },
      dependsOn: ['b'],
    },
  ],
};
const lastOutput = (platform: HostedPlatform) => platform.output().slice(-2_000);
const isBad = (n: number) => n % 5 === 0;
const isLeased = (n: number) => n % 5 === 1;
const putNode = `mutation ($input: CoreResourceNodeInput!) { putResourceNode(input: $input) { node { id } ${errors} } }`;

/** Processes end without warning, so the server syncs every commit to disk. */
let server: EmbeddedPostgres;
let folder: string;
let sql: Sql;
beforeAll(async () => {
  server = await startTemporaryPostgres();
  folder = await mkdtemp(join(tmpdir(), 'mplp-workflows-'));
  sql = postgres(server.url, { max: 2, onnotice: () => {}, connection: { application_name: 'watcher' } });
});
afterAll(async () => {
  await sql?.end();
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

function kill(platform: OwnPlatform): Promise<void> {
  return new Promise((resolve) => {
    platform.gateway.once('exit', () => resolve());
    platform.gateway.kill('SIGKILL');
  });
}

it('500 workflows end, each effect once, while workers are killed and connections terminated', {
  timeout: 900_000,
}, async () => {
  const redisUrl = inject('redisUrl');
  const options: PlatformOptions = {
    databaseUrl: server.url,
    dataDir: folder,
    env: { REDIS_URL: redisUrl, CORE_LEASE_MS: '3000', CORE_WORKER_SLOTS: '16', TRACE_HISTORY: 'off' },
  };
  const killed = [await startPlatform(options), await startPlatform(options)] as const;
  const platforms: HostedPlatform[] = [...killed];
  const ask = async (query: string, input: object): Promise<string> => {
    for (let attempt = 0; ; attempt += 1) {
      try {
        const answer = await platforms[attempt % 2]!.query<Record<string, Record<string, { id: string } | null>>>(
          query,
          { input },
        );
        const payload = Object.values(answer.data ?? {})[0];
        const id = payload?.['workflow']?.id ?? payload?.['execution']?.id ?? payload?.['node']?.id;
        if (id !== undefined) return id;
        if (attempt > 200) throw new Error(JSON.stringify(answer));
      } catch (error) {
        // The process is gone: the other is asked, under the same key.
        if (attempt > 200) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  };
  // Fewer than the workers could use: steps wait for each other's.
  await ask(putNode, { name: 'node', capacity: { cpuCores: 6 } });
  const [leasedId, goodId, badId] = [
    await ask(create, { name: 'leased', definition: { ...leased, timeoutMs: 890_000 } }),
    await ask(create, { name: 'good', definition: { ...good, timeoutMs: 890_000 } }),
    await ask(create, { name: 'bad', definition: { ...bad, timeoutMs: 890_000 } }),
  ];
  const open = async () => {
    const [row] = await sql<
      { ended: number }[]
    >`SELECT count(*)::int AS ended FROM core.execution WHERE completed_at IS NOT NULL`;
    return row!.ended;
  };
  const reach = async (ended: number) => {
    for (const until = Date.now() + 400_000; (await open()) < ended; ) {
      if (Date.now() > until)
        throw new Error(
          `${ended} did not end: ${JSON.stringify(await stuck())}\n${platforms.map(lastOutput).join('\n')}`,
        );
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  };
  const stuck = () =>
    sql`SELECT e.status, e.ending, s.step_id, s.status AS step, s.phase, s.error->>'code' AS code, count(*)::int AS n, max(e.next_at - now()) AS due
        FROM core.execution e JOIN core.step_execution s ON s.tenant_id = e.tenant_id AND s.execution_id = e.id
        WHERE e.completed_at IS NULL GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY n DESC LIMIT 20`;
  const starting = Array.from({ length: total }, async (_, n) => {
    await new Promise((resolve) => setTimeout(resolve, n * 10));
    const workflowId = isBad(n) ? badId : isLeased(n) ? leasedId : goodId;
    return ask(execute, { workflowId, input: { name: `w${n}` }, idempotencyKey: `w${n}` });
  });
  const faults = (async () => {
    await reach(60);
    await kill(killed[0]);
    platforms[0] = await hostPlatform(options);
    await reach(200);
    await sql`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'mplp%'`;
    await reach(320);
    await kill(killed[1]);
    platforms[1] = await hostPlatform(options);
    await reach(400);
    await sql`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'mplp%'`;
  })();
  const ids = await Promise.all(starting);
  await faults;
  await reach(total);

  expect(new Set(ids).size).toBe(total);
  const states = await sql<
    { name: string; status: string }[]
  >`SELECT input->>'name' AS name, status FROM core.execution`;
  expect(states).toHaveLength(total);
  for (const { name, status } of states)
    expect([name, status]).toEqual([name, isBad(Number(name.slice(1))) ? 'compensated' : 'completed']);
  // Every effect once, and those that were to be undone not at all.
  const effects = await sql<
    { title: string }[]
  >`SELECT title FROM context.context WHERE domain = 'workflows' AND deleted_at IS NULL ORDER BY title`;
  const expected = Array.from({ length: total }, (_, n) => (isBad(n) ? [] : [`w${n}-a`, `w${n}-b`])).flat();
  expect(effects.map(({ title }) => title).sort()).toEqual(expected.sort());
  const made = await sql<
    { count: number }[]
  >`SELECT count(*)::int AS count FROM context.context WHERE domain = 'workflows'`;
  expect(made[0]!.count).toBe(total * 2);
  // History without gap, and the same as the stream of events.
  const gaps =
    await sql`SELECT execution_id FROM core.history GROUP BY tenant_id, execution_id HAVING min(sequence) <> 1 OR max(sequence) <> count(*)`;
  expect([...gaps]).toEqual([]);
  const missing =
    await sql`SELECT h.execution_id FROM core.history h LEFT JOIN core.event e ON e.tenant_id = h.tenant_id AND e.stream_id = h.execution_id AND e.sequence = h.sequence AND e.type = h.type WHERE e.event_id IS NULL`;
  expect([...missing]).toEqual([]);
  const held =
    await sql`SELECT step_id FROM core.step_execution WHERE lease_until IS NOT NULL OR lease_owner IS NOT NULL OR status IN ('running', 'ready', 'retry_wait', 'waiting')`;
  expect([...held]).toEqual([]);
  // So are the resources: whatever was asked for is given back, and nothing is reserved any more.
  const [allocations] = await sql<
    { all: number; open: number; leased: number }[]
  >`SELECT count(*)::int AS all, count(*) FILTER (WHERE status IN ('queued', 'active'))::int AS open, count(DISTINCT execution_id)::int AS leased FROM core.allocation`;
  expect(allocations).toMatchObject({ open: 0, leased: (2 * total) / 5 });
  expect(allocations!.all).toBeGreaterThan((3 * total) / 5 - 1);
  const reserved = await sql`SELECT name FROM core.node WHERE 0 <> ANY(used)`;
  expect([...reserved]).toEqual([]);
  const waited = await sql`SELECT 1 FROM core.history WHERE type = 'step.waiting' LIMIT 1`;
  expect(waited).toHaveLength(1);
  const lapsed = await sql<
    { count: number }[]
  >`SELECT count(*)::int AS count FROM core.history WHERE type = 'step.lapsed'`;
  // The faults have met running steps: otherwise this shows nothing.
  expect(lapsed[0]!.count).toBeGreaterThan(0);
  await Promise.all(platforms.map((platform) => platform.close()));
});

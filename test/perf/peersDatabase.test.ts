import { afterAll, beforeAll, expect, test } from 'vitest';
import { createRandom } from '../../perf/load/random.ts';
import type { Workload } from '../../perf/load/workload.ts';
import { compareDatabase, findPgbench } from '../../perf/peers/database/compareDatabase.ts';
import { createRows, rowCount } from '../../perf/peers/database/table.ts';
import { createWorkload, type OurWay, ourWays } from '../../perf/peers/database/workload.ts';
import { type EmbeddedPostgres, startTemporaryPostgres } from '../../prisma/embedded.ts';
import { createSql, type Sql } from '../../subgraphs/shared/sql.ts';

let server: EmbeddedPostgres;
let sql: Sql;

beforeAll(async () => {
  server = await startTemporaryPostgres({ volatile: true });
  sql = createSql(server.url, { max: 1, applicationName: 'test', statementTimeoutMs: 60_000 });
  await createRows(sql);
});
afterAll(async () => {
  await sql.end();
  await server.stop();
});

const random = createRandom(1);
const open = async (way: OurWay): Promise<Workload> =>
  createWorkload({ url: server.url, way, connections: 2 }, { seed: 1, worker: 0, workers: 1, random });

async function callOnce(workload: Workload): Promise<unknown> {
  const [operation] = workload.operations;
  if (!operation || !('call' in operation)) throw new Error('expected a call');
  return operation.call(random);
}

test.each(ourWays)('%s gets or makes the rows it says', async (way) => {
  const workload = await open(way);
  const before = await sql<{ count: number }[]>`SELECT count(*)::int AS count FROM peer_row`;
  const verdicts = await Promise.all(Array.from({ length: 60 }, () => callOnce(workload)));
  await workload.close?.();
  expect(new Set(verdicts)).toEqual(new Set([true]));
  const after = await sql<{ count: number }[]>`SELECT count(*)::int AS count FROM peer_row`;
  expect(after[0]!.count - before[0]!.count).toBe(way.startsWith('write') ? 60 : 0);
});

test.each(['read-statement', 'read-loader'] as const)('%s notices another row', async (way) => {
  const workload = await open(way);
  await sql`UPDATE peer_row SET title = 'Something else' WHERE id <= ${rowCount}`;
  try {
    expect(await callOnce(workload)).toMatch(/other rows? than \d+.* came back/);
  } finally {
    await sql`UPDATE peer_row SET title = 'Row no. ' || id WHERE id <= ${rowCount}`;
    await workload.close?.();
  }
});

test.skipIf(!(await findPgbench()))('pgbench and our ways are measured in turn, on what is durable', async () => {
  const load = { rounds: 2, durationSeconds: 1, concurrency: { read: 4, write: 8 } };
  const { windows, durability } = await compareDatabase(load, () => {});
  expect(durability.fsync).toBe('on');
  expect(windows.map(({ way, round }) => `${way} ${round}`)).toEqual([
    ...['read-pgbench 0', 'read-statement 0', 'read-loader 0', 'read-loader 1', 'read-statement 1', 'read-pgbench 1'],
    ...[
      'write-pgbench 0',
      'write-statement 0',
      'write-group 0',
      'write-group 1',
      'write-statement 1',
      'write-pgbench 1',
    ],
  ]);
  for (const { rowsPerSecond, databaseCpuUs } of windows) {
    expect(rowsPerSecond).toBeGreaterThan(0);
    expect(databaseCpuUs).toBeGreaterThanOrEqual(0);
  }
});

import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createSql, type Sql } from '#shared/sql.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { createFaultProxy, type FaultProxy } from '../support/faultProxy.ts';

const connections = 4;
const applicationName = 'driver-test';
let database: TestDatabase;
let proxy: FaultProxy;
/** Past the proxy. */
let direct: Sql;
let sql: Sql;
const unhandled: unknown[] = [];
const onUnhandled = (error: unknown) => void unhandled.push(error);

beforeAll(async () => {
  process.on('unhandledRejection', onUnhandled);
  database = await createTestDatabase();
  const { hostname, port } = new URL(database.url);
  proxy = await createFaultProxy({ target: { host: hostname, port: Number(port) } });
  direct = createSql(database.url, { max: 1, applicationName: 'driver-direct' });
  sql = createSql(proxy.url(database.url), { max: connections, applicationName });
  await direct`CREATE TABLE driver_pair (id int, half text)`;
}, 60_000);
afterAll(async () => {
  process.off('unhandledRejection', onUnhandled);
  await sql?.end({ timeout: 1 });
  await direct?.end();
  await proxy?.close();
  await database?.[Symbol.asyncDispose]();
});

const terminateAll = () =>
  direct`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = ${applicationName}`;
/** What a statement answered, or that it was refused; a statement without an answer is named. */
async function settled<Result>(name: string, work: Promise<Result>): Promise<Result | 'refused'> {
  const late = new AbortController();
  const answer = await Promise.race([
    work.catch(() => 'refused' as const),
    sleep(20_000, 'silent' as const, { signal: late.signal }).catch(() => 'silent' as const),
  ]);
  late.abort();
  if (answer === 'silent') throw new Error(`${name} has no answer`);
  return answer as Result | 'refused';
}
const echo = (value: number) =>
  sql.unsafe('SELECT $1::int AS value, pg_sleep(0.002)', [value], { prepare: true }).then(([row]) => row!['value']);

test('what is asked the moment a connection breaks is answered or refused, not lost and not by the row of another', async () => {
  for (let round = 0; round < 20; round += 1) {
    expect(await echo(round)).toBe(round);
    // Each asks again as soon as it is refused: the socket tells of its end only after its error.
    const asked = Array.from({ length: 12 }, async (_, at) => {
      const held = await settled(`round ${round}`, sql.unsafe('SELECT 1 AS value, pg_sleep(5)', []));
      const next = round * 100 + at;
      return held === 'refused' && [next, await settled(`after round ${round}`, echo(next))];
    });
    await sleep(30);
    if (round % 2 === 0) proxy.cut();
    else await terminateAll();
    for (const pair of await Promise.all(asked)) if (pair && pair[1] !== 'refused') expect(pair[1]).toBe(pair[0]);
  }
}, 120_000);

test('a transaction whose connection broke writes nothing more, not into the next one on its connection', async () => {
  const acknowledged = new Set<number>();
  let stop = false;
  let id = 0;
  const writer = async () => {
    while (!stop) {
      id += 1;
      const own = id;
      const done = sql.begin(async (tx) => {
        await tx.unsafe('INSERT INTO driver_pair VALUES ($1, $2)', [own, 'first'], { prepare: true });
        // Busy elsewhere when the connection breaks, so that no statement of it is refused.
        await sleep(5 + (own % 40));
        await tx.unsafe('INSERT INTO driver_pair VALUES ($1, $2)', [own, 'second'], { prepare: true });
      });
      if ((await settled(`transaction ${own}`, done)) !== 'refused') acknowledged.add(own);
    }
  };
  const reader = async () => {
    for (let value = 0; !stop; value += 1) {
      const answer = await settled('a statement beside', echo(value));
      if (answer !== 'refused') expect(answer).toBe(value);
    }
  };
  const busy = Promise.all([...Array.from({ length: 8 }, writer), reader(), reader()]);
  for (let round = 0; round < 30; round += 1) {
    await sleep(60);
    if (round % 2 === 0) proxy.cut();
    else await terminateAll();
  }
  await sleep(1_000);
  stop = true;
  await busy;
  const halves = await direct`SELECT id, count(*)::int AS halves FROM driver_pair GROUP BY id HAVING count(*) <> 2`;
  expect(halves).toEqual([]);
  const kept = new Set((await direct`SELECT DISTINCT id FROM driver_pair`).map((row) => row['id'] as number));
  expect([...acknowledged].filter((own) => !kept.has(own))).toEqual([]);
  expect(acknowledged.size).toBeGreaterThan(20);
}, 120_000);

test('a reserved connection that broke is refused, and given back it is opened anew', async () => {
  for (let round = 0; round < connections * 2; round += 1) {
    const reserved = await sql.reserve();
    const held = settled('a held one', Promise.resolve(reserved.unsafe('SELECT pg_sleep(5)')));
    const behind = [1, 2, 3].map((value) => settled('one behind', Promise.resolve(reserved.unsafe(`SELECT ${value}`))));
    await sleep(20);
    proxy.cut();
    expect(await held).toBe('refused');
    await Promise.all(behind);
    // Others open it anew before it is given back.
    await Promise.all([1, 2, 3, 4, 5, 6, 7, 8].map((value) => settled('beside', echo(value))));
    expect(await settled('a stale one', Promise.resolve(reserved.unsafe('SELECT 1')))).toBe('refused');
    reserved.release();
  }
  // None is lost to the pool: as many work at once as there may be.
  const startedMs = performance.now();
  const pids = await Promise.all(
    Array.from({ length: connections * 25 }, () => sql.unsafe('SELECT pg_backend_pid() AS pid, pg_sleep(0.01)', [])),
  );
  expect(new Set(pids.map(([row]) => row!['pid'])).size, `${performance.now() - startedMs} ms`).toBe(connections);
}, 120_000);

test('once the server answers again, so does the next statement', async () => {
  for (let round = 0; round < 3; round += 1) {
    await echo(1);
    proxy.refuse();
    proxy.cut();
    // Many failed attempts, as in an outage.
    const until = performance.now() + 1_500;
    while (performance.now() < until) await Promise.all([1, 2, 3, 4].map((value) => settled('meanwhile', echo(value))));
    await proxy.heal();
    await sleep(600);
    for (let value = 0; value < connections * 3; value += 1) expect(await echo(value)).toBe(value);
  }
  expect(unhandled).toEqual([]);
}, 120_000);

import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { newId } from '#shared/ids.ts';
import { createLogBuffer } from '#shared/logs/buffer.ts';
import type { LogRecord } from '#shared/logs/record.ts';
import { startLogWriter } from '#shared/logs/writer.ts';
import { createSql, type Sql } from '#shared/sql.ts';
import { createTestDatabase, type TestDatabase } from '../../support/database.ts';

const hourMs = 3_600_000;
const maxRecords = 50;

let database: TestDatabase;
let sql: Sql;
beforeAll(async () => {
  database = await createTestDatabase();
  sql = createSql(database.url, { applicationName: 'full-statement-test', max: 2 });
});
afterAll(async () => {
  await sql.end();
  await database.drop();
});

const recordOf = (tenantId: string, n: number): LogRecord => ({
  tenantId,
  id: newId(),
  atMs: Date.now(),
  level: 30,
  message: `record ${n}`,
  module: 'many',
  operation: null,
  correlationId: null,
  traceId: null,
  spanId: null,
  userId: null,
  metadata: {},
  stack: null,
});

function open(prepare: () => Promise<void>) {
  const buffer = createLogBuffer();
  const writer = startLogWriter({
    buffer,
    sql,
    prepare,
    bus: { publish: () => {} },
    operatorTenant: 'operators',
    flushMs: hourMs,
    retryMs: hourMs,
    maxRecords,
  });
  return { buffer, writer };
}

const storedOf = async (tenantId: string): Promise<number> =>
  (await sql<{ n: number }[]>`SELECT count(*) AS n FROM platform.log WHERE tenant_id = ${tenantId}`)[0]!.n;

it('what fills a statement does not wait for company, nor does what comes while one is written', async () => {
  const { buffer, writer } = open(async () => {});
  const add = (from: number, count: number) => {
    for (let n = from; n < from + count; n += 1) expect(buffer.add(recordOf('a', n))).toBe(true);
  };
  add(0, maxRecords);
  await vi.waitFor(async () => expect(buffer.size).toBe(0), { timeout: 10_000 });
  // The first of them begins to wait for an hour while the statement before it is still under way.
  add(maxRecords, 2 * maxRecords + 10);
  await vi.waitFor(async () => expect(await storedOf('a')).toBeGreaterThanOrEqual(3 * maxRecords), { timeout: 10_000 });
  await writer.flush();
  expect(await storedOf('a')).toBe(3 * maxRecords + 10);
  await writer.close();
});

it('a database that refuses is left in peace, however much waits', async () => {
  let attempts = 0;
  const { buffer, writer } = open(async () => {
    attempts += 1;
    throw new Error('no database');
  });
  for (let n = 0; n < maxRecords; n += 1) buffer.add(recordOf('b', n));
  await vi.waitFor(() => expect(attempts).toBe(1), { timeout: 10_000 });
  await writer.flush();
  const tried = attempts;
  for (let n = 0; n < 4 * maxRecords; n += 1) {
    buffer.add(recordOf('b', n));
    if (n % maxRecords === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  expect(attempts).toBe(tried);
  expect(await storedOf('b')).toBe(0);
  await writer.close(0);
});

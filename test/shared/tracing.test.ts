import { afterAll, beforeAll, expect, it } from 'vitest';
import { createSql, type Sql } from '#shared/sql.ts';
import { continueTrace } from '#shared/telemetry.ts';
import { runTraced } from '#shared/tracing.ts';
import { createPrisma } from '../../prisma/client.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

const sampled = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const statement = 'SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid()';

let database: TestDatabase;
let sql: Sql;
beforeAll(async () => {
  database = await createTestDatabase();
  sql = createSql(database.url, { applicationName: 'test', max: 2 });
});
afterAll(async () => {
  await sql.end();
  await database.drop();
});

async function shownQuery(): Promise<string> {
  const [row] = (await sql.unsafe(statement, [], { prepare: true })) as unknown as { query: string }[];
  return row!.query;
}

it('carries a sampled trace to PostgreSQL, in and outside transactions', async () => {
  expect(await runTraced(sampled, shownQuery)).toContain(`traceparent='${sampled}'`);
  const inside = await runTraced(sampled, () =>
    sql.begin(async (tx) => (await tx.unsafe(statement)) as unknown as { query: string }[]),
  );
  expect((inside as { query: string }[])[0]!.query).toContain(`traceparent='${sampled}'`);
});

it('carries it through Prisma as well', async () => {
  const prisma = createPrisma(database.url, { applicationName: 'traced-prisma', max: 1 });
  await runTraced(sampled, async () => {
    await prisma.contextParticipant.findMany({ take: 1 });
  });
  // An idle connection shows the last statement it ran.
  const rows = await sql<
    { query: string }[]
  >`SELECT query FROM pg_stat_activity WHERE application_name = 'traced-prisma'`;
  await prisma.$disconnect();
  // pg_stat_activity cuts the text at 1,024 bytes.
  expect(rows.map((row) => row.query).join()).toContain(`traceparent='${sampled}`);
});

it('leaves statements of unsampled traces as they are', async () => {
  expect(await runTraced(sampled.replace(/01$/, '00'), shownQuery)).toBe(statement);
  expect(await shownQuery()).toBe(statement);
});

it('continues a valid trace with a span of its own and begins one otherwise', () => {
  const continued = continueTrace(sampled);
  expect(continued).toMatch(/^00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-01$/);
  expect(continued).not.toBe(sampled);
  for (const header of [undefined, '', 'nonsense', sampled.toUpperCase(), `00-${'0'.repeat(32)}-b7ad6b7169203331-01`]) {
    expect(continueTrace(header)).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
  }
});

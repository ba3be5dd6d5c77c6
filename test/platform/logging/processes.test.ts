import { expect, it } from 'vitest';
import postgres from '#shared/postgresDriver.ts';
import { createTestDatabase } from '../../support/database.ts';
import { hostPlatform, startPlatform } from '../../support/platform.ts';
import { subscribe } from '../../support/subscribe.ts';

/** For machines on which a start takes ten times as long. */
const slowStartMs = 240_000;

const writeLogs = `mutation ($inputs: [PlatformLogInput!]!) { writeLogs(inputs: $inputs) { accepted userErrors { code } } }`;
const inputs = (count: number) =>
  Array.from({ length: count }, (_, n) => ({ level: n % 2 ? 'WARN' : 'INFO', message: `m ${n}`, module: 'shop' }));

it(
  'a process that is told to end stores what it took before, and its own records with it',
  async () => {
    await using database = await createTestDatabase('partitioned');
    await using platform = await startPlatform({
      databaseUrl: database.url,
      env: { LOG_LEVEL: 'info', OPERATOR_TENANT: 'ops' },
    });
    const token = await platform.token({ tenant: 'one', subject: 'ann' });
    const answer = await platform.query<{ writeLogs: { accepted: number } }>(
      writeLogs,
      { inputs: inputs(1_000) },
      { token },
    );
    platform.gateway.kill('SIGTERM');
    expect(answer.data?.writeLogs.accepted).toBe(1_000);
    await platform.close();
    expect(platform.gateway.exitCode).toBe(0);
    const sql = postgres(database.url, { max: 1, onnotice: () => {} });
    try {
      const rows =
        await sql`SELECT tenant_id AS tenant, count(*)::int AS count FROM platform.log WHERE tenant_id = 'one' GROUP BY 1`;
      expect([...rows]).toEqual([{ tenant: 'one', count: 1_000 }]);
      const [sum] = await sql`SELECT sum(count)::int AS count FROM platform.log_rollup WHERE tenant_id = 'one'`;
      expect(sum!['count']).toBe(1_000);
      expect([
        ...(await sql`SELECT level, module, message FROM platform.log WHERE tenant_id = 'ops' AND message = 'ready'`),
      ]).toEqual([{ level: 30, module: 'process', message: 'ready' }]);
    } finally {
      await sql.end();
    }
  },
  slowStartMs,
);

it(
  'whoever follows the log sees what is asked for, of the own tenant',
  async () => {
    await using platform = await hostPlatform();
    const [one, two] = [
      await platform.token({ tenant: 'one', subject: 'ann' }),
      await platform.token({ tenant: 'two', subject: 'ann' }),
    ];
    const follow = (token: string, filter: object | null) =>
      subscribe<{ logTail: { level: string; message: string } }>({
        url: platform.url,
        query:
          'subscription ($filter: PlatformLogTailFilter) { logTail(filter: $filter) { id timestamp level message module metadata } }',
        variables: { filter },
        token,
      });
    const [all, severe, foreign] = [
      follow(one, null),
      follow(one, { minLevel: 'WARN', modules: ['shop'] }),
      follow(two, null),
    ];
    // A subscription has no sign of its own that it has begun.
    await expect
      .poll(
        async () => {
          await platform.query(writeLogs, { inputs: inputs(2) }, { token: one });
          await new Promise((resolve) => setTimeout(resolve, 150));
          return all.payloads.length > 0 && severe.payloads.length > 0;
        },
        { timeout: 20_000 },
      )
      .toBe(true);
    await platform.query(writeLogs, { inputs: [{ level: 'ERROR', message: 'last', module: 'shop' }] }, { token: one });
    const isLast = (payloads: readonly { logTail: { message: string } }[]) =>
      payloads.at(-1)?.logTail.message === 'last';
    await Promise.all([all.until(isLast), severe.until(isLast)]);
    expect(new Set(severe.payloads.map(({ logTail }) => logTail.level))).toEqual(new Set(['WARN', 'ERROR']));
    expect(new Set(all.payloads.map(({ logTail }) => logTail.level))).toEqual(new Set(['INFO', 'WARN', 'ERROR']));
    expect(foreign.payloads).toEqual([]);
    expect([...all.errors, ...severe.errors, ...foreign.errors]).toEqual([]);
    await Promise.all([all, severe, foreign].map((stream) => stream.close()));
  },
  slowStartMs,
);

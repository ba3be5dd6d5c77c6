import type { Sql } from 'postgres';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import postgres from '#shared/postgresDriver.ts';
import { type HostedPlatform, hostPlatform, modes } from '../support/platform.ts';

const timeoutMs = 700;

describe.each(modes)('a query that the database holds up (%s)', (mode) => {
  let platform: HostedPlatform;
  let sql: Sql;
  let token: string;
  beforeAll(async () => {
    // Without caches no statement is shared with others who wait for it.
    platform = await hostPlatform({ mode, env: { QUERY_TIMEOUT_MS: String(timeoutMs), CACHE: 'false' } });
    sql = postgres(platform.databaseUrl, { max: 2, onnotice: () => {} });
    token = await platform.token({ subject: 'reader', tenant: 'deadlines' });
  }, 240_000);
  afterAll(async () => {
    await sql?.end();
    await platform?.close();
  });

  /** Lists of contexts that wait for the table; the platform's own timers wait for it too. */
  const waiting = async (): Promise<number> => {
    const [row] = await sql<{ count: number }[]>`
      SELECT count(*)::int AS count FROM pg_locks l JOIN pg_stat_activity a USING (pid)
      WHERE NOT l.granted AND l.relation = 'context.context'::regclass AND a.datname = current_database()
        AND a.query LIKE 'SELECT c.tenant_id%'`;
    return row!.count;
  };
  const untilNobodyWaits = async (): Promise<void> => {
    const giveUpMs = performance.now() + 5_000;
    while ((await waiting()) > 0) {
      if (performance.now() > giveUpMs) throw new Error('a statement still waits');
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  const lists = '{ contexts(first: 5) { nodes { id title } } }';
  const ofOthers = '{ me { subject } dialogs(first: 1) { nodes { id } } }';
  const twoFetches = '{ contexts(first: 5) { nodes { id dialogs(first: 1) { nodes { id } } } } me { subject } }';

  /** What the work answers while nobody can read contexts. */
  async function whileLocked<T>(work: () => Promise<T>): Promise<T> {
    const release = Promise.withResolvers<void>();
    const locked = Promise.withResolvers<void>();
    const holding = sql.begin(async (tx) => {
      await tx`LOCK TABLE context.context IN ACCESS EXCLUSIVE MODE`;
      locked.resolve();
      await release.promise;
    });
    await Promise.race([locked.promise, holding]);
    try {
      return await work();
    } finally {
      release.resolve();
      await holding;
    }
  }

  it.each([
    ['seen for the first time', `${lists} # first`],
    ['seen before', lists],
    ['over several subgraphs', twoFetches],
  ])('%s ends with DEADLINE_EXCEEDED, its statement with it, and nobody else is hindered', async (_, query) => {
    expect((await platform.query(lists, {}, { token })).errors).toEqual([]);
    // Planned before: on a busy machine that alone may take as long.
    await platform.query(ofOthers, {}, { token });
    const { answer, other } = await whileLocked(async () => {
      const asked = platform.query(query, {}, { token });
      const giveUpMs = performance.now() + 5_000;
      while ((await waiting()) === 0 && performance.now() < giveUpMs) await new Promise((r) => setTimeout(r, 5));
      const undisturbed = await platform.query(ofOthers, {}, { token });
      const settled = await asked;
      await untilNobodyWaits();
      return { answer: settled, other: undisturbed };
    });
    expect(answer.errors.map((error) => error.extensions.code)).toContain('DEADLINE_EXCEEDED');
    expect(other.errors).toEqual([]);
    expect((await platform.query(query, {}, { token })).errors).toEqual([]);
  });

  it('ends with the client that asked', async () => {
    await whileLocked(async () => {
      const gone = new AbortController();
      const asked = fetch(`${platform.url}/graphql`, {
        method: 'POST',
        signal: gone.signal,
        headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
        body: JSON.stringify({ query: lists }),
      }).catch((error: unknown) => String(error));
      const giveUpMs = performance.now() + 5_000;
      while ((await waiting()) === 0 && performance.now() < giveUpMs) await new Promise((r) => setTimeout(r, 5));
      gone.abort();
      expect(await asked).toContain('AbortError');
      await untilNobodyWaits();
    });
  });

  it('does not hold for mutations: they are finished', async () => {
    const create = `mutation ($title: String!) { createContext(input: { title: $title, root: { domain: "d", environment: "e" } }) { context { title } userErrors { code } } }`;
    const created = await whileLocked(async () => {
      const asked = platform.query(create, { title: 'late' }, { token });
      await new Promise((resolve) => setTimeout(resolve, timeoutMs * 1.5));
      return { asked };
    });
    const answer = await created.asked;
    expect(answer.errors).toEqual([]);
    expect(answer.data).toMatchObject({ createContext: { context: { title: 'late' }, userErrors: [] } });
  });
});

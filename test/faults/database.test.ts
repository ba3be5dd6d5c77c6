import type { Sql } from 'postgres';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import postgres from '#shared/postgresDriver.ts';
import { type HostedPlatform, hostPlatform } from '../support/platform.ts';

const tenant = 'conflicts';
let platform: HostedPlatform;
let sql: Sql;
let token: string;
beforeAll(async () => {
  const env = { DATABASE_POOL: '2', DATABASE_KEYED_POOL: '1', QUERY_TIMEOUT_MS: '1500', CACHE: 'false' };
  platform = await hostPlatform({ env });
  sql = postgres(platform.databaseUrl, { max: 2, onnotice: () => {} });
  token = await platform.token({ tenant, subject: 'ann', roles: ['admin'] });
  await sql.unsafe(`
    CREATE SEQUENCE public.made_up_failures;
    CREATE FUNCTION public.fail_at_first() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      IF nextval('public.made_up_failures') <= TG_ARGV[0]::int THEN
        RAISE EXCEPTION 'made up' USING ERRCODE = TG_ARGV[1];
      END IF;
      RETURN NEW;
    END $$`);
}, 120_000);
afterAll(async () => {
  await sql?.end();
  await platform?.close();
});

interface Mutation {
  readonly table: string;
  readonly document: string;
  readonly variables: (name: string) => Record<string, unknown>;
  /** Rows that the mutation made. */
  readonly count: (name: string) => Promise<number>;
}

const counted = async (text: string, name: string): Promise<number> => {
  const [row] = await sql.unsafe<{ n: number }[]>(text, [tenant, name]);
  return row!.n;
};
const mutations: Readonly<Record<string, Mutation>> = {
  createContext: {
    table: 'context.audit',
    document:
      'mutation ($input: CreateContextInput!) { answer: createContext(input: $input) { context { id } userErrors { code } } }',
    variables: (name) => ({
      input: { title: name, root: { domain: 'd', environment: 'e' }, idempotencyKey: name },
    }),
    count: (name) =>
      counted('SELECT count(*)::int AS n FROM context.context WHERE tenant_id = $1 AND title = $2', name),
  },
  createRole: {
    table: 'role.audit',
    document:
      'mutation ($input: CreateRoleInput!) { answer: createRole(input: $input) { role { id } userErrors { code } } }',
    variables: (name) => ({
      input: { name, idempotencyKey: name },
    }),
    count: (name) => counted('SELECT count(*)::int AS n FROM role.role WHERE tenant_id = $1 AND name = $2', name),
  },
  setConfig: {
    table: 'platform.audit',
    document:
      'mutation ($input: SetConfigInput!, $key: String) { answer: setConfig(input: $input, idempotencyKey: $key) { entry { version } userErrors { code } } }',
    variables: (name) => ({ input: { key: name, value: 1 }, key: name }),
    count: (name) =>
      counted('SELECT count(*)::int AS n FROM platform.config_version WHERE tenant_id = $1 AND key = $2', name),
  },
  publishEvent: {
    table: 'platform.event',
    document:
      'mutation ($input: PublishEventInput!) { answer: publishEvent(input: $input) { event { sequence } userErrors { code } } }',
    variables: (name) => ({ input: { type: 'order.placed', payload: { name }, idempotencyKey: name } }),
    count: (name) =>
      counted(
        `SELECT count(*)::int AS n FROM platform.event WHERE tenant_id = $1 AND data->'payload'->>'name' = $2`,
        name,
      ),
  },
};

/** What alters a table may meet the platform's own work on it, and be the one that gives way. */
async function insisting(statement: string): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      await sql.unsafe(statement);
      return;
    } catch (error) {
      if ((error as { code?: string }).code !== '40P01' || tries === 10) throw error;
    }
  }
}

/** Has the database refuse the first rows of the tenant in a table, while the work runs. */
async function refusing<T>(table: string, { times, state }: { times: number; state: string }, work: () => Promise<T>) {
  const isAudit = table.endsWith('.audit');
  await insisting(`SELECT setval('public.made_up_failures', 1, false);
    CREATE TRIGGER made_up BEFORE INSERT ON ${table} FOR EACH ROW
      WHEN (NEW.tenant_id = '${tenant}' ${isAudit ? "AND NEW.resource NOT IN ('Token', 'Operation')" : ''})
      EXECUTE FUNCTION public.fail_at_first('${times}', '${state}')`);
  try {
    return await work();
  } finally {
    await insisting(`DROP TRIGGER made_up ON ${table}`);
  }
}

const states = [
  ['a serialization failure', '40001'],
  ['a deadlock', '40P01'],
] as const;

describe.each(Object.entries(mutations))('%s', (name, { table, document, variables, count }) => {
  it.each(states)('is tried again after %s, and done once', async (_what, state) => {
    const own = `${name}-again${state.toLowerCase()}`;
    const { data, errors } = await refusing(table, { times: 2, state }, () =>
      platform.query<{ answer: { userErrors: unknown[] } }>(document, variables(own), { token }),
    );
    expect([errors, data?.answer.userErrors]).toEqual([[], []]);
    expect(await count(own)).toBe(1);
  });

  it('that is refused for good is told so, leaves nothing, and goes through under its key afterwards', async () => {
    const own = `${name}-refused`;
    const refused = await refusing(table, { times: 1_000_000, state: '40P01' }, () =>
      platform.query(document, variables(own), { token }),
    );
    expect(refused.errors).toMatchObject([{ extensions: { code: 'UNAVAILABLE', retryable: true } }]);
    expect(await count(own)).toBe(0);
    expect((await platform.query(document, variables(own), { token })).errors).toEqual([]);
    await platform.query(document, variables(own), { token });
    expect(await count(own)).toBe(1);
  });
});

it('queries that hold every connection end in time, what needs none is answered meanwhile, and all is well afterwards', async () => {
  const lists = '{ contexts(first: 5) { nodes { id title } } }';
  expect((await platform.query(lists, {}, { token })).errors).toEqual([]);
  const release = Promise.withResolvers<void>();
  const locked = Promise.withResolvers<void>();
  const holding = sql.begin(async (tx) => {
    await tx`LOCK TABLE context.context IN ACCESS EXCLUSIVE MODE`;
    locked.resolve();
    await release.promise;
  });
  await locked.promise;
  const asked = Array.from({ length: 60 }, (_, at) => platform.query(`${lists} # ${at}`, {}, { token }));
  const undisturbed = await platform.query('{ platform { version } me { subject } }', {}, { token });
  const live = await fetch(`${platform.url}/live`);
  const codes = (await Promise.all(asked)).flatMap(({ errors }) => errors.map(({ extensions }) => extensions.code));
  release.resolve();
  await holding;
  expect([undisturbed.errors, live.status]).toEqual([[], 200]);
  expect(codes).toHaveLength(60);
  expect(codes.filter((code) => code !== 'DEADLINE_EXCEEDED' && code !== 'UNAVAILABLE')).toEqual([]);
  const after = await Promise.all(Array.from({ length: 20 }, () => platform.query(lists, {}, { token })));
  expect(after.flatMap(({ errors }) => errors)).toEqual([]);
});

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import postgres from '#shared/postgresDriver.ts';
import { createPrincipal } from '#shared/principal.ts';
import { type DirectSubgraphs, openDirect, readEntities, readSubgraphSchemas } from '../contract/walk/direct.ts';
import { edgesOf, readApi, selectionOf } from '../contract/walk/schema.ts';
import { entityIdOf, representationOf, seedWorld, type World } from '../contract/walk/seed.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { hostPlatform, type Platform } from '../support/platform.ts';
import { type CountingProxy, startCountingProxy } from './statements/countingProxy.ts';

const api = readApi();
const entitiesBySubgraph = await readEntities();
const entities: ReadonlySet<string> = new Set([...entitiesBySubgraph.values()].flat());
const schemas = await readSubgraphSchemas();
const many = 5;
const few = 2;

/** Statements of the platform's own clockwork: job queue, event tail, partitions, connection settings. */
const background =
  /graphile_worker|_private_|event_position_seq|audit_position_seq|audit_cursor|audit_chain|event_partition|pg_try_advisory|pg_current_xact_id|\bpg_(notify|advisory|class|inherits|catalog)|stream_id, sequence|\.event\b|consumer_offset|expires_at <= |next_check_at|next_attempt_at|next_at|look_at|metric_sample|core\.setting|core\.operation_time|automatic AND enabled|NOT told|platform\.(log|metric_\w+|alert\w*|error_group)\b|savepoint|^\s*(LISTEN|SET|SELECT 1)\b|application_name|typarray/i;

it('the proxy reads simple and prepared statements', async () => {
  await using database = await createTestDatabase();
  await using proxy = await startCountingProxy(database.url);
  const sql = postgres(proxy.url, { max: 1, fetch_types: false });
  try {
    for (let n = 1; n <= 3; n += 1) expect([...(await sql`SELECT ${n}::int AS n`)]).toEqual([{ n }]);
    await sql.unsafe('SELECT 7 AS simple');
    await sql.begin(async (tx) => await tx`SELECT 8 AS inside`);
    expect(proxy.take().map((text) => text.trim())).toEqual(
      [...Array(3).fill('SELECT $1::int AS n'), 'SELECT 7 AS simple', 'begin', 'SELECT 8 AS inside', 'commit'].map(
        (text) => expect.stringMatching(new RegExp(`^${text.replace(/[$]/g, '\\$')}`, 'i')),
      ),
    );
  } finally {
    await sql.end();
  }
});

describe('statements do not grow with the rows', () => {
  let database: TestDatabase;
  let proxy: CountingProxy;
  let platform: Platform;
  let direct: DirectSubgraphs;
  let token: string;
  const worlds: World[] = [];
  const principal = createPrincipal({ tenantId: 'counted', subject: 'ann', scopes: ['*'] });

  beforeAll(async () => {
    database = await createTestDatabase('partitioned');
    proxy = await startCountingProxy(database.url);
    // Without the cache: every answer comes from the database.
    platform = await hostPlatform({
      databaseUrl: proxy.url,
      env: { CACHE: 'off', METRIC_SAMPLE_MS: '1000', METRIC_HISTORY: 'off' },
    });
    token = await platform.token({ tenant: 'counted', subject: 'ann', roles: ['admin'] });
    const actor = { tenant: 'counted', owner: 'ann', token, watched: false };
    worlds.push(
      ...(await Promise.all(Array.from({ length: many }, (_, serial) => seedWorld(platform, api, actor, serial)))),
    );
    direct = await openDirect(proxy.url);
  });
  afterAll(async () => {
    await direct?.[Symbol.asyncDispose]();
    await platform?.close();
    await proxy?.[Symbol.asyncDispose]();
    await database?.drop();
  });

  /** Statements of the second run: the first fills what is read once in a process. */
  async function count(
    run: () => Promise<string>,
  ): Promise<{ readonly statements: readonly string[]; readonly answer: string }> {
    await run();
    proxy.take();
    const answer = await run();
    return { statements: proxy.take().filter((text) => !background.test(text)), answer };
  }

  /** Statements that ran more often for more rows, and how often. */
  function grown(some: readonly string[], all: readonly string[]): readonly string[] {
    const times = (list: readonly string[]) =>
      Map.groupBy(list, (text) => text.replace(/\s+/g, ' ').trim().slice(0, 200));
    const before = times(some);
    return [...times(all)].flatMap(([text, list]) =>
      list.length > (before.get(text)?.length ?? 0)
        ? [`${before.get(text)?.length ?? 0} -> ${list.length}: ${text}`]
        : [],
    );
  }

  /**
   * Few rows against many, and which statements grew with them. What grows does so each time: measured again when something
   * did, until only what grew in every attempt is left, so that a timer's statement between them does not count.
   */
  async function compare(read: (number: number) => Promise<Awaited<ReturnType<typeof count>>>, most: number) {
    let always: readonly string[] | undefined;
    for (let attempt = 1; ; attempt += 1) {
      const [some, all] = [await read(few), await read(many)];
      const now = grown(some.statements, all.statements);
      always = always?.filter((text) => now.includes(text)) ?? now;
      const isFew = all.statements.length <= most;
      if (attempt === 5 || (always.length === 0 && isFew)) return { some, all, grew: always };
    }
  }

  const edges = [...schemas].flatMap(([subgraph, schema]) =>
    edgesOf(schema, entities).map((edge) => ({ subgraph, ...edge })),
  );

  it('has worlds to read', () => {
    expect(worlds.flatMap((world) => world.failures)).toEqual([]);
    expect(edges.length).toBeGreaterThan(5);
  });

  it.each(edges.map((edge) => [`${edge.subgraph}: ${edge.coordinate}`, edge] as const))(
    '%s',
    async (_, { subgraph, type, field }) => {
      const source = `query ($all: [_Any!]!) { _entities(representations: $all) { __typename ... on ${type.name} { id ${field.name} ${selectionOf(field.type, entities)} } } }`;
      const read = async (number: number) =>
        await count(async () => {
          const all = worlds
            .slice(0, number)
            .map((world) => representationOf(world, type.name, entityIdOf(world, type.name)));
          const { data, errors } = await direct.ask(subgraph, principal, source, { all });
          expect((errors ?? []).map((error) => error.message)).toEqual([]);
          return JSON.stringify(data);
        });
      // Everything a type has is asked for at once: a trace is eleven lists, each read, checked and led on from.
      const most = 36;
      const { some, all, grew } = await compare(read, most);
      expect(some.answer.length).toBeLessThan(all.answer.length);
      expect(all.statements.length).toBeGreaterThan(0);
      expect(grew).toEqual([]);
      expect(all.statements.length).toBeLessThanOrEqual(most);
    },
  );

  const nested: readonly (readonly [string, string, number])[] = [
    [
      'contexts -> participants -> context',
      'query ($first: Int!) { contexts(first: $first) { totalCount nodes { title participants { totalCount nodes { displayName context { title participantCount } } } } } }',
      6,
    ],
    [
      'contexts -> sessions, history, metadata',
      'query ($first: Int!) { contexts(first: $first) { nodes { sharedState { variables } sessions { nodes { name context { title } } } history { nodes { version } } metadata { nodes { key value } } } } }',
      12,
    ],
    [
      'contexts -> dialogs -> messages -> sender, reply',
      'query ($first: Int!) { contexts(first: $first) { nodes { title dialogs { nodes { name participants { nodes { displayName } } messages { nodes { content { text } sender { displayName } replyTo { sequence } } } } } } } }',
      20,
    ],
    [
      'dialogs -> context, viewer, threads, messages',
      'query ($first: Int!) { dialogs(first: $first) { nodes { name context { title } viewer { role } threads { nodes { threadId } } messages { nodes { sequence dialog { name } } } } } }',
      20,
    ],
  ];
  const possible = nested.filter(
    ([, document]) => !document.includes('dialogs') || api.getQueryType()?.getFields()['dialogs'],
  );

  it.each(possible)('%s, through the gateway', async (_, document, most) => {
    const read = async (first: number) =>
      await count(async () => {
        const answer = await platform.query(document, { first }, { token });
        expect(answer.errors).toEqual([]);
        return JSON.stringify(answer.data);
      });
    const { some, all, grew } = await compare(read, most);
    expect(some.answer.length * 2).toBeLessThan(all.answer.length);
    expect(grew).toEqual([]);
    expect(all.statements.length).toBeLessThanOrEqual(most);
  });
});

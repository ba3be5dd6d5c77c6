// Cost of the context module at its service boundary, over a durable PostgreSQL with many contexts of one tenant:
//   node perf/probes/context.ts [contexts, default 100000] [--plans] [--only=PREFIX] [--index=MB, 0: searches by PostgreSQL]
// Prints per operation: CPU of this process and of PostgreSQL, latency alone and throughput of 16 at once. With --plans also the plan of
// each statement, and whether it reads a table of contexts from end to end.
process.env['PRISMA_HIDE_UPDATE_MESSAGE'] = 'true';

import { runMigrations } from 'graphile-worker';
import pg from 'pg';
import pino from 'pino';
import { createScopeAuthorizer } from '#shared/auth.ts';
import { createLocalBus } from '#shared/bus.ts';
import { createComputePool } from '#shared/computePool.ts';
import { readConfig } from '#shared/config.ts';
import { createRequestScope } from '#shared/context.ts';
import { newId } from '#shared/ids.ts';
import { createPrincipal } from '#shared/principal.ts';
import { createPublisher } from '#shared/publisher.ts';
import { createSql } from '#shared/sql.ts';
import { createPrisma } from '../../prisma/client.ts';
import { startTemporaryPostgres } from '../../prisma/embedded.ts';
import { migrate } from '../../prisma/migrate.ts';
import { readSelection } from '../../subgraphs/context/filter.ts';
import { createContextLoaders } from '../../subgraphs/context/loaders.ts';
import { createContextService } from '../../subgraphs/context/service.ts';
import { readTreeCpuMs } from '../processCpu.ts';
import { type CopyValue, copyRows } from '../seeds/copyRows.ts';

const total = Number(process.argv.find((argument) => /^\d+$/.test(argument)) ?? 100_000);
const withPlans = process.argv.includes('--plans');
const indexMb = process.argv.find((argument) => argument.startsWith('--index='))?.slice(8) ?? '256';
const only = process.argv.find((argument) => argument.startsWith('--only='))?.slice(7) ?? '';
const words =
  'orbit ledger meadow signal harbour copper lantern thicket quarry beacon saddle timber glacier anchor willow ember falcon marble prairie canyon'.split(
    ' ',
  );
const word = (index: number) => words[index % words.length]!;

await using server = await startTemporaryPostgres({ settings: { shared_buffers: '256MB' } });
await migrate(server.url, { after: (url) => runMigrations({ connectionString: url }) });
const ids = Array.from({ length: total }, newId);

function* rows(): Generator<readonly CopyValue[]> {
  const configuration =
    '{"maxParticipants":10,"maxSessions":5,"timeoutMs":3600000,"persistenceLevel":"SESSION","isolationLevel":"SHARED","autoCleanup":true,"cleanupDelayMs":300000}';
  const access =
    '{"visibility":"TENANT","joinPolicy":"OPEN","requiredCapabilities":[],"requiredRoles":[],"permissions":[],"policies":[]}';
  for (let index = 0; index < total; index += 1) {
    const title = `${word(index)} ${word(index * 7 + 3)} ${index}`;
    const summary = `${word(index * 3)} ${word(index * 11 + 1)} ${word(index * 5 + 2)} unique${index % 997}`;
    const status = ['active', 'active', 'active', 'suspended', 'closed'][index % 5];
    const type = ['COLLABORATIVE', 'PIPELINE', 'PARALLEL'][index % 3];
    const at = new Date(Date.now() - index * 1_000).toISOString();
    const root = JSON.stringify({ domain: `domain${index % 20}`, environment: 'perf' });
    const head: CopyValue[] = [
      'perf',
      ids[index]!,
      title,
      status!,
      root,
      `domain${index % 20}`,
      'perf',
      summary,
      [word(index), 'all'],
    ];
    const owner = ['PLANNING', `owner${index % 100}`, 'USER', configuration, access, 'NORMAL'];
    yield [...head, type!, ...owner, '', 'x', at, at, 'seed', at, 'seed'];
  }
}

const sql = createSql(server.url, { applicationName: 'probe', max: 10, statementTimeoutMs: 300_000 });
const columns =
  'tenant_id id title status root domain environment summary tags type lifecycle_stage owner_id owner_type configuration access_control priority search shared_checksum last_activity_at created_at created_by updated_at updated_by';
await copyRows(sql, 'context.context', columns.split(' '), rows());
const client = new pg.Client({ connectionString: server.url });
await client.connect();
await client.query(
  `UPDATE context.context i SET search = setweight(to_tsvector('simple', i.title), 'A') || setweight(to_tsvector('simple', array_to_string(i.tags, ' ')), 'B') || setweight(to_tsvector('simple', i.summary), 'C')`,
);
await client.query(
  `INSERT INTO context.participant (tenant_id, id, context_id, agent_id, type, status) SELECT tenant_id, gen_random_uuid(), id, 'agent' || (row_number() OVER () % 500), 'AGENT', 'ACTIVE' FROM context.context`,
);
await client.query('VACUUM ANALYZE');
await client.end();

const config = readConfig({
  CONTEXT_SEARCH_INDEX_MB: indexMb,
  QUOTA_CONTEXTS_PER_USER: '10000000',
  QUOTA_CONTEXTS_PER_TENANT: '10000000',
});
const prisma = createPrisma(server.url, { max: 5, applicationName: 'probe-prisma' });
const bus = createLocalBus(() => {});
const runtime = {
  config,
  prisma,
  bus,
  publisher: createPublisher(bus, null),
  authorizer: createScopeAuthorizer(),
  logger: pino({ level: 'silent' }),
  codecs: new Map(),
  compute: createComputePool({ maxThreads: 1, logger: pino({ level: 'silent' }) }),
  graph: { execute: () => Promise.reject(new Error('not asked')) },
  sqlOf: () => sql,
  sql,
};
const service = createContextService(runtime);
const principal = createPrincipal({
  tenantId: 'perf',
  subject: 'probe',
  scopes: ['context:read', 'context:write', 'context:create'],
});
const scopeOf = () =>
  createRequestScope({
    principal,
    correlationId: 'probe',
    traceparent: '00-11111111111111111111111111111111-2222222222222222-01',
  });

// Builds the index, so that searches are not measured while it is being built.
await service.search.page(
  scopeOf(),
  { filter: {}, query: 'orbit' },
  { limit: 1, reversed: false, after: null },
  { mustWait: true },
);

/** Zipf with s = 1 over the contexts. */
const harmonic = Math.log(total) + 0.5772;
const pick = () => ids[Math.min(total - 1, Math.floor(Math.exp(Math.random() * harmonic)) - 1)] ?? ids[0]!;
/** Any context but the closed ones, every fifth. */
const openOne = () => ids[5 * Math.floor((Math.random() * total) / 5)]!;
const any = () => word(Math.floor(Math.random() * 1_000));
const input = () => ({
  title: `${any()} ${any()}`,
  root: { domain: 'domain1', environment: 'perf' },
  summary: `${any()} ${any()}`,
  tags: [any()],
});

const operations: Readonly<Record<string, () => Promise<unknown>>> = {
  get: () => createContextLoaders(service, scopeOf()).context.load(pick()),
  'search, rare word': () =>
    service.lists.search(scopeOf(), readSelection({}, `unique${Math.floor(Math.random() * 997)}`), null, {}),
  'search, two words': () =>
    service.lists.search(scopeOf(), readSelection({ status: ['ACTIVE'] }, `${any()} ${any()}`), null, {}),
  'search, frequent word': () => service.lists.search(scopeOf(), readSelection({}, any()), null, {}),
  'list, newest': () => service.lists.list(scopeOf(), readSelection({}, null), null, {}),
  'list by domain and status': () =>
    service.lists.list(scopeOf(), readSelection({ domain: 'domain3', status: ['SUSPENDED'] }, null), null, {}),
  'list by name pattern': () =>
    service.lists.list(
      scopeOf(),
      readSelection({ namePattern: `*${Math.floor(Math.random() * total)}*` }, null),
      null,
      {},
    ),
  'list by tags': () =>
    service.lists.list(
      scopeOf(),
      readSelection({ tagsAll: [any(), 'all'] }, null),
      { field: 'TITLE', direction: 'ASC' },
      {},
    ),
  'list by agent': () =>
    service.lists.list(
      scopeOf(),
      readSelection({ participantAgentId: `agent${Math.floor(Math.random() * 500)}` }, null),
      null,
      {},
    ),
  'facets of a frequent word': () => service.lists.facets(scopeOf(), readSelection({}, any())),
  statistics: () => service.lists.statistics(scopeOf(), readSelection({}, null)),
  update: () => service.update(scopeOf(), pick(), { summary: `${any()} ${Math.random()}` }, {}),
  'update of shared state': () =>
    service.sharedState.update(scopeOf(), {
      contextId: openOne(),
      baseVersion: 0,
      changes: [{ key: 'variables.a', value: Math.random() }],
    }),
  create: () => service.create(scopeOf(), input()),
  'join and leave': async () => {
    const contextId = openOne();
    await service.participants.join(scopeOf(), contextId, {}, {}).catch(() => {});
    await service.participants.leave(scopeOf(), contextId, {}).catch(() => {});
  },
  'create 100 at once': () => service.bulk.create(scopeOf(), Array.from({ length: 100 }, input), { mode: 'ATOMIC' }),
};

const quantile = (sorted: readonly number[], share: number) =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!;
console.log(
  `${total} contexts, ${process.version}\noperation                     CPU us PostgreSQL us    p50 ms    p95 ms   16 at once /s`,
);
for (const [name, operation] of Object.entries(operations)) {
  if (!only.split(',').some((prefix) => name.startsWith(prefix))) continue;
  for (const until = performance.now() + 200; performance.now() < until; ) await operation();
  const times: number[] = [];
  for (const until = performance.now() + 700; performance.now() < until; ) {
    const at = performance.now();
    await operation();
    times.push(performance.now() - at);
  }
  times.sort((a, b) => a - b);
  let count = 0;
  const cpu = process.cpuUsage();
  const databaseMs = readTreeCpuMs(server.pid)!;
  const from = performance.now();
  await Promise.all(
    Array.from({ length: 16 }, async () => {
      while (performance.now() - from < 900) {
        await operation();
        count += 1;
      }
    }),
  );
  const { user, system } = process.cpuUsage(cpu);
  const databaseUs = ((readTreeCpuMs(server.pid)! - databaseMs) * 1_000) / count;
  const rate = count / ((performance.now() - from) / 1_000);
  console.log(
    `${name.padEnd(28)} ${((user + system) / count).toFixed(0).padStart(7)} ${databaseUs.toFixed(0).padStart(13)} ${quantile(times, 0.5).toFixed(2).padStart(9)} ${quantile(times, 0.95).toFixed(2).padStart(9)} ${rate.toFixed(0).padStart(10)}`,
  );
}

if (withPlans) {
  const seen = new Map<string, unknown[]>();
  const observed = new Proxy(sql, {
    get: (target, key, receiver) =>
      key === 'unsafe'
        ? (text: string, values: never[], options: object) => {
            seen.set(text, values);
            return target.unsafe(text, values, options);
          }
        : (Reflect.get(target, key, receiver) as unknown),
  });
  const watched = createContextService({ ...runtime, sql: observed });
  const reads: Readonly<Record<string, () => Promise<unknown>>> = {
    get: () => createContextLoaders(watched, scopeOf()).context.load(ids[9]!),
    'search, rare word': () => watched.lists.search(scopeOf(), readSelection({}, 'unique5'), null, {}),
    'search, frequent word': () => watched.lists.search(scopeOf(), readSelection({}, 'orbit'), null, {}),
    'list, newest': () => watched.lists.list(scopeOf(), readSelection({}, null), null, {}),
    'list by domain and status': () =>
      watched.lists.list(scopeOf(), readSelection({ domain: 'domain3', status: ['SUSPENDED'] }, null), null, {}),
    'list by name pattern': () =>
      watched.lists.list(scopeOf(), readSelection({ namePattern: '*4242*' }, null), null, {}),
    'list by tags': () =>
      watched.lists.list(
        scopeOf(),
        readSelection({ tagsAll: ['orbit'] }, null),
        { field: 'TITLE', direction: 'ASC' },
        {},
      ),
    'list by agent': () =>
      watched.lists.list(scopeOf(), readSelection({ participantAgentId: 'agent7' }, null), null, {}),
    'count of a search': () => watched.lists.count(scopeOf(), readSelection({}, 'unique5')),
    'by name': () => watched.lists.byName(scopeOf(), `${word(0)} ${word(3)} 0`),
    expiring: () => watched.upkeep.findExpiring(Date.now()),
  };
  for (const [name, read] of Object.entries(reads)) {
    seen.clear();
    await read();
    for (const [text, values] of seen) {
      const rows = await sql.unsafe(`EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY ON) ${text}`, values as never[]);
      const plan = rows.map((row) => String(row['QUERY PLAN']));
      console.log(
        `\n== ${name}${plan.some((line) => /Seq Scan on context\b/.test(line)) ? ' (reads all contexts)' : ''}\n${plan.filter((line) => /Scan|Sort|Join|Loop|Execution/.test(line)).join('\n')}`,
      );
    }
  }
}
await service.drain();
await prisma.$disconnect();
await sql.end();

/**
 * Hit ratio of the gateway's cache from a cold start: `node perf/probes/cacheHitRatio.ts [operations] [instances] [lists]`.
 *
 * 100,000 objects by Zipf's law (s = 1), each tenth of them (each [lists]-th; 0: none) a list of 20 entities, the rest
 * entities. One operation in twenty writes an entity (or one of a list), and each tenth writer reads it back with its
 * consistency token, on the next instance. Instances have 10,000 entries in memory each and a Redis in common; events
 * reach the other ones 2 ms late. All of it is the gateway's own code: the cached data source, its keys and tags,
 * invalidation by event, the token. Only what lies below the cache is a table in memory, so the ratio is of the load and
 * not of the machine.
 *
 * Beside the ratio stands what no cache can pass under this load: one without a bound, in one place, that drops exactly
 * what a write changes. It misses the first read of each object and the first one after each write of it: once where a list
 * is kept as it was answered, and once where it is kept as the ids of its members and each member once, whoever shows it,
 * as this cache does (`@keptByRow`).
 */
import type { GraphQLDataSource } from '@apollo/gateway';
import { parse } from 'graphql';
import { Redis } from 'ioredis';
import { createScopeAuthorizer } from '#shared/auth.ts';
import { createLocalBus } from '#shared/bus.ts';
import { createConsistencyToken } from '#shared/cache/consistencyToken.ts';
import { createTaggedCache } from '#shared/cache.ts';
import type { EventRow } from '#shared/events.ts';
import { createPrincipal } from '#shared/principal.ts';
import {
  createCachedDataSource,
  createConsistency,
  createFieldPolicies,
  createRequestReadsRegistry,
  invalidateByEvents,
  invalidateWritten,
} from '../../gateway/execution/responseCache/index.ts';
import { processOptions } from '../../test/gateway/execution/processOptions.ts';
import { figure } from '../figure.ts';
import { createRandom } from '../load/random.ts';
import { createZipf } from '../load/sampler.ts';
import { startRedisProcess } from '../redisProcess.ts';
import { tellFigures } from './tellFigures.ts';

const operations = Number(process.argv[2] ?? 2_000_000);
const instanceCount = Number(process.argv[3] ?? 2);
const objectCount = 100_000;
/** With 0 there are none. */
const listEvery = Number(process.argv[4] ?? 10);
const listLength = 20;
const writeEvery = 20;
const readBackEvery = 10;
const workers = 16;
const eventDelayMs = 2;
const memoryEntries = 10_000;
const tenantId = 'probe';
const principal = createPrincipal({ tenantId, subject: 'reader', scopes: ['*'] });

const typeDefs = parse(/* GraphQL */ `
  directive @auth(requires: [String!]!, scope: AuthScope! = TENANT) on FIELD_DEFINITION | OBJECT
  enum AuthScope { TENANT ROLE SUBJECT }
  directive @cacheControl(maxAge: Int, scope: CacheControlScope, inheritMaxAge: Boolean) on FIELD_DEFINITION | OBJECT
  enum CacheControlScope { PUBLIC PRIVATE }
  directive @key(fields: String!) on OBJECT
  directive @keptByRow(fields: String!) on OBJECT
  type Query { items(list: Int!): [Item!]! @auth(requires: []) }
  type Item @key(fields: "id") @keptByRow(fields: "id version") @auth(requires: []) @cacheControl(maxAge: 3600) { id: ID! version: Int! }
`);
const listQuery = 'query ($list: Int!) { items(list: $list) { id version } }';
const entityQuery =
  'query ($representations: [_Any!]!) { _entities(representations: $representations) { ... on Item { id version } } }';

const isList = (object: number) => listEvery > 0 && object % listEvery === listEvery - 1;
/** Lists lie over entities of all ranks alike: their members say nothing of how often they are read. */
const membersOf = (list: number) =>
  Array.from({ length: listLength }, (_none, at) => {
    const entity = (list * 7_919 + at * 4_999) % objectCount;
    return isList(entity) ? entity - 1 : entity;
  });
const shownBy = (object: number) => (isList(object) ? membersOf(object) : [object]);

/** The table below the caches, and how often it was asked. */
const versions = new Uint32Array(objectCount);
let loads = 0;

const table: GraphQLDataSource = {
  async process({ request: { variables = {} } }) {
    loads += 1;
    const item = (id: number) => ({ __typename: 'Item', id: String(id), version: versions[id]! });
    const representations = variables['representations'] as { id: string }[] | undefined;
    if (representations === undefined) {
      const list = variables['list'] as number;
      const members = membersOf(list);
      const cacheTags = [`List:${list}`, ...members.map((member) => `Item:${member}`)];
      return { data: { items: members.map(item) }, extensions: { cacheTags } };
    }
    const ids = representations.map(({ id }) => Number(id));
    return {
      data: { _entities: ids.map(item) },
      extensions: { cacheTags: ids.map((id) => `Item:${id}`) },
    };
  },
};

function openInstance(redis: Redis) {
  const cache = createTaggedCache({
    l1: { maxEntries: memoryEntries, maxBytes: 256 * 1_048_576, ttlMs: 300_000 },
    redis,
    // A machine that runs everything at once is slower than 5 ms now and then; the ratio is not to hang on that.
    l2TimeoutMs: 1_000,
  });
  const bus = createLocalBus((error) => {
    throw error;
  });
  const stop = invalidateByEvents(bus, cache);
  const reads = createRequestReadsRegistry(cache);
  const source = createCachedDataSource(table, {
    subgraph: 'items',
    cache,
    policies: createFieldPolicies([{ name: 'items', typeDefs }]),
    authorizer: createScopeAuthorizer(),
    reads,
    requestOf: (context) => context['scope'] as { principal: typeof principal },
  });
  const consistency = createConsistency(cache);
  return {
    cache,
    bus,
    /** Versions of what an object shows, asked for as a client does. */
    async read(object: number, token?: string): Promise<number[]> {
      const scope = { principal };
      if (token !== undefined && (await consistency.apply(token, tenantId))) reads.of(scope).bypass = true;
      const fetch = isList(object)
        ? { query: listQuery, variables: { list: object } }
        : { query: entityQuery, variables: { representations: [{ __typename: 'Item', id: String(object) }] } };
      const { data } = await source.process({ ...options, request: fetch, context: { scope } });
      const found = (data?.['items'] ?? data?.['_entities']) as { version: number }[];
      return found.map(({ version }) => version);
    },
    async close() {
      stop();
      await cache.close();
    },
  };
}

const options = processOptions({ query: listQuery });
const redisProcess = await startRedisProcess();
if (redisProcess === null) throw new Error('the probe needs redis-server');
const redis = new Redis(redisProcess.url, { lazyConnect: true });
const instances = Array.from({ length: instanceCount }, () => openInstance(redis));
while (instances.some(({ cache }) => !cache.stats().l2.usable)) await new Promise((resolve) => setTimeout(resolve, 10));

const random = createRandom(7);
const zipf = createZipf(objectCount);
/** Sum of the versions that an object showed when it was last read; -1 before. The cache that no cache can pass. */
const lastShown = new Float64Array(objectCount).fill(-1);
/** Version of each entity when anything last showed it. */
const lastKept = new Float64Array(objectCount).fill(-1);
/** What this instance has been told or has written itself, per entity: older is stale there. */
const known = instances.map(() => new Uint32Array(objectCount));
const counts = { reads: 0, writes: 0, misses: 0, idealMisses: 0, sharedMisses: 0, readBacks: 0, staleOwn: 0, stale: 0 };

async function read(object: number, at: number, { token, least }: { token?: string; least: number[] }) {
  const shown = shownBy(object).reduce((sum, entity) => sum + versions[entity]!, 0);
  if (lastShown[object] !== shown) counts.idealMisses += 1;
  const members = shownBy(object);
  const isFirstList = isList(object) && lastShown[object]! < 0;
  if (isFirstList || members.some((member) => lastKept[member] !== versions[member])) counts.sharedMisses += 1;
  for (const member of members) lastKept[member] = versions[member]!;
  lastShown[object] = shown;
  counts.reads += 1;
  const found = await instances[at]!.read(object, token);
  return found.every((version, member) => version >= least[member]!);
}

async function write(entity: number, at: number): Promise<{ token: string; version: number }> {
  const version = versions[entity]! + 1;
  versions[entity] = version;
  counts.writes += 1;
  const change = { eventId: crypto.randomUUID(), tags: [`Item:${entity}`] };
  const event: EventRow = {
    ...change,
    tenantId,
    module: 'context',
    streamId: String(entity),
    sequence: version,
    type: 'item.changed',
    actor: 'writer',
    data: {},
    createdAt: new Date(0).toISOString(),
  };
  await invalidateWritten(instances[at]!.cache, tenantId, [change]);
  known[at]![entity] = Math.max(known[at]![entity]!, version);
  setTimeout(() => {
    instances.forEach(({ bus }, other) => {
      if (other === at) return;
      bus.publish([event]);
      known[other]![entity] = Math.max(known[other]![entity]!, version);
    });
  }, eventDelayMs);
  return { token: createConsistencyToken([change]), version };
}

async function operate(nth: number): Promise<void> {
  const object = zipf.sample(random);
  const at = random.integer(instanceCount);
  const shown = shownBy(object);
  if (nth % writeEvery !== 0) {
    if (!(await read(object, at, { least: shown.map((entity) => known[at]![entity]!) }))) counts.stale += 1;
    return;
  }
  const entity = random.pick(shown);
  const { token, version } = await write(entity, at);
  if (nth % (writeEvery * readBackEvery) !== 0) return;
  counts.readBacks += 1;
  const least = shown.map((member) => (member === entity ? version : 0));
  if (!(await read(object, (at + 1) % instanceCount, { token, least }))) counts.staleOwn += 1;
}

const percent = (part: number, whole: number) => Number(((100 * part) / whole).toFixed(2));
const rows: Record<string, number>[] = [];
let done = { ...counts };

function note(operation: number): void {
  const now = { ...counts, misses: loads };
  const sum = (pick: (stats: ReturnType<(typeof instances)[number]['cache']['stats']>) => number) =>
    instances.reduce((total, { cache }) => total + pick(cache.stats()), 0);
  rows.push({
    operations: operation,
    'hit % since start': percent(now.reads - now.misses, now.reads),
    'best with lists as answered %': percent(now.reads - now.idealMisses, now.reads),
    'best with lists as ids %': percent(now.reads - now.sharedMisses, now.reads),
    'hit % since last row': percent(now.reads - done.reads - (now.misses - done.misses), now.reads - done.reads),
    'best %': percent(now.reads - done.reads - (now.idealMisses - done.idealMisses), now.reads - done.reads),
    // Of look-ups: a list is one for its ids and one for each row.
    'look-ups in memory %': percent(
      sum(({ l1 }) => l1.hits),
      sum(({ l1 }) => l1.hits + l1.misses),
    ),
    'in Redis %': percent(
      sum(({ l2 }) => l2.hits),
      sum(({ l1 }) => l1.hits + l1.misses),
    ),
    'read back': now.readBacks,
    'stale to writer': now.staleOwn,
    'stale to others': now.stale,
  });
  done = now;
}

const marks = [50_000, 100_000, 200_000, 500_000, 1_000_000, 2_000_000, 4_000_000].filter((mark) => mark < operations);
const beganMs = performance.now();
try {
  let next = 0;
  for (const mark of [...marks, operations]) {
    const work = async () => {
      while (next < mark) await operate(next++);
    };
    await Promise.all(Array.from({ length: workers }, work));
    note(mark);
  }
  console.table(rows);
  const seconds = (performance.now() - beganMs) / 1_000;
  const [dropped, refused] = instances.reduce(
    ([drops, stores], { cache }) => [drops + cache.stats().staleDrops, stores + cache.stats().l2.refusedStores],
    [0, 0] as [number, number],
  );
  console.log(`${objectCount} objects, ${instanceCount} instances, ${counts.writes} writes, ${seconds.toFixed(0)} s`);
  const [last, stale] = [rows.at(-1)!, counts.staleOwn + counts.stale];
  tellFigures(
    figure('cache hit ratio from a cold start, Zipf', last['hit % since start']!, '%', {
      atLeast: 90,
      note: `${operations} operations on ${objectCount} entities and lists, 5 % writes, ${memoryEntries} entries in memory, ${instanceCount} instances and Redis; no cache passes ${last['best with lists as ids %']} % under this load; perf/probes/cacheHitRatio.ts`,
    }),
    figure('stale reads among them', stale, '', {
      below: 1,
      note: `${counts.readBacks} read back what they wrote, on the next instance`,
    }),
  );
  console.log(`${loads} loads, of which ${dropped + refused} were not kept, since a write came while they ran`);
  if (counts.staleOwn + counts.stale > 0) process.exitCode = 1;
} finally {
  for (const instance of instances) await instance.close();
  redis.disconnect();
  await redisProcess.stop();
}

import { availableParallelism } from 'node:os';
import { z } from 'zod';
import { count, databaseUrl, flag, httpUrl, port, subgraphList, subgraphUrls, urlOf } from './forms.ts';

/** Where the processes stand, what they connect to and how much of it they take. */
export const processVariables = {
  NODE_ENV: {
    schema: z.enum(['development', 'test', 'production']).default('development'),
    description: 'production refuses to start without keys and hides introspection',
  },
  PORT: { schema: port.default(4000), description: 'port of the gateway; 0 picks a free one' },
  HOST: { schema: z.string().min(1).default('127.0.0.1'), description: 'address the gateway listens on' },
  CONFIG_DIR: {
    schema: z.string().min(1).optional(),
    description:
      'folder of default.json and <NODE_ENV>.json, which hold variables; the database and the environment go first',
  },
  CONFIG_SERVICE_URL: {
    schema: httpUrl.optional(),
    description:
      'answers a JSON object of variables that change at run time (`platformVariables`); files stand behind it, database and environment before',
  },
  CONFIG_SERVICE_POLL_MS: {
    schema: count.min(1_000).default(60_000),
    description: 'time between two looks at it, ms; `reloadConfig` looks at once',
  },
  DATA_DIR: {
    schema: z.string().min(1).default('.data'),
    description: 'folder of the embedded database, development keys and internal secret',
  },
  DATABASE_URL: {
    schema: databaseUrl.optional(),
    description: 'PostgreSQL 15 or newer; without it an embedded PostgreSQL 18 is started',
  },
  REDIS_URL: {
    schema: urlOf(['redis:', 'rediss:'], 'redis://host:port').optional(),
    description: 'L2 cache, fan-out between instances, rate limits; without it they stay in the process',
  },
  SUBGRAPHS: {
    schema: subgraphList.optional(),
    description: 'subgraphs this process serves, comma separated; all by default',
  },
  SUBGRAPH_URLS: {
    schema: subgraphUrls.optional(),
    description: 'name=url pairs: subgraphs the gateway reaches over HTTP instead of in-process',
  },
  GATEWAY_URL: {
    schema: httpUrl.optional(),
    description: 'GraphQL endpoint of the gateway, for subgraphs in processes of their own',
  },
  SUBGRAPH_PORT: {
    schema: port.default(4100),
    description: 'first port of subgraphs/main.ts; each subgraph takes the next',
  },
  SUBGRAPH_HOST: { schema: z.string().min(1).default('127.0.0.1'), description: 'address subgraph ports bind to' },
  CACHE: { schema: flag.default(true), description: 'response cache on or off' },
  CACHE_L1_ENTRIES: { schema: count.default(20_000), description: 'entries of the in-process cache' },
  CACHE_TTL_MS: {
    schema: count.default(300_000),
    description: 'life of an in-process cache entry, ms; only bounds damage',
  },
  CACHE_TENANT_ENTRIES: { schema: count.default(10_000), description: 'cache entries of its own a tenant may have' },
  CACHE_TENANT_BYTES: {
    schema: count.default(67_108_864),
    description: 'bytes of keys, values and tags of these entries',
  },
  DATABASE_POOL: { schema: count.default(10), description: 'connections of the hot path (postgres.js), per process' },
  DATABASE_KEYED_POOL: {
    schema: count.default(2),
    description: 'pipelined connections for reads by key (postgres.js), per process',
  },
  DATABASE_CONSUMER_POOL: {
    schema: count.default(3),
    description: 'connections that read events of other modules, per process',
  },
  DATABASE_PRISMA_POOL: { schema: count.default(5), description: 'connections of Prisma, per process' },
  COMPUTE_THREADS: {
    schema: count.max(64).default(Math.max(2, availableParallelism() - 1)),
    description: 'threads for CPU-heavy work at most; of several one stays free for callers who wait',
  },
  COMPUTE_QUEUE: { schema: count.default(1_000), description: 'tasks of each lane that may wait for a thread' },
  BATCH_MAX_ITEMS: { schema: count.default(50), description: 'mutations that share one transaction at most' },
  BATCH_MAX_DELAY_MS: {
    schema: z.coerce.number().min(0).max(100).default(1),
    description: 'time the first of them waits for company, ms',
  },
  EVENT_RETENTION_DAYS: { schema: count.default(7), description: 'days events stay replayable' },
  EVENT_LEASE_MS: {
    schema: count.min(1_000).default(30_000),
    description: 'time a worker has a partition of deliveries to itself, ms; after a crash others wait as long',
  },
  EVENT_POLL_MS: {
    schema: count.default(100),
    description: 'poll of the event tables while no bus connects the instances, ms',
  },
  DRAIN_TIMEOUT_MS: { schema: count.default(10_000), description: 'time open work gets after SIGTERM, ms' },
} as const;

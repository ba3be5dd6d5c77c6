import { runMigrations } from 'graphile-worker';
import type { Authorizer } from '#shared/auth.ts';
import { createLocalBus } from '#shared/bus.ts';
import type { ProtocolCodec } from '#shared/codec.ts';
import { type ComputeObserver, createComputePool } from '#shared/computePool.ts';
import type { Config } from '#shared/config.ts';
import { createModuleErasure } from '#shared/erasure/moduleErasure.ts';
import { createEventTail, type EventTail } from '#shared/eventTail.ts';
import { createModuleExports, type ModuleExports } from '#shared/exports/moduleExports.ts';
import type { Graph } from '#shared/graph.ts';
import { createJobRunner, type JobHandler, type JobRunner } from '#shared/jobs.ts';
import { followConfig } from '#shared/liveConfig.ts';
import type { LogBuffer } from '#shared/logs/buffer.ts';
import { type Logs, openLogs } from '#shared/logs/openLogs.ts';
import { maintainPartitions, type PartitionedTable, sharedPartitions } from '#shared/partitions.ts';
import { createPublisher, type Invalidator, type Publisher } from '#shared/publisher.ts';
import { createSql, type Sql } from '#shared/sql.ts';
import type { OpenSubgraph, StartedModule, Subgraph } from '#shared/subgraph.ts';
import type { Logger } from '#shared/telemetry.ts';
import { createPrisma } from '../prisma/client.ts';
import { type SubgraphName, subgraphNames } from './names.ts';
import { loadSubgraphs } from './registry.ts';
import { createRoleAuthorizer, readRoleLimits } from './role/index.ts';

/** Connections of a process: one pair of pools per database, the bus, and what stands on them. */
export interface Connections {
  readonly sqlOf: (module: SubgraphName) => Sql;
  /** A few connections for reads by key alone. */
  readonly keyedSqlOf: (module: SubgraphName) => Sql;
  /** For consumers alone: their page is open while its handling takes connections of the other pool. */
  readonly consumerSqlOf: (module: SubgraphName) => Sql;
  readonly bus: EventTail;
  readonly databaseUrlOf: (module: SubgraphName) => string;
  /** The log of the process: stored as long as the connections are open. */
  readonly logs: Logs;
  close(): Promise<void>;
}

export interface ConnectionsOptions {
  readonly config: Config;
  /** Database of every module that has none of its own. */
  readonly databaseUrl: string;
  readonly logger: Logger;
  /** What the logger writes to beside its output. */
  readonly logBuffer?: LogBuffer | undefined;
}

export async function openConnections({
  config,
  databaseUrl,
  logger,
  logBuffer,
}: ConnectionsOptions): Promise<Connections> {
  const databaseUrlOf = (module: SubgraphName) => config.databaseUrls.get(module) ?? databaseUrl;
  const pools: Map<string, Sql>[] = [];
  const poolsOf = (max: number, applicationName: string) => {
    const byUrl = new Map<string, Sql>();
    pools.push(byUrl);
    return (module: SubgraphName) => {
      const url = databaseUrlOf(module);
      const known = byUrl.get(url) ?? createSql(url, { max, applicationName });
      byUrl.set(url, known);
      return known;
    };
  };
  const sqlOf = poolsOf(config.DATABASE_POOL, 'mplp');
  const keyedSqlOf = poolsOf(config.DATABASE_KEYED_POOL, 'mplp-keyed');
  const consumerSqlOf = poolsOf(config.DATABASE_CONSUMER_POOL, 'mplp-consumers');
  const onListenerError = (error: unknown) => logger.error({ error: String(error) }, 'an event listener failed');
  // Redis and its clients are loaded only where there is one.
  const bus = config.REDIS_URL
    ? await (await import('#shared/redisBus.ts')).createRedisBus({ url: config.REDIS_URL, logger, onListenerError })
    : createLocalBus(onListenerError);
  const tail = await createEventTail({
    bus,
    modules: subgraphNames,
    sqlOf,
    logger,
    disconnectedPollMs: config.EVENT_POLL_MS,
    connectedPollMs: config.REDIS_URL ? 500 : config.EVENT_POLL_MS,
    onListenerError,
  });
  const follower = await followConfig({ config, sql: sqlOf('platform'), bus: tail, logger });
  const logs = openLogs({
    buffer: logBuffer,
    sql: sqlOf('platform'),
    bus: tail,
    config,
    logger,
  });
  logs.levels.register('process', logger);
  return {
    sqlOf,
    keyedSqlOf,
    consumerSqlOf,
    databaseUrlOf,
    bus: tail,
    logs,
    async close() {
      await follower.close();
      await logs.close();
      await tail.close();
      await Promise.all(pools.flatMap((byUrl) => [...byUrl.values()]).map((sql) => sql.end({ timeout: 5 })));
    },
  };
}

export interface SubgraphsOptions {
  readonly config: Config;
  readonly connections: Connections;
  readonly names: readonly SubgraphName[];
  readonly graph: Graph;
  readonly logger: Logger;
  readonly invalidator: Invalidator | null;
  /** @default one of its own */
  readonly authorizer?: Authorizer;
  /** `metrics.compute` where the process serves metrics. */
  readonly computeObserver?: ComputeObserver;
}

export interface OpenSubgraphs {
  readonly subgraphs: ReadonlyMap<SubgraphName, OpenSubgraph>;
  readonly publisher: Publisher;
  readonly exports: ModuleExports;
  /** Starts consumers, timers and jobs: after the graph is connected. */
  start(): Promise<void>;
  close(): Promise<void>;
}

/** Opens the named subgraphs over the process's connections. */
export async function openSubgraphs(options: SubgraphsOptions): Promise<OpenSubgraphs> {
  const { config, connections, logger } = options;
  const publisher = createPublisher(connections.bus, options.invalidator);
  const ownAuthorizer = options.authorizer
    ? null
    : createRoleAuthorizer({
        sql: connections.sqlOf('role'),
        bus: connections.bus,
        logger,
        publisher,
        ...readRoleLimits(config),
      });
  const authorizer = options.authorizer ?? ownAuthorizer!;
  const compute = createComputePool({
    maxThreads: config.COMPUTE_THREADS,
    maxWaiting: config.COMPUTE_QUEUE,
    logger,
    observer: options.computeObserver,
  });
  const modules = await loadSubgraphs(options.names);
  const codecs = new Map<SubgraphName, ProtocolCodec>();
  // The protocol door is the platform module's.
  if (modules.has('platform'))
    for (const { name, codec } of (await loadSubgraphs(subgraphNames)).values()) if (codec) codecs.set(name, codec);
  const prismas = new Map<string, ReturnType<typeof createPrisma>>();
  const subgraphs = new Map<SubgraphName, OpenSubgraph>();
  for (const [name, module] of modules) {
    const url = connections.databaseUrlOf(name);
    const prisma =
      prismas.get(url) ?? createPrisma(url, { max: config.DATABASE_PRISMA_POOL, applicationName: 'mplp-prisma' });
    prismas.set(url, prisma);
    const moduleLogger = logger.child({ module: name });
    connections.logs.levels.register(name, moduleLogger);
    const runtime = {
      config,
      sql: connections.sqlOf(name),
      keyedSql: connections.keyedSqlOf(name),
      prisma,
      bus: connections.bus,
      publisher,
      authorizer,
      graph: options.graph,
      compute,
      logger: moduleLogger,
      logs: connections.logs,
      sqlOf: connections.sqlOf,
      consumerSqlOf: connections.consumerSqlOf,
      codecs,
    };
    subgraphs.set(name, await module.open(runtime));
  }
  const exports = createModuleExports({
    authorizer,
    modules: new Map(
      [...modules.values()].map(({ name, exports: entities }) => [
        name,
        {
          entities,
          databaseUrl: connections.databaseUrlOf(name),
          sql: connections.sqlOf(name),
        },
      ]),
    ),
  });
  const started: StartedModule[] = [];
  const runners: JobRunner[] = [];

  async function startJobs(): Promise<void> {
    const byUrl = Map.groupBy(modules.values(), ({ name }) => connections.databaseUrlOf(name));
    for (const [url, together] of byUrl) {
      const sql = connections.sqlOf(together[0]!.name);
      const tasks: Record<string, JobHandler> = {
        partitions: async () => {
          await maintainPartitions(sql, partitionsOf(config, together));
        },
        forgetIdempotency: async () => {
          for (const { name } of together)
            await sql.unsafe(`DELETE FROM ${name}.idempotency WHERE created_at < now() - interval '1 day'`);
        },
      };
      const crontab = ['7 * * * * partitions', '23 * * * * forgetIdempotency'];
      for (const { name, erasure, crontab: times } of together) {
        for (const [task, handler] of Object.entries(subgraphs.get(name)!.jobs)) tasks[`${name}.${task}`] = handler;
        tasks[`${name}.eraseSubject`] = createModuleErasure({
          ...{ module: name, sql, platformSql: connections.sqlOf('platform'), publisher },
          rules: erasure,
        });
        crontab.push(...times);
      }
      await maintainPartitions(sql, partitionsOf(config, together));
      runners.push(await createJobRunner({ url, tasks, crontab, logger }));
    }
  }

  return {
    subgraphs,
    publisher,
    exports,
    async start() {
      for (const subgraph of subgraphs.values()) started.push(await subgraph.start());
      await startJobs();
    },
    async close() {
      await exports.close();
      await Promise.all(runners.map((runner) => runner.close()));
      for (const module of started.reverse()) await module.close();
      await ownAuthorizer?.close();
      await compute.close();
      await Promise.all([...prismas.values()].map((prisma) => prisma.$disconnect()));
    },
  };
}

/** All tables in partitions of these modules. */
export function partitionsOf(config: Config, modules: readonly Subgraph[]): readonly PartitionedTable[] {
  return [
    ...sharedPartitions(config.EVENT_RETENTION_DAYS).filter(({ schema }) =>
      modules.some(({ name }) => name === schema),
    ),
    ...modules.flatMap(({ partitions }) => partitions(config)),
  ];
}

/** graphile-worker keeps its own tables and migrates them itself. */
export async function migrateJobs(url: string): Promise<void> {
  await runMigrations({ connectionString: url });
}

import { fileURLToPath } from 'node:url';
import { createSql } from '#shared/sql.ts';
import { allRows, type Budgets } from './budgets.ts';
import { type Cluster, openCluster } from './cluster.ts';
import { createDatabaseFactory, type DatabaseFactory } from './database.ts';
import { openSubscribers } from './load/openSubscribers.ts';
import type { Progress } from './load/progress.ts';
import { runLoad } from './load/runLoad.ts';
import type { Arrival } from './load/runWorkload.ts';
import { type Durability, requireDurability } from './machine.ts';
import { createPlatformHosts } from './platformHosts.ts';
import { createCpuWatch } from './processCpu.ts';
import { perfProfile } from './profile.ts';
import type { EnvironmentLoad, PerfEnvironment } from './scenario.ts';
import { startServerProcess } from './serverProcess.ts';
import type { ServerShelf } from './serverShelf.ts';
import { shortRunFlags } from './shortRuns.ts';

const smokeSeconds = 1;
/** Below it a second of a Poisson process may pass without a single arrival. */
const smokeMinPerSecond = 5;
const smokeMaxPerSecond = 50;
const smokeMaxConcurrency = 4;

export interface PerfRunOptions {
  readonly budgets: Budgets;
  readonly smoke: boolean;
  /** Length of every window, over what the scenarios ask for. */
  readonly durationSeconds?: number | undefined;
  /** PostgreSQL to measure on, its role allowed to make databases. @default an embedded one under dataDir */
  readonly databaseUrl?: string | undefined;
  /** Folder of cached databases, keys and logs. */
  readonly dataDir: string;
}

/** Everything the scenarios of one run share: the PostgreSQL server and its seeded databases. */
export interface PerfRun {
  /** The environment of one scenario; closing it closes what the scenario opened. */
  open(
    title: string,
    progress: Progress | null,
    shelf?: ServerShelf | null,
  ): { environment: PerfEnvironment; close(): Promise<void> };
  /** Settings of the measured PostgreSQL; null while no scenario has asked for a database, and in a smoke run. */
  readonly durability: Durability | null;
  close(): Promise<void>;
}

function describeArrival(arrival: Arrival): string {
  if (arrival.kind === 'closed') return `closed loop, ${arrival.concurrency} at a time`;
  return `open loop, ${arrival.ratePerSecond}/s ${arrival.gaps ?? 'poisson'}`;
}

function smokeArrival(arrival: Arrival): Arrival {
  if (arrival.kind === 'closed') return { ...arrival, concurrency: Math.min(arrival.concurrency, smokeMaxConcurrency) };
  const ratePerSecond = Math.min(Math.max(arrival.ratePerSecond, smokeMinPerSecond), smokeMaxPerSecond);
  return { ...arrival, gaps: 'constant', ratePerSecond };
}

const perOperationUs = (cpuMs: number | null, operations: number): number | null =>
  cpuMs === null || operations === 0 ? null : (cpuMs * 1000) / operations;

export function createPerfRun(options: PerfRunOptions): PerfRun {
  let databases: Promise<DatabaseFactory> | null = null;
  let cluster: Cluster | null = null;
  let durability: Durability | null = null;
  const hosts = options.smoke ? createPlatformHosts() : null;
  let servers = 0;
  let smokeLoads = 0;

  async function openDatabases(log: (text: string) => void): Promise<DatabaseFactory> {
    const opened = await openCluster({
      databaseUrl: options.databaseUrl,
      dataDir: `${options.dataDir}/postgres`,
      volatile: options.smoke,
    });
    cluster = opened;
    return createDatabaseFactory({
      cluster: opened,
      log,
      // The server migrates as it starts: what is measured is what users run.
      async migrate(url) {
        const server = await startServerProcess({
          databaseUrl: url,
          dataDir: options.dataDir,
          logFile: `${options.dataDir}/logs/migrate.log`,
          ...(hosts === null ? {} : { hosts }),
        });
        await server.stop();
      },
    });
  }

  return {
    get durability() {
      return durability;
    },
    open(title, progress, shelf = null) {
      const closers: (() => Promise<void> | void)[] = [];
      const log = (text: string): void => (progress ? progress.line(`  ${text}`) : console.error(`  ${text}`));
      const rows = allRows(options.budgets);

      async function load(request: EnvironmentLoad): ReturnType<PerfEnvironment['load']> {
        const { server, database, onWindow, ...rest } = request;
        const arrival = options.smoke ? smokeArrival(request.arrival) : request.arrival;
        const durationSeconds = options.smoke ? smokeSeconds : (options.durationSeconds ?? request.durationSeconds);
        const watch = createCpuWatch({ server: server?.pid, postmaster: database?.postmasterPid });
        const result = await runLoad({
          ...rest,
          arrival,
          durationSeconds,
          ...(shelf === null ? {} : { clients: shelf.clients }),
          // The database of a smoke run has seen loads before: the same patch once more would change nothing.
          ...(options.smoke ? { warmupSeconds: 0, order: 'each' as const, seed: ++smokeLoads } : {}),
          ...(server === undefined ? {} : { url: server.url }),
          onWindow(phase) {
            if (phase === 'start') watch.start();
            else watch.end();
            onWindow?.(phase);
          },
          onProgress: (fraction) => progress?.update(fraction, title),
        });
        const use = watch.use();
        const answered = Math.round((result.achievedPerSecond * result.windowMs) / 1000);
        return {
          ...result,
          cpu: {
            serverUs: perOperationUs(use.serverMs, answered),
            databaseUs: perOperationUs(use.databaseMs, answered),
            clientUs: result.clientCpuUsPerOperation,
          },
          load: `${describeArrival(arrival)}, ${durationSeconds} s`,
        };
      }

      const environment: PerfEnvironment = {
        smoke: options.smoke,
        budgets: options.budgets,
        log,
        load,
        design(id) {
          const row = rows.find((candidate) => candidate.id === id);
          if (!row) throw new Error(`expected the id of a budget row, got ${id}`);
          return row.load;
        },
        async prepareDatabase(seed) {
          databases ??= openDatabases(log);
          const factory = await databases;
          const prepare = () => factory.prepare(seed);
          if (shelf !== null) return shelf.database(seed?.name ?? '', prepare);
          const { database, drop } = await prepare();
          closers.push(drop);
          if (!options.smoke) {
            const sql = createSql(database.url, { max: 1, applicationName: 'perf-settings' });
            durability = await requireDurability(sql).finally(() => sql.end());
          }
          return database;
        },
        async startServer(start = {}) {
          const launch = () => {
            servers += 1;
            return startServerProcess({
              ...(start.entry === undefined ? {} : { entry: start.entry }),
              ...(start.readyPath === undefined ? {} : { readyPath: start.readyPath }),
              ...(start.commitClock === undefined ? {} : { commitClock: start.commitClock }),
              ...(start.database === undefined ? {} : { databaseUrl: start.database.url }),
              ...(options.smoke ? { flags: shortRunFlags } : {}),
              // Answers do not hang on a new process; other entries and the clock of commits need one.
              ...(hosts && start.entry === undefined && start.commitClock !== true ? { hosts } : {}),
              env: { ...perfProfile, ...start.env },
              dataDir: options.dataDir,
              logFile: `${options.dataDir}/logs/server-${process.pid}-${servers}.log`,
            });
          };
          if (shelf !== null) return shelf.server(start, launch);
          const server = await launch();
          closers.push(() => server.stop());
          return server;
        },
        async openSubscribers(request) {
          const subscribers = await openSubscribers(request);
          closers.push(() => subscribers.close());
          return subscribers;
        },
        defer: (close) => void closers.push(close),
      };
      return {
        environment,
        async close() {
          const failures: unknown[] = [];
          for (const close of closers.splice(0).reverse()) {
            try {
              await close();
            } catch (error) {
              failures.push(error);
            }
          }
          if (failures.length > 0)
            throw new AggregateError(failures, `closing "${title}": ${failures.map(String).join('; ')}`);
        },
      };
    },
    async close() {
      hosts?.close();
      await cluster?.close();
    },
  };
}

/** Where perf keeps its databases between runs. */
export const defaultDataDir = fileURLToPath(new URL('../.data/perf', import.meta.url));

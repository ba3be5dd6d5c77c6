import type { Sql } from '#shared/sql.ts';
import type { Budgets, LoadDesign } from './budgets.ts';
import type { PreparedDatabase } from './database.ts';
import type { SubscriberOptions, Subscribers } from './load/openSubscribers.ts';
import type { LoadOptions } from './load/runLoad.ts';
import type { MeasuredLoad, Measurement } from './measurement.ts';
import type { RunningServer } from './serverProcess.ts';

/** A module under perf/scenarios exports `scenarios: readonly Scenario[]`; nothing else registers it. */
export interface Scenario {
  /** Ids of the budget rows it measures. */
  readonly rows: readonly string[];
  readonly title: string;
  /** It counts what stands in its data set, or changes what others read: also in a smoke run its database is its own. */
  readonly alone?: true;
  /** What it opened through the environment is closed after it, also when it throws. */
  run(environment: PerfEnvironment): Promise<readonly Measurement[]>;
}

export interface SeedOptions {
  /** Names the data set; one cached copy of the newest version is kept. */
  readonly name: string;
  /** Change it with the seed; a change of the migrations makes a new copy by itself. */
  readonly version: number;
  /** Fills the migrated, empty database. Not called while the copy of this version is there. */
  load(sql: Sql, log: (text: string) => void): Promise<void>;
}

export interface ServerStart {
  /** @default gateway/main.ts */
  readonly entry?: URL;
  readonly database?: PreparedDatabase;
  /** Over the perf profile; `cachesOff` for the second column. */
  readonly env?: Readonly<Record<string, string>>;
  readonly readyPath?: string;
  /** Keeps when each COMMIT returned, for `takeCommits`. @default false */
  readonly commitClock?: boolean;
}

export interface EnvironmentLoad extends Omit<LoadOptions, 'url' | 'durationSeconds' | 'onProgress' | 'onWindow'> {
  /** Server whose endpoint is used and whose CPU is read; absent for a load at the service boundary. */
  readonly server?: RunningServer;
  readonly database?: PreparedDatabase;
  /** Full length of the window; shortened by --duration and --smoke. */
  readonly durationSeconds: number;
  readonly onWindow?: (phase: 'start' | 'end') => void;
}

export interface PerfEnvironment {
  /** The run only checks that answers are right: data sets may be small, no figure is kept. */
  readonly smoke: boolean;
  readonly budgets: Budgets;
  /** The load a row is to be measured under. @throws {Error} when there is no such row */
  design(row: string): LoadDesign;
  log(text: string): void;
  /** A database of this scenario alone, copied from the seeded one. */
  prepareDatabase(seed?: SeedOptions): Promise<PreparedDatabase>;
  startServer(start?: ServerStart): Promise<RunningServer>;
  /** Runs a load and reads the CPU of server, database and clients over its window. A smoke run lasts a second at <= 50/s. */
  load(options: EnvironmentLoad): Promise<MeasuredLoad>;
  openSubscribers(options: SubscriberOptions): Promise<Subscribers>;
  /** Closed after the scenario, last first. */
  defer(close: () => Promise<void> | void): void;
}

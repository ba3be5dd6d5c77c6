import type { PreparedDatabase } from './database.ts';
import { type MeasuredLoad, type Measurement, measurementOf } from './measurement.ts';
import { type MetricSamples, metricGrowth, scrapeMetrics } from './metricsText.ts';
import { preparePgbench, runPgbench } from './pgbench.ts';
import { cachesOff } from './profile.ts';
import { profilingEnvironment } from './profiling.ts';
import type { EnvironmentLoad, PerfEnvironment, SeedOptions } from './scenario.ts';
import { perfTenant } from './seeds/context.ts';
import type { RunningServer } from './serverProcess.ts';

/** So much more is asked for than a throughput row wants: a Poisson process alone falls short of its rate half of the time. */
export const throughputMargin = 1.02;
const closedConcurrency = 32;
const closedSeconds = 10;
/** What a server compiles in its first seconds is no figure of one in service: the mix runs before, at half its rate. */
const warmingSeconds = 10;
export const variants = ['caches on', 'caches off'] as const;

export type Variant = (typeof variants)[number];

export function agentTokens(server: RunningServer, count: number): Promise<string[]> {
  const token = (index: number) => server.token({ tenant: perfTenant, subject: `agent-${index}`, roles: ['agent'] });
  return Promise.all(Array.from({ length: count }, (_, index) => token(index)));
}

/** What the cores were busy with: the server's one thread, PostgreSQL, the clients. */
export function boundBy({ cpu, achievedPerSecond }: MeasuredLoad): string {
  const cores = (us: number | null) => (((us ?? 0) * achievedPerSecond) / 1e6).toFixed(2);
  return `cores in use: server ${cores(cpu.serverUs)}, PostgreSQL ${cores(cpu.databaseUs)}, clients ${cores(cpu.clientUs)}`;
}

/** The mix is run to warm the server, for its rows, and for the highest rate that the server holds. */
export type MixPhase = 'warming' | 'window' | 'highest rate';

export interface ModuleMix<Params> {
  /** Row whose load design is that of the mix. */
  readonly designRow: string;
  readonly seed: SeedOptions;
  readonly workload: URL;
  /** What the workload needs to know of a server that has just started. */
  params(server: RunningServer): Promise<Params>;
  /** What a phase needs to know of what the phases before it left. @default nothing */
  paramsIn?(phase: MixPhase, params: Params): Params;
  /** Before the mix warms the server: what one that has run for a minute has behind it besides. */
  warm?(load: MixLoad<Params>): Promise<void>;
  /** Rows that are an operation of the mix; the rest of the mix is there for what it does to them. */
  readonly rows: Readonly<Record<string, string>>;
  /** @default no row asks for the rate the mix holds */
  readonly throughputRow?: string;
  /** What a row's figure needs beside it, by operation. */
  notes(result: MeasuredLoad): Readonly<Record<string, string[]>>;
  /** A smoke run needs no second variant where both answer alike. @default both */
  readonly smokeVariants?: readonly Variant[];
}

export interface MixLoad<Params> extends Omit<EnvironmentLoad, 'params' | 'arrival' | 'durationSeconds'> {
  readonly params: Params;
}

/**
 * Measures a module's mix at its stated rate, with caches on and off: the latency rows of its operations, the rate
 * held, and beside it the highest rate found by a closed loop.
 */
export async function measureMix<Params>(environment: PerfEnvironment, mix: ModuleMix<Params>): Promise<Measurement[]> {
  const design = environment.design(mix.designRow);
  const measurements: Measurement[] = [];
  let ceiling: readonly string[] = [];
  for (const variant of environment.smoke ? (mix.smokeVariants ?? variants) : variants) {
    const database = await environment.prepareDatabase(mix.seed);
    const env = { ...profilingEnvironment(), ...(variant === 'caches off' ? cachesOff : {}) };
    const server = await environment.startServer({ database, env });
    const params = await mix.params(server);
    const loadIn = (phase: MixPhase): MixLoad<Params> => ({
      ...{ workload: mix.workload, server, database },
      params: mix.paramsIn?.(phase, params) ?? params,
    });
    await mix.warm?.(loadIn('warming'));
    await warmMix(environment, loadIn('warming'), design.ratePerSecond!);
    const cache = watchCache(server);
    const measured = await environment.load({
      ...loadIn('window'),
      arrival: { kind: 'open', ratePerSecond: design.ratePerSecond! * throughputMargin },
      durationSeconds: design.durationSeconds,
      onWindow: cache.onWindow,
    });
    const warming = environment.smoke ? '' : `, after ${warmingSeconds} s at half of it`;
    const result = { ...measured, load: `${measured.load}${warming}` };
    const cachedShare = await cache.share();
    const shared = { variant, boundBy: boundBy(result), ...(cachedShare === undefined ? {} : { cachedShare }) };
    const notes = mix.notes(result);
    for (const [operation, row] of Object.entries(mix.rows))
      measurements.push(measurementOf(result, { ...shared, row, operation, notes: notes[operation] ?? [] }));
    if (mix.throughputRow !== undefined)
      measurements.push(
        measurementOf(result, {
          ...shared,
          row: mix.throughputRow,
          achieved: result.achievedPerSecond,
          notes: await closedLoop(environment, loadIn('highest rate')),
        }),
      );
    await server.stop();
    if (variant === variants.at(-1)) ceiling = await measureCeiling(environment, database);
  }
  return measurements.map((found) => ({ ...found, notes: [...(found.notes ?? []), ...ceiling] }));
}

const ceilingClients = 8;
const ceilingSeconds = 3;

/**
 * What the database does by itself, right after a mix and with both cores: transactions of five statements and reads by
 * key of pgbench. Nothing in a smoke run and where pgbench is not installed.
 */
async function measureCeiling(environment: PerfEnvironment, { url }: PreparedDatabase): Promise<string[]> {
  if (environment.smoke || !(await preparePgbench(url, 10))) return [];
  const rate = async (script: 'select-only' | 'tpcb-like') =>
    Math.round((await runPgbench(url, { clients: ceilingClients, seconds: ceilingSeconds, script })) ?? 0);
  return [
    `PostgreSQL by itself in the same run, pgbench of ${ceilingClients} clients: ${await rate('tpcb-like')} TPC-B-like transactions or ${await rate('select-only')} reads by key a second`,
  ];
}

/** Runs a mix before the window opens; a smoke run has none. */
export async function warmMix<Params>(
  environment: PerfEnvironment,
  load: MixLoad<Params>,
  ratePerSecond: number,
): Promise<void> {
  if (environment.smoke) return;
  await environment.load({
    ...load,
    arrival: { kind: 'open', ratePerSecond: ratePerSecond / 2 },
    durationSeconds: warmingSeconds,
    warmupSeconds: 0,
    seed: 3,
  });
}

export interface HeavyRow<Params> {
  readonly row: string;
  /** Name of the operation in its workload. */
  readonly operation: string;
  readonly seed: SeedOptions;
  readonly workload: URL;
  params(server: RunningServer, database: PreparedDatabase): Promise<Params>;
  /** The module's light mix that runs beside it, at this rate. */
  readonly beside: {
    readonly workload: URL;
    readonly ratePerSecond: number;
    params(server: RunningServer): Promise<unknown>;
  };
  notes?(result: MeasuredLoad): string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Before the window opens: what a server that has run for a minute has behind it. */
  warm?(server: RunningServer, database: PreparedDatabase): Promise<void>;
}

/** Measures a heavy operation as its row asks, beside the module's mix, with caches on and off. */
export async function measureBeside<Params>(
  environment: PerfEnvironment,
  heavy: HeavyRow<Params>,
): Promise<Measurement[]> {
  const design = environment.design(heavy.row);
  const measurements: Measurement[] = [];
  for (const variant of environment.smoke ? variants.slice(0, 1) : variants) {
    const database = await environment.prepareDatabase(heavy.seed);
    const env = { ...profilingEnvironment(), ...heavy.env, ...(variant === 'caches off' ? cachesOff : {}) };
    const server = await environment.startServer({ database, env });
    const durationSeconds = design.durationSeconds;
    await heavy.warm?.(server, database);
    // Before either begins: what one of them makes ready is not to fall into the other's window.
    const params = await heavy.params(server, database);
    const besideParams = await heavy.beside.params(server);
    const [result, light] = await Promise.all([
      environment.load({
        workload: heavy.workload,
        params,
        server,
        database,
        arrival:
          design.ratePerSecond == null
            ? { kind: 'closed', concurrency: design.concurrency ?? 1 }
            : { kind: 'open', ratePerSecond: design.ratePerSecond },
        durationSeconds,
      }),
      environment.load({
        workload: heavy.beside.workload,
        params: besideParams,
        server,
        arrival: { kind: 'open', ratePerSecond: heavy.beside.ratePerSecond },
        durationSeconds,
        seed: 4,
      }),
    ]);
    const found = measurementOf(result, {
      row: heavy.row,
      variant,
      operation: heavy.operation,
      boundBy: `${result.achievedPerSecond.toFixed(1)} heavy operations/s beside ${light.achievedPerSecond.toFixed(0)} light ones/s; CPU is that of both`,
      notes: heavy.notes?.(result) ?? [],
    });
    measurements.push(withBeside(found, light));
    await server.stop();
  }
  return measurements;
}

/** What ran beside it: an operation that makes that fail does not hold its row, however quick it was itself. */
export function withBeside(found: Measurement, light: MeasuredLoad): Measurement {
  const { errorCount, latency } = light;
  const fails = errorCount > 0.01 * (errorCount + latency.count);
  const rate = light.achievedPerSecond.toFixed(0);
  return {
    ...found,
    errors: fails ? { ...found.errors, 'of the mix beside it': errorCount } : found.errors,
    notes: [
      `the mix beside it: ${rate}/s, p95 ${latency.p95Ms.toFixed(1)} ms, ${errorCount} errors`,
      ...(found.notes ?? []),
    ],
  };
}

/** The highest rate the server holds, found beside the row's own load. */
async function closedLoop<Params>(environment: PerfEnvironment, load: MixLoad<Params>): Promise<string[]> {
  if (environment.smoke) return [];
  const result = await environment.load({
    ...load,
    arrival: { kind: 'closed', concurrency: closedConcurrency },
    durationSeconds: closedSeconds,
    warmupSeconds: 1,
    seed: 2,
  });
  const wrong = result.wrong > 0 ? `, ${result.wrong} WRONG: ${result.wrongExamples[0]}` : '';
  return [
    `closed loop of ${closedConcurrency}: ${Math.round(result.achievedPerSecond)}/s, p95 ${result.latency.p95Ms.toFixed(1)} ms, ${result.errorCount} errors${wrong}; ${boundBy(result)}`,
  ];
}

/** Reads the server's cache counters as the window opens and closes. */
function watchCache(server: RunningServer) {
  const samples: Promise<MetricSamples>[] = [];
  return {
    onWindow: () => void samples.push(scrapeMetrics(server.origin)),
    /** Part of the asked entries that were there; undefined where nothing was asked. */
    async share(): Promise<number | undefined> {
      const [before, after] = await Promise.all(samples);
      if (!before || !after) return undefined;
      const asked = metricGrowth(before, after, 'mplp_cache_requests_total');
      const missed = metricGrowth(before, after, 'mplp_cache_requests_total', 'result="miss"');
      return asked === 0 ? undefined : (asked - missed) / asked;
    },
  };
}

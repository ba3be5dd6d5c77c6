import type { LatencySummary } from './load/histogram.ts';
import type { LoadResult } from './load/loadResult.ts';

export interface CpuPerOperation {
  /** The server's process, us. */
  readonly serverUs: number | null;
  /** PostgreSQL's processes, us. */
  readonly databaseUs: number | null;
  /** The clients' own, us. */
  readonly clientUs: number | null;
}

/** What one scenario found for one budget row in one variant. */
export interface Measurement {
  readonly row: string;
  /** Column of the report: `caches on`, `caches off`, or another way of doing the same. */
  readonly variant: string;
  /** For latency rows. */
  readonly latency?: LatencySummary;
  /** For throughput rows, in the row's unit. */
  readonly achieved?: number;
  /** Operations that were asked for, of all kinds. */
  readonly operations: number;
  readonly errors: Readonly<Record<string, number>>;
  readonly wrong: number;
  readonly wrongExamples: readonly string[];
  /** The load as it was put on, in words. */
  readonly load: string;
  readonly targetPerSecond?: number | null;
  /** Operations a second that fell due in the window: gaps drawn at random make fewer or more of them than the target. */
  readonly askedPerSecond?: number;
  readonly achievedPerSecond?: number;
  readonly cpu?: CpuPerOperation;
  /** How late the clients noticed that something was due; it is part of the latencies. */
  readonly clientLag?: { readonly p50Ms: number; readonly p99Ms: number };
  /** Part of the reads answered from a cache, 0 .. 1. */
  readonly cachedShare?: number;
  /** What sets the figure: a core, the disk's fsync, a timer. */
  readonly boundBy?: string;
  /** Why the figure is no verdict on the server (its clients were saturated). */
  readonly invalid?: string;
  readonly notes?: readonly string[];
}

/** Latencies that a workload has timed itself and tells in its facts, as a histogram sums them up. */
export function latencyOf(facts: Readonly<Record<string, number>>): LatencySummary {
  const fact = (name: keyof LatencySummary): number => facts[name] ?? 0;
  return {
    count: fact('count'),
    minMs: fact('minMs'),
    meanMs: fact('meanMs'),
    p50Ms: fact('p50Ms'),
    p95Ms: fact('p95Ms'),
    p99Ms: fact('p99Ms'),
    maxMs: fact('maxMs'),
  };
}

/** A load with the CPU that went into it. */
export interface MeasuredLoad extends LoadResult {
  readonly cpu: CpuPerOperation;
  /** The load in words. */
  readonly load: string;
}

export interface MeasurementOptions {
  readonly row: string;
  readonly variant?: string;
  /** Operation of the mix whose latency the row bounds; of all when absent. */
  readonly operation?: string;
  readonly achieved?: number;
  readonly cachedShare?: number;
  readonly boundBy?: string;
  readonly notes?: readonly string[];
}

/**
 * The measurement of one row out of a load. Errors and wrong answers are those of the whole mix for a throughput row,
 * of the operation for a latency row.
 * @throws {Error} when the mix has no such operation
 */
export function measurementOf(result: MeasuredLoad, options: MeasurementOptions): Measurement {
  const part = options.operation === undefined ? result : result.operations[options.operation];
  if (!part)
    throw new Error(
      `expected an operation of the mix (${Object.keys(result.operations).join(', ')}), got ${options.operation}`,
    );
  return {
    row: options.row,
    variant: options.variant ?? 'caches on',
    latency: part.latency,
    ...(options.achieved === undefined ? {} : { achieved: options.achieved }),
    operations: part.latency.count,
    errors: part.errors,
    wrong: part.wrong,
    wrongExamples: result.wrongExamples,
    load: result.load,
    targetPerSecond: result.targetPerSecond,
    askedPerSecond: (result.started * 1_000) / result.windowMs,
    achievedPerSecond: result.achievedPerSecond,
    cpu: result.cpu,
    ...(result.lag.count === 0 ? {} : { clientLag: { p50Ms: result.lag.p50Ms, p99Ms: result.lag.p99Ms } }),
    ...(options.cachedShare === undefined ? {} : { cachedShare: options.cachedShare }),
    ...(options.boundBy === undefined ? {} : { boundBy: options.boundBy }),
    ...(result.saturated === null ? {} : { invalid: result.saturated }),
    ...(options.notes === undefined ? {} : { notes: options.notes }),
  };
}

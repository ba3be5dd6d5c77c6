import { createHistogram, type HistogramData, type LatencySummary } from './histogram.ts';

/** What one worker process reports about its window. */
export interface WorkerReport {
  readonly windowMs: number;
  readonly started: number;
  /** Answered within the window, right or wrong. */
  readonly answeredInWindow: number;
  readonly latency: HistogramData;
  readonly lag: HistogramData;
  readonly operations: readonly OperationReport[];
  readonly wrongExamples: readonly string[];
  /** CPU of the worker itself over the window. */
  readonly cpuMs: number;
  readonly acknowledged: readonly (readonly [key: string, atMs: number])[];
  readonly facts: Readonly<Record<string, number>>;
}

export interface OperationReport {
  readonly name: string;
  readonly latency: HistogramData;
  readonly errors: Readonly<Record<string, number>>;
  readonly wrong: number;
}

export interface OperationResult {
  readonly latency: LatencySummary;
  readonly errors: Readonly<Record<string, number>>;
  readonly errorCount: number;
  readonly wrong: number;
}

export interface LoadResult {
  readonly windowMs: number;
  readonly targetPerSecond: number | null;
  /** Answers per second of the window. */
  readonly achievedPerSecond: number;
  readonly started: number;
  readonly latency: LatencySummary;
  readonly operations: Readonly<Record<string, OperationResult>>;
  readonly errors: Readonly<Record<string, number>>;
  readonly errorCount: number;
  /** Answers that came without an error and were not what they should be. */
  readonly wrong: number;
  readonly wrongExamples: readonly string[];
  /** How late the clients noticed that a request was due. It is part of every latency. */
  readonly lag: LatencySummary;
  /** Why the clients and not the server may have set the figures; null when they had time to spare. */
  readonly saturated: string | null;
  readonly clientCpuUsPerOperation: number;
  readonly acknowledged: ReadonlyMap<string, number>;
  /** What the workload of worker 0 said about itself. */
  readonly facts: Readonly<Record<string, number>>;
}

function addCounts(into: Record<string, number>, from: Readonly<Record<string, number>>): number {
  let sum = 0;
  for (const [code, times] of Object.entries(from)) {
    into[code] = (into[code] ?? 0) + times;
    sum += times;
  }
  return sum;
}

/** Lag beyond which a run says more about its clients than about the server, ms at p99. */
const maxLagP99Ms = 10;

export interface CombineOptions {
  readonly targetPerSecond: number | null;
  /** A spinning worker uses a whole core by design. */
  readonly spin: boolean;
}

/** Sums the workers of one load. */
export function combineReports(reports: readonly WorkerReport[], options: CombineOptions): LoadResult {
  const latency = createHistogram();
  const lag = createHistogram();
  const operations = new Map<
    string,
    { histogram: ReturnType<typeof createHistogram>; errors: Record<string, number>; wrong: number }
  >();
  const errors: Record<string, number> = {};
  const acknowledged = new Map<string, number>();
  let answered = 0;
  let started = 0;
  let cpuMs = 0;
  let errorCount = 0;
  let wrong = 0;
  let busiest = 0;
  const windowMs = Math.max(...reports.map((report) => report.windowMs));
  for (const report of reports) {
    latency.merge(report.latency);
    lag.merge(report.lag);
    answered += report.answeredInWindow;
    started += report.started;
    cpuMs += report.cpuMs;
    busiest = Math.max(busiest, report.cpuMs / report.windowMs);
    for (const [key, atMs] of report.acknowledged) acknowledged.set(key, atMs);
    for (const operation of report.operations) {
      const known = operations.get(operation.name) ?? { histogram: createHistogram(), errors: {}, wrong: 0 };
      operations.set(operation.name, known);
      known.histogram.merge(operation.latency);
      known.wrong += operation.wrong;
      wrong += operation.wrong;
      errorCount += addCounts(errors, operation.errors);
      addCounts(known.errors, operation.errors);
    }
  }
  const lagSummary = lag.summary();
  let saturated: string | null = null;
  if (lagSummary.p99Ms > maxLagP99Ms) saturated = `the clients were ${lagSummary.p99Ms.toFixed(1)} ms late at p99`;
  else if (!options.spin && busiest > 0.9) saturated = `a client process used ${Math.round(busiest * 100)} % of a core`;
  return {
    windowMs,
    targetPerSecond: options.targetPerSecond,
    achievedPerSecond: (answered * 1000) / windowMs,
    started,
    latency: latency.summary(),
    operations: Object.fromEntries(
      [...operations].map(([name, known]) => [
        name,
        {
          latency: known.histogram.summary(),
          errors: known.errors,
          errorCount: Object.values(known.errors).reduce((sum, times) => sum + times, 0),
          wrong: known.wrong,
        },
      ]),
    ),
    errors,
    errorCount,
    wrong,
    wrongExamples: reports.flatMap((report) => report.wrongExamples).slice(0, 5),
    lag: lagSummary,
    saturated,
    clientCpuUsPerOperation: answered === 0 ? 0 : (cpuMs * 1000) / answered,
    acknowledged,
    facts: reports[0]?.facts ?? {},
  };
}

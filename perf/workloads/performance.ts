import type { Random } from '../load/random.ts';
import {
  type CreateWorkload,
  type GraphqlCall,
  type RequestOperation,
  readPath,
  type Verdict,
} from '../load/workload.ts';
import {
  instances,
  type MetricDays,
  measuredOperations,
  observations,
  quantilesOf,
  sampleMs,
} from '../seeds/metrics.ts';

export interface PerformanceParams {
  readonly days: MetricDays;
  readonly token: string;
  /** Weights by operation. */
  readonly mix: Readonly<Record<string, number>>;
}

const metricCalculation = `query Metric($operation: String!, $from: DateTime!, $to: DateTime!) {
  performanceMetric(operation: $operation, from: $from, to: $to) { operation count meanMs p50Ms p90Ms p95Ms p99Ms }
}`;
const performanceAnalysis = `query Analyze($from: DateTime!, $to: DateTime!) {
  analyzePerformance(from: $from, to: $to) {
    from to baselineFrom baselineTo score baselineScore
    trends { operation p95Ms baselineP95Ms change count }
    bottlenecks { kind subject severity value threshold }
    recommendations { id kind target expectedGain }
  }
}`;
const optimizationRecommendation = `query Recommend($from: DateTime!, $to: DateTime!) {
  optimizationRecommendations(from: $from, to: $to) { id kind target description evidence expectedGain gainOf risk undo safe }
}`;

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const tolerance = 1e-6;
const kinds = ['ADD_INSTANCE', 'CACHE_TOO_SMALL', 'CALLERS_ERRORS', 'RAISE_LOG_LEVEL', 'SLOW_OPERATION'] as const;

interface Trend {
  readonly operation: string;
  readonly p95Ms: number;
  readonly change: number;
}

const isNear = (found: unknown, expected: number): boolean =>
  typeof found === 'number' && Math.abs(found - expected) <= tolerance * Math.max(1, Math.abs(expected));

function judgeFigures(found: unknown, operation: number, windowMs: number): Verdict {
  const { p50Ms, p95Ms, p99Ms } = quantilesOf(operation, true);
  const count = (windowMs / sampleMs) * observations * instances.length;
  const expected = { count, p50Ms, p95Ms, p99Ms };
  const isRight = Object.entries(expected).every(([name, value]) => isNear(readPath(found, name), value));
  return isRight || `expected ${JSON.stringify(expected)}, got ${JSON.stringify(found)}`;
}

/** Whether it knows all operations, and of a whole day that the first one became slower. */
function judgeAnalysis(found: unknown, hours: number): Verdict {
  const trends = (readPath(found, 'trends') ?? []) as Trend[];
  if (trends.length !== measuredOperations.length)
    return `expected ${measuredOperations.length} trends, got ${trends.length}`;
  const [before, after] = [quantilesOf(0, false).p95Ms, quantilesOf(0, true).p95Ms];
  const slower = trends.filter(({ change }) => Math.abs(change) > tolerance);
  const expected = hours === 24 ? 1 : 0;
  if (slower.length !== expected) return `expected ${expected} changes, got ${JSON.stringify(slower.slice(0, 3))}`;
  const [first] = slower;
  if (first && !(first.operation === measuredOperations[0] && isNear(first.change, after / before - 1)))
    return `expected ${measuredOperations[0]} from ${before} to ${after} ms, got ${JSON.stringify(first)}`;
  const bottlenecks = (readPath(found, 'bottlenecks') ?? []) as { kind: string }[];
  return bottlenecks.some(({ kind }) => kind === 'CPU') || 'expected the cores to be named';
}

/** Quantiles of one operation, and what all of them come to. */
export const createWorkload: CreateWorkload<PerformanceParams> = ({ days, token, mix }) => {
  const headers = { authorization: `Bearer ${token}` };
  const rangeOf = (toMs: number, lengthMs: number) => ({
    from: new Date(toMs - lengthMs).toISOString(),
    to: new Date(toMs).toISOString(),
  });

  const next: Readonly<Record<string, (random: Random) => GraphqlCall>> = {
    metric_calculation(random) {
      const operation = random.integer(measuredOperations.length);
      const windowMs = random.pick([1, 5, 15]) * minuteMs;
      const toMs = days.endMs - random.integer(60) * minuteMs;
      return {
        query: metricCalculation,
        variables: { operation: measuredOperations[operation]!, ...rangeOf(toMs, windowMs) },
        headers,
        check: ({ data }) => judgeFigures(readPath(data, 'performanceMetric'), operation, windowMs),
      };
    },
    performance_analysis(random) {
      const hours = random.pick([1, 24]);
      return {
        query: performanceAnalysis,
        variables: rangeOf(days.endMs, hours * hourMs),
        headers,
        check: ({ data }) => judgeAnalysis(readPath(data, 'analyzePerformance'), hours),
      };
    },
    optimization_recommendation: () => ({
      query: optimizationRecommendation,
      variables: rangeOf(days.endMs, 24 * hourMs),
      headers,
      check({ data }) {
        const found = (readPath(data, 'optimizationRecommendations') ?? []) as { kind: string; expectedGain: number }[];
        const missing = kinds.filter((kind) => !found.some((one) => one.kind === kind));
        if (missing.length > 0) return `expected ${missing.join(', ')} among the recommendations`;
        const isSorted = found.every(({ expectedGain }, at) => at === 0 || expectedGain <= found[at - 1]!.expectedGain);
        return isSorted || 'expected the largest gain first';
      },
    }),
  };
  return {
    operations: Object.entries(mix).map(([name, weight]): RequestOperation => ({ name, weight, next: next[name]! })),
  };
};

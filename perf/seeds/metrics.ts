import { type SeriesKey, seriesId } from '#shared/metrics/history.ts';
import { observedTables } from '#shared/observedTables.ts';
import { maintainPartitions } from '#shared/partitions.ts';
import type { Sql } from '#shared/sql.ts';
import { operationsByRow } from '../../subgraphs/platform/performance/operations.ts';
import { perfTenant } from './context.ts';
import { type CopyValue, copyRows } from './copyRows.ts';

export interface MetricSeed {
  readonly series: number;
  /** Of all series together, as they were sampled; five-minute sums reach back two days. */
  readonly samples: number;
}

/** Two days that end at a full five minutes; sample number 0 is at their begin. */
export interface MetricDays {
  readonly startMs: number;
  readonly endMs: number;
  /** First time from which there are samples, and not only sums. */
  readonly sampledFromMs: number;
  readonly queues: number;
}

export const sampleMs = 15_000;
const rollupMs = 300_000;
const perRollup = rollupMs / sampleMs;
const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const retention = { LOG_RETENTION_DAYS: 30, METRIC_RETENTION_DAYS: 2, ERROR_RETENTION_DAYS: 30 };
/** Samples of a day: what comes after the last of them is slower of the first operation. */
const lastQuick = dayMs / sampleMs - 1;

export const instances = ['one', 'two'] as const;
/** Root fields by which rows of the budget are met. */
export const measuredOperations: readonly string[] = [...new Set(Object.values(operationsByRow))];
export const bounds = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000] as const;
/** Observations of an operation in one interval of one instance. */
export const observations = 100;

interface Figure {
  readonly value: number;
  readonly count: number | null;
  readonly buckets: readonly number[] | null;
}

interface SeededSeries {
  readonly key: SeriesKey;
  /** Its sample of a number, as a process would have told it. */
  sample(number: number): Figure;
}

/** Place among the bounds of the median of an operation. */
const placeOf = (operation: number): number => 1 + (operation % 6);

/** Quantiles of an operation over any range on one side of the moment that the first one became slower. */
export function quantilesOf(operation: number, isLater: boolean): { p50Ms: number; p95Ms: number; p99Ms: number } {
  const place = placeOf(operation) + (operation === 0 && isLater ? 1 : 0);
  return { p50Ms: bounds[place]!, p95Ms: bounds[place + 1]!, p99Ms: bounds[place + 2]! };
}

/** 50 of a hundred end at the median's bound, 95 at the next, 99 at the one behind it. */
function spread(place: number, times: number): number[] {
  const buckets = new Array<number>(bounds.length + 1).fill(0);
  for (const [at, share] of [50, 45, 4, 1].entries()) buckets[place + at]! += share * times;
  return buckets;
}

function operationSample(operation: number, number: number): Figure {
  const place = placeOf(operation);
  const later = operation === 0 ? Math.max(0, number - lastQuick) : 0;
  const [before, after] = [spread(place, number - later), spread(Math.min(place + 1, 7), later)];
  return {
    value: number * observations * bounds[place]!,
    count: number * observations,
    buckets: before.map((count, at) => count + after[at]!),
  };
}

/** Increase of a queue's count of jobs in one interval, by instance. */
export const jobsOf = (queue: number, instance: number): number => (1 + (queue % 7)) * (instance + 1);
/** Mean of a queue's depth over whole minutes. */
export const meanDepth = (queue: number): number => queue + 1.5;
export const queueName = (queue: number): string => `queue-${queue}`;

/** What a process tells of itself, in an hour in which there is something to say of it. */
const ofProcess: readonly { name: string; labels?: Record<string, string>; total?: number; level?: number }[] = [
  { name: 'mplp_requests_total', total: 1_000 },
  { name: 'error_rate', labels: { severity: 'warning' }, total: 100 },
  { name: 'mplp_cache_requests_total', labels: { grain: 'response', result: 'hit' }, total: 500 },
  { name: 'mplp_cache_requests_total', labels: { grain: 'response', result: 'miss' }, total: 500 },
  { name: 'mplp_cpu_percent', level: 85 },
  { name: 'mplp_system_memory_percent', level: 60 },
  { name: 'mplp_heap_percent', level: 50 },
  { name: 'mplp_network_latency_ms', level: 2 },
  { name: 'nodejs_eventloop_lag_p99_seconds', level: 0.02 },
  { name: 'mplp_disk_percent', level: 40 },
];

const queuesOf = (series: number): number =>
  Math.max(1, Math.floor((series - instances.length * (measuredOperations.length + ofProcess.length)) / 4));

function* seededSeries(queues: number): Generator<SeededSeries> {
  for (const [index, instance] of instances.entries()) {
    const keyOf = (name: string, kind: SeriesKey['kind'], labels: Readonly<Record<string, string>>): SeriesKey => ({
      tenantId: perfTenant,
      name,
      kind,
      labels,
      instance,
      isDelta: false,
      bounds: kind === 'HISTOGRAM' ? bounds : [],
      unit: null,
      help: null,
    });
    const plain = (value: number): Figure => ({ value, count: null, buckets: null });
    for (const [at, operation] of measuredOperations.entries())
      yield {
        key: keyOf('mplp_operation_ms', 'HISTOGRAM', { operation }),
        sample: (number) => operationSample(at, number),
      };
    for (const { name, labels = {}, total, level = 0 } of ofProcess)
      yield {
        key: keyOf(name, total === undefined ? 'GAUGE' : 'COUNTER', labels),
        sample: (number) => plain(total === undefined ? level : total * number),
      };
    for (let queue = 0; queue < queues; queue += 1) {
      const labels = { queue: queueName(queue) };
      yield {
        key: keyOf('jobs_total', 'COUNTER', labels),
        sample: (number) => plain(jobsOf(queue, index) * number),
      };
      yield { key: keyOf('queue_depth', 'GAUGE', labels), sample: (number) => plain(queue + (number % 4)) };
    }
  }
}

const arrayText = (values: readonly number[] | null): CopyValue => `{${(values ?? []).join(',')}}`;

function* sampleRows(all: readonly SeededSeries[], days: MetricDays) {
  const first = (days.sampledFromMs - days.startMs) / sampleMs;
  const last = (days.endMs - days.startMs) / sampleMs;
  for (const { key, sample } of all) {
    const id = seriesId(key);
    for (let number = first; number < last; number += 1) {
      const { value, count, buckets } = sample(number);
      yield [perfTenant, id, new Date(days.startMs + number * sampleMs), value, count, arrayText(buckets)];
    }
  }
}

function* rollupRows(all: readonly SeededSeries[], days: MetricDays) {
  const rollups = (days.endMs - days.startMs) / rollupMs;
  for (const { key, sample } of all) {
    const id = seriesId(key);
    for (let place = 0; place < rollups; place += 1) {
      const figures = Array.from({ length: perRollup }, (_, at) => sample(place * perRollup + at));
      const { value, count, buckets } = figures.at(-1)!;
      const values = figures.map((figure) => figure.value);
      yield [
        perfTenant,
        id,
        new Date(days.startMs + place * rollupMs),
        value,
        Math.min(...values),
        Math.max(...values),
        values.reduce((sum, one) => sum + one, 0),
        perRollup,
        count,
        arrayText(buckets),
      ];
    }
  }
}

function daysOf({ series, samples }: MetricSeed, endMs: number): MetricDays {
  // Whole five minutes, so that sums and samples say the same.
  const hours = Math.floor((samples / series) * (sampleMs / rollupMs)) * rollupMs;
  return { startMs: endMs - 2 * dayMs, endMs, sampledFromMs: endMs - hours, queues: queuesOf(series) };
}

/** Series of two processes that are sampled every 15 s, and a module whose log holds little of interest. */
export async function seedMetrics(sql: Sql, seed: MetricSeed, log: (text: string) => void): Promise<void> {
  const days = daysOf(seed, Math.floor(Date.now() / rollupMs) * rollupMs);
  for (const day of [1, 0])
    await maintainPartitions(sql, observedTables(retention), new Date(days.endMs - day * dayMs));
  const all = [...seededSeries(days.queues)];
  await copyRows(
    sql,
    'platform.metric_series',
    ['tenant_id', 'id', 'name', 'kind', 'labels', 'instance', 'is_delta', 'bounds', 'last_at'],
    all.map(({ key }) => [
      perfTenant,
      seriesId(key),
      key.name,
      key.kind,
      key.labels,
      key.instance,
      false,
      arrayText(key.bounds),
      new Date(days.endMs),
    ]),
  );
  await copyRows(
    sql,
    'platform.metric_sample',
    ['tenant_id', 'series_id', 'at', 'value', 'count', 'buckets'],
    sampleRows(all, days),
  );
  await copyRows(
    sql,
    'platform.metric_rollup',
    ['tenant_id', 'series_id', 'at', 'value', 'min', 'max', 'sum', 'samples', 'count', 'buckets'],
    rollupRows(all, days),
  );
  await sql.unsafe(
    `INSERT INTO platform.log_rollup (tenant_id, minute, module, level, count)
     SELECT $1, to_timestamp($2::float8 / 1000) - n * interval '1 minute', 'noisy', 30, 10 FROM generate_series(1, 1440) AS n`,
    [perfTenant, days.endMs],
  );
  log(`${all.length} series`);
}

/** The days that a database was filled with. */
export async function readMetricDays(sql: Sql, seed: MetricSeed): Promise<MetricDays> {
  const [row] = await sql<{ endMs: number }[]>`
    SELECT (extract(epoch FROM max(last_at)) * 1000)::float8 AS "endMs" FROM platform.metric_series WHERE tenant_id = ${perfTenant}`;
  return daysOf(seed, row!.endMs);
}

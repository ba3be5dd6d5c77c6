import type { Registry } from 'prom-client';
import type { Sql } from '../sql.ts';
import type { Logger } from '../telemetry.ts';
import { appendSamples, endSeries, type NewSample, type SeriesKey } from './history.ts';

export interface SamplerOptions {
  readonly registries: readonly Registry[];
  /** Database of the platform module. */
  readonly sql: Sql;
  /** Called before anything is stored. */
  readonly prepare: () => Promise<void>;
  readonly logger: Logger;
  readonly operatorTenant: string;
  /** Names the process among those that sample. */
  readonly instance: string;
  readonly intervalMs: number;
  /** Told of each look that is stored. @default nobody is */
  readonly onSampled?: () => void;
}

export interface Sampler {
  /** Stores the figures as they are now. */
  sample(): Promise<number>;
  close(): Promise<void>;
}

interface JsonValue {
  readonly value: number;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly metricName?: string;
}

interface JsonMetric {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly values: readonly JsonValue[];
}

/** Gauges that begin anew at each scrape: they are the scraper's alone. Their counters are sampled. */
const sinceScrape: ReadonlySet<string> = new Set(['requests_per_second', 'cpu_usage_percent']);

/** Keeps the history of a process's metrics in PostgreSQL, as a Prometheus server would by scraping it. */
export function startSampler(options: SamplerOptions): Sampler {
  const { sql, logger, operatorTenant, instance, intervalMs } = options;
  let running: Promise<number> | null = null;

  async function take(): Promise<number> {
    const atMs = Date.now();
    const samples: NewSample[] = [];
    for (const metric of options.registries.flatMap((registry) => registry.getMetricsAsArray())) {
      if (sinceScrape.has(metric.name)) continue;
      const found = await (metric as unknown as { get(): Promise<JsonMetric> }).get();
      samples.push(...samplesOf(found, { tenantId: operatorTenant, instance, atMs }));
    }
    await options.prepare();
    await appendSamples(sql, samples);
    options.onSampled?.();
    return samples.length;
  }

  const sample = () => {
    running ??= take().finally(() => {
      running = null;
    });
    return running;
  };
  const timer = setInterval(() => {
    sample().catch((error: unknown) => logger.warn({ error: String(error) }, 'metrics were not sampled'));
  }, intervalMs);
  timer.unref();
  return {
    sample,
    async close() {
      clearInterval(timer);
      await running?.catch(() => {});
      await endSeries(sql, { tenantId: operatorTenant, instance }).catch((error: unknown) =>
        logger.warn({ error: String(error) }, 'the end of the samples was not noted'),
      );
    },
  };
}

/** A metric's figures by series; the buckets of a histogram, which prom-client cumulates, each for itself. */
function samplesOf(
  { name, help, type, values }: JsonMetric,
  { tenantId, instance, atMs }: { readonly tenantId: string; readonly instance: string; readonly atMs: number },
): readonly NewSample[] {
  const keyOf = (
    kind: SeriesKey['kind'],
    labels: Readonly<Record<string, string>>,
    bounds: readonly number[] = [],
  ) => ({
    tenantId,
    name,
    kind,
    labels,
    instance,
    isDelta: false,
    isFromZero: kind !== 'GAUGE',
    bounds,
    unit: null,
    help,
  });
  if (type !== 'histogram') {
    if (type === 'summary') return [];
    const kind = type === 'counter' ? 'COUNTER' : 'GAUGE';
    return values
      .filter(({ value }) => Number.isFinite(value))
      .map(({ value, labels }) => ({ series: keyOf(kind, textsOf(labels)), atMs, value, count: null, buckets: null }));
  }
  const groups = Map.groupBy(values, ({ labels: { le: _edge, ...labels } }) => JSON.stringify(labels));
  return [...groups].map(([key, all]) => {
    const edges = all.filter(({ labels }) => labels['le'] !== undefined);
    const cumulated = edges.map(({ value }) => value);
    return {
      series: keyOf(
        'HISTOGRAM',
        textsOf(JSON.parse(key) as JsonValue['labels']),
        edges.map(({ labels }) => Number(labels['le'])).filter(Number.isFinite),
      ),
      atMs,
      value: all.find(({ metricName }) => metricName === `${name}_sum`)?.value ?? 0,
      count: all.find(({ metricName }) => metricName === `${name}_count`)?.value ?? 0,
      buckets: cumulated.map((count, at) => count - (cumulated[at - 1] ?? 0)),
    };
  });
}

function textsOf(labels: JsonValue['labels']): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).map(([key, value]) => [key, String(value)]));
}

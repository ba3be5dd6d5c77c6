import { LRUCache } from 'lru-cache';
import type { BusMessage } from '#shared/bus.ts';
import type { Sql } from '#shared/sql.ts';
import type { MetricQuery } from './inputs.ts';
import type { Range } from './range.ts';
import { queryMetric, type SeriesPoints } from './reading.ts';
import { metricType } from './recording.ts';

const maxPanels = 500;
/** Points of all panels together. */
const maxPoints = 500_000;
const maxAgeMs = 300_000;
/** What was sampled before may still be on its way to the table, ms. */
const settleMs = 10_000;

interface Shown {
  readonly tenantId: string;
  readonly metrics: readonly (string | null)[];
}

interface Kept extends Shown {
  readonly series: readonly SeriesPoints[];
}

export interface PanelCacheDeps {
  readonly sql: Sql;
  /** Time between two samples of the processes, ms. */
  readonly sampleMs: number;
}

/**
 * Panels as they were read last, by tenant: whoever may read a tenant's metrics sees the same in them. One with a step that is
 * not over is kept until the next sample may have come, others for a step; what the tenant records drops both, on other
 * instances as far as the bus reaches them. Who asks meanwhile for what is being read waits for it.
 */
export function createPanelCache({ sql, sampleMs }: PanelCacheDeps) {
  const kept = new LRUCache<string, Kept>({
    max: maxPanels,
    maxSize: maxPoints,
    sizeCalculation: ({ series }) => series.reduce((sum, { points }) => sum + points.length, 1),
  });
  const reading = new Map<string, Shown & { readonly series: Promise<readonly SeriesPoints[]> }>();

  function ttlOf({ fromMs, stepMs, steps }: Range, nowMs: number): number {
    const isOver = fromMs + steps * stepMs <= nowMs - settleMs;
    return Math.min(stepMs, isOver ? maxAgeMs : sampleMs, maxAgeMs);
  }

  return {
    /** @throws {LIMIT_EXCEEDED} */
    async read(tenantId: string, query: MetricQuery, range: Range): Promise<readonly SeriesPoints[]> {
      const { fromMs, stepMs, steps } = range;
      const key = JSON.stringify([tenantId, query, fromMs, stepMs, steps]);
      const found = kept.get(key);
      if (found !== undefined) return found.series;
      const running = reading.get(key);
      if (running !== undefined) return running.series;
      const shown = { tenantId, metrics: [query.metric, query.dividedBy] };
      const own = { ...shown, series: queryMetric(sql, tenantId, query, range) };
      reading.set(key, own);
      try {
        const series = await own.series;
        // Dropped meanwhile it may lack what was recorded.
        if (reading.get(key) === own) kept.set(key, { ...shown, series }, { ttl: ttlOf(range, Date.now()) });
        return series;
      } finally {
        if (reading.get(key) === own) reading.delete(key);
      }
    },

    /** Drops what shows a metric that was recorded. */
    hear(messages: readonly BusMessage[]): void {
      const recorded = new Set<string>();
      for (const { type, tenantId, data } of messages)
        if (type === metricType) recorded.add(JSON.stringify([tenantId, data['name']]));
      if (recorded.size === 0) return;
      const isStale = ({ tenantId, metrics }: Shown) =>
        metrics.some((metric) => recorded.has(JSON.stringify([tenantId, metric])));
      for (const [key, panel] of [...kept.entries()]) if (isStale(panel)) kept.delete(key);
      for (const [key, panel] of [...reading]) if (isStale(panel)) reading.delete(key);
    },
  };
}

export type PanelCache = ReturnType<typeof createPanelCache>;

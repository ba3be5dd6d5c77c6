import type { Registry } from 'prom-client';

/** Readings younger than this are told again, ms. */
const freshMs = 1_000;

interface Collecting {
  readonly name: string;
  collect?: () => unknown;
}

/**
 * Has what a registry reads of the process and the machine read once a second at most, however often it is asked: the
 * kernel's files and the event loop's histogram are most of what a scrape costs the loop, and shares over less than a
 * second are noise. Counters and histograms of the platform's own are always told as they stand.
 */
export function readSparingly(registry: Registry, names: readonly string[]): void {
  for (const name of names) {
    const metric = registry.getSingleMetric(name) as Collecting | undefined;
    const collect = metric?.collect;
    if (metric === undefined || collect === undefined) continue;
    let readAtMs = Number.NEGATIVE_INFINITY;
    metric.collect = function (this: unknown) {
      const nowMs = performance.now();
      if (nowMs - readAtMs < freshMs) return undefined;
      readAtMs = nowMs;
      return collect.call(this);
    };
  }
}

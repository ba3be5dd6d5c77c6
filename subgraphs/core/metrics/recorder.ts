import { setTimeout as sleep } from 'node:timers/promises';
import { newId } from '#shared/ids.ts';
import type { Sql } from '#shared/sql.ts';
import type { Logger } from '#shared/telemetry.ts';
import { platformTenant } from '../settings.ts';

/** What is measured; milliseconds, and ones that are counted. */
export const tenantSeries = [
  'step.arrived',
  'step.wait',
  'step.service',
  'step.failed',
  'step.broken',
  'step.lapsed',
  'execution.wait',
  'execution.run',
  'execution.failed',
] as const;
/** Of a process. */
export const gaugeSeries = ['worker.busy', 'worker.slots', 'pool.wait', 'loop.delay'] as const;
export type TenantSeries = (typeof tenantSeries)[number];
export type GaugeSeries = (typeof gaugeSeries)[number];

/** Calls of a module by steps of all tenants: one for each that broke, nothing for the others. */
export const callSeries = (module: string): string => `call.${module}`;

interface Sum {
  count: number;
  sum: number;
  squares: number;
}

export interface RecorderOptions {
  readonly sql: Sql;
  readonly logger: Logger;
  /** Length of a stretch that is summed up, ms. */
  readonly everyMs: number;
  /** After these, ms, sums are dropped. */
  readonly keepMs: number;
  /** What the process is like now. */
  readonly gauges: () => Readonly<Partial<Record<GaugeSeries, number>>>;
}

export type Recorder = ReturnType<typeof createRecorder>;

/** Sums up what is measured and stores it stretch by stretch; what a crash takes is the last stretch. */
export function createRecorder({ sql, logger, everyMs, keepMs, gauges }: RecorderOptions) {
  const instance = newId();
  let open = new Map<string, Map<string, Sum>>();
  let since = performance.now();
  let lastDrop = 0;

  function add(tenantId: string, series: string, value: number): void {
    const own = open.get(tenantId) ?? new Map<string, Sum>();
    open.set(tenantId, own);
    const sum = own.get(series);
    if (!sum) own.set(series, { count: 1, sum: value, squares: value * value });
    else {
      sum.count += 1;
      sum.sum += value;
      sum.squares += value * value;
    }
  }

  /** Stores what was measured since the last time. */
  async function flush(): Promise<void> {
    const started = performance.now();
    // How long a statement that does nothing takes is how long all others wait for a connection and its way.
    await sql.unsafe('SELECT 1', [], { prepare: true });
    add(platformTenant, 'pool.wait', performance.now() - started);
    for (const [series, value] of Object.entries(gauges())) add(platformTenant, series, value);
    const sums = open;
    const lengthMs = Math.max(1, Math.round(performance.now() - since));
    open = new Map();
    since = performance.now();
    const rows = [...sums].flatMap(([tenantId, own]) =>
      [...own].map(([series, sum]) => ({ tenant_id: tenantId, series, ...sum })),
    );
    await sql.unsafe(
      `INSERT INTO core.metric_sample AS s (tenant_id, series, at, instance, length_ms, count, sum, squares)
       SELECT tenant_id, series, clock_timestamp(), $2, $3, count, sum, squares
       FROM json_to_recordset($1::text::json) AS x(tenant_id text, series text, count int, sum float8, squares float8)
       ON CONFLICT (tenant_id, series, at, instance) DO UPDATE SET count = s.count + EXCLUDED.count, sum = s.sum + EXCLUDED.sum, squares = s.squares + EXCLUDED.squares`,
      [JSON.stringify(rows), instance, lengthMs],
      { prepare: true },
    );
    if (Date.now() - lastDrop < keepMs / 48) return;
    lastDrop = Date.now();
    await sql.unsafe(
      `DELETE FROM core.metric_sample WHERE at < now() - $1::float8 * interval '1 millisecond'`,
      [keepMs],
      { prepare: true },
    );
  }

  return {
    instance,
    everyMs,
    /** Counts for the tenant, and for what all share. */
    observe(tenantId: string, series: TenantSeries, value: number): void {
      add(tenantId, series, value);
      add(platformTenant, series, value);
    },
    /** A call of a module, and whether it broke; of all tenants together. */
    observeCall(module: string, isBroken: boolean): void {
      add(platformTenant, callSeries(module), Number(isBroken));
    },
    flush,
    /** Stores each stretch until it is stopped, and then the last. */
    start(): { stop(): Promise<void> } {
      const over = new AbortController();
      const storing = (async () => {
        while (!over.signal.aborted) {
          await sleep(everyMs, undefined, { signal: over.signal }).catch(() => {});
          await flush().catch((error: unknown) =>
            logger.warn({ error: String(error) }, 'measured sums of workflows were not stored'),
          );
        }
      })();
      return {
        async stop() {
          over.abort();
          await storing;
        },
      };
    },
  };
}

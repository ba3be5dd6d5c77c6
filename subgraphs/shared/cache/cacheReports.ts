import type { TaggedCache } from '../cache.ts';
import type { Sql } from '../sql.ts';
import type { Logger } from '../telemetry.ts';
import type { GroupStats } from './groupStats.ts';

/** What a group of a cache's keys belongs to. */
export interface CacheArea {
  readonly tenantId: string;
  readonly area: string;
}

export interface CacheReportsOptions {
  readonly cache: TaggedCache;
  /** Names the cache among those of a process. */
  readonly name: 'entries' | 'responses';
  /** Database of the platform module. */
  readonly sql: Sql;
  readonly instance: string;
  readonly logger: Logger;
  /** Of a group of the cache, each of another area; null for what is of no tenant. */
  readonly areaOf: (group: string) => CacheArea | null;
  /** Of what was loaded, how much there was. @default 0 */
  readonly foundOf?: (group: string) => number;
  /** @default 2_000 */
  readonly intervalMs?: number;
}

export interface CacheReports {
  /** Stores what has changed since the last time; never rejects. */
  report(): Promise<void>;
  close(): Promise<void>;
}

interface ReportRow {
  readonly tenantId: string;
  readonly area: string;
  readonly counts: readonly number[];
}

const maxRowsPerStatement = 500;

/**
 * Tells the database every two seconds what a cache has counted for each tenant, so that whoever asks sums over all
 * processes: without Redis they have nothing else in common. What was reported of a process is deleted with its end.
 */
export function startCacheReports(options: CacheReportsOptions): CacheReports {
  const { cache, name, sql, instance, logger } = options;
  const reported = new Map<string, string>();
  let last: Promise<void> = Promise.resolve();
  let waiting = 0;
  let closed = false;

  function changedRows(): ReportRow[] {
    const rows: ReportRow[] = [];
    const total = new Array<number>(columns.length).fill(0);
    for (const [group, stats] of cache.groups()) {
      const counts = countsOf(stats, options.foundOf?.(group) ?? 0);
      counts.forEach((count, at) => {
        total[at]! += count;
      });
      const area = options.areaOf(group);
      const text = counts.join();
      if (area === null || reported.get(group) === text) continue;
      reported.set(group, text);
      rows.push({ ...area, counts });
    }
    // Also says that the process lives, when nothing else has changed.
    rows.push({ tenantId: '', area: '', counts: total });
    return rows;
  }

  async function store(): Promise<void> {
    const rows = changedRows();
    try {
      for (let from = 0; from < rows.length; from += maxRowsPerStatement) {
        const records = rows.slice(from, from + maxRowsPerStatement).map(toRecord);
        await sql.unsafe(statement, [instance, name, JSON.stringify(records)], { prepare: true });
      }
    } catch (error) {
      reported.clear();
      logger.debug({ error: String(error) }, 'the counts of a cache could not be stored');
    }
  }

  // One after the other: what is reported is at least what was counted when it was asked for.
  const report = () => {
    waiting += 1;
    last = last.then(store).finally(() => {
      waiting -= 1;
    });
    return last;
  };
  const timer = setInterval(() => {
    if (waiting === 0) void report();
  }, options.intervalMs ?? 2_000).unref();
  void report();

  return {
    report,
    async close() {
      if (closed) return;
      closed = true;
      clearInterval(timer);
      await last;
      await sql`DELETE FROM platform.cache_report WHERE instance = ${instance} AND cache = ${name}`.catch(
        (error: unknown) => logger.debug({ error: String(error) }, 'the counts of a cache could not be deleted'),
      );
    },
  };
}

const columns = [
  'l1_hits',
  'l1_misses',
  'l2_hits',
  'l2_misses',
  'loads',
  'joined',
  'found',
  'evictions',
  'entries',
  'bytes',
] as const;

function toRecord({ tenantId, area, counts }: ReportRow): Record<string, unknown> {
  return { tenant_id: tenantId, area, ...Object.fromEntries(columns.map((column, at) => [column, counts[at]])) };
}

function countsOf(stats: GroupStats, found: number): number[] {
  const { l1Hits, l1Misses, l2Hits, l2Misses, loads, joined, evictions, entries, bytes } = stats;
  return [l1Hits, l1Misses, l2Hits, l2Misses, loads, joined, found, evictions, entries, bytes];
}

const statement = `
  INSERT INTO platform.cache_report (tenant_id, instance, cache, area, ${columns.join(', ')}, reported_at)
  SELECT tenant_id, $1::text::uuid, $2, area, ${columns.join(', ')}, now()
  FROM json_to_recordset($3::text::json) AS r (tenant_id text, area text, ${columns.map((column) => `${column} bigint`).join(', ')})
  ORDER BY tenant_id, area
  ON CONFLICT (tenant_id, instance, cache, area) DO UPDATE SET
    ${columns.map((column) => `${column} = EXCLUDED.${column}`).join(', ')}, reported_at = EXCLUDED.reported_at`;

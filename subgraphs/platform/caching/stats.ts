import type { RequestScope } from '#shared/context.ts';
import { isoText } from '#shared/record.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import type { EntryReader } from './reader.ts';

export type CacheScope = 'ENTRIES' | 'RESPONSES';

export interface LevelCounts {
  readonly level: 'MEMORY' | 'REDIS' | 'DATABASE';
  readonly hits: number;
  readonly misses: number;
  readonly ratio: number | null;
  readonly evictions: number | null;
  readonly entries: number | null;
  readonly bytes: number | null;
}

export interface AreaCounts {
  readonly area: string;
  readonly hits: number;
  readonly misses: number;
  readonly ratio: number | null;
  readonly entries: number;
  readonly bytes: number;
  readonly evictions: number;
}

export interface TenantCacheStats {
  readonly scope: CacheScope;
  readonly ratio: number | null;
  readonly levels: readonly LevelCounts[];
  readonly areas: readonly AreaCounts[];
  readonly instances: number;
  readonly reportedAt: string | null;
}

interface AreaRow {
  readonly area: string;
  readonly l1Hits: number;
  readonly l1Misses: number;
  readonly l2Hits: number;
  readonly l2Misses: number;
  readonly loads: number;
  readonly joined: number;
  readonly found: number;
  readonly evictions: number;
  readonly entries: number;
  readonly bytes: number;
}

/** A process that has not reported for as long has ended or cannot: it reports every two seconds. */
const silentAfter = '15 seconds';

const share = (hits: number, misses: number) => (hits + misses === 0 ? null : hits / (hits + misses));

/** What the caches of all running processes have counted for a tenant, from what they report. */
export function createCacheStats({ sql, config }: ModuleRuntime, reader: EntryReader) {
  async function findAreas(tenantId: string, cache: string): Promise<readonly AreaRow[]> {
    return (await sql.unsafe(
      `SELECT r.area, sum(r.l1_hits)::bigint AS "l1Hits", sum(r.l1_misses)::bigint AS "l1Misses",
         sum(r.l2_hits)::bigint AS "l2Hits", sum(r.l2_misses)::bigint AS "l2Misses", sum(r.loads)::bigint AS loads,
         sum(r.joined)::bigint AS joined, sum(r.found)::bigint AS found, sum(r.evictions)::bigint AS evictions,
         sum(r.entries)::bigint AS entries, sum(r.bytes)::bigint AS bytes
       FROM platform.cache_report r
       JOIN platform.cache_report whole ON whole.tenant_id = '' AND whole.instance = r.instance AND whole.cache = r.cache
         AND whole.area = '' AND whole.reported_at > now() - interval '${silentAfter}'
       WHERE r.tenant_id = $1 AND r.cache = $2 GROUP BY r.area ORDER BY r.area`,
      [tenantId, cache],
      { prepare: true },
    )) as unknown as AreaRow[];
  }

  /** Of entries the database is a level too, and counts what lies there. */
  async function databaseLevel(tenantId: string, { found, loads }: AreaRow): Promise<LevelCounts> {
    const [usage] = await sql<{ entries: number; bytes: number }[]>`
      SELECT count(*)::bigint AS entries, coalesce(sum(bytes), 0)::bigint AS bytes FROM platform.cache_entry
      WHERE tenant_id = ${tenantId} AND expires_at > now()`;
    const counts = { hits: found, misses: loads - found, ratio: share(found, loads - found) };
    return { level: 'DATABASE', ...counts, evictions: null, ...usage! };
  }

  return {
    async ofTenant({ principal: { tenantId } }: RequestScope, scope: CacheScope): Promise<TenantCacheStats> {
      await reader.report();
      const cache = scope.toLowerCase();
      const rows = await findAreas(tenantId, cache);
      const [running] = (await sql.unsafe(
        `SELECT count(*)::int AS instances, ${isoText('max(reported_at)')} AS "reportedAt" FROM platform.cache_report
         WHERE tenant_id = '' AND area = '' AND cache = $1 AND reported_at > now() - interval '${silentAfter}'`,
        [cache],
        { prepare: true },
      )) as unknown as { instances: number; reportedAt: string | null }[];
      const sum = sumOf(rows);
      const levels = [memoryLevel(sum)];
      if (config.REDIS_URL !== undefined) levels.push(redisLevel(sum));
      if (scope === 'ENTRIES') levels.push(await databaseLevel(tenantId, sum));
      const areas = rows.map(areaCounts);
      return { scope, ratio: areaCounts(sum).ratio, levels, areas, ...running! };
    },

    /** What processes left behind that did not end in order. */
    async sweep(): Promise<void> {
      await sql`
        DELETE FROM platform.cache_report r WHERE r.reported_at < now() - interval '1 hour' AND NOT EXISTS (
          SELECT FROM platform.cache_report whole WHERE whole.tenant_id = '' AND whole.instance = r.instance
            AND whole.cache = r.cache AND whole.area = '' AND whole.reported_at > now() - interval '1 hour')`;
    },
  };
}

function memoryLevel({ l1Hits: hits, l1Misses, joined, evictions, entries, bytes }: AreaRow): LevelCounts {
  // Who joins a load that is under way found nothing in memory.
  const misses = l1Misses + joined;
  return { level: 'MEMORY', hits, misses, ratio: share(hits, misses), evictions, entries, bytes };
}

function redisLevel({ l2Hits: hits, l2Misses: misses }: AreaRow): LevelCounts {
  return { level: 'REDIS', hits, misses, ratio: share(hits, misses), evictions: null, entries: null, bytes: null };
}

function areaCounts({ area, l1Hits, l2Hits, joined, loads, entries, bytes, evictions }: AreaRow): AreaCounts {
  const hits = l1Hits + l2Hits + joined;
  return { area, hits, misses: loads, ratio: share(hits, loads), entries, bytes, evictions };
}

function sumOf(rows: readonly AreaRow[]): AreaRow {
  const sum = { l1Hits: 0, l1Misses: 0, l2Hits: 0, l2Misses: 0, loads: 0, joined: 0, found: 0 };
  const total = { area: '', ...sum, evictions: 0, entries: 0, bytes: 0 };
  for (const row of rows)
    for (const name of Object.keys(total) as (keyof AreaRow)[]) if (name !== 'area') total[name] += row[name];
  return total;
}

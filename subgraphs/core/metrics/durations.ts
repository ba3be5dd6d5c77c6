import { setTimeout as sleep } from 'node:timers/promises';
import type { Sql, SqlTransaction } from '#shared/sql.ts';
import type { Logger } from '#shared/telemetry.ts';
import { type Bucket, bucketOf, type Timing, timingOf } from './timing.ts';

/** What was recorded longer ago says nothing about today. */
export const keepDays = 14;
const dropEveryMs = 3_600_000;

export interface DurationsOptions {
  readonly sql: Sql;
  readonly logger: Logger;
  /** Between two stores, ms. */
  readonly everyMs: number;
}

export type Durations = ReturnType<typeof createDurations>;

/** Counts how long what the steps of each tenant do takes; stored from time to time, what a crash takes is the last stretch. */
export function createDurations({ sql, logger, everyMs }: DurationsOptions) {
  /** By tenant and operation, of each bucket. */
  let open = new Map<string, Map<number, number>>();
  let lastDrop = 0;

  function add(key: string, bucket: number, count: number): void {
    const own = open.get(key) ?? new Map<number, number>();
    open.set(key, own);
    own.set(bucket, (own.get(bucket) ?? 0) + count);
  }

  async function flush(): Promise<void> {
    const counted = open;
    open = new Map();
    // In the order of their keys, so that processes that store at the same time wait for each other in one order.
    const rows = [...counted]
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .flatMap(([key, buckets]) => {
        const [tenant_id, operation] = JSON.parse(key) as [string, string];
        return [...buckets]
          .sort(([one], [other]) => one - other)
          .map(([bucket, count]) => ({ tenant_id, operation, bucket, count }));
      });
    try {
      if (rows.length > 0)
        await sql.unsafe(
          `INSERT INTO core.operation_time AS t (tenant_id, operation, day, bucket, count)
           SELECT tenant_id, operation, (now() AT TIME ZONE 'UTC')::date, bucket, count
           FROM json_to_recordset($1::text::json) AS x(tenant_id text, operation text, bucket int, count int)
           ON CONFLICT (tenant_id, operation, day, bucket) DO UPDATE SET count = t.count + EXCLUDED.count`,
          [JSON.stringify(rows)],
          { prepare: true },
        );
    } catch (error) {
      for (const [key, buckets] of counted) for (const [bucket, count] of buckets) add(key, bucket, count);
      throw error;
    }
    if (Date.now() - lastDrop < dropEveryMs) return;
    lastDrop = Date.now();
    await sql.unsafe(
      `DELETE FROM core.operation_time WHERE day < (now() AT TIME ZONE 'UTC')::date - $1::int`,
      [keepDays],
      { prepare: true },
    );
  }

  return {
    observe(tenantId: string, operation: string, ms: number): void {
      add(JSON.stringify([tenantId, operation]), bucketOf(ms), 1);
    },
    flush,
    /** Stores until it is stopped, and then the last. */
    start(): { stop(): Promise<void> } {
      const over = new AbortController();
      const storing = (async () => {
        while (!over.signal.aborted) {
          await sleep(everyMs, undefined, { signal: over.signal }).catch(() => {});
          await flush().catch((error: unknown) =>
            logger.warn({ error: String(error) }, 'how long steps took was not stored'),
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

/** What a tenant's operations took in the last days, in their order; null of what was never measured. */
export async function findTimings(
  db: Sql | SqlTransaction,
  tenantId: string,
  operations: readonly string[],
): Promise<(Timing | null)[]> {
  if (operations.length === 0) return [];
  const rows = (await db.unsafe(
    `SELECT operation, bucket, sum(count)::int AS count FROM core.operation_time
     WHERE tenant_id = $1 AND operation = ANY($2::text[]) GROUP BY operation, bucket`,
    [tenantId, operations as string[]],
    { prepare: true },
  )) as unknown as (Bucket & { readonly operation: string })[];
  const found = Map.groupBy(rows, ({ operation }) => operation);
  return operations.map((operation) => timingOf(found.get(operation) ?? []));
}

import type { Config } from './config.ts';
import type { PartitionedTable } from './partitions.ts';
import { maintainPartitions } from './partitions.ts';
import type { Sql } from './sql.ts';

type Retention = Pick<Config, 'LOG_RETENTION_DAYS' | 'METRIC_RETENTION_DAYS' | 'ERROR_RETENTION_DAYS'>;

/** Tables into which every process writes what it sees of itself, by day. */
export function observedTables(retention: Retention): readonly PartitionedTable[] {
  const keeps = {
    log: retention.LOG_RETENTION_DAYS,
    metric_sample: retention.METRIC_RETENTION_DAYS,
    error: retention.ERROR_RETENTION_DAYS,
  };
  return Object.entries(keeps).map(([table, keep]) => ({ schema: 'platform', table, unit: 'day', keep, ahead: 7 }));
}

/**
 * Makes the partitions once, before the first row: one that stood in the default partition would keep that of its day from
 * being made. A failure is for the caller to try again.
 */
export function createPreparation(sql: Sql, retention: Retention): () => Promise<void> {
  let prepared: Promise<void> | null = null;
  return () => {
    prepared ??= maintainPartitions(sql, observedTables(retention)).then(
      () => {},
      (error: unknown) => {
        prepared = null;
        throw error;
      },
    );
    return prepared;
  };
}

import type { Config } from '#shared/config.ts';
import type { PartitionedTable } from '#shared/partitions.ts';

/** Records by their day. */
export function platformPartitions({ LOG_RETENTION_DAYS }: Config): readonly PartitionedTable[] {
  return [{ schema: 'platform', table: 'log', unit: 'day', keep: LOG_RETENTION_DAYS, ahead: 7 }];
}

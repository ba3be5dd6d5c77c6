import type { Config } from '#shared/config.ts';
import type { PartitionedTable } from '#shared/partitions.ts';

/** Calls of methods by the day they were made. */
export function extensionPartitions({ EXTENSION_EXECUTION_DAYS }: Config): readonly PartitionedTable[] {
  return [{ schema: 'extension', table: 'execution', unit: 'day', keep: EXTENSION_EXECUTION_DAYS, ahead: 7 }];
}

import type { Config } from '#shared/config.ts';
import type { PartitionedTable } from '#shared/partitions.ts';

/** Spans by the day their trace was made, events by the day they were written. */
export function tracePartitions({ TRACE_RETENTION_DAYS: keep }: Config): readonly PartitionedTable[] {
  return ['span', 'history'].map((table) => ({ schema: 'trace', table, unit: 'day', keep, ahead: 7 }));
}

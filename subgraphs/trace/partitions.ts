import type { Config } from '#shared/config.ts';
import type { PartitionedTable } from '#shared/partitions.ts';

/**
 * Spans by the day their trace was made, events by the day they were written, metrics by the day they were taken; these
 * stay two days longer than they count, so that what they come to is kept before they go.
 */
export function tracePartitions({ TRACE_RETENTION_DAYS, TRACE_METRIC_DAYS }: Config): readonly PartitionedTable[] {
  const keeps = { span: TRACE_RETENTION_DAYS, history: TRACE_RETENTION_DAYS, metric: TRACE_METRIC_DAYS + 2 };
  return Object.entries(keeps).map(([table, keep]) => ({ schema: 'trace', table, unit: 'day', keep, ahead: 7 }));
}

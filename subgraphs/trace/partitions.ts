import type { PartitionedTable } from '#shared/partitions.ts';

/** Spans by the day their trace was made. */
export const tracePartitions: readonly PartitionedTable[] = [
  { schema: 'trace', table: 'span', unit: 'day', keep: null, ahead: 7 },
];

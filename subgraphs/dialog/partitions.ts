import type { PartitionedTable } from '#shared/partitions.ts';

/** Tables of this module's own that are made in partitions; retention deletes by dialog, so none is dropped by age. */
export const dialogPartitions: readonly PartitionedTable[] = [
  { schema: 'dialog', table: 'message', unit: 'month', keep: null, ahead: 2 },
];

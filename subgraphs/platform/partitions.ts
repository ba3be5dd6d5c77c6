import { observedTables } from '#shared/observedTables.ts';

export const platformPartitions = observedTables;

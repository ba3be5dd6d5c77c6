import { subgraphNames } from '../names.ts';
import type { Sql } from './sql.ts';

export interface PartitionedTable {
  readonly schema: string;
  readonly table: string;
  readonly unit: 'day' | 'month';
  /** Whole units kept behind the current one; null keeps all. */
  readonly keep: number | null;
  /** Units made ahead. */
  readonly ahead: number;
}

/** The tables every module has in partitions. */
export function sharedPartitions(eventRetentionDays: number): readonly PartitionedTable[] {
  return subgraphNames.flatMap((schema): PartitionedTable[] => [
    { schema, table: 'event', unit: 'day', keep: eventRetentionDays, ahead: 7 },
    { schema, table: 'audit', unit: 'month', keep: null, ahead: 2 },
  ]);
}

const lockKey = 4_706_001;

/** Makes the partitions of the days or months ahead and drops those past their retention. One instance at a time. */
export async function maintainPartitions(
  sql: Sql,
  tables: readonly PartitionedTable[],
  now = new Date(),
): Promise<{ created: string[]; dropped: string[] }> {
  const created: string[] = [];
  const dropped: string[] = [];
  await sql.begin(async (tx) => {
    await tx`SELECT pg_advisory_xact_lock(${lockKey})`;
    const existing = new Set(
      (
        await tx<{ name: string }[]>`
        SELECT n.nspname || '.' || c.relname AS name FROM pg_inherits i
        JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace`
      ).map((row) => row.name),
    );
    for (const { schema, table, unit, keep, ahead } of tables) {
      for (let step = 0; step <= ahead; step += 1) {
        const from = startOf(unit, now, step);
        const name = partitionName(table, unit, from);
        if (existing.has(`${schema}.${name}`)) continue;
        await tx.unsafe(
          `CREATE TABLE IF NOT EXISTS ${schema}.${name} PARTITION OF ${schema}.${table} FOR VALUES FROM ('${from.toISOString()}') TO ('${startOf(unit, now, step + 1).toISOString()}')`,
        );
        created.push(`${schema}.${name}`);
      }
      if (keep === null) continue;
      const oldest = partitionName(table, unit, startOf(unit, now, -keep));
      for (const name of existing) {
        const [partitionSchema, partition] = name.split('.');
        if (partitionSchema !== schema || !new RegExp(`^${table}_\\d+$`).test(partition!) || partition! >= oldest)
          continue;
        await tx.unsafe(`DROP TABLE ${schema}.${partition}`);
        dropped.push(name);
      }
    }
  });
  return { created, dropped };
}

function startOf(unit: 'day' | 'month', now: Date, step: number): Date {
  return unit === 'day'
    ? new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate() + step))
    : new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + step, 1));
}

function partitionName(table: string, unit: 'day' | 'month', from: Date): string {
  return `${table}_${from
    .toISOString()
    .slice(0, unit === 'day' ? 10 : 7)
    .replaceAll('-', '')}`;
}

import type { NewEvent } from '#shared/outbox.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import { allocationEvent } from './queue.ts';
import type { AllocationRow } from './rows.ts';
import * as store from './store.ts';
import { dimensions, fits, type Vector } from './vector.ts';

/** Resources of which more is used than was asked for. */
export function overuseOf({ requested, usage }: Pick<AllocationRow, 'requested' | 'usage'>): readonly string[] {
  if (usage === null) return [];
  const only = (vector: Vector, at: number) =>
    vector.map((value, place) => (place === at ? value : 0)) as unknown as Vector;
  return dimensions.filter((_name, at) => !fits(only(usage.current, at), requested));
}

/** Notes what the holder of a lease, which is locked, uses; what is to be told is that it begins to use more than it asked for. */
export async function reportUse(
  tx: SqlTransaction,
  row: AllocationRow,
  used: Vector,
): Promise<{ readonly noted: AllocationRow; readonly events: readonly NewEvent[] }> {
  const noted = await store.noteUsage(tx, row, used);
  const isNew = overuseOf(noted).some((name) => !overuseOf(row).includes(name));
  return { noted, events: isNew ? [allocationEvent('allocation.overused', noted, { over: overuseOf(noted) })] : [] };
}

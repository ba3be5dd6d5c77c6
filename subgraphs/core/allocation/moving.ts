import type { NewEvent } from '#shared/outbox.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import { allocationEvent } from './queue.ts';
import * as store from './store.ts';

export interface LeaseMove {
  readonly allocationId: string;
  readonly from: string;
  readonly to: string;
}

/**
 * Puts an active lease on another node, under the lock of its tenant's queue; its owner and its token stay. Null where it has
 * ended, lies elsewhere, or no longer fits.
 */
export async function moveLease(
  tx: SqlTransaction,
  tenantId: string,
  { allocationId, from, to }: LeaseMove,
): Promise<NewEvent | null> {
  const row = await store.lockAllocation(tx, tenantId, allocationId);
  if (row?.status !== 'active' || row.lapsed || row.nodeId !== from) return null;
  if (!(await store.reserveOn(tx, tenantId, to, row.requested))) return null;
  await store.freeNode(tx, tenantId, from, row.requested);
  const moved = await store.changeAllocation(tx, row, 'node_id = $3', [to]);
  return allocationEvent('allocation.moved', moved, { from });
}

import type { NewEvent } from '#shared/outbox.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import { moveLease } from '../allocation/moving.ts';
import { lockQueue, pass } from '../allocation/queue.ts';
import { changeSetting } from '../settings.ts';
import { workflowTag } from '../workflow/workflows.ts';
import type { OptimizationChange } from './rows.ts';

export interface Applied {
  /** Those that were made: where somebody else has changed the same meanwhile, nothing is. */
  readonly made: readonly OptimizationChange[];
  readonly events: readonly NewEvent[];
}

interface By {
  readonly tenantId: string;
  readonly subject: string;
}

async function changePlaces(
  tx: SqlTransaction,
  { tenantId, subject }: By,
  { target, from, to }: OptimizationChange,
): Promise<NewEvent | null> {
  const [row] = (await tx.unsafe(
    `UPDATE core.workflow SET max_executions = $4, version = version + 1, updated_at = now(), updated_by = $5 WHERE tenant_id = $1 AND id = $2 AND max_executions = $3 RETURNING id`,
    [tenantId, target, Number(from), Number(to), subject],
    { prepare: true },
  )) as unknown as { id: string }[];
  if (!row) return null;
  return {
    streamId: row.id,
    type: 'workflow.places.changed',
    data: { workflowId: row.id, from: Number(from), to: Number(to) },
    tags: [workflowTag(row.id), 'workflows'],
  };
}

/** Makes changes in the caller's transaction: with the run that remembers them, or not at all. */
export async function makeChanges(
  tx: SqlTransaction,
  by: By,
  changes: readonly OptimizationChange[],
): Promise<Applied> {
  const made: OptimizationChange[] = [];
  const events: NewEvent[] = [];
  const moves = changes.filter(({ knob }) => knob === 'allocation.node');
  if (moves.length > 0) await lockQueue(tx, by.tenantId);
  for (const change of changes) {
    const { knob, target, from, to } = change;
    if (knob === 'allocation.node') {
      const event = await moveLease(tx, by.tenantId, { allocationId: target!, from, to });
      if (event === null) continue;
      events.push(event);
    } else if (knob === 'workflow.executions') {
      const event = await changePlaces(tx, by, change);
      if (event === null) continue;
      events.push(event);
    } else if (!(await changeSetting(tx, { name: knob, from: Number(from), to: Number(to), by: by.subject }))) continue;
    made.push(change);
  }
  if (moves.length > 0) events.push(...(await pass(tx, by.tenantId)));
  return { made, events };
}

/** Takes changes back, the last first, each where nobody has changed the same since. */
export function takeBack(tx: SqlTransaction, by: By, changes: readonly OptimizationChange[]): Promise<Applied> {
  return makeChanges(
    tx,
    by,
    changes.toReversed().map((change) => ({ ...change, from: change.to, to: change.from })),
  );
}

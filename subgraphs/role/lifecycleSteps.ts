import { roleEvent } from './events.ts';
import { isOver } from './lifecycle.ts';
import { tellHolders } from './roles.ts';
import type { RoleRow } from './rows.ts';
import type { RoleWork } from './work.ts';

const reached = (at: string | null, timeMs: number): boolean => at !== null && Date.parse(at) <= timeMs;

/**
 * What the clock does to a role: it ends, begins for its holders, or has to be reviewed. Rights go by the clock
 * themselves; what is told here is for who follows them, so its version stays unless its status changes.
 */
export async function liveRole(work: RoleWork, id: string): Promise<void> {
  const row = await work.findRole(id);
  if (row === undefined) return;
  let next = row;
  if (isOver(row, work.timeMs)) next = end(work, next);
  if (next.begunAt === null && reached(next.effectiveAt, work.timeMs)) {
    next = { ...next, begunAt: work.now };
    work.tell(roleEvent('role.effective', next));
    tellHolders(work, id);
  }
  if (next.reviewToldAt === null && next.status !== 'archived' && reached(next.nextReviewAt, work.timeMs)) {
    next = { ...next, reviewToldAt: work.now };
    work.tell(roleEvent('role.review.due', next));
  }
  if (next !== row) await work.saveRoles([next]);
}

/** Of a deprecated role nothing is left to come: it is put away. */
function end(work: RoleWork, row: RoleRow): RoleRow {
  const { status: from } = row;
  if (from !== 'active' && from !== 'suspended' && from !== 'deprecated') return row;
  const status = from === 'deprecated' ? 'archived' : 'inactive';
  const common = { version: row.version + 1, updatedAt: work.now, updatedBy: work.principal.subject };
  const next: RoleRow = { ...row, ...common, status };
  work.tell(roleEvent('role.status.changed', next, ['status']));
  work.note({
    action: 'role.changeStatus',
    resource: 'Role',
    resourceId: row.id,
    detail: { from, to: status, reason: 'its time is over' },
  });
  tellHolders(work, row.id);
  return next;
}

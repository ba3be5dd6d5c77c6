import type { Delegation, PermissionSets } from './decision/index.ts';
import { listEffectivePermissions, parsePermissionPattern } from './decision/index.ts';
import { overlaps } from './decision/permissionSets.ts';
import { delegationEvent } from './events.ts';
import type { RoleDelegationRow } from './rows.ts';
import { findDelegations } from './store.ts';
import type { RoleWork } from './work.ts';

interface Ending {
  readonly status: 'revoked' | 'expired';
  readonly reason: string | null;
  /** Rights as they were before the first of a chain ended, and when: they end by the clock before the row says so. */
  readonly before: PermissionSets;
  readonly beforeMs: number;
}

/** Ends a delegation and, as far as it ends what others had delegated on from it, theirs. */
export async function endDelegation(
  work: RoleWork,
  row: RoleDelegationRow,
  status: 'revoked' | 'expired',
  reason: string | null,
): Promise<void> {
  const beforeMs = Math.min(work.timeMs, Date.parse(row.endsAt) - 1);
  await endChain(work, row, { status, reason, before: work.sets(), beforeMs });
}

async function endChain(work: RoleWork, row: RoleDelegationRow, ending: Ending): Promise<void> {
  const { status, reason, before, beforeMs } = ending;
  const { subject } = work.principal;
  const common = { version: row.version + 1, updatedAt: work.now, updatedBy: subject };
  const next = { ...row, ...common, status, statusReason: reason };
  await work.saveDelegations([next]);
  work.tell(delegationEvent('role.delegation.revoked', next));
  work.note({
    action: `role.delegation.${status}`,
    resource: 'RoleDelegation',
    resourceId: row.id,
    detail: { reason },
  });
  if (row.status !== 'active') return;
  for (const { delegationId } of work.snapshot.subjects.get(row.delegateId)?.outgoing ?? []) {
    const onward = work.snapshot.delegations.get(delegationId)!;
    if (onward.status !== 'active' && onward.status !== 'suspended') continue;
    if (!holdsAny(before, onward, beforeMs) || holdsAny(work.sets(), onward, work.timeMs)) continue;
    const [found] = await findDelegations(work.tx, work.tenantId, [delegationId]);
    const why = `what it came by was ${status}`;
    if (found !== undefined) await endChain(work, found, { before, beforeMs, status: 'revoked', reason: why });
  }
}

/** True where the delegator itself may do something of what it delegates. */
export function holdsAny(
  sets: PermissionSets,
  { delegatorId, permissions, contextId }: Pick<Delegation, 'delegatorId' | 'permissions' | 'contextId'>,
  timeMs: number,
): boolean {
  const patterns = permissions.map(parsePermissionPattern).filter((pattern) => pattern !== undefined);
  const place = contextId === undefined ? {} : { contextId };
  return listEffectivePermissions(sets, { subjectId: delegatorId, timeMs, ...place }).some(
    (own) =>
      own.source.effect === 'allow' && own.deniedBy === undefined && patterns.some((pattern) => overlaps(pattern, own)),
  );
}

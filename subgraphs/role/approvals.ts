import { wasAskedFor } from '#shared/askedConfirm.ts';
import { PlatformError } from '#shared/errors.ts';
import type { EventRow } from '#shared/events.ts';
import { isId } from '#shared/ids.ts';
import { saveStatus } from './assignments.ts';
import { judgeAssignment } from './decision/index.ts';
import { endDelegation, holdsAny } from './delegationEnds.ts';
import { requireSeparation } from './delegations.ts';
import { delegationEvent } from './events.ts';
import type { RoleLimits } from './limits.ts';
import { saveRequest } from './permissionRequests.ts';
import type { ApprovalValue, RoleAssignmentRow, RoleDelegationRow } from './rows.ts';
import { findDelegations, findPermissionRequests } from './store.ts';
import type { RoleWork } from './work.ts';

/** How an approval that was asked for has ended. */
interface Outcome {
  readonly approval: ApprovalValue;
  /** Of what was not approved. */
  readonly reason: string | null;
}

interface Reference {
  readonly module?: unknown;
  readonly assignmentId?: unknown;
  readonly delegationId?: unknown;
  readonly permissionRequestId?: unknown;
}

/** What assignments and delegations hear of the approvals that they wait for. */
export function createApprovals(
  asModule: (tenantId: string, decide: (work: RoleWork) => Promise<void>) => Promise<unknown>,
  limits: RoleLimits,
) {
  async function settle(tenantId: string, reference: unknown, outcome: Outcome): Promise<void> {
    const { module, assignmentId, delegationId, permissionRequestId } = (reference ?? {}) as Reference;
    if (module !== 'role') return;
    if (isId(assignmentId)) await asModule(tenantId, (work) => settleAssignment(work, assignmentId, outcome));
    else if (isId(delegationId)) await asModule(tenantId, (work) => settleDelegation(work, delegationId, outcome));
    else if (isId(permissionRequestId))
      await asModule(tenantId, (work) => settleRequest(work, permissionRequestId, outcome));
  }

  async function settleAssignment(work: RoleWork, id: string, { approval, reason }: Outcome): Promise<void> {
    const row = await work.findAssignment(id);
    if (row?.status !== 'pending') return;
    const obstacle = approval.status === 'approved' ? findObstacle(work, row, limits) : reason;
    if (obstacle === null) saveStatus(work, row, { status: 'active', approval });
    else saveStatus(work, row, { status: 'revoked', statusReason: obstacle, approval });
  }

  return {
    /** A `confirm.resolved` that names what waits, and was opened because it asked, ends its waiting. */
    async resolve(event: EventRow): Promise<void> {
      const confirm = event.data['confirm'] as
        | {
            id?: unknown;
            targetId?: unknown;
            status?: unknown;
            resolution?: unknown;
            reference?: unknown;
            requestEventId?: unknown;
          }
        | undefined;
      if (!wasAskedFor(confirm)) return;
      const reference = confirm?.reference as Reference | null | undefined;
      if (confirm?.targetId !== (reference?.assignmentId ?? reference?.delegationId ?? reference?.permissionRequestId))
        return;
      const isApproved = confirm?.status === 'approved';
      const said = confirm?.resolution;
      await settle(event.tenantId, reference, {
        approval: {
          required: true,
          status: isApproved ? 'approved' : 'rejected',
          confirmId: String(confirm?.id),
        },
        reason: isApproved ? null : typeof said === 'string' ? said : `the approval was ${String(confirm?.status)}`,
      });
    },

    /** Nobody can be asked: what waits will never be approved. */
    async refused(event: EventRow): Promise<void> {
      const { approval, message } = event.data as {
        readonly approval?: { readonly reference?: unknown };
        readonly message?: unknown;
      };
      await settle(event.tenantId, approval?.reference, {
        approval: { required: true, status: 'rejected' },
        reason: typeof message === 'string' ? message : 'nobody can be asked for approval',
      });
    },
  };
}

async function settleDelegation(work: RoleWork, id: string, { approval, reason }: Outcome): Promise<void> {
  const [row] = await findDelegations(work.tx, work.tenantId, [id]);
  if (row?.status !== 'pending') return;
  const obstacle = approval.status === 'approved' ? findDelegationObstacle(work, row) : reason;
  if (obstacle !== null) return endDelegation(work, { ...row, approval }, 'revoked', obstacle);
  const common = { version: row.version + 1, updatedAt: work.now, updatedBy: work.principal.subject };
  const next: RoleDelegationRow = { ...row, ...common, status: 'active', approval };
  await work.saveDelegations([next]);
  work.tell(delegationEvent('role.delegation.changed', next));
  work.note({ action: 'role.delegation.active', resource: 'RoleDelegation', resourceId: id, detail: { approval } });
}

/** Whether it still permits anything is decided each time it is asked. */
async function settleRequest(work: RoleWork, id: string, { approval, reason }: Outcome): Promise<void> {
  const [row] = await findPermissionRequests(work.tx, work.tenantId, [id]);
  if (row?.status !== 'pending') return;
  const status = approval.status === 'approved' ? 'approved' : 'rejected';
  await saveRequest(work, row, { status, reason, approval });
}

/** What has come between the request and its approval; separation of duties was what the approval was about. */
function findObstacle(
  work: RoleWork,
  { roleId, subjectId, contextId }: RoleAssignmentRow,
  limits: RoleLimits,
): string | null {
  const place = contextId === null ? {} : { contextId };
  const { refusals } = judgeAssignment(
    work.sets(),
    { roleId, subjectId, timeMs: work.timeMs, ...place },
    limits.assignment,
  );
  return refusals.find(({ code }) => code !== 'SOD_VIOLATION')?.message ?? null;
}

function findDelegationObstacle(work: RoleWork, row: RoleDelegationRow): string | null {
  const { delegatorId, permissions, contextId } = row;
  const held = { delegatorId, permissions, ...(contextId === null ? {} : { contextId }) };
  if (!holdsAny(work.sets(), held, work.timeMs)) return 'who delegates holds nothing of it any more';
  try {
    requireSeparation(work, { ...row, status: 'active' });
    return null;
  } catch (error) {
    if (!(error instanceof PlatformError)) throw error;
    return error.message;
  }
}

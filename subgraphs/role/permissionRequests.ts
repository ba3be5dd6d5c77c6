import { permissionDenied } from '#shared/auth.ts';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { newId } from '#shared/ids.ts';
import { hasScope, isWithinBounds } from '#shared/principal.ts';
import { parseInput, requireVersion } from '#shared/validation.ts';
import { isRoleAdmin } from './administration.ts';
import { idempotentCall, type WriteOptions } from './calls.ts';
import type { RoleCommands, RoleResponse } from './commands.ts';
import type { Contexts } from './contexts.ts';
import { decide, defaultDecideOptions, type PermissionRequest, toDecision } from './decision/index.ts';
import { toRequest } from './decisions.ts';
import { approvalRequest, permissionRequestEvent } from './events.ts';
import * as inputs from './inputs.ts';
import type { RoleLimits } from './limits.ts';
import { isDenied } from './rights.ts';
import type { ApprovalValue, PermissionRequestRow, PermissionRequestStatus } from './rows.ts';
import { findOpenRequests, findPermissionRequests } from './store.ts';
import type { RoleWork } from './work.ts';

const dayMs = 86_400_000;
/** Of one subject, that wait or hold. */
const maxOpen = 100;

/** Waits or holds. */
export function isOpenRequest({ status }: PermissionRequestRow): boolean {
  return status === 'pending' || status === 'approved';
}

/** What leaves the request to a person: the rule, how many approve, and whose holders. */
interface Obligation {
  readonly permissionId: string;
  readonly grantingRoleId: string;
  readonly threshold: number;
  readonly approverRoles: readonly string[];
}

/** @throws {INVALID_STATE} where nobody has to be asked. @throws {PERMISSION_DENIED} where asking would not help. */
function requireObligation(work: RoleWork, request: PermissionRequest): Obligation {
  const { principal, snapshot, timeMs } = work;
  const conclusion = decide(snapshot, { request, timeMs, options: defaultDecideOptions });
  const decision = toDecision(conclusion);
  const name = `${request.resource.type}:${request.action}`;
  const byToken = !isDenied(decision) && hasScope(principal, name);
  if (decision.granted || byToken)
    throw new PlatformError('INVALID_STATE', `${name} needs no approval: it is granted`, { path: ['input'] });
  const { ruling } = conclusion;
  const [duty] = decision.obligations;
  if (ruling?.outcome !== 'NEEDS_APPROVAL' || duty === undefined || !isWithinBounds(principal, name))
    throw new PlatformError('PERMISSION_DENIED', `no approval would permit ${name}: ${decision.reason}`, {
      path: ['input'],
      details: { reason: decision.reason },
    });
  return {
    permissionId: duty.permissionId,
    grantingRoleId: (ruling.escalates ?? ruling.candidate).grant.roleId,
    threshold: duty.approvals,
    approverRoles: duty.approverRoles,
  };
}

/** The row as it ends or comes into force, told to its subject. */
export async function saveRequest(
  work: RoleWork,
  row: PermissionRequestRow,
  change: {
    readonly status: PermissionRequestStatus;
    readonly reason: string | null;
    readonly approval?: ApprovalValue;
  },
): Promise<void> {
  const { status, reason, approval = row.approval } = change;
  const next: PermissionRequestRow = {
    ...{ ...row, status, approval, statusReason: reason, version: row.version + 1 },
    ...{ updatedAt: work.now, updatedBy: work.principal.subject },
  };
  await work.savePermissionRequests([next]);
  work.tell(permissionRequestEvent(`permission.request.${status}`, next));
  work.note({
    action: `role.permissionRequest.${status}`,
    resource: 'PermissionRequest',
    resourceId: row.id,
    detail: { from: row.status, reason },
  });
}

/** Approvals of what a permission, or a conflict of rules, leaves to a person: how an obligation is fulfilled. */
export function createPermissionRequests(commands: RoleCommands, contexts: Contexts, limits: RoleLimits) {
  function requireEnd(endsAt: Date, timeMs: number): void {
    if (endsAt.getTime() > timeMs && endsAt.getTime() <= timeMs + limits.delegationLifeMs) return;
    const days = limits.delegationLifeMs / dayMs;
    throw new PlatformError('VALIDATION_FAILED', `input.endsAt: expected a time within ${days} days`, {
      path: ['input', 'endsAt'],
    });
  }

  return {
    /** By the subject itself. One that waits or holds for the same is answered as it is. @throws {INVALID_STATE} {PERMISSION_DENIED} {CARDINALITY_EXCEEDED} */
    async request(scope: RequestScope, raw: unknown): Promise<RoleResponse> {
      const { idempotencyKey, reason, endsAt, ...asked } = parseInput(inputs.requestPermission, raw);
      const request = toRequest(asked as inputs.CheckPermissionInput, scope.principal.subject);
      if (asked.contextId !== undefined) await contexts.requireKnown(scope.principal, String(asked.contextId));
      const input = { ...asked, reason, endsAt };
      return commands.add({
        scope,
        idempotent: idempotentCall(scope, 'requestPermission', input, idempotencyKey as string | undefined),
        async decide(work) {
          const until = (endsAt as Date | undefined) ?? new Date(work.timeMs + dayMs);
          requireEnd(until, work.timeMs);
          const subjectId = work.principal.subject;
          const { action, resource, contextId = null, planId = null } = request;
          const wanted = { action, resourceType: resource.type, resourceId: resource.id ?? null, contextId, planId };
          const open = await findOpenRequests(work.tx, work.tenantId, subjectId);
          const isSame = (row: PermissionRequestRow) =>
            Object.entries(wanted).every(([name, value]) => row[name as keyof typeof wanted] === value);
          const known = open.find((row) => isSame(row) && row.status === 'approved') ?? open.find(isSame);
          if (known !== undefined) return { id: known.id, existed: true };
          const obligation = requireObligation(work, request);
          if (open.length >= maxOpen)
            throw new PlatformError('CARDINALITY_EXCEEDED', `expected at most ${maxOpen} open requests of a subject`, {
              path: ['input'],
            });
          const row: PermissionRequestRow = {
            ...{ tenantId: work.tenantId, id: newId(), subjectId, ...wanted, ...obligation },
            ...{ status: 'pending', reason: (reason as string | null | undefined) ?? null, statusReason: null },
            approval: { required: true, status: 'pending' },
            endsAt: until.toISOString(),
            ...{ version: 1, revision: 0, createdAt: work.now, updatedAt: work.now, updatedBy: subjectId },
          };
          await work.savePermissionRequests([row]);
          work.tell(permissionRequestEvent('permission.requested', row), approvalRequest(row));
          work.note({
            action: 'role.permissionRequest.pending',
            resource: 'PermissionRequest',
            resourceId: row.id,
            detail: { ...wanted, permissionId: row.permissionId, grantingRoleId: row.grantingRoleId },
          });
          return { id: row.id, existed: false };
        },
      });
    },

    /** By who asked or who administers the role. @throws {NOT_FOUND} {PERMISSION_DENIED} {INVALID_STATE_TRANSITION} {VERSION_CONFLICT} */
    async revoke(
      scope: RequestScope,
      requestId: string,
      { reason, expectedVersion = null, idempotencyKey }: WriteOptions & { reason?: string | null | undefined },
    ): Promise<RoleResponse> {
      const why = parseInput(inputs.reason, reason, ['reason']) ?? null;
      const input = { requestId, reason: why, expectedVersion };
      return commands.add({
        scope,
        idempotent: idempotentCall(scope, 'revokePermissionRequest', input, idempotencyKey),
        async decide(work) {
          const [row] = await findPermissionRequests(work.tx, work.tenantId, [requestId]);
          if (!row) throw new PlatformError('NOT_FOUND', 'no such request', { path: ['requestId'] });
          if (row.subjectId !== work.principal.subject && !isRoleAdmin(work, row.grantingRoleId, row.contextId))
            throw permissionDenied('role:admin');
          requireVersion(expectedVersion, row.version);
          if (!isOpenRequest(row))
            throw new PlatformError('INVALID_STATE_TRANSITION', `the request is ${row.status.toUpperCase()}`);
          await saveRequest(work, row, { status: 'revoked', reason: why });
          return { id: requestId };
        },
      });
    },
  };
}

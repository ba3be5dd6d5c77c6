import { permissionDenied } from '#shared/auth.ts';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { newId } from '#shared/ids.ts';
import { parseInput, requireVersion } from '#shared/validation.ts';
import { isRoleAdmin } from './administration.ts';
import { idempotentCall, type WriteOptions } from './calls.ts';
import type { RoleCommands, RoleResponse } from './commands.ts';
import type { Contexts } from './contexts.ts';
import { applyChange, createPermissionSets, findSubjectViolations, listFreshViolations } from './decision/index.ts';
import { toDelegation } from './decisionRows.ts';
import { endDelegation } from './delegationEnds.ts';
import { requireDelegable } from './delegationRules.ts';
import { delegationEvent, delegationRequest } from './events.ts';
import * as inputs from './inputs.ts';
import type { RoleLimits } from './limits.ts';
import type { RoleDelegationRow } from './rows.ts';
import { findDelegations } from './store.ts';
import type { RoleWork } from './work.ts';

const maxStanding = 100;

/** Waits, holds or is suspended: neither revoked nor expired. */
export function isOpen({ status }: RoleDelegationRow): boolean {
  return status === 'pending' || status === 'active' || status === 'suspended';
}

const refuse = (message: string, path: readonly (string | number)[], details = {}): never => {
  throw new PlatformError('DELEGATION_REFUSED', message, { path, details });
};

/** @throws {SOD_VIOLATION} where the delegate would come to hold what is separated. */
export function requireSeparation(work: RoleWork, row: RoleDelegationRow): void {
  const { delegateId } = row;
  const sets = createPermissionSets(
    applyChange(work.snapshot, { kind: 'delegation.saved', delegation: toDelegation(row) }),
  );
  const who = { subjectId: delegateId, timeMs: work.timeMs };
  const [before, after] = [findSubjectViolations(work.sets(), who), findSubjectViolations(sets, who)];
  const fresh = listFreshViolations(before, after).find(({ severity }) => severity !== 'warning');
  if (fresh !== undefined)
    throw new PlatformError('SOD_VIOLATION', 'separation of duties forbids the delegate to hold this', {
      path: ['input', 'delegateId'],
      details: { ruleId: fresh.ruleId },
    });
}

interface StatusChange {
  readonly operation: 'suspendDelegation' | 'resumeDelegation';
  readonly from: 'active' | 'suspended';
  readonly to: 'active' | 'suspended';
}

export function createDelegations(commands: RoleCommands, contexts: Contexts, limits: RoleLimits) {
  /** By the delegator or an administrator of roles; what an administrator has suspended, only one of them resumes. */
  function switchStatus(
    scope: RequestScope,
    delegationId: string,
    { operation, from, to }: StatusChange,
    { reason, expectedVersion = null, idempotencyKey }: WriteOptions & { reason?: string | null | undefined },
  ): Promise<RoleResponse> {
    const why = parseInput(inputs.reason, reason, ['reason']) ?? null;
    const input = { delegationId, reason: why, expectedVersion };
    return commands.add({
      scope,
      idempotent: idempotentCall(scope, operation, input, idempotencyKey),
      async decide(work) {
        const [row] = await findDelegations(work.tx, work.tenantId, [delegationId]);
        const { subject } = work.principal;
        const isAdmin = isRoleAdmin(work, null, row?.contextId ?? null);
        const isParty = row?.delegatorId === subject || row?.delegateId === subject;
        if (!row || !(isParty || isAdmin))
          throw new PlatformError('NOT_FOUND', 'no such delegation', { path: ['delegationId'] });
        if (!isAdmin && (row.delegatorId !== subject || (from === 'suspended' && row.updatedBy !== subject)))
          throw permissionDenied('role:admin');
        requireVersion(expectedVersion, row.version);
        if (row.status !== from)
          throw new PlatformError(
            'INVALID_STATE_TRANSITION',
            `expected ${from.toUpperCase()}, the delegation is ${row.status.toUpperCase()}`,
          );
        const common = { version: row.version + 1, updatedAt: work.now, updatedBy: subject };
        const next = { ...row, ...common, status: to, statusReason: why };
        if (to === 'active') requireSeparation(work, next);
        await work.saveDelegations([next]);
        work.tell(delegationEvent('role.delegation.changed', next));
        work.note({
          action: `role.delegation.${to}`,
          resource: 'RoleDelegation',
          resourceId: row.id,
          detail: { from, reason: why },
        });
        return { id: delegationId };
      },
    });
  }

  return {
    /** Pending where a role on the way asks for an approval. @throws {DELEGATION_REFUSED} {SOD_VIOLATION} {INVALID_PERMISSION} */
    async delegate(scope: RequestScope, raw: unknown): Promise<RoleResponse> {
      const { idempotencyKey, ...input } = parseInput(inputs.delegateInput, raw);
      const contextId = (input.contextId as string | undefined) ?? null;
      if (contextId !== null) await contexts.requireKnown(scope.principal, contextId);
      return commands.add({
        scope,
        idempotent: idempotentCall(scope, 'delegate', input, idempotencyKey as string | undefined),
        async decide(work) {
          const delegatorId = work.principal.subject;
          const startsAt = input.startsAt as Date | undefined;
          if (input.delegateId === delegatorId) refuse('expected another subject', ['input', 'delegateId']);
          const endsMs = input.endsAt.getTime();
          if (
            endsMs <= Math.max(work.timeMs, startsAt?.getTime() ?? 0) ||
            endsMs > work.timeMs + limits.delegationLifeMs
          )
            throw new PlatformError(
              'VALIDATION_FAILED',
              `input.endsAt: expected a time after the start, within ${limits.delegationLifeMs / 86_400_000} days`,
              {
                path: ['input', 'endsAt'],
              },
            );
          const startsMs = Math.max(work.timeMs, startsAt?.getTime() ?? 0);
          const { permissions, maxDepth } = input;
          const approval = await requireDelegable(work, {
            permissions,
            contextId,
            maxDepth,
            lifeMs: endsMs - startsMs,
          });
          const standing = work.snapshot.subjects.get(delegatorId)?.outgoing ?? [];
          if (standing.filter(({ status }) => status === 'active' || status === 'pending').length >= maxStanding)
            refuse(`expected at most ${maxStanding} delegations at a time`, ['input']);
          const row: RoleDelegationRow = {
            tenantId: work.tenantId,
            id: newId(),
            delegatorId,
            delegateId: input.delegateId,
            permissions: [...new Set(permissions)],
            contextId,
            status: approval === null ? 'active' : 'pending',
            reason: input.reason ?? null,
            statusReason: null,
            approval: approval === null ? null : { required: true, status: 'pending' },
            maxDepth,
            startsAt: startsAt?.toISOString() ?? null,
            endsAt: input.endsAt.toISOString(),
            version: 1,
            revision: 0,
            createdAt: work.now,
            updatedAt: work.now,
            updatedBy: delegatorId,
          };
          requireSeparation(work, row);
          await work.saveDelegations([row]);
          work.tell(delegationEvent('role.delegated', row));
          if (approval !== null) work.tell(delegationRequest(row, approval.approverRoles));
          work.note({
            action: 'role.delegate',
            resource: 'RoleDelegation',
            resourceId: row.id,
            detail: { delegateId: row.delegateId, permissions: row.permissions, contextId },
          });
          return { id: row.id };
        },
      });
    },

    /** @throws {NOT_FOUND} {PERMISSION_DENIED} {INVALID_STATE_TRANSITION} {VERSION_CONFLICT} */
    suspend: (
      scope: RequestScope,
      id: string,
      options: WriteOptions & { readonly reason?: string | null | undefined },
    ) => switchStatus(scope, id, { operation: 'suspendDelegation', from: 'active', to: 'suspended' }, options),

    /** As `suspend`. */
    resume: (scope: RequestScope, id: string, options: WriteOptions) =>
      switchStatus(scope, id, { operation: 'resumeDelegation', from: 'suspended', to: 'active' }, options),

    /** Delegator, delegate or an administrator of roles. What was delegated on by it alone ends with it. */
    async revoke(
      scope: RequestScope,
      delegationId: string,
      { reason, expectedVersion = null, idempotencyKey }: WriteOptions & { reason?: string | null | undefined },
    ): Promise<RoleResponse> {
      const why = parseInput(inputs.reason, reason, ['reason']) ?? null;
      const input = { delegationId, reason: why, expectedVersion };
      return commands.add({
        scope,
        idempotent: idempotentCall(scope, 'revokeDelegation', input, idempotencyKey),
        async decide(work) {
          const [row] = await findDelegations(work.tx, work.tenantId, [delegationId]);
          const { subject } = work.principal;
          const isParty = row?.delegatorId === subject || row?.delegateId === subject;
          if (!row || !(isParty || isRoleAdmin(work, null, row.contextId)))
            throw new PlatformError('NOT_FOUND', 'no such delegation', { path: ['delegationId'] });
          requireVersion(expectedVersion, row.version);
          if (!isOpen(row))
            throw new PlatformError('INVALID_STATE_TRANSITION', `the delegation is ${row.status.toUpperCase()}`);
          await endDelegation(work, row, 'revoked', why);
          return { id: delegationId };
        },
      });
    },
  };
}

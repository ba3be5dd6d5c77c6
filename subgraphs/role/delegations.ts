import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { newId } from '#shared/ids.ts';
import { hasScope } from '#shared/principal.ts';
import { parseInput, requireVersion } from '#shared/validation.ts';
import type { RoleCommands, RoleResponse, RoleWork } from './commands.ts';
import type { Contexts } from './contexts.ts';
import {
  applyChange,
  createPermissionSets,
  findSeparationViolations,
  listEffectivePermissions,
  listRolesHeld,
  parsePermissionPattern,
} from './decision/index.ts';
import { includesPattern, overlaps } from './decision/permissionSets.ts';
import { toDelegation } from './decisionRows.ts';
import { delegationEvent } from './events.ts';
import * as inputs from './inputs.ts';
import { idempotentCall, type WriteOptions } from './roles.ts';
import type { RoleDelegationRow } from './rows.ts';
import { findDelegations } from './store.ts';

const maxLifeMs = 365 * 86_400_000;
const maxStanding = 100;

const refuse = (message: string, path: readonly (string | number)[], details = {}): never => {
  throw new PlatformError('DELEGATION_REFUSED', message, { path, details });
};

/** @throws {DELEGATION_REFUSED} for what the delegator does not hold by a role, or what a delegation must not pass on. */
function requireHeld(work: RoleWork, permissions: readonly string[], contextId: string | null): void {
  const held = listEffectivePermissions(work.sets(), {
    subjectId: work.principal.subject,
    timeMs: work.timeMs,
    ...(contextId === null ? {} : { contextId }),
  }).filter(({ source, deniedBy }) => source.effect === 'allow' && deniedBy === undefined);
  permissions.forEach((text, at) => {
    const path = ['input', 'permissions', at];
    const pattern = parsePermissionPattern(text);
    if (pattern === undefined)
      throw new PlatformError('INVALID_PERMISSION', `${path.join('.')}: expected resource:action`, { path });
    const covers = held.filter((own) => includesPattern(own, pattern));
    if (covers.length === 0) refuse(`you do not hold ${text} by a role`, path);
    if (overlaps(pattern, { resourceType: 'role', action: 'admin', resourceId: undefined }))
      refuse('the administration of roles is assigned, not delegated', path);
  });
}

/** @throws {SOD_VIOLATION} where the delegate would come to hold what is separated. */
function requireSeparation(work: RoleWork, row: RoleDelegationRow): void {
  const { delegateId } = row;
  const before = listRolesHeld(work.sets(), delegateId, work.timeMs);
  const known = new Set(findSeparationViolations(work.snapshot, before).map(({ ruleId }) => ruleId));
  const sets = createPermissionSets(
    applyChange(work.snapshot, { kind: 'delegation.saved', delegation: toDelegation(row) }),
  );
  const held = listRolesHeld(sets, delegateId, work.timeMs);
  const fresh = findSeparationViolations(sets.snapshot, held).find(
    ({ ruleId, severity }) => severity !== 'warning' && !known.has(ruleId),
  );
  if (fresh !== undefined)
    throw new PlatformError('SOD_VIOLATION', 'separation of duties forbids the delegate to hold this', {
      path: ['input', 'delegateId'],
      details: { ruleId: fresh.ruleId },
    });
}

export function createDelegations(commands: RoleCommands, contexts: Contexts) {
  return {
    /** @throws {DELEGATION_REFUSED} {SOD_VIOLATION} {INVALID_PERMISSION} */
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
          if (endsMs <= Math.max(work.timeMs, startsAt?.getTime() ?? 0) || endsMs > work.timeMs + maxLifeMs)
            throw new PlatformError(
              'VALIDATION_FAILED',
              'input.endsAt: expected a time after the start, within a year',
              {
                path: ['input', 'endsAt'],
              },
            );
          requireHeld(work, input.permissions, contextId);
          const standing = work.snapshot.subjects.get(delegatorId)?.outgoing ?? [];
          if (standing.filter(({ status }) => status === 'active').length >= maxStanding)
            refuse(`expected at most ${maxStanding} delegations at a time`, ['input']);
          const row: RoleDelegationRow = {
            tenantId: work.tenantId,
            id: newId(),
            delegatorId,
            delegateId: input.delegateId,
            permissions: [...new Set(input.permissions)],
            contextId,
            status: 'active',
            reason: input.reason ?? null,
            maxDepth: input.maxDepth,
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

    /** Delegator, delegate or an administrator of roles. */
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
          if (!row || !(isParty || hasScope(work.principal, 'role:admin')))
            throw new PlatformError('NOT_FOUND', 'no such delegation', { path: ['delegationId'] });
          requireVersion(expectedVersion, row.version);
          if (row.status !== 'active')
            throw new PlatformError('INVALID_STATE_TRANSITION', `the delegation is ${row.status.toUpperCase()}`);
          await endDelegation(work, row, 'revoked', why);
          return { id: delegationId };
        },
      });
    },
  };
}

export async function endDelegation(
  work: RoleWork,
  row: RoleDelegationRow,
  status: 'revoked' | 'expired',
  reason: string | null,
): Promise<void> {
  const next = { ...row, status, version: row.version + 1, updatedAt: work.now, updatedBy: work.principal.subject };
  await work.saveDelegations([next]);
  work.tell(delegationEvent('role.delegation.revoked', next));
  work.note({
    action: `role.delegation.${status}`,
    resource: 'RoleDelegation',
    resourceId: row.id,
    detail: { reason },
  });
}

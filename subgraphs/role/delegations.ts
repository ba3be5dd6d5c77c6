import { permissionDenied } from '#shared/auth.ts';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { newId } from '#shared/ids.ts';
import { parseInput, requireVersion } from '#shared/validation.ts';
import { isRoleAdmin } from './administration.ts';
import type { RoleCommands, RoleResponse } from './commands.ts';
import type { Contexts } from './contexts.ts';
import {
  applyChange,
  createPermissionSets,
  type Delegation,
  defaultDecideOptions,
  type EffectivePermission,
  findSeparationViolations,
  listEffectivePermissions,
  listRolesHeld,
  type PermissionSets,
  parsePermissionPattern,
} from './decision/index.ts';
import { includesPattern, overlaps } from './decision/permissionSets.ts';
import { toDelegation } from './decisionRows.ts';
import { delegationEvent } from './events.ts';
import * as inputs from './inputs.ts';
import { idempotentCall, type WriteOptions } from './roles.ts';
import type { RoleDelegationRow } from './rows.ts';
import { findDelegations } from './store.ts';
import type { RoleWork } from './work.ts';

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
    if (!covers.some((own) => mayPassOn(work, own)))
      refuse(`${text} was delegated to you and may not be delegated on so far`, path);
    if (overlaps(pattern, { resourceType: 'role', action: 'admin', resourceId: undefined }))
      refuse('the administration of roles is assigned, not delegated', path);
  });
}

/** Whether each delegation that a right comes by reaches one subject further. */
function mayPassOn({ snapshot }: RoleWork, { source }: EffectivePermission): boolean {
  const { delegationIds } = source;
  if (delegationIds.length >= defaultDecideOptions.maxDelegationDepth) return false;
  return delegationIds.every((id, at) => (snapshot.delegations.get(id)?.maxDepth ?? 1) >= at + 2);
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

interface StatusChange {
  readonly operation: 'suspendDelegation' | 'resumeDelegation';
  readonly from: 'active' | 'suspended';
  readonly to: 'active' | 'suspended';
}

export function createDelegations(commands: RoleCommands, contexts: Contexts) {
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
        const next = { ...row, status: to, version: row.version + 1, updatedAt: work.now, updatedBy: subject };
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
          if (row.status !== 'active' && row.status !== 'suspended')
            throw new PlatformError('INVALID_STATE_TRANSITION', `the delegation is ${row.status.toUpperCase()}`);
          await endDelegation(work, row, 'revoked', why);
          return { id: delegationId };
        },
      });
    },
  };
}

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
  const next = { ...row, status, version: row.version + 1, updatedAt: work.now, updatedBy: work.principal.subject };
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
function holdsAny(
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

import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { IdempotentCall } from '#shared/idempotency.ts';
import { newId } from '#shared/ids.ts';
import { parseInput, requireVersion } from '#shared/validation.ts';
import { listLifted, requireAdministration, requireRoleAdmin } from './administration.ts';
import type { RoleCommands, RoleResponse } from './commands.ts';
import {
  applyChange,
  applyChanges,
  createPermissionSets,
  findSeparationViolations,
  judgeAssignment,
  listRolesHeld,
  type RoleStatus,
} from './decision/index.ts';
import { toAssignment, toChange } from './decisionRows.ts';
import { assignmentEvent, roleEvent } from './events.ts';
import { findHierarchyRefusal } from './hierarchy/index.ts';
import * as inputs from './inputs.ts';
import { applyContent, newRole } from './roleContent.ts';
import type { RoleAssignmentRow, RoleRow } from './rows.ts';
import { requireTransition } from './states.ts';
import { assignmentColumns } from './store.ts';
import type { RoleWork } from './work.ts';

export interface WriteOptions {
  readonly expectedVersion?: number | null | undefined;
  readonly idempotencyKey?: string | null | undefined;
}

export function idempotentCall(
  { principal }: Pick<RequestScope, 'principal'>,
  operation: string,
  input: unknown,
  key: string | null | undefined,
): IdempotentCall | null {
  const checked = parseInput(inputs.optionalKey, key, ['idempotencyKey']) as string | undefined;
  if (checked === undefined) return null;
  return { tenantId: principal.tenantId, subject: principal.subject, key: checked, operation, input };
}

/** @throws {ROLE_NOT_FOUND} */
export async function requireRole(work: RoleWork, roleId: string, path: readonly string[]): Promise<RoleRow> {
  const row = await work.findRole(roleId);
  if (!row) throw new PlatformError('ROLE_NOT_FOUND', 'no such role', { path });
  return row;
}

function requireChangeable(row: RoleRow): void {
  if (row.roleType === 'system') throw new PlatformError('SYSTEM_ROLE_IMMUTABLE', 'roles of the system never change');
  if ((row.governance as { locked?: boolean } | null)?.locked)
    throw new PlatformError('GOVERNANCE_LOCKED', 'the role is locked');
}

/** @throws {DUPLICATE_ROLE} The tenant's lock keeps the answer true until the commit. */
async function requireFreeName({ tx, tenantId }: RoleWork, row: RoleRow): Promise<void> {
  const taken = await tx.unsafe(
    'SELECT 1 FROM role.role WHERE tenant_id = $1 AND scope_key = $2 AND name = $3 AND id <> $4 AND deleted_at IS NULL',
    [tenantId, row.scopeKey, row.name, row.id],
    { prepare: true },
  );
  if (taken.length > 0)
    throw new PlatformError('DUPLICATE_ROLE', `the scope already has a role named ${row.name}`, {
      path: ['input', 'name'],
    });
}

/** @throws {ROLE_NOT_FOUND} {CYCLIC_INHERITANCE} {DEPTH_EXCEEDED} {VALIDATION_FAILED} */
function requireHierarchy({ snapshot }: RoleWork, row: RoleRow, path: readonly string[]): void {
  const refusal = findHierarchyRefusal(
    snapshot.graph,
    row.id,
    row.parents.map(({ roleId }) => roleId),
    { maxDepth: row.inheritanceRules?.maxDepth },
  );
  if (refusal === undefined) return;
  const place = { path: [...path, 'parents'] };
  switch (refusal.code) {
    case 'PARENT_NOT_FOUND':
      throw new PlatformError('ROLE_NOT_FOUND', refusal.message, { ...place, details: { parentId: refusal.parentId } });
    case 'TOO_MANY_PARENTS':
      throw new PlatformError('VALIDATION_FAILED', refusal.message, place);
    case 'CYCLIC_INHERITANCE':
      throw new PlatformError('CYCLIC_INHERITANCE', refusal.message, { ...place, details: { cycle: refusal.cycle } });
    case 'DEPTH_EXCEEDED':
      throw new PlatformError('DEPTH_EXCEEDED', refusal.message, { ...place, details: { depth: refusal.depth } });
    default:
      refusal satisfies never;
  }
}

/** Separation of duties within the role itself. @throws {SOD_VIOLATION} Answers what is only a warning. */
function requireSeparation({ snapshot }: RoleWork, row: RoleRow): string[] {
  const violations = findSeparationViolations(applyChange(snapshot, toChange(row)), [row.id]);
  const say = (ids: readonly { readonly roleId: string }[]) => ids.map(({ roleId }) => roleId).join(', ');
  const blocking = violations.find(({ severity }) => severity !== 'warning');
  if (blocking !== undefined)
    throw new PlatformError('SOD_VIOLATION', `the role would unite what is separated: ${say(blocking.holds)}`, {
      details: { ruleId: blocking.ruleId },
    });
  return violations.map(({ holds }) => `the role unites what should be separated: ${say(holds)}`);
}

/** Whoever holds the role is told in the background: there may be ten thousand. */
function tellHolders(work: RoleWork, roleId: string): void {
  const { tenantId } = work;
  work.schedule({
    task: 'role.tellHolders',
    payload: { tenantId, roleId },
    key: `role.tellHolders:${tenantId}:${roleId}`,
  });
}

const note = (work: RoleWork, operation: string, row: RoleRow, detail: Readonly<Record<string, unknown>> = {}) =>
  work.note({ action: `role.${operation}`, resource: 'Role', resourceId: row.id, detail });

export function createRoles(commands: RoleCommands) {
  async function change(
    scope: RequestScope,
    roleId: string,
    { operation, input, options }: { operation: string; input: unknown; options: WriteOptions },
    decide: (work: RoleWork, row: RoleRow) => Promise<RoleResponse>,
  ): Promise<RoleResponse> {
    return commands.add({
      scope,
      idempotent: idempotentCall(
        scope,
        operation,
        { roleId, input, expectedVersion: options.expectedVersion ?? null },
        options.idempotencyKey,
      ),
      async decide(work) {
        const row = await requireRole(work, roleId, ['roleId']);
        requireRoleAdmin(work, roleId);
        requireVersion(options.expectedVersion, row.version);
        requireChangeable(row);
        return decide(work, row);
      },
    });
  }

  const revised = (work: RoleWork, row: RoleRow): RoleRow => ({
    ...row,
    version: row.version + 1,
    updatedAt: work.now,
    updatedBy: work.principal.subject,
  });

  return {
    /** @throws {DUPLICATE_ROLE} {CYCLIC_INHERITANCE} {DEPTH_EXCEEDED} {INVALID_PERMISSION} {ESCALATION_REFUSED} {SOD_VIOLATION} */
    async create(scope: RequestScope, raw: unknown): Promise<RoleResponse> {
      const { idempotencyKey, ...input } = parseInput(inputs.createRole, raw);
      if (input.roleType === 'system')
        throw new PlatformError('SYSTEM_ROLE_IMMUTABLE', 'roles of the system are not created by anyone', {
          path: ['input', 'roleType'],
        });
      const id = newId();
      return commands.add({
        scope,
        idempotent: idempotentCall(scope, 'createRole', input, idempotencyKey),
        async decide(work) {
          const row = newRole(id, work.principal, input as inputs.CreateRoleInput, work.now);
          await requireFreeName(work, row);
          requireHierarchy(work, row, ['input']);
          requireAdministration(work, { roleId: id, permissions: row.permissions });
          for (const parent of row.parents) requireAdministration(work, { roleId: parent.roleId });
          const warnings = requireSeparation(work, row);
          await work.saveRoles([row]);
          work.tell(roleEvent('role.created', row));
          note(work, 'create', row);
          return { id, warnings };
        },
      });
    },

    /** As `create`, and {VERSION_CONFLICT} {SYSTEM_ROLE_IMMUTABLE} {GOVERNANCE_LOCKED} {ROLE_NOT_FOUND} */
    async update(scope: RequestScope, roleId: string, raw: unknown, options: WriteOptions): Promise<RoleResponse> {
      const patch = parseInput(inputs.rolePatch, raw, ['patch']);
      return change(scope, roleId, { operation: 'updateRole', input: raw, options }, async (work, current) => {
        const { row: patched, changed } = applyContent(current, patch, ['patch']);
        if (changed.length === 0) return { id: roleId, warnings: [] };
        const row = revised(work, patched);
        await requireFreeName(work, row);
        const rights = [
          'permissions',
          'parents',
          'inheritanceRules',
          'constraints',
          'effectiveAt',
          'expiresAt',
          'attributes',
        ];
        if (changed.some((field) => rights.includes(field))) {
          const lifted = listLifted(current.permissions, row.permissions);
          const inherits = changed.includes('parents') || changed.includes('inheritanceRules');
          const isBounded = changed.some((field) => field !== 'permissions');
          if (inherits) requireHierarchy(work, row, ['patch']);
          requireAdministration(work, { roleId, permissions: [...row.permissions, ...lifted], lifts: isBounded });
          if (inherits) for (const parent of row.parents) requireAdministration(work, { roleId: parent.roleId });
        }
        const warnings = requireSeparation(work, row);
        await work.saveRoles([row]);
        work.tell(roleEvent('role.updated', row, changed));
        note(work, 'update', row, { changed });
        if (changed.some((field) => rights.includes(field))) tellHolders(work, roleId);
        return { id: roleId, warnings };
      });
    },

    /** @throws {INVALID_STATE_TRANSITION} and as `update`. */
    async changeStatus(
      scope: RequestScope,
      roleId: string,
      { status, reason, ...options }: WriteOptions & { status: string; reason?: string | null | undefined },
    ): Promise<RoleResponse> {
      const to = status.toLowerCase() as RoleStatus;
      const why = parseInput(inputs.reason, reason, ['reason']) ?? null;
      const input = { status: to, reason: why };
      return change(scope, roleId, { operation: 'changeRoleStatus', input, options }, async (work, current) => {
        requireTransition(current.status, to);
        requireAdministration(work, { roleId, grants: to === 'active', lifts: true });
        const row = { ...revised(work, current), status: to };
        await work.saveRoles([row]);
        work.tell(roleEvent('role.status.changed', row, ['status']));
        note(work, 'changeStatus', row, { from: current.status, to, reason: why });
        tellHolders(work, roleId);
        return { id: roleId, warnings: [] };
      });
    },

    /** @throws {ROLE_IN_USE} while it is held or inherited from and nothing replaces it. */
    async remove(
      scope: RequestScope,
      roleId: string,
      { replacementRoleId, ...options }: WriteOptions & { replacementRoleId?: string | null | undefined },
    ): Promise<RoleResponse> {
      const input = { replacementRoleId: replacementRoleId ?? null };
      return change(scope, roleId, { operation: 'deleteRole', input, options }, async (work, current) => {
        requireAdministration(work, { roleId, grants: false, lifts: true });
        const heirs = work.snapshot.graph.nodes[work.snapshot.graph.indexes.get(roleId)!]!.children.length;
        if (heirs > 0) throw new PlatformError('ROLE_IN_USE', `${heirs} roles inherit from it`, { path: ['roleId'] });
        const held = await findStanding(work, roleId);
        if (held.length > 0 && replacementRoleId == null)
          throw new PlatformError('ROLE_IN_USE', `${held.length} assignments of it stand; name a replacement`, {
            path: ['replacementRoleId'],
          });
        const moved: Moved =
          replacementRoleId == null
            ? { role: null, ended: [], begun: [] }
            : await moveTo(work, held, replacementRoleId);
        const row = { ...revised(work, current), deletedAt: work.now };
        work.saveAssignments([...moved.ended, ...moved.begun]);
        await work.saveRoles([row]);
        work.tell(roleEvent('role.deleted', row));
        for (const ended of moved.ended) work.tell(assignmentEvent('role.revoked', ended, row));
        for (const begun of moved.begun) work.tell(assignmentEvent('role.assigned', begun, moved.role!));
        note(work, 'delete', row, { replacementRoleId: replacementRoleId ?? null, moved: moved.begun.length });
        return { id: roleId, movedAssignments: moved.begun.length };
      });
    },
  };
}

async function findStanding(work: RoleWork, roleId: string): Promise<readonly RoleAssignmentRow[]> {
  const { tx, tenantId } = work;
  await work.storeAssignments();
  return (await tx.unsafe(
    `SELECT ${assignmentColumns} FROM role.assignment a
     WHERE a.tenant_id = $1 AND a.role_id = $2 AND a.status IN ('pending', 'active', 'suspended') ORDER BY a.id`,
    [tenantId, roleId],
    { prepare: true },
  )) as unknown as readonly RoleAssignmentRow[];
}

interface Moved {
  readonly role: RoleRow | null;
  readonly ended: RoleAssignmentRow[];
  readonly begun: RoleAssignmentRow[];
}

/** The assignments once more, of the replacement; those who hold it already keep what they have. */
async function moveTo(work: RoleWork, held: readonly RoleAssignmentRow[], replacementRoleId: string): Promise<Moved> {
  const path = ['replacementRoleId'];
  const role = await requireRole(work, replacementRoleId, path);
  if (role.status !== 'active') throw new PlatformError('ROLE_NOT_ACTIVE', `the role is ${role.status}`, { path });
  requireAdministration(work, { roleId: replacementRoleId });
  const placeOf = (row: RoleAssignmentRow) => `${row.contextId ?? ''} ${row.subjectId}`;
  const holders = new Set((await findStanding(work, replacementRoleId)).map(placeOf));
  const common = { updatedAt: work.now, updatedBy: work.principal.subject };
  const ended = held.map((row): RoleAssignmentRow => {
    const statusReason = `replaced by ${role.name}`;
    return { ...row, ...common, status: 'revoked', statusReason, version: row.version + 1 };
  });
  const begun = held
    .filter((row) => !holders.has(placeOf(row)))
    .map((row): RoleAssignmentRow => {
      const id = newId();
      return { ...row, ...common, id, roleId: replacementRoleId, version: 1, createdAt: work.now };
    });
  requirePossible(work, { role, ended, begun });
  return { role, ended, begun };
}

/** @throws {SOD_VIOLATION} {CARDINALITY_EXCEEDED} where one of the new assignments is not possible. */
function requirePossible(work: RoleWork, { role, ended, begun }: Moved): void {
  const roleId = role!.id;
  const rows = [...ended, ...begun].map(
    (row) => ({ kind: 'assignment.saved', assignment: toAssignment(row) }) as const,
  );
  const sets = createPermissionSets(applyChanges(work.snapshot, rows));
  for (const { subjectId } of begun) {
    const held = listRolesHeld(sets, subjectId, work.timeMs);
    const violation = findSeparationViolations(sets.snapshot, held).find(
      ({ severity, holds }) => severity !== 'warning' && holds.some(({ path }) => path.includes(roleId)),
    );
    if (violation !== undefined)
      throw new PlatformError('SOD_VIOLATION', `separation of duties forbids the replacement for ${subjectId}`, {
        path: ['replacementRoleId'],
        details: { subjectId, ruleId: violation.ruleId },
      });
    const refusal = judgeAssignment(sets, { roleId, subjectId, timeMs: work.timeMs }).refusals.find(
      ({ code }) => code === 'CARDINALITY_EXCEEDED',
    );
    if (refusal !== undefined)
      throw new PlatformError('CARDINALITY_EXCEEDED', refusal.message, { path: ['replacementRoleId'] });
  }
}

import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { newId } from '#shared/ids.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput, requireVersion } from '#shared/validation.ts';
import { listLifted, requireAdministration, requireRoleAdmin } from './administration.ts';
import { lookForHolders } from './automatic.ts';
import { idempotentCall, type WriteOptions } from './calls.ts';
import type { RoleCommands, RoleResponse } from './commands.ts';
import type { RoleStatus } from './decision/index.ts';
import { assignmentEvent, roleEvent } from './events.ts';
import { readOverride, requireChangeable } from './governance.ts';
import * as inputs from './inputs.ts';
import { planLife, requireTimeLeft, reviewed } from './lifecycle.ts';
import type { RoleLimits } from './limits.ts';
import { permissionNews } from './permissionNews.ts';
import { findStanding, type Moved, moveTo } from './replacement.ts';
import { applyContent, newRole } from './roleContent.ts';
import {
  findSeparatedHolders,
  requireFreeName,
  requireHierarchy,
  requireHoldersSeparated,
  requireRole,
  requireSeparation,
} from './roleRules.ts';
import type { RoleRow } from './rows.ts';
import { requireTransition } from './states.ts';
import type { RoleWork } from './work.ts';

/** Whoever holds the role is told in the background: there may be ten thousand. */
export function tellHolders(work: RoleWork, roleId: string): void {
  const { tenantId } = work;
  work.schedule({
    task: 'role.tellHolders',
    payload: { tenantId, roleId },
    key: `role.tellHolders:${tenantId}:${roleId}`,
  });
}

const note = (work: RoleWork, operation: string, row: RoleRow, detail: Readonly<Record<string, unknown>> = {}) =>
  work.note({ action: `role.${operation}`, resource: 'Role', resourceId: row.id, detail });

/** What says whom a role that goes by capabilities is for. */
const suiting: readonly string[] = ['autoAssign', 'capabilityProfiles', 'attributes', 'parents'];

export interface RoleWriteOptions extends WriteOptions {
  /** Opens the lock of a locked role. */
  readonly override?: unknown;
}

export function createRoles(
  runtime: Pick<ModuleRuntime, 'authorizer' | 'graph'>,
  { commands, limits }: { readonly commands: RoleCommands; readonly limits: RoleLimits },
) {
  async function change(
    scope: RequestScope,
    roleId: string,
    { operation, input, options }: { operation: string; input: unknown; options: RoleWriteOptions },
    decide: (work: RoleWork, row: RoleRow) => Promise<RoleResponse>,
  ): Promise<RoleResponse> {
    const claim = await readOverride(runtime, scope.principal, { roleId, override: options.override });
    const call = {
      roleId,
      input,
      expectedVersion: options.expectedVersion ?? null,
      ...(claim === null ? {} : { override: claim.override }),
    };
    return commands.add({
      scope,
      idempotent: idempotentCall(scope, operation, call, options.idempotencyKey),
      async decide(work) {
        const row = await requireRole(work, roleId, ['roleId']);
        requireRoleAdmin(work, roleId);
        requireVersion(options.expectedVersion, row.version);
        return decide(work, requireChangeable(row, claim));
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
          requireHierarchy(work, row, { limits: limits.hierarchy, path: ['input'] });
          requireAdministration(work, { roleId: id, permissions: row.permissions });
          for (const parent of row.parents) requireAdministration(work, { roleId: parent.roleId });
          const warnings = requireSeparation(work, row);
          await work.saveRoles([row]);
          work.tell(roleEvent('role.created', row));
          lookForHolders(work, row);
          note(work, 'create', row);
          return { id, warnings };
        },
      });
    },

    /** As `create`, and {VERSION_CONFLICT} {SYSTEM_ROLE_IMMUTABLE} {GOVERNANCE_LOCKED} {ROLE_NOT_FOUND} */
    async update(scope: RequestScope, roleId: string, raw: unknown, options: RoleWriteOptions): Promise<RoleResponse> {
      const patch = parseInput(inputs.rolePatch, raw, ['patch']);
      return change(scope, roleId, { operation: 'updateRole', input: raw, options }, async (work, current) => {
        const { row: patched, changed } = applyContent(current, patch, ['patch']);
        if (changed.length === 0) return { id: roleId, warnings: [] };
        const row = planLife(current, revised(work, patched), work.now);
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
          if (inherits) requireHierarchy(work, row, { limits: limits.hierarchy, path: ['patch'] });
          requireAdministration(work, { roleId, permissions: [...row.permissions, ...lifted], lifts: isBounded });
          if (inherits) for (const parent of row.parents) requireAdministration(work, { roleId: parent.roleId });
        }
        const warnings = requireSeparation(work, row);
        if (changed.includes('parents')) requireHoldersSeparated(work, row);
        else if (changed.includes('separationOfDuties')) {
          const held = findSeparatedHolders(work, row)?.subjectIds ?? [];
          if (held.length > 0)
            warnings.push(
              `${held.length} subjects hold together what is separated now: ${held.slice(0, 5).join(', ')}`,
            );
        }
        await work.saveRoles([row]);
        work.tell(roleEvent('role.updated', row, changed), ...permissionNews(current, row));
        note(work, 'update', row, { changed });
        if (changed.some((field) => rights.includes(field))) tellHolders(work, roleId);
        if (changed.some((field) => suiting.includes(field))) lookForHolders(work, row);
        return { id: roleId, warnings };
      });
    },

    /** @throws {INVALID_STATE_TRANSITION} and as `update`. */
    async changeStatus(
      scope: RequestScope,
      roleId: string,
      { status, reason, ...options }: RoleWriteOptions & { status: string; reason?: string | null | undefined },
    ): Promise<RoleResponse> {
      const to = status.toLowerCase() as RoleStatus;
      const why = parseInput(inputs.reason, reason, ['reason']) ?? null;
      const input = { status: to, reason: why };
      return change(scope, roleId, { operation: 'changeRoleStatus', input, options }, async (work, current) => {
        requireTransition(current.status, to);
        if (to === 'active') requireTimeLeft(current, work.timeMs);
        requireAdministration(work, { roleId, grants: to === 'active', lifts: true });
        const row = { ...revised(work, current), status: to };
        await work.saveRoles([row]);
        work.tell(roleEvent('role.status.changed', row, ['status']));
        note(work, 'changeStatus', row, { from: current.status, to, reason: why });
        tellHolders(work, roleId);
        lookForHolders(work, row);
        return { id: roleId, warnings: [] };
      });
    },

    /** Notes that somebody has looked at the role, and when the next one is to. @throws as `update`. */
    async review(
      scope: RequestScope,
      roleId: string,
      { comment, ...options }: RoleWriteOptions & { comment?: string | null | undefined },
    ): Promise<RoleResponse> {
      const said = parseInput(inputs.reason, comment, ['comment']) ?? null;
      const input = { comment: said };
      return change(scope, roleId, { operation: 'reviewRole', input, options }, async (work, current) => {
        const row = reviewed(revised(work, current), work.principal.subject, work.now);
        await work.saveRoles([row]);
        work.tell(roleEvent('role.reviewed', row, ['reviewedAt', 'nextReviewAt']));
        note(work, 'review', row, { comment: said, nextReviewAt: row.nextReviewAt });
        return { id: roleId, warnings: [] };
      });
    },

    /** @throws {ROLE_IN_USE} while it is held or inherited from and nothing replaces it. */
    async remove(
      scope: RequestScope,
      roleId: string,
      { replacementRoleId, ...options }: RoleWriteOptions & { replacementRoleId?: string | null | undefined },
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
            : await moveTo(work, held, { replacementRoleId, limits: limits.assignment });
        const row = { ...revised(work, current), deletedAt: work.now };
        work.saveAssignments([...moved.ended, ...moved.begun]);
        await work.saveRoles([row]);
        work.tell(roleEvent('role.deleted', row), ...permissionNews(current, row));
        for (const ended of moved.ended) work.tell(assignmentEvent('role.revoked', ended, row));
        for (const begun of moved.begun) work.tell(assignmentEvent('role.assigned', begun, moved.role!));
        note(work, 'delete', row, { replacementRoleId: replacementRoleId ?? null, moved: moved.begun.length });
        return { id: roleId, movedAssignments: moved.begun.length };
      });
    },
  };
}

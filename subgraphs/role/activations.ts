import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { parseInput, requireVersion } from '#shared/validation.ts';
import { isRoleAdmin } from './administration.ts';
import { requireAssignment } from './assignments.ts';
import { idempotentCall, type WriteOptions } from './calls.ts';
import type { RoleCommands, RoleResponse } from './commands.ts';
import type { Contexts } from './contexts.ts';
import { everywhere, isActiveIn, listConflicting } from './decision/activation.ts';
import { assignmentEvent } from './events.ts';
import * as inputs from './inputs.ts';
import type { RoleAssignmentRow } from './rows.ts';
import type { RoleWork } from './work.ts';

export interface ActivationOptions extends WriteOptions {
  readonly contextId?: string | null | undefined;
  /** Deactivates what may not be active beside it, instead of refusing. @default false */
  readonly replace?: boolean;
}

interface Move {
  readonly operation: 'activateRole' | 'deactivateRole';
  readonly decide: (work: RoleWork, row: RoleAssignmentRow, place: string) => Promise<void>;
}

/** Chooses, of roles that are separated dynamically, which one is active where. */
export function createActivations(commands: RoleCommands, contexts: Contexts) {
  /** By who holds the role, or administers it. */
  async function change(
    scope: RequestScope,
    assignmentId: string,
    { contextId, replace = false, expectedVersion = null, idempotencyKey }: ActivationOptions,
    { operation, decide }: Move,
  ): Promise<RoleResponse> {
    const asked = parseInput(inputs.optionalId, contextId, ['contextId']) as string | undefined;
    if (asked !== undefined) await contexts.requireKnown(scope.principal, asked);
    const input = { assignmentId, contextId: asked ?? null, replace, expectedVersion };
    return commands.add({
      scope,
      idempotent: idempotentCall(scope, operation, input, idempotencyKey),
      async decide(work) {
        const row = await requireAssignment(work, assignmentId);
        const isOwn = row.subjectId === work.principal.subject;
        // Whoever neither holds nor administers it learns nothing of it.
        if (!isOwn && !isRoleAdmin(work, row.roleId, row.contextId))
          throw new PlatformError('NOT_FOUND', 'no such assignment', { path: ['assignmentId'] });
        requireVersion(expectedVersion, row.version);
        if (row.status !== 'active')
          throw new PlatformError(
            'INVALID_STATE_TRANSITION',
            `expected ACTIVE, the assignment is ${row.status.toUpperCase()}`,
          );
        if (row.contextId !== null && asked !== undefined && asked !== row.contextId)
          throw new PlatformError('VALIDATION_FAILED', 'contextId: the role is held in another context', {
            path: ['contextId'],
          });
        await decide(work, row, asked ?? row.contextId ?? everywhere);
        return { id: assignmentId };
      },
    });
  }

  return {
    /** @throws {SOD_VIOLATION} naming what is active in that place and may not be beside it. */
    activate: (scope: RequestScope, assignmentId: string, options: ActivationOptions) =>
      change(scope, assignmentId, options, {
        operation: 'activateRole',
        async decide(work, row, place) {
          const held = (work.snapshot.subjects.get(row.subjectId)?.assignments ?? []).map((own) => own.row);
          const active = held.filter((own) => own.status === 'active' && isActiveIn(own, place));
          const others = listConflicting(work.snapshot, row, active);
          if (others.length > 0 && options.replace !== true)
            throw new PlatformError('SOD_VIOLATION', 'separation of duties forbids both to be active there', {
              path: ['assignmentId'],
              details: { assignmentIds: others.map((other) => other.assignmentId) },
            });
          for (const other of others)
            setActive(work, await requireAssignment(work, other.assignmentId), { place, isActive: false });
          setActive(work, row, { place, isActive: true });
        },
      }),

    deactivate: (scope: RequestScope, assignmentId: string, options: ActivationOptions) =>
      change(scope, assignmentId, options, {
        operation: 'deactivateRole',
        decide: async (work, row, place) => setActive(work, row, { place, isActive: false }),
      }),
  };
}

function setActive(
  work: RoleWork,
  row: RoleAssignmentRow,
  { place, isActive }: { readonly place: string; readonly isActive: boolean },
): void {
  if (isActiveIn(row, place) === isActive) return;
  const others = row.activeIn.filter((one) => one !== place);
  const next: RoleAssignmentRow = {
    ...row,
    activeIn: isActive ? [...others, place].sort() : others,
    version: row.version + 1,
    updatedAt: work.now,
    updatedBy: work.principal.subject,
  };
  work.saveAssignments([next]);
  const name = work.snapshot.roles[work.snapshot.graph.indexes.get(row.roleId) ?? -1]?.role.name ?? '';
  work.tell(assignmentEvent('role.assignment.changed', next, { id: row.roleId, name }));
  work.note({
    action: isActive ? 'role.activate' : 'role.deactivate',
    resource: 'RoleAssignment',
    resourceId: row.id,
    detail: { subjectId: row.subjectId, roleId: row.roleId, place },
  });
}

import type { RequestScope } from '#shared/context.ts';
import { parseInput, requireVersion } from '#shared/validation.ts';
import { requireAdministration } from './administration.ts';
import { settleAutomatic } from './automatic.ts';
import { idempotentCall, type WriteOptions } from './calls.ts';
import type { RoleCommands, RoleResponse } from './commands.ts';
import { subjectEvent } from './events.ts';
import * as inputs from './inputs.ts';
import type { RoleLimits } from './limits.ts';
import type { SubjectRow } from './rows.ts';
import { findSubjects } from './store.ts';

/** A subject nothing was recorded of. */
export function unknownSubject(tenantId: string, id: string): SubjectRow {
  return { tenantId, id, type: null, displayName: null, attributes: {}, capabilities: [], version: 0, revision: 0 };
}

export function createSubjects(commands: RoleCommands, limits: RoleLimits) {
  return {
    /** Attributes decide conditions: who records them must administer what the subject's roles confer. */
    async update(scope: RequestScope, id: string, raw: unknown, options: WriteOptions): Promise<RoleResponse> {
      const subjectId = parseInput(inputs.subjectId, id, ['subjectId']);
      const patch = parseInput(inputs.subjectPatch, raw, ['patch']);
      const { expectedVersion = null, idempotencyKey } = options;
      const input = { subjectId, patch, expectedVersion };
      return commands.add({
        scope,
        idempotent: idempotentCall(scope, 'updateSubject', input, idempotencyKey),
        async decide(work) {
          const [stored] = await findSubjects(work.tx, work.tenantId, [subjectId]);
          const current = stored ?? unknownSubject(work.tenantId, subjectId);
          requireVersion(expectedVersion, current.version);
          if (patch.attributes !== undefined) {
            const held = work.snapshot.subjects.get(subjectId)?.assignments ?? [];
            for (const roleId of new Set(
              held.filter(({ row }) => row.status === 'active').map(({ row }) => row.roleId),
            ))
              requireAdministration(work, { roleId, lifts: true });
          }
          const row: SubjectRow = {
            ...current,
            type: patch.type ?? current.type ?? 'agent',
            displayName: patch.displayName === undefined ? current.displayName : patch.displayName,
            attributes: patch.attributes ?? current.attributes,
            capabilities: patch.capabilities ?? current.capabilities,
            version: current.version + 1,
          };
          await work.saveSubject(row);
          work.tell(subjectEvent(row));
          if (patch.capabilities !== undefined || patch.attributes !== undefined)
            await settleAutomatic(work, { subjectId }, limits);
          work.note({ action: 'subject.update', resource: 'Subject', resourceId: subjectId });
          return { id: subjectId };
        },
      });
    },
  };
}

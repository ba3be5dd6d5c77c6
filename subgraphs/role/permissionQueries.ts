import { z } from 'zod';
import { createConnection, type PageInput, readPage } from '#shared/connection.ts';
import { id, parseInput, text } from '#shared/validation.ts';
import { listSubjectsWithPermission, type PermissionRequest } from './decision/index.ts';
import { compareText } from './hierarchy/order.ts';
import type { HolderPage } from './hierarchyQueries.ts';
import * as inputs from './inputs.ts';
import type { RoleReplicas, TenantReplica } from './replicas.ts';
import { isDenied } from './rights.ts';

/** One may hold a permission by a role, be denied it by one, need an approval for it, or nothing is known. */
export type StandingValue = 'GRANTED' | 'DENIED' | 'NEEDS_APPROVAL' | 'UNKNOWN';

/** Where a permission is asked for. */
export interface PermissionPlace {
  readonly contextId?: string | null | undefined;
  readonly planId?: string | null | undefined;
}

const permissionName = text({ min: 3, max: 100 }).regex(/^[a-z_]+:[a-z_]+$/, 'expected resource:action');
const placeInput = z.object({ contextId: id.nullish(), planId: id.nullish() });
const subjectIds = z.array(inputs.subjectId).min(1).max(500);

/**
 * Who may do something, answered from the replica once it is as new as what was committed when it was asked: others route
 * their work by it. Nothing is audited, as nobody is let in by the answer.
 */
export function createPermissionQueries(replicas: RoleReplicas) {
  async function freshReplica(tenantId: string): Promise<TenantReplica> {
    await replicas.catchUp(tenantId);
    return replicas.load(tenantId);
  }

  return {
    /** @throws {VALIDATION_FAILED} {CURSOR_INVALID} */
    async holders(tenantId: string, permission: string, { contextId, planId, ...page }: PageInput & PermissionPlace) {
      const request = requestOf(permission, { contextId, planId });
      const { limit, from, direction } = readPage('permissionHolders', 1, page);
      const { snapshot } = await freshReplica(tenantId);
      const all = listSubjectsWithPermission(snapshot, { request, timeMs: Date.now() }).filter(
        ({ decision }) => decision.granted,
      );
      const after = from === null ? all : all.filter(({ subjectId }) => compareText(subjectId, String(from[0])) > 0);
      const shown = after.slice(0, limit + 1);
      const connection = createConnection(
        'permissionHolders',
        { limit, from, direction },
        shown.map(({ subjectId }) => ({ id: subjectId })),
        ({ id }) => [id],
      );
      const ids = connection.nodes.map(({ id }) => id);
      // From the role held to the one that grants.
      const distances = shown
        .slice(0, ids.length)
        .map(({ decision }) => Math.max(0, (decision.source?.path.length ?? 1) - 1));
      return { ids, distances, total: all.length, connection } satisfies HolderPage;
    },

    /** In the order in which they were named. @throws {VALIDATION_FAILED} */
    async standings(
      tenantId: string,
      permission: string,
      { subjectIds: named, ...place }: PermissionPlace & { readonly subjectIds: readonly string[] },
    ): Promise<{ readonly subjectId: string; readonly standing: StandingValue }[]> {
      const request = requestOf(permission, place);
      const wanted = parseInput(subjectIds, named, ['subjectIds']);
      const { point } = await freshReplica(tenantId);
      return wanted.map((subjectId) => {
        const decision = point.checkPermission({ ...request, subjectId });
        const standing = decision.granted
          ? 'GRANTED'
          : decision.decision === 'NEEDS_APPROVAL'
            ? 'NEEDS_APPROVAL'
            : isDenied(decision)
              ? 'DENIED'
              : 'UNKNOWN';
        return { subjectId, standing };
      });
    },
  };
}

function requestOf(permission: string, { contextId, planId }: PermissionPlace): Omit<PermissionRequest, 'subjectId'> {
  const [type, action] = parseInput(permissionName, permission, ['permission']).split(':') as [string, string];
  const place = parseInput(placeInput, { contextId, planId }, []);
  // The object is the one that the place names, where it is of the kind that is permitted on.
  const resourceId = type === 'plan' ? place.planId : type === 'context' ? place.contextId : null;
  return {
    action,
    resource: resourceId == null ? { type } : { type, id: resourceId },
    ...(place.contextId == null ? {} : { contextId: place.contextId }),
    ...(place.planId == null ? {} : { planId: place.planId }),
  };
}

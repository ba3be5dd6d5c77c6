import { createConnection, type PageInput, readPage } from '#shared/connection.ts';
import { isId } from '#shared/ids.ts';
import { parseInput } from '#shared/validation.ts';
import { type GrantUnit, listHolders, readHierarchy, type Snapshot } from './decision/index.ts';
import { type PermissionSet, patternOf } from './decision/permissionSets.ts';
import { settleDenials } from './decision/roleEffect.ts';
import { findPath, type HierarchyDirection, inherits } from './hierarchy/index.ts';
import { compareText } from './hierarchy/order.ts';
import * as inputs from './inputs.ts';
import type { RoleReplicas, TenantReplica } from './replicas.ts';

export interface HolderPage {
  readonly ids: readonly string[];
  /** Of each, edges to the nearest role by which it holds the one asked for. */
  readonly distances: readonly number[];
  readonly total: number;
  readonly connection: ReturnType<typeof createConnection<{ readonly id: string }>>;
}

const textOf = (unit: GrantUnit) => {
  const denies = unit.grant.permission.effect === 'deny' ? '!' : '';
  return `${denies}${patternTextOf(unit)}`;
};

const patternTextOf = (unit: GrantUnit) => {
  const { resourceType, action, resourceId } = patternOf(unit);
  return `${resourceType}:${action}${resourceId === undefined ? '' : `:${resourceId}`}`;
};

/** What a set allows once its denials are taken off. */
const effectOf = (permissions: PermissionSet) =>
  settleDenials(permissions).map(({ unit, conditional, denials }) => ({
    permission: patternTextOf(unit),
    fromRoleId: unit.grant.roleId,
    conditional,
    except: [...new Set(denials.map(patternTextOf))],
  }));

/** Questions about the hierarchy, answered from the replica. */
export function createHierarchyQueries(replicas: RoleReplicas) {
  const replicaOf = (tenantId: string) => replicas.peek(tenantId) ?? replicas.load(tenantId);

  return {
    async hierarchy(
      tenantId: string,
      roleId: string,
      { direction, depth }: { readonly direction: HierarchyDirection; readonly depth?: number | null | undefined },
    ) {
      const replica = await replicaOf(tenantId);
      const wanted = parseInput(inputs.depth, depth, ['depth']);
      const query = { direction, ...(wanted == null ? {} : { depth: wanted }) };
      const view = isId(roleId) ? readHierarchy(replica.sets(), roleId, query) : undefined;
      if (view === undefined) return null;
      const { snapshot } = replica;
      return {
        roleId,
        edges: view.edges,
        conflicts: view.conflicts,
        nodes: view.entries.map((entry) => ({
          roleId: entry.roleId,
          relation: entry.relation,
          level: entry.level,
          get directPermissions() {
            return entry.own.map(textOf);
          },
          get inheritedPermissions() {
            const { certain, conditional } = entry.permissions;
            const inherited = (units: readonly GrantUnit[], isConditional: boolean) =>
              units
                .filter(({ grant }) => grant.roleId !== entry.roleId)
                .map((unit) => ({
                  permission: textOf(unit),
                  fromRoleId: unit.grant.roleId,
                  conditional: isConditional,
                }));
            return [...inherited(certain, false), ...inherited(conditional, true)];
          },
          get effectivePermissions() {
            return effectOf(entry.permissions);
          },
          get directHolders() {
            return listHolders(snapshot, entry.roleId).direct.length;
          },
          get inheritedHolders() {
            return listHolders(snapshot, entry.roleId).inherited.length;
          },
        })),
      };
    },

    /** Id of the role of this id, else of this name. */
    findRole: async (tenantId: string, role: string) => findRoleId(await replicaOf(tenantId), role),

    /** A role named by id, else by name, and the subjects that hold it now or a role below. */
    async holders(
      tenantId: string,
      role: string,
      { contextId, ...page }: PageInput & { readonly contextId?: string | null | undefined },
    ): Promise<HolderPage> {
      const wanted = parseInput(inputs.subjectId, role, ['role']);
      const { limit, from, direction } = readPage('roleHolders', 1, page);
      const replica = await replicaOf(tenantId);
      const roleId = findRoleId(replica, wanted);
      const all = roleId === undefined ? [] : listHoldersNow(replica, roleId, contextId ?? null);
      const after = from === null ? all : all.filter((id) => compareText(id, String(from[0])) > 0);
      const rows = after.slice(0, limit + 1).map((id) => ({ id }));
      const connection = createConnection('roleHolders', { limit, from, direction }, rows, ({ id }) => [id]);
      const ids = connection.nodes.map(({ id }) => id);
      const distances = roleId === undefined ? [] : ids.map((id) => distanceOf(replica, id, { roleId, contextId }));
      return { ids, distances, total: all.length, connection };
    },
  };
}

function findRoleId({ snapshot }: TenantReplica, role: string): string | undefined {
  if (snapshot.graph.indexes.has(role)) return role;
  const named = snapshot.roles.filter((compiled) => compiled?.role.name === role).map((compiled) => compiled!.role);
  // One of several of the same name: that of the widest scope, then the one with the least id.
  const width = (scope: (typeof named)[number]['scope']) => (scope === undefined ? 0 : 1);
  named.sort((one, two) => width(one.scope) - width(two.scope) || compareText(one.roleId, two.roleId));
  return named[0]?.roleId;
}

function listHoldersNow({ snapshot }: TenantReplica, roleId: string, contextId: string | null): string[] {
  const { direct, inherited } = listHolders(snapshot, roleId);
  return [...direct, ...inherited]
    .filter((subjectId) => findHeld(snapshot, subjectId, { roleId, contextId }).length > 0)
    .sort(compareText);
}

interface Asked {
  readonly roleId: string;
  readonly contextId?: string | null | undefined;
}

/** Roles assigned to the subject now by which it holds the one asked for. */
function findHeld({ subjects, graph }: Snapshot, subjectId: string, { roleId, contextId = null }: Asked): string[] {
  const now = Date.now();
  return (subjects.get(subjectId)?.assignments ?? [])
    .filter(
      ({ row }) =>
        row.status === 'active' &&
        (row.validFromMs ?? 0) <= now &&
        now < (row.expiresAtMs ?? Number.POSITIVE_INFINITY) &&
        (contextId === null || row.contextId === undefined || row.contextId === contextId) &&
        inherits(graph, row.roleId, roleId),
    )
    .map(({ row }) => row.roleId);
}

/** Edges of the shortest way up to the role from those by which the subject holds it. */
function distanceOf({ snapshot }: TenantReplica, subjectId: string, asked: Asked): number {
  const { indexes } = snapshot.graph;
  const from = findHeld(snapshot, subjectId, asked).flatMap((id) => indexes.get(id) ?? []);
  const target = indexes.get(asked.roleId);
  return target === undefined ? 0 : (findPath(snapshot.graph, from, target)?.length ?? 1) - 1;
}

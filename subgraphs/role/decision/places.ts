import { addBits, type Bits, listBits, listCommonBits } from '../hierarchy/bits.ts';
import { isStanding } from './assignment.ts';
import { findEntries } from './grantIndex.ts';
import type { PermissionRequest } from './request.ts';
import type { Snapshot, SubjectRecord } from './snapshot.ts';

export function hasRights({ assignments, incoming }: SubjectRecord): boolean {
  return assignments.length + incoming.length > 0;
}

interface Places {
  /** Replaced with every change of a role. */
  readonly graph: Snapshot['graph'];
  readonly isBound: boolean;
  /** Closure of all roles of the subject, whatever context they are held in. */
  readonly up: Bits;
}

/** Good for the very record and graph they were read from, whose versions are their identity. */
const known = new WeakMap<SubjectRecord, Places>();

/**
 * Whether some right of the subject may hold for one object and not for another: by the context of an assignment, by
 * the scope of a role or of a permission, by what limits or conditions ask of the object. A delegation counts as such,
 * since what the delegator holds may be. Errs on the side of yes.
 */
export function isBound(snapshot: Snapshot, record: SubjectRecord): boolean {
  return placesOf(snapshot, record).isBound;
}

/** Whether a role of the subject denies the action anywhere, under whatever condition. */
export function mayBeDenied(
  snapshot: Snapshot,
  record: SubjectRecord,
  { resource, action }: PermissionRequest,
): boolean {
  const { up } = placesOf(snapshot, record);
  return findEntries(snapshot.index, resource.type, action).some(({ deny }) => listCommonBits(up, deny).length > 0);
}

function placesOf(snapshot: Snapshot, record: SubjectRecord): Places {
  const kept = known.get(record);
  if (kept?.graph === snapshot.graph) return kept;
  const places = readPlaces(snapshot, record);
  known.set(record, places);
  return places;
}

function readPlaces({ graph, roles }: Snapshot, { assignments, incoming }: SubjectRecord): Places {
  let bound = incoming.length > 0;
  const up = new Uint32Array((graph.nodes.length >>> 5) + 1);
  for (const { row, constraints } of assignments) {
    if (!isStanding(row)) continue;
    bound ||= row.contextId !== undefined || constraints !== undefined;
    const index = graph.indexes.get(row.roleId);
    const node = index === undefined ? undefined : graph.nodes[index];
    if (node) addBits(up, node.up);
  }
  const isBound =
    bound ||
    listBits(up).some((index) => {
      const role = roles[index];
      if (role === undefined) return false;
      if (role.contextIds ?? role.planIds ?? role.constraints) return true;
      return role.grants.some(
        ({ resourceId, contextIds, planIds, isStatic }) =>
          resourceId !== undefined || contextIds !== undefined || planIds !== undefined || !isStatic,
      );
    });
  return { graph, isBound, up };
}

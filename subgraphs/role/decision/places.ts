import { addBits, type Bits, listBits, listCommonBits } from '../hierarchy/bits.ts';
import { everywhere, hasDynamicPair } from './activation.ts';
import { isStanding } from './assignment.ts';
import { findEntries } from './grantIndex.ts';
import type { PermissionRequest } from './request.ts';
import type { Snapshot, SubjectRecord } from './snapshot.ts';

export function hasRights({ assignments, incoming }: SubjectRecord): boolean {
  return assignments.length + incoming.length > 0;
}

interface Places {
  readonly policy: Snapshot['policy'];
  readonly isBound: boolean;
  /** What is active in one place may not be in another. */
  readonly isSeparated: boolean;
  /** Closure of all roles of the subject, whatever context they are held in. */
  readonly up: Bits;
}

/** Good for the very record and policy they were read from, whose versions are their identity. */
const known = new WeakMap<SubjectRecord, Places>();

/**
 * Whether some right of the subject may hold for one object and not for another: by the context of an assignment, by
 * the scope of a role or of a permission, by what limits or conditions ask of the object. A delegation counts as such,
 * since what the delegator holds may be, and so does an approval that was given. Errs on the side of yes.
 */
export function isBound(snapshot: Snapshot, record: SubjectRecord): boolean {
  return placesOf(snapshot, record).isBound;
}

/**
 * Whether something may take the action away in one place: a role of the subject that denies it, under whatever condition,
 * or roles of which only one is active at a time.
 */
export function mayBeDenied(
  snapshot: Snapshot,
  record: SubjectRecord,
  { resource, action }: PermissionRequest,
): boolean {
  const { up, isSeparated } = placesOf(snapshot, record);
  return (
    isSeparated ||
    findEntries(snapshot.index, resource.type, action).some(({ deny }) => listCommonBits(up, deny).length > 0)
  );
}

/**
 * Contexts that assignments, delegations, roles or permissions of the subject name, and those of whoever its rights may
 * come from by delegations, one after the other: where its rights may be others than elsewhere. Ids of single objects are among them, since an object may be a context;
 * what conditions compare contexts with are not.
 */
export function listContexts(snapshot: Snapshot, record: SubjectRecord): readonly string[] {
  const { roles, subjects } = snapshot;
  const named = new Set<string>();
  const holders = new Set([record]);
  // A Set goes on to what is added while it is walked: delegators of delegators are found too.
  for (const holder of holders) {
    for (const { contextId, delegatorId } of holder.incoming) {
      if (contextId !== undefined) named.add(contextId);
      const delegator = subjects.get(delegatorId);
      if (delegator !== undefined) holders.add(delegator);
    }
    for (const { contextId, resourceId } of holder.approvals) {
      for (const id of [contextId, resourceId]) if (id !== undefined) named.add(id);
    }
    for (const { row } of holder.assignments) {
      if (!isStanding(row)) continue;
      if (row.contextId !== undefined) named.add(row.contextId);
      for (const place of row.activeIn ?? []) if (place !== everywhere) named.add(place);
    }
    for (const index of listBits(placesOf(snapshot, holder).up)) {
      const role = roles[index];
      for (const id of role?.contextIds ?? []) named.add(id);
      for (const { contextIds, resourceId } of role?.grants ?? []) {
        for (const id of contextIds ?? []) named.add(id);
        if (resourceId !== undefined) named.add(resourceId);
      }
    }
  }
  return [...named];
}

function placesOf(snapshot: Snapshot, record: SubjectRecord): Places {
  const kept = known.get(record);
  if (kept?.policy === snapshot.policy) return kept;
  const places = readPlaces(snapshot, record);
  known.set(record, places);
  return places;
}

function readPlaces({ graph, policy, roles }: Snapshot, { assignments, incoming, approvals }: SubjectRecord): Places {
  let bound = incoming.length + approvals.length > 0;
  const up = new Uint32Array((graph.nodes.length >>> 5) + 1);
  for (const { row, constraints } of assignments) {
    if (!isStanding(row)) continue;
    bound ||= row.contextId !== undefined || constraints !== undefined;
    const index = graph.indexes.get(row.roleId);
    const node = index === undefined ? undefined : graph.nodes[index];
    if (node) addBits(up, node.up);
  }
  const isSeparated = hasDynamicPair({ graph, roles }, up);
  const isBound =
    bound ||
    isSeparated ||
    listBits(up).some((index) => {
      const role = roles[index];
      if (role === undefined) return false;
      if (role.contextIds ?? role.planIds ?? role.constraints) return true;
      return role.grants.some(
        ({ resourceId, contextIds, planIds, isStatic }) =>
          resourceId !== undefined || contextIds !== undefined || planIds !== undefined || !isStatic,
      );
    });
  return { policy, isBound, isSeparated, up };
}

import { PersistentMap, removeRole, saveRole } from '../hierarchy/index.ts';
import { compareText } from '../hierarchy/order.ts';
import { type Assignment, type Delegation, isStanding, type SeparationRule, type Subject } from './assignment.ts';
import { compileAssignment } from './compiledAssignment.ts';
import { compileRole } from './compiledRole.ts';
import type { GivenApproval } from './givenApproval.ts';
import { reindexRole } from './grantIndex.ts';
import type { Role } from './role.ts';
import { emptyRecord, type Snapshot, type SubjectRecord } from './snapshot.ts';

/** What an event says: the whole row as it is now, or that it is gone. */
export type Change =
  | { readonly kind: 'role.saved'; readonly role: Role }
  | { readonly kind: 'role.removed'; readonly roleId: string }
  | { readonly kind: 'assignment.saved'; readonly assignment: Assignment }
  | { readonly kind: 'assignment.removed'; readonly assignmentId: string }
  | { readonly kind: 'delegation.saved'; readonly delegation: Delegation }
  | { readonly kind: 'delegation.removed'; readonly delegationId: string }
  | { readonly kind: 'subject.saved'; readonly subject: Subject }
  | { readonly kind: 'subject.removed'; readonly subjectId: string }
  | { readonly kind: 'approval.saved'; readonly approval: GivenApproval }
  | { readonly kind: 'approval.removed'; readonly requestId: string; readonly subjectId: string }
  | { readonly kind: 'separation.saved'; readonly rule: SeparationRule }
  | { readonly kind: 'separation.removed'; readonly ruleId: string };

/**
 * The snapshot after the change, equal to one built from the changed rows. Rows may come in any order (a role before
 * its parent, an assignment before its role) and more than once. Removing what is not there changes nothing.
 */
export function applyChange(snapshot: Snapshot, change: Change): Snapshot {
  switch (change.kind) {
    case 'role.saved':
      return saveRoleRow(snapshot, change.role);
    case 'role.removed':
      return removeRoleRow(snapshot, change.roleId);
    case 'assignment.saved':
      return saveAssignment(snapshot, change.assignment);
    case 'assignment.removed':
      return removeAssignment(snapshot, change.assignmentId);
    case 'delegation.saved':
      return saveDelegation(snapshot, change.delegation);
    case 'delegation.removed':
      return removeDelegation(snapshot, change.delegationId);
    case 'subject.saved':
      return changeRecord(snapshot, change.subject.subjectId, { subject: change.subject });
    case 'subject.removed':
      if (snapshot.subjects.get(change.subjectId)?.subject === undefined) return snapshot;
      return changeRecord(snapshot, change.subjectId, { subject: undefined });
    case 'approval.saved': {
      const { approval } = change;
      const others = approvalsWithout(snapshot, approval);
      const approvals = [...others, approval].sort((left, right) => compareText(left.requestId, right.requestId));
      return changeRecord(snapshot, approval.subjectId, { approvals });
    }
    case 'approval.removed': {
      const { approvals = [] } = snapshot.subjects.get(change.subjectId) ?? {};
      const others = approvalsWithout(snapshot, change);
      return others.length === approvals.length
        ? snapshot
        : changeRecord(snapshot, change.subjectId, { approvals: others });
    }
    case 'separation.saved': {
      const separationRules = snapshot.separationRules.set(change.rule.ruleId, change.rule);
      return { ...snapshot, version: snapshot.version + 1, separationRules };
    }
    case 'separation.removed': {
      const separationRules = snapshot.separationRules.delete(change.ruleId);
      if (separationRules === snapshot.separationRules) return snapshot;
      return { ...snapshot, version: snapshot.version + 1, separationRules };
    }
    default:
      return change satisfies never;
  }
}

function approvalsWithout(
  snapshot: Snapshot,
  { subjectId, requestId }: Pick<GivenApproval, 'subjectId' | 'requestId'>,
): readonly GivenApproval[] {
  return (snapshot.subjects.get(subjectId)?.approvals ?? []).filter((approval) => approval.requestId !== requestId);
}

export function applyChanges(snapshot: Snapshot, changes: Iterable<Change>): Snapshot {
  let current = snapshot;
  for (const change of changes) current = applyChange(current, change);
  return current;
}

function saveRoleRow(snapshot: Snapshot, role: Role): Snapshot {
  const compiled = compileRole(role);
  const graph = saveRole(snapshot.graph, compiled.hierarchy);
  const at = graph.indexes.get(role.roleId)!;
  const roles = snapshot.roles.slice();
  const index = reindexRole(snapshot.index, at, roles[at], compiled);
  roles[at] = compiled;
  const policy = arrivesAlone(snapshot, role.roleId) ? snapshot.policy : {};
  return { ...snapshot, version: snapshot.version + 1, graph, policy, roles, index };
}

/**
 * A new role that nobody holds and no known role names as its parent is in no closure but its own. Parked edges are
 * tried again with every change, so while there are any, other closures may change with it.
 */
function arrivesAlone({ graph, holders }: Snapshot, roleId: string): boolean {
  return (
    !graph.indexes.has(roleId) &&
    graph.parked.length === 0 &&
    (graph.waiting.get(roleId)?.length ?? 0) === 0 &&
    !holders.has(roleId)
  );
}

function removeRoleRow(snapshot: Snapshot, roleId: string): Snapshot {
  const at = snapshot.graph.indexes.get(roleId);
  if (at === undefined) return snapshot;
  const graph = removeRole(snapshot.graph, roleId);
  const roles = snapshot.roles.slice();
  const index = reindexRole(snapshot.index, at, roles[at], undefined);
  roles[at] = undefined;
  return { ...snapshot, version: snapshot.version + 1, graph, policy: {}, roles, index };
}

function saveAssignment(snapshot: Snapshot, assignment: Assignment): Snapshot {
  const { assignmentId, roleId, subjectId } = assignment;
  const base = withoutAssignment(snapshot, assignmentId, subjectId);
  const rows = (base.subjects.get(subjectId) ?? emptyRecord(subjectId)).assignments;
  const assignments = [...rows.filter(({ row }) => row.assignmentId !== assignmentId), compileAssignment(assignment)];
  assignments.sort((left, right) => compareText(left.row.assignmentId, right.row.assignmentId));
  const held = base.holders.get(roleId) ?? PersistentMap.empty<string>();
  const next = {
    ...base,
    assignments: base.assignments.set(assignmentId, subjectId),
    holders: isStanding(assignment) ? base.holders.set(roleId, held.set(assignmentId, subjectId)) : base.holders,
  };
  return changeRecord(next, subjectId, { assignments });
}

/** Takes the row out of where it does not belong any more: another subject, another role. */
function withoutAssignment(snapshot: Snapshot, assignmentId: string, keptSubject?: string): Snapshot {
  const subjectId = snapshot.assignments.get(assignmentId);
  if (subjectId === undefined) return snapshot;
  const rows = snapshot.subjects.get(subjectId)?.assignments ?? [];
  const old = rows.find(({ row }) => row.assignmentId === assignmentId);
  if (old === undefined) return snapshot;
  const held = snapshot.holders.get(old.row.roleId)?.delete(assignmentId);
  const holders =
    held === undefined || held.size === 0
      ? snapshot.holders.delete(old.row.roleId)
      : snapshot.holders.set(old.row.roleId, held);
  const next = { ...snapshot, holders };
  if (subjectId === keptSubject) return next;
  const moved = changeRecord(next, subjectId, { assignments: rows.filter((row) => row !== old) });
  return { ...moved, version: snapshot.version };
}

function removeAssignment(snapshot: Snapshot, assignmentId: string): Snapshot {
  const base = withoutAssignment(snapshot, assignmentId);
  if (base === snapshot) return snapshot;
  return { ...base, version: snapshot.version + 1, assignments: base.assignments.delete(assignmentId) };
}

function saveDelegation(snapshot: Snapshot, delegation: Delegation): Snapshot {
  const base = removeDelegation(snapshot, delegation.delegationId);
  const add = (rows: readonly Delegation[]) =>
    [...rows, delegation].sort((left, right) => compareText(left.delegationId, right.delegationId));
  const { delegateId, delegatorId } = delegation;
  let next: Snapshot = { ...base, delegations: base.delegations.set(delegation.delegationId, delegation) };
  const delegator = next.subjects.get(delegatorId) ?? emptyRecord(delegatorId);
  next = changeRecord(next, delegatorId, { outgoing: add(delegator.outgoing) });
  const delegate = next.subjects.get(delegateId) ?? emptyRecord(delegateId);
  next = changeRecord(next, delegateId, { incoming: add(delegate.incoming) });
  return { ...next, version: snapshot.version + 1 };
}

function removeDelegation(snapshot: Snapshot, delegationId: string): Snapshot {
  const old = snapshot.delegations.get(delegationId);
  if (old === undefined) return snapshot;
  const without = (rows: readonly Delegation[] | undefined) =>
    (rows ?? []).filter((row) => row.delegationId !== delegationId);
  let next: Snapshot = { ...snapshot, delegations: snapshot.delegations.delete(delegationId) };
  next = changeRecord(next, old.delegateId, { incoming: without(next.subjects.get(old.delegateId)?.incoming) });
  next = changeRecord(next, old.delegatorId, { outgoing: without(next.subjects.get(old.delegatorId)?.outgoing) });
  return { ...next, version: snapshot.version + 1 };
}

/**
 * Changes one subject and gives it, and all whom its rights reach by delegation, a new version: what is cached for any
 * of them may be wrong now.
 */
function changeRecord(snapshot: Snapshot, subjectId: string, change: Partial<SubjectRecord>): Snapshot {
  const version = snapshot.version + 1;
  const record = { ...(snapshot.subjects.get(subjectId) ?? emptyRecord(subjectId)), ...change, version };
  let subjects = isEmptyRecord(record) ? snapshot.subjects.delete(subjectId) : snapshot.subjects.set(subjectId, record);
  const seen = new Set([subjectId]);
  const front = record.outgoing.map(({ delegateId }) => delegateId);
  for (let next = front.pop(); next !== undefined; next = front.pop()) {
    const reached = subjects.get(next);
    if (reached === undefined || seen.has(next)) continue;
    seen.add(next);
    subjects = subjects.set(next, { ...reached, version });
    for (const { delegateId } of reached.outgoing) front.push(delegateId);
  }
  return { ...snapshot, version, subjects };
}

function isEmptyRecord(record: SubjectRecord): boolean {
  const { subject, assignments, incoming, outgoing, approvals } = record;
  return subject === undefined && assignments.length + incoming.length + outgoing.length + approvals.length === 0;
}

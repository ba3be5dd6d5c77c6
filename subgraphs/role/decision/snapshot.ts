import { buildRoleGraph, emptyRoleGraph, findNode, PersistentMap, type RoleGraph } from '../hierarchy/index.ts';
import { compareText } from '../hierarchy/order.ts';
import { type Assignment, type Delegation, isStanding, type SeparationRule, type Subject } from './assignment.ts';
import { type CompiledConstraintsOf, compileAssignment } from './compiledAssignment.ts';
import { type CompiledRole, compileRole } from './compiledRole.ts';
import type { GivenApproval } from './givenApproval.ts';
import { buildGrantIndex, emptyGrantIndex, type GrantIndex } from './grantIndex.ts';
import type { Role } from './role.ts';

/** All rows of one tenant that decisions depend on. */
export interface World {
  readonly roles: readonly Role[];
  readonly assignments: readonly Assignment[];
  readonly delegations: readonly Delegation[];
  readonly subjects: readonly Subject[];
  readonly separationRules: readonly SeparationRule[];
  /** @default none */
  readonly approvals?: readonly GivenApproval[];
}

/** What is known of one subject. Replaced when it, or someone it has a delegation from, changes. */
export interface SubjectRecord {
  readonly subjectId: string;
  /** Version of the snapshot that last changed it. */
  readonly version: number;
  readonly subject: Subject | undefined;
  /** By id. */
  readonly assignments: readonly CompiledConstraintsOf<Assignment>[];
  /** Delegations to it, by id. */
  readonly incoming: readonly Delegation[];
  /** Delegations by it, by id. */
  readonly outgoing: readonly Delegation[];
  /** Approvals that it was given, by id. */
  readonly approvals: readonly GivenApproval[];
}

/**
 * One version of everything decisions depend on, for one tenant. Never changed: who holds it reads one version however
 * long it takes; `applyChange` answers the next one.
 */
export interface Snapshot {
  readonly version: number;
  /** Replaced with every change of a role. */
  readonly graph: RoleGraph;
  /**
   * Stands for all of the roles that decisions about the subjects known depend on: another object after every change of
   * a role, save the arrival of one that nobody holds and no role inherits from.
   */
  readonly policy: object;
  /** By index in the graph. */
  readonly roles: readonly (CompiledRole | undefined)[];
  readonly index: GrantIndex;
  readonly subjects: PersistentMap<SubjectRecord>;
  /** Subject of each assignment. */
  readonly assignments: PersistentMap<string>;
  /** By role: subject of each of its standing assignments, by assignment. */
  readonly holders: PersistentMap<PersistentMap<string>>;
  readonly delegations: PersistentMap<Delegation>;
  readonly separationRules: PersistentMap<SeparationRule>;
}

export const emptySnapshot: Snapshot = {
  version: 0,
  graph: emptyRoleGraph,
  policy: {},
  roles: [],
  index: emptyGrantIndex,
  subjects: PersistentMap.empty(),
  assignments: PersistentMap.empty(),
  holders: PersistentMap.empty(),
  delegations: PersistentMap.empty(),
  separationRules: PersistentMap.empty(),
};

export function emptyRecord(subjectId: string): SubjectRecord {
  return { subjectId, version: 0, subject: undefined, assignments: [], incoming: [], outgoing: [], approvals: [] };
}

export function findRole(snapshot: Snapshot, roleId: string): CompiledRole | undefined {
  const node = findNode(snapshot.graph, roleId);
  return node === undefined ? undefined : snapshot.roles[node.index];
}

/** The snapshot of these rows from nothing. Of rows with the same id the last one stays. */
export function buildSnapshot(world: World, version = 1): Snapshot {
  const compiled = new Map(world.roles.map((role) => [role.roleId, compileRole(role)] as const));
  const graph = buildRoleGraph([...compiled.values()].map((role) => role.hierarchy));
  const roles = graph.nodes.map((node) => compiled.get(node!.roleId));
  const assignments = new Map(world.assignments.map((assignment) => [assignment.assignmentId, assignment] as const));
  const delegations = new Map(world.delegations.map((delegation) => [delegation.delegationId, delegation] as const));
  const holders = new Map<string, [string, string][]>();
  for (const assignment of assignments.values()) {
    if (!isStanding(assignment)) continue;
    const { assignmentId, roleId, subjectId } = assignment;
    const held = holders.get(roleId);
    if (held === undefined) holders.set(roleId, [[assignmentId, subjectId]]);
    else held.push([assignmentId, subjectId]);
  }
  return {
    version,
    graph,
    policy: {},
    roles,
    index: buildGrantIndex(roles),
    subjects: buildSubjects(world, { assignments, delegations, version }),
    assignments: PersistentMap.from([...assignments.values()].map((row) => [row.assignmentId, row.subjectId] as const)),
    holders: PersistentMap.from([...holders].map(([roleId, held]) => [roleId, PersistentMap.from(held)] as const)),
    delegations: PersistentMap.from(delegations),
    separationRules: PersistentMap.from(world.separationRules.map((rule) => [rule.ruleId, rule] as const)),
  };
}

interface Rows {
  readonly assignments: ReadonlyMap<string, Assignment>;
  readonly delegations: ReadonlyMap<string, Delegation>;
  readonly version: number;
}

function buildSubjects(world: World, { assignments, delegations, version }: Rows): PersistentMap<SubjectRecord> {
  type Draft = {
    subject: Subject | undefined;
    assignments: CompiledConstraintsOf<Assignment>[];
    incoming: Delegation[];
    outgoing: Delegation[];
    approvals: GivenApproval[];
  };
  const drafts = new Map<string, Draft>();
  const draftOf = (subjectId: string): Draft => {
    const draft: Draft = drafts.get(subjectId) ?? {
      subject: undefined,
      assignments: [],
      incoming: [],
      outgoing: [],
      approvals: [],
    };
    drafts.set(subjectId, draft);
    return draft;
  };
  for (const subject of world.subjects) draftOf(subject.subjectId).subject = subject;
  for (const row of assignments.values()) draftOf(row.subjectId).assignments.push(compileAssignment(row));
  for (const delegation of delegations.values()) {
    draftOf(delegation.delegateId).incoming.push(delegation);
    draftOf(delegation.delegatorId).outgoing.push(delegation);
  }
  for (const approval of world.approvals ?? []) draftOf(approval.subjectId).approvals.push(approval);
  const byId = (left: Delegation, right: Delegation) => compareText(left.delegationId, right.delegationId);
  for (const draft of drafts.values()) {
    draft.assignments.sort((left, right) => compareText(left.row.assignmentId, right.row.assignmentId));
    draft.incoming.sort(byId);
    draft.outgoing.sort(byId);
    draft.approvals.sort((left, right) => compareText(left.requestId, right.requestId));
  }
  return PersistentMap.from(
    [...drafts].map(([subjectId, draft]) => [subjectId, { subjectId, version, ...draft }] as const),
  );
}

/** The rows a snapshot was made of, each kind by id. */
export function readWorld(snapshot: Snapshot): World {
  const records = [...snapshot.subjects.values()];
  const approvals = records.flatMap((record) => record.approvals);
  return {
    ...(approvals.length === 0
      ? {}
      : { approvals: approvals.sort((left, right) => compareText(left.requestId, right.requestId)) }),
    roles: snapshot.roles
      .flatMap((compiled) => (compiled === undefined ? [] : [compiled.role]))
      .sort((left, right) => compareText(left.roleId, right.roleId)),
    assignments: records
      .flatMap((record) => record.assignments.map(({ row }) => row))
      .sort((left, right) => compareText(left.assignmentId, right.assignmentId)),
    delegations: [...snapshot.delegations.values()].sort((a, b) => compareText(a.delegationId, b.delegationId)),
    subjects: records
      .flatMap(({ subject }) => (subject === undefined ? [] : [subject]))
      .sort((left, right) => compareText(left.subjectId, right.subjectId)),
    separationRules: [...snapshot.separationRules.values()].sort((a, b) => compareText(a.ruleId, b.ruleId)),
  };
}

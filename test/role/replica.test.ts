import fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  applyChange,
  applyChanges,
  buildSnapshot,
  type Change,
  createDecisionPoint,
  createPermissionSets,
  decide,
  defaultDecideOptions,
  emptySnapshot,
  findSeparationViolations,
  listCapabilities,
  listEffectivePermissions,
  listHolders,
  type PermissionRequest,
  readWorld,
  type Snapshot,
  toDecision,
} from '../../subgraphs/role/decision/index.ts';
import { listBits } from '../../subgraphs/role/hierarchy/bits.ts';
import { queryHierarchy } from '../../subgraphs/role/hierarchy/index.ts';
import { assignment, delegation, requests, roleCount, roles, subjectIds } from './worlds.ts';

const at = (count: number) => fc.integer({ min: 0, max: count - 1 });

const change: fc.Arbitrary<Change> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .tuple(roles, at(roleCount))
      .map(([rows, index]) => ({ kind: 'role.saved', role: rows[index]! }) as const),
  },
  { weight: 1, arbitrary: at(roleCount).map((index) => ({ kind: 'role.removed', roleId: `r${index}` }) as const) },
  {
    weight: 4,
    arbitrary: at(6)
      .chain((index) => assignment(`a${index}`))
      .map((row) => ({ kind: 'assignment.saved', assignment: row }) as const),
  },
  { weight: 1, arbitrary: at(6).map((index) => ({ kind: 'assignment.removed', assignmentId: `a${index}` }) as const) },
  {
    weight: 2,
    arbitrary: at(4)
      .chain((index) => delegation(`d${index}`))
      .map((row) => ({ kind: 'delegation.saved', delegation: row }) as const),
  },
  { weight: 1, arbitrary: at(4).map((index) => ({ kind: 'delegation.removed', delegationId: `d${index}` }) as const) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom(...subjectIds), fc.constantFrom('sales', 'research'))
      .map(
        ([subjectId, department]) =>
          ({ kind: 'subject.saved', subject: { subjectId, attributes: { department } } }) as const,
      ),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(...subjectIds).map((subjectId) => ({ kind: 'subject.removed', subjectId }) as const),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(at(2), fc.subarray(['r0', 'r1', 'r2', 'r3', 'r4', 'r5'], { minLength: 2 })).map(
      ([index, roleIds]) =>
        ({
          kind: 'separation.saved',
          rule: { ruleId: `sod${index}`, roleIds, limit: 2, severity: 'error' },
        }) as const,
    ),
  },
  { weight: 1, arbitrary: at(2).map((index) => ({ kind: 'separation.removed', ruleId: `sod${index}` }) as const) },
);

/** Everything a reader can see of a snapshot, in ids. */
function observe(snapshot: Snapshot, asked: readonly PermissionRequest[]) {
  const sets = createPermissionSets(snapshot);
  const nameOf = (index: number) => snapshot.graph.nodes[index]!.roleId;
  const ids = [...snapshot.graph.indexes.keys()].sort();
  return {
    world: readWorld(snapshot),
    roles: ids.map((roleId) => {
      const node = snapshot.graph.nodes[snapshot.graph.indexes.get(roleId)!]!;
      const hierarchy = queryHierarchy(snapshot.graph, roleId, { direction: 'ANCESTORS' })!;
      return {
        roleId,
        depth: node.depth,
        up: listBits(node.up).map(nameOf).sort(),
        plainUp: listBits(node.plainUp).map(nameOf).sort(),
        children: node.children.map(nameOf).sort(),
        edges: hierarchy.edges,
        holders: listHolders(snapshot, roleId),
        capabilities: listCapabilities(sets, roleId),
        conflicts: findSeparationViolations(snapshot, [roleId]),
      };
    }),
    waiting: [...snapshot.graph.waiting.entries()].map(([roleId, names]) => [roleId, [...names].sort()]).sort(),
    parked: snapshot.graph.parked,
    keys: [...snapshot.index].map(([type, byAction]) => [type, [...byAction.keys()].sort()]).sort(),
    subjects: subjectIds.map((subjectId) =>
      listEffectivePermissions(sets, { subjectId, timeMs: Date.UTC(2026, 0, 5, 12), contextId: 'c1' }).map(
        ({ unit: _, ...permission }) => permission,
      ),
    ),
    decisions: asked.map((request) => {
      const timeMs = request.environment!.timeMs!;
      const conclusion = decide(snapshot, { request, timeMs, options: defaultDecideOptions });
      const { snapshotVersion: _, ...decision } = toDecision(conclusion);
      return { ...decision, errors: decision.errors.toSorted() };
    }),
  };
}

it('a replica fed with changes is what a rebuild from its rows is', () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 40 }), fc.array(requests, { maxLength: 5 }), (changes, asked) => {
      const replica = applyChanges(emptySnapshot, changes);
      expect(observe(replica, asked)).toEqual(observe(buildSnapshot(readWorld(replica)), asked));
    }),
    { numRuns: 400 },
  );
});

it('the order in which the last rows arrive does not matter', () => {
  const shuffled = fc
    .tuple(
      roles,
      fc.tuple(assignment('a0'), assignment('a1'), assignment('a2')),
      fc.tuple(delegation('d0'), delegation('d1')),
    )
    .chain(([rows, assignments, delegations]) => {
      const changes: Change[] = [
        ...rows.map((role) => ({ kind: 'role.saved', role }) as const),
        ...assignments.map((row) => ({ kind: 'assignment.saved', assignment: row }) as const),
        ...delegations.map((row) => ({ kind: 'delegation.saved', delegation: row }) as const),
      ];
      const all = { minLength: changes.length, maxLength: changes.length };
      return fc.tuple(fc.constant(changes), fc.shuffledSubarray(changes, all));
    });
  fc.assert(
    fc.property(shuffled, fc.array(requests, { maxLength: 3 }), ([inOrder, disorder], asked) => {
      const one = observe(applyChanges(emptySnapshot, inOrder), asked);
      expect(observe(applyChanges(emptySnapshot, disorder), asked)).toEqual(one);
    }),
    { numRuns: 200 },
  );
});

it('every change makes one version, and a version held stays as it was', () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 25 }), fc.array(requests, { maxLength: 2 }), (changes, asked) => {
      let snapshot = emptySnapshot;
      const seen: [Snapshot, unknown][] = [];
      for (const each of changes) {
        const next = applyChange(snapshot, each);
        expect(next.version).toBe(next === snapshot ? snapshot.version : snapshot.version + 1);
        snapshot = next;
        if (seen.length < 6) seen.push([snapshot, observe(snapshot, asked)]);
      }
      for (const [version, before] of seen) expect(observe(version, asked)).toEqual(before);
    }),
    { numRuns: 150 },
  );
});

it('a decision point answers by the newest version, whatever it has cached', () => {
  fc.assert(
    fc.property(
      fc.array(change, { maxLength: 30 }),
      fc.array(requests, { minLength: 1, maxLength: 4 }),
      (changes, asked) => {
        let snapshot = emptySnapshot;
        const point = createDecisionPoint({ readSnapshot: () => snapshot, maxDecisions: 50, maxSubjects: 20 });
        for (const each of changes) {
          snapshot = applyChange(snapshot, each);
          for (const request of asked) {
            const timeMs = request.environment!.timeMs!;
            const fresh = toDecision(decide(snapshot, { request, timeMs, options: defaultDecideOptions }));
            const { decision, reason } = point.checkPermission(request);
            expect({ decision, reason }).toEqual({ decision: fresh.decision, reason: fresh.reason });
          }
        }
      },
    ),
    { numRuns: 200 },
  );
});

it('a role that arrives alone leaves what was decided as it is; one that is waited for does not', () => {
  const role = (roleId: string, parents: string[] = []): Change => ({
    kind: 'role.saved',
    role: {
      roleId,
      name: roleId,
      status: 'active',
      parents: parents.map((parent) => ({ roleId: parent, type: 'full' as const })),
      permissions: [{ permissionId: `${roleId}-reads`, resourceType: 'report', actions: ['read'], effect: 'allow' }],
    },
  });
  const held = (roleId: string): Change => ({
    kind: 'assignment.saved',
    assignment: { assignmentId: `a-${roleId}`, roleId, subjectId: 'ada', status: 'active' },
  });
  let snapshot = applyChanges(emptySnapshot, [role('base'), held('base')]);
  const point = createDecisionPoint({ readSnapshot: () => snapshot });
  const ask = (id: string) =>
    point.checkPermission({ subjectId: 'ada', action: 'read', resource: { type: 'report', id } });
  const grow = (change: Change): boolean => {
    const before = snapshot.policy;
    snapshot = applyChange(snapshot, change);
    return snapshot.policy === before;
  };
  expect(ask('p1').granted).toBe(true);
  expect(ask('p2').granted).toBe(true);
  // Nothing in that world asks which report it is, so both are one decision.
  expect(point.stats()).toMatchObject({ checks: 2, hits: 1, decisionsKept: 1 });

  expect(grow(role('heir', ['base']))).toBe(true);
  expect(ask('p3').granted).toBe(true);
  expect(point.stats().hits).toBe(2);
  expect(grow(role('orphan', ['late']))).toBe(true);
  expect(grow(role('late'))).toBe(false);
  expect(grow(held('early'))).toBe(true);
  expect(grow(role('early'))).toBe(false);
  expect(grow(role('heir', []))).toBe(false);
  expect(grow({ kind: 'role.removed', roleId: 'heir' })).toBe(false);
});

it('a decision that asks which object it is about is kept object by object', () => {
  const reads = (permissionId: string, resourceId: string | undefined) => ({
    permissionId,
    resourceType: 'report',
    actions: ['read'],
    effect: 'allow' as const,
    ...(resourceId === undefined ? {} : { resourceId }),
  });
  const changes: Change[] = [
    {
      kind: 'role.saved',
      role: { roleId: 'one', name: 'one', status: 'active', parents: [], permissions: [reads('first', 'p1')] },
    },
    {
      kind: 'assignment.saved',
      assignment: { assignmentId: 'a', roleId: 'one', subjectId: 'ada', status: 'active' },
    },
  ];
  const snapshot = applyChanges(emptySnapshot, changes);
  const point = createDecisionPoint({ readSnapshot: () => snapshot });
  const ask = (id?: string) =>
    point.checkPermission({ subjectId: 'ada', action: 'read', resource: { type: 'report', ...(id ? { id } : {}) } });
  for (const round of [1, 2]) {
    expect(ask('p1').granted, `round ${round}`).toBe(true);
    expect(ask('p2').granted, `round ${round}`).toBe(false);
    expect(ask().granted, `round ${round}`).toBe(false);
  }
  expect(point.stats().hits).toBe(3);
});

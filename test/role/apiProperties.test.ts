import fc from 'fast-check';
import pino from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createLocalBus } from '#shared/bus.ts';
import { newId } from '#shared/ids.ts';
import type { Principal } from '#shared/principal.ts';
import { buildSnapshot, createDecisionPoint, readWorld } from '../../subgraphs/role/decision/index.ts';
import { toWorld } from '../../subgraphs/role/decisionRows.ts';
import { listBits } from '../../subgraphs/role/hierarchy/bits.ts';
import { createRoleReplicas } from '../../subgraphs/role/replicas.ts';
import { findRowsSince } from '../../subgraphs/role/store.ts';
import { allow, codesOf, deny, openRoleRig, principal, type RoleRig } from './rig.ts';

let rig: RoleRig;
beforeAll(async () => {
  rig = await openRoleRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const roleCount = 7;
const subjects = ['s0', 's1', 's2'] as const;
const actions = ['read', 'write', 'approve'] as const;

const place = fc.nat({ max: roleCount - 1 });
const subject = fc.constantFrom(...subjects);
const permission = fc
  .tuple(fc.constantFrom(...actions, '*'), fc.boolean())
  .map(([action, denies]) => (denies ? deny('plan', action) : allow('plan', action)));

type Step =
  | { readonly kind: 'parents'; readonly at: number; readonly parents: readonly number[] }
  | { readonly kind: 'permissions'; readonly at: number; readonly permissions: readonly object[] }
  | { readonly kind: 'status'; readonly at: number; readonly status: string }
  | { readonly kind: 'assign' | 'revoke'; readonly at: number; readonly subject: string }
  | { readonly kind: 'delete'; readonly at: number; readonly replacement: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('parents' as const),
      at: place,
      parents: fc.uniqueArray(place, { maxLength: 3 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('permissions' as const),
      at: place,
      permissions: fc.array(permission, { maxLength: 2 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('status' as const),
      at: place,
      status: fc.constantFrom('SUSPENDED', 'ACTIVE'),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constantFrom('assign' as const, 'revoke' as const), at: place, subject }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('delete' as const), at: place, replacement: place }) },
);

/** A tenant of its own with seven roles, changed as the steps say. */
async function play(steps: readonly Step[]): Promise<{ readonly by: Principal; readonly ids: readonly string[] }> {
  const by = principal('admin', { tenantId: newId(), scopes: ['*'] });
  const ids: string[] = [];
  for (let at = 0; at < roleCount; at += 1) ids.push(await rig.role({ name: `r${at}` }, by));
  const patch = (at: number, value: object) =>
    rig.mutate(by, 'updateRole', '$roleId: ID!, $patch: RolePatch!', {
      variables: { roleId: ids[at], patch: value },
      selection: 'role { id }',
    });
  const allowed = [
    'CYCLIC_INHERITANCE',
    'ROLE_NOT_FOUND',
    'ROLE_IN_USE',
    'INVALID_STATE_TRANSITION',
    'ROLE_NOT_ACTIVE',
  ];
  for (const now of steps) {
    const { at } = now;
    const pending = {
      parents: () =>
        patch(at, {
          parents: (now as { parents: readonly number[] }).parents.map((parent) => ({ roleId: ids[parent] })),
        }),
      permissions: () => patch(at, { permissions: (now as { permissions: readonly object[] }).permissions }),
      status: () =>
        rig.mutate(by, 'changeRoleStatus', '$roleId: ID!, $status: RoleStatus!', {
          variables: { roleId: ids[at], status: (now as { status: string }).status },
          selection: 'role { id }',
        }),
      assign: () => rig.assign(by, { roleId: ids[at], subjectId: (now as { subject: string }).subject }),
      revoke: () => revokeAll(by, ids[at]!, (now as { subject: string }).subject),
      delete: () =>
        rig.mutate(by, 'deleteRole', '$roleId: ID!, $replacementRoleId: ID', {
          variables: { roleId: ids[at], replacementRoleId: ids[(now as { replacement: number }).replacement] },
          selection: 'deleted',
        }),
    }[now.kind];
    const payload = await pending();
    if (payload !== null) for (const code of codesOf(payload)) expect(allowed).toContain(code);
  }
  return { by, ids };
}

async function revokeAll(by: Principal, roleId: string, subjectId: string) {
  const { userRoles } = await rig.ask(
    by,
    'query ($s: ID!, $r: ID!) { userRoles(subjectId: $s, filter: { roleId: $r, status: [ACTIVE] }) { nodes { id } } }',
    { s: subjectId, r: roleId },
  );
  const [first] = userRoles!['nodes']!.map((node) => String(node['id']));
  if (first === undefined) return null;
  return rig.mutate(by, 'revokeRole', '$assignmentId: ID!', {
    variables: { assignmentId: first },
    selection: 'assignment { id }',
  });
}

/** Ancestors of each role by walking up, edge by edge, from the rows alone. */
async function walkUp(tenantId: string): Promise<Map<string, Set<string>>> {
  const rows = await rig.sql`
    SELECT r.id, i.parent_id FROM role.role r LEFT JOIN role.inheritance i ON i.tenant_id = r.tenant_id AND i.role_id = r.id
    WHERE r.tenant_id = ${tenantId} AND r.deleted_at IS NULL`;
  const parents = Map.groupBy(rows, (row) => String(row['id']));
  const up = new Map<string, Set<string>>();
  for (const id of parents.keys()) {
    const seen = new Set([id]);
    for (const next of seen)
      for (const row of parents.get(next) ?? []) if (row['parent_id'] !== null) seen.add(String(row['parent_id']));
    up.set(id, seen);
  }
  return up;
}

test('the closure kept step by step equals the one walked from the rows, on every instance', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25 }), async (steps) => {
      const { by } = await play(steps);
      const { tenantId } = by;
      const { snapshot, revision } = rig.authorizer.replicas.peek(tenantId)!;
      const expected = await walkUp(tenantId);
      const kept = new Map(
        snapshot.graph.nodes.flatMap((node) =>
          node === undefined
            ? []
            : [[node.roleId, new Set(listBits(node.up).map((index) => snapshot.graph.nodes[index]!.roleId))] as const],
        ),
      );
      expect(kept).toEqual(expected);
      // What this instance knows from its own commits, another one reads from the tables.
      const fresh = createRoleReplicas({
        sql: rig.sql,
        bus: createLocalBus(() => {}),
        logger: pino({ level: 'silent' }),
      });
      const other = await fresh.load(tenantId);
      expect(other.revision).toBe(revision);
      expect(readWorld(other.snapshot)).toEqual(readWorld(snapshot));
      await fresh.close();
    }),
    { numRuns: 25 },
  );
});

test('a denial that reaches a subject wins over every permission, and all decisions are those of the rows', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 8, maxLength: 25 }), async (steps) => {
      const { by } = await play(steps);
      const rows = await findRowsSince(rig.sql, by.tenantId, 0);
      const up = await walkUp(by.tenantId);
      const recomputed = createDecisionPoint({ readSnapshot: () => snapshot });
      const snapshot = buildSnapshot(toWorld(rows));
      const roles = new Map(rows.roles.map((row) => [row.id, row]));
      for (const subjectId of subjects) {
        // By hand: active assignments, active roles all the way up, any permission at the end of it.
        const reached = new Set<string>();
        const front = rows.assignments
          .filter((row) => row.subjectId === subjectId && row.status === 'active')
          .map((row) => row.roleId);
        for (let roleId = front.pop(); roleId !== undefined; roleId = front.pop()) {
          const role = roles.get(roleId);
          if (role?.status !== 'active' || !up.has(roleId) || reached.has(roleId)) continue;
          reached.add(roleId);
          front.push(...role.parents.map((parent) => parent.roleId));
        }
        for (const action of actions) {
          const matching = [...reached]
            .flatMap((roleId) => roles.get(roleId)!.permissions)
            .filter((given) => given.actions.includes(action) || given.actions.includes('*'));
          const expected = matching.length > 0 && matching.every(({ effect }) => effect === 'allow');
          const input = { subjectId, action, resource: { type: 'plan' } };
          const decision = await rig.check(by, input);
          expect([subjectId, action, decision['granted']]).toEqual([subjectId, action, expected]);
          expect(decision['granted']).toBe(recomputed.checkPermission(input).granted);
        }
      }
    }),
    { numRuns: 25 },
  );
});

import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findInactive, listDynamicPairs } from '../../subgraphs/role/decision/activation.ts';
import { buildSnapshot } from '../../subgraphs/role/decision/index.ts';
import { inherits } from '../../subgraphs/role/hierarchy/index.ts';
import { admin, allow, codesOf, deny, type Json, openRoleRig, principal, type RoleRig } from './rig.ts';

let rig: RoleRig;
beforeAll(async () => {
  rig = await openRoleRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const separated = (other: string, more: Readonly<Record<string, unknown>> = {}) => ({
  separationOfDuties: [{ conflictingRoles: [other], severity: 'ERROR', ...more }],
});
const decide = (subjectId: string, permission: string, contextId?: string) => {
  const [type, action] = permission.split(':');
  return rig.check(admin, { subjectId, action, contextId, resource: { type } });
};
const may = async (subjectId: string, permission: string, contextId?: string) =>
  Boolean((await decide(subjectId, permission, contextId))['granted']);

test('roles separated by context may be held in different ones', async () => {
  const payer = await rig.role({ name: 'payer' });
  const approver = await rig.role({ name: 'approver', ...separated(payer, { scope: 'CONTEXT' }) });
  const [here, there] = [rig.openContext(), rig.openContext()];
  await rig.hold('ann', payer, { contextId: here });
  expect(codesOf(await rig.assign(admin, { roleId: approver, subjectId: 'ann', contextId: here }))).toEqual([
    'SOD_VIOLATION',
  ]);
  expect(codesOf(await rig.assign(admin, { roleId: approver, subjectId: 'ann', contextId: there }))).toEqual([]);
  // What is held everywhere is held in each of them.
  expect(codesOf(await rig.assign(admin, { roleId: approver, subjectId: 'ann' }))).toEqual(['SOD_VIOLATION']);
  expect(codesOf(await rig.assign(admin, { roleId: payer, subjectId: 'ann', contextId: there }))).toEqual([
    'SOD_VIOLATION',
  ]);
  await rig.hold('bob', payer);
  expect(codesOf(await rig.assign(admin, { roleId: approver, subjectId: 'bob', contextId: there }))).toEqual([
    'SOD_VIOLATION',
  ]);
});

test('an exception from what is separated critically takes two approvals', async () => {
  const one = await rig.role({ name: 'critical1' });
  const two = await rig.role({
    name: 'critical2',
    ...separated(one, { severity: 'CRITICAL', exceptionApprovalRequired: true }),
  });
  const three = await rig.role({ name: 'critical3', ...separated(one, { exceptionApprovalRequired: true }) });
  await rig.hold('cleo', one);
  const quorums: unknown[] = [];
  for (const roleId of [two, three]) {
    const payload = await rig.assign(admin, { roleId, subjectId: 'cleo', requestException: true });
    expect(payload).toMatchObject({ assignment: { status: 'PENDING' } });
    const [asked] = await rig.stream(String(payload['assignment']!['id']));
    quorums.push((asked!.data['approval'] as { quorum?: unknown }).quorum);
  }
  expect(quorums).toEqual([{ kind: 'at_least', required: 2 }, undefined]);
});

test('roles separated dynamically are held together and active one at a time, chosen by context', async () => {
  const teller = await rig.role({ name: 'teller', permissions: [allow('plan', 'update')] });
  const auditor = await rig.role({
    name: 'auditor',
    permissions: [allow('plan', 'audit'), deny('plan', 'delete')],
    ...separated(teller, { kind: 'DYNAMIC' }),
  });
  const united = await rig.createRole(admin, {
    name: 'unitedduty',
    parents: [{ roleId: teller }, { roleId: auditor }],
  });
  expect(codesOf(united)).toEqual(['SOD_VIOLATION']);
  const senior = await rig.role({ name: 'seniorteller', parents: [{ roleId: teller }] });
  const cleaner = await rig.role({ name: 'cleaner', permissions: [allow('plan', 'delete', 'read')] });
  const dan = principal('dan');
  await rig.hold('dan', cleaner);
  const asTeller = await rig.hold('dan', senior);
  expect(await may('dan', 'plan:update')).toBe(true);
  const asAuditor = await rig.hold('dan', auditor);
  const [here, there] = [rig.openContext(), rig.openContext()];
  const state = async (contextId?: string) => [
    await may('dan', 'plan:update', contextId),
    await may('dan', 'plan:audit', contextId),
  ];
  const choose = (
    field: 'activateRole' | 'deactivateRole',
    assignmentId: string,
    { by = dan, ...more }: { by?: typeof admin; contextId?: string; replace?: boolean } = {},
  ): Promise<Json> =>
    rig.mutate(
      by,
      field,
      field === 'activateRole'
        ? '$assignmentId: ID!, $contextId: ID, $replace: Boolean! = false'
        : '$assignmentId: ID!, $contextId: ID',
      { variables: { assignmentId, ...more }, selection: 'assignment { activeContextIds activeEverywhere }' },
    );
  // Nothing is chosen: neither allows anything, what is not separated goes on, and denials count.
  expect([await state(), await state(here)]).toEqual([
    [false, false],
    [false, false],
  ]);
  expect([await may('dan', 'plan:read', here), await may('dan', 'plan:delete', here)]).toEqual([true, false]);
  expect((await decide('dan', 'plan:update', here))['nearest']!['failing']).toEqual(['separation.inactive']);

  expect(codesOf(await choose('activateRole', asTeller, { by: principal('mallory') }))).toEqual(['NOT_FOUND']);
  expect(await choose('activateRole', asTeller, { contextId: here })).toMatchObject({
    assignment: { activeContextIds: [here], activeEverywhere: false },
  });
  expect([await state(here), await state(there)]).toEqual([
    [true, false],
    [false, false],
  ]);
  expect(codesOf(await choose('activateRole', asAuditor, { contextId: here }))).toEqual(['SOD_VIOLATION']);
  expect(codesOf(await choose('activateRole', asAuditor, { contextId: here, replace: true }))).toEqual([]);
  expect(await state(here)).toEqual([false, true]);
  // What is chosen everywhere holds where nothing else is.
  await choose('activateRole', asTeller);
  expect([await state(), await state(there), await state(here)]).toEqual([
    [true, false],
    [true, false],
    [false, true],
  ]);
  await choose('deactivateRole', asAuditor, { contextId: here });
  expect(await state(here)).toEqual([true, false]);
  const roles = await rig.authorizer.rolesOf!(dan, here);
  expect([roles.includes('teller'), roles.includes('auditor'), roles.includes('cleaner')]).toEqual([true, false, true]);
  // The door and lists ask place by place.
  await choose('activateRole', asAuditor, { contextId: here });
  expect(await rig.authorizer.reach!(dan, 'plan:update')).toBe('depends');
  expect(await rig.authorizer.allows(dan, 'plan:update', { type: 'Context', id: here, contextId: here })).toBe(false);
  const unknown = '99999999-9999-4999-8999-999999999999';
  expect(codesOf(await choose('activateRole', asTeller, { contextId: unknown }))).toEqual(['NOT_FOUND']);
});

test('whatever was activated, in no place two separated roles are active', () => {
  const places = ['c0', 'c1', '*'];
  const name = fc.constantFrom('r0', 'r1', 'r2', 'r3');
  const worlds = fc.record({
    pairs: fc.array(fc.tuple(name, name), { maxLength: 4 }),
    parents: fc.array(fc.tuple(name, name), { maxLength: 3 }),
    held: fc.array(
      fc.record({
        roleId: name,
        contextId: fc.option(fc.constantFrom('c0', 'c1'), { nil: undefined }),
        activeIn: fc.subarray(places),
      }),
      { minLength: 1, maxLength: 6 },
    ),
  });
  let inactives = 0;
  fc.assert(
    fc.property(worlds, fc.constantFrom('c0', 'c1', undefined), ({ pairs, parents, held }, place) => {
      const snapshot = buildSnapshot({
        roles: ['r0', 'r1', 'r2', 'r3'].map((roleId) => ({
          roleId,
          name: roleId,
          status: 'active' as const,
          permissions: [],
          // Upwards by name alone: no cycles.
          parents: parents
            .filter(([below, above]) => below === roleId && below < above)
            .map(([, above]) => ({ roleId: above, type: 'full' as const })),
          separationOfDuties: pairs
            .filter(([one, other]) => one === roleId && one !== other)
            .map(([, other]) => ({ conflictingRoles: [other], severity: 'error' as const, kind: 'dynamic' as const })),
        })),
        assignments: [],
        delegations: [],
        subjects: [],
        separationRules: [],
      });
      const holdings = held
        .filter(({ contextId }) => contextId === undefined || contextId === place)
        .map(({ roleId, activeIn }, at) => ({
          index: snapshot.graph.indexes.get(roleId)!,
          assignment: { assignmentId: `a${at}`, roleId, subjectId: 's', status: 'active' as const, activeIn },
        }));
      const inactive = findInactive(snapshot, holdings, place);
      inactives += inactive.size;
      const active = holdings.filter((holding) => !inactive.has(holding)).map(({ assignment }) => assignment.roleId);
      for (const { roleIds } of listDynamicPairs(snapshot.roles)) {
        const sides = roleIds.map((target) => active.some((roleId) => inherits(snapshot.graph, roleId, target)));
        expect(sides).not.toEqual([true, true]);
      }
    }),
    { numRuns: 1_000 },
  );
  expect(inactives).toBeGreaterThan(100);
});

test('a role is given no parent by which its holders, or those of a role below, would hold what is separated', async () => {
  const [pay, sign, clerk, junior] = [
    await rig.role({ name: 'tree_pay' }),
    await rig.role({ name: 'tree_sign' }),
    await rig.role({ name: 'tree_clerk' }),
    await rig.role({ name: 'tree_junior' }),
  ];
  const patch = (roleId: string, content: object) =>
    rig.mutate(admin, 'updateRole', '$roleId: ID!, $patch: RolePatch!', {
      variables: { roleId, patch: content },
      selection: 'role { version parents { roleId } } warnings',
    });
  expect(await patch(sign, separated(pay))).toMatchObject({ userErrors: [], warnings: [] });
  expect(codesOf(await patch(junior, { parents: [{ roleId: clerk }] }))).toEqual([]);
  await rig.hold('gail', pay);
  await rig.hold('gail', junior);
  await rig.hold('hugo', clerk);
  // Nobody holds it beside the other: hugo alone would.
  const refused = await patch(clerk, { parents: [{ roleId: sign }] });
  expect(codesOf(refused)).toEqual(['SOD_VIOLATION']);
  expect(String(refused['userErrors']!.map(({ message }) => message))).toContain('gail');
  const { role } = await rig.ask(admin, 'query ($id: ID!) { role(roleId: $id) { version parents { roleId } } }', {
    id: clerk,
  });
  expect(role).toEqual({ version: 1, parents: [] });
  // In another place it is no conflict, and what is only advised against is let pass.
  expect(codesOf(await patch(sign, separated(pay, { severity: 'WARNING' })))).toEqual([]);
  expect(codesOf(await patch(clerk, { parents: [{ roleId: sign }] }))).toEqual([]);
  // A new rule blames nobody for what was so before, and says who that is; other changes go on.
  const ruled = await patch(sign, separated(pay));
  expect(codesOf(ruled)).toEqual([]);
  expect(String(ruled['warnings']!.map(String))).toContain('gail');
  expect(codesOf(await patch(clerk, { parents: [{ roleId: sign }], description: 'as before' }))).toEqual([]);
});

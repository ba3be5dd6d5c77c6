import { afterAll, beforeAll, expect, test } from 'vitest';
import { newId } from '#shared/ids.ts';
import { admin, allow, codesOf, type Json, openRoleRig, principal, type RoleRig } from './rig.ts';

let rig: RoleRig;
beforeAll(async () => {
  rig = await openRoleRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const fields = `id roleId type status contextId expiresAt inheritancePath
  inheritedFrom { id type } effectivePermissions { resourceType action }`;
const rolesOf = async (subjectId: string) => {
  const data = await rig.ask(
    admin,
    `query ($id: ID!) { userRoles(subjectId: $id) { nodes { ${fields} inherited { ${fields} inherited { id } } } } }`,
    { id: subjectId },
  );
  return data['userRoles']!['nodes']!.map((node) => node);
};
const byReference = async (id: string, by = admin) => {
  const data = await rig.ask(
    by,
    `query ($refs: [_Any!]!) { _entities(representations: $refs) { ... on RoleAssignment { ${fields} } } }`,
    { refs: [{ __typename: 'RoleAssignment', id }] },
  );
  return data['_entities']!.map((entity) => entity)[0] as Json | null;
};

test('the roles above one that is held come with it, in its context and for its time, and end with it', async () => {
  const reader = await rig.role({ name: 'reader', permissions: [allow('plan', 'read')] });
  const writer = await rig.role({
    name: 'writer',
    permissions: [allow('plan', 'update')],
    parents: [{ roleId: reader }],
  });
  const editor = await rig.role({
    name: 'editor',
    permissions: [allow('plan', 'approve')],
    parents: [{ roleId: writer }],
  });
  const contextId = rig.openContext();
  const id = await rig.hold('ann', editor, { contextId });
  const [held] = await rolesOf('ann');
  expect(held).toMatchObject({ id, type: 'MANUAL', inheritancePath: [editor], inheritedFrom: null });
  const same = { type: 'INHERITED', status: 'ACTIVE', contextId, expiresAt: held!['expiresAt'], inherited: [] };
  expect(held!['inherited']).toMatchObject([
    {
      ...{ ...same, id: `${id}:${writer}`, roleId: writer, inheritancePath: [editor, writer] },
      ...{ inheritedFrom: { id, type: 'MANUAL' } },
    },
    { ...same, id: `${id}:${reader}`, roleId: reader, inheritancePath: [editor, writer, reader] },
  ]);
  // What the role above brings along: its own rights and what it inherits itself.
  expect(held!['inherited']!.map((one) => one['effectivePermissions']!.map(({ action }) => action))).toEqual([
    expect.arrayContaining(['update', 'read']),
    ['read'],
  ]);
  expect(await byReference(`${id}:${reader}`)).toMatchObject({ type: 'INHERITED', roleId: reader, contextId });

  await rig.mutate(admin, 'suspendAssignment', '$assignmentId: ID!', {
    variables: { assignmentId: id },
    selection: 'assignment { id }',
  });
  expect(await byReference(`${id}:${reader}`)).toMatchObject({ status: 'SUSPENDED', effectivePermissions: [] });
});

test('what is inherited follows the hierarchy as it is changed', async () => {
  const top = await rig.role({ name: 'top', permissions: [allow('trace', 'read')] });
  const low = await rig.role({ name: 'low', permissions: [allow('trace', 'write')] });
  const id = await rig.hold('bob', low);
  expect((await rolesOf('bob'))[0]!['inherited']).toEqual([]);
  expect(await byReference(`${id}:${top}`)).toBeNull();
  const grow = (parents: readonly object[]) =>
    rig.mutate(admin, 'updateRole', '$roleId: ID!, $patch: RolePatch!', {
      variables: { roleId: low, patch: { parents } },
      selection: 'role { id }',
    });
  await grow([{ roleId: top }]);
  expect((await rolesOf('bob'))[0]!['inherited']).toMatchObject([{ id: `${id}:${top}` }]);
  await grow([]);
  expect((await rolesOf('bob'))[0]!['inherited']).toEqual([]);
});

test('nobody gives or takes by itself what is inherited; to other tenants there is none', async () => {
  const parent = await rig.role({ name: 'parent', permissions: [allow('plan', 'read')] });
  const child = await rig.role({ name: 'child', permissions: [allow('plan', 'read')], parents: [{ roleId: parent }] });
  const id = await rig.hold('cid', child);
  expect(codesOf(await rig.assign(admin, { roleId: parent, subjectId: 'dan', type: 'INHERITED' }))).toEqual([
    'VALIDATION_FAILED',
  ]);
  const revoked = await rig.mutate(admin, 'revokeRole', '$assignmentId: ID!', {
    variables: { assignmentId: `${id}:${parent}` },
    selection: 'assignment { id }',
  });
  expect(codesOf(revoked)).toEqual(['NOT_FOUND']);
  expect(await byReference(`${id}:${newId()}`)).toBeNull();
  expect(await byReference(`${id}:${parent}:${parent}`)).toBeNull();
  const stranger = principal('stranger', { tenantId: 'two', scopes: ['*'] });
  expect(await byReference(`${id}:${parent}`, stranger)).toBeNull();
});

test.each([
  ['revokeRole', 'assignmentId', 'assignment { id }'],
  ['activateRole', 'assignmentId', 'assignment { id }'],
  ['updateRole', 'roleId', 'role { id }'],
  ['revokeDelegation', 'delegationId', 'delegation { id }'],
])('%s of what is no id finds nothing', async (field, argument, selection) => {
  const given = field === 'updateRole' ? ', patch: { description: "x" }' : '';
  const data = await rig.ask(
    admin,
    `mutation { ${field}(${argument}: "no-id:at-all"${given}) { ${selection} userErrors { code } } }`,
  );
  expect(codesOf(data[field]!)[0]).toMatch(/NOT_FOUND|VALIDATION_FAILED/);
});

import { afterAll, beforeAll, expect, test } from 'vitest';
import { newId } from '#shared/ids.ts';
import { admin, allow, codesOf, openRoleRig, principal, type RoleRig } from './rig.ts';

let rig: RoleRig;
beforeAll(async () => {
  rig = await openRoleRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const args = {
  updateRole: '$roleId: ID!, $patch: RolePatch!, $override: GovernanceOverrideInput, $idempotencyKey: String',
  changeRoleStatus: '$roleId: ID!, $status: RoleStatus!, $override: GovernanceOverrideInput',
  reviewRole: '$roleId: ID!, $override: GovernanceOverrideInput',
  deleteRole: '$roleId: ID!, $override: GovernanceOverrideInput',
};
const change = (field: keyof typeof args, roleId: string, more: object, by = admin) =>
  rig.mutate(by, field, args[field], {
    variables: { roleId, ...more },
    selection:
      field === 'deleteRole'
        ? 'deleted'
        : 'role { version description status governance { locked lifecyclePhase truthDomain lastConfirmId } document }',
  });
const locked = (name: string) => rig.role({ name, governance: { locked: true, truthDomain: 'law' } });

function cite(targetId: string, more: Partial<{ status: string; targetType: string }> = {}): string {
  const id = newId();
  rig.confirms.set(id, { status: 'APPROVED', targetType: 'OTHER', targetId, ...more });
  return id;
}

test('a locked role changes by an override that cites its approved Confirm, which its governance remembers', async () => {
  const roleId = await locked('locked');
  const attempts = [
    ['updateRole', { patch: { description: 'new' } }],
    ['changeRoleStatus', { status: 'SUSPENDED' }],
    ['reviewRole', {}],
    ['deleteRole', {}],
  ] as const;
  for (const [field, more] of attempts)
    expect([field, codesOf(await change(field, roleId, more))]).toEqual([field, ['GOVERNANCE_LOCKED']]);
  const confirmId = cite(roleId);
  const override = { confirmId, reason: 'the law changed' };
  const lastConfirmRef = { id: confirmId, module: 'confirm', description: 'the law changed' };
  expect(await change('updateRole', roleId, { patch: { description: 'new' }, override })).toMatchObject({
    userErrors: [],
    role: {
      version: 2,
      description: 'new',
      governance: { locked: true, truthDomain: 'law', lastConfirmId: lastConfirmRef.id },
      document: { governance: { lastConfirmRef } },
    },
  });
  expect(await change('changeRoleStatus', roleId, { status: 'SUSPENDED', override })).toMatchObject({
    role: { status: 'SUSPENDED' },
  });
  expect(codesOf(await change('reviewRole', roleId, { override }))).toEqual([]);
  expect(await change('deleteRole', roleId, { override })).toMatchObject({ deleted: true, userErrors: [] });
});

test('a Confirm that is not approved, of another object, or unknown opens nothing', async () => {
  const roleId = await locked('closed');
  const patch = { description: 'no' };
  for (const confirmId of [
    cite(roleId, { status: 'PENDING' }),
    cite(roleId, { status: 'REJECTED' }),
    cite(newId()),
    cite(roleId, { targetType: 'CONTEXT' }),
    newId(),
  ])
    expect(codesOf(await change('updateRole', roleId, { patch, override: { confirmId } }))).toEqual([
      'CONFIRM_NOT_APPROVED',
    ]);
  expect(codesOf(await change('updateRole', roleId, { patch, override: { confirmId: 'none' } }))).toEqual([
    'VALIDATION_FAILED',
  ]);
  const read = await rig.ask(admin, 'query ($id: ID!) { role(roleId: $id) { version description } }', { id: roleId });
  expect(read['role']).toEqual({ version: 1, description: null });
});

test('who may not override does not, whatever the Confirm; an open role asks for nothing', async () => {
  const roleId = await locked('guarded');
  const keeper = principal('keeper', { scopes: ['role:read', 'role:admin', 'plan:read'] });
  const override = { confirmId: cite(roleId) };
  const answer = await rig.run(
    keeper,
    'mutation ($id: ID!, $override: GovernanceOverrideInput) { updateRole(roleId: $id, patch: { description: "x" }, override: $override) { userErrors { code } } }',
    { id: roleId, override },
  );
  expect(answer.errors).toMatchObject([{ code: 'PERMISSION_DENIED' }]);
  const open = await rig.role({ name: 'open', permissions: [allow('plan', 'read')] });
  expect(
    codesOf(await change('updateRole', open, { patch: { description: 'x' }, override: { confirmId: newId() } })),
  ).toEqual([]);
});

test('a lock is set and taken away by a patch, the latter by an override', async () => {
  const roleId = await rig.role({ name: 'later_locked' });
  expect(await change('updateRole', roleId, { patch: { governance: { locked: true } } })).toMatchObject({
    role: { governance: { locked: true } },
  });
  expect(codesOf(await change('updateRole', roleId, { patch: { governance: { locked: false } } }))).toEqual([
    'GOVERNANCE_LOCKED',
  ]);
  const override = { confirmId: cite(roleId) };
  const idempotencyKey = newId();
  const unlock = { patch: { governance: { locked: false } }, override, idempotencyKey };
  expect(await change('updateRole', roleId, unlock)).toMatchObject({
    role: { version: 3, governance: { locked: false } },
  });
  expect(await change('updateRole', roleId, unlock)).toMatchObject({ role: { version: 3 } });
  expect(codesOf(await change('updateRole', roleId, { patch: { description: 'free' } }))).toEqual([]);
  await expect(change('updateRole', roleId, { patch: { governance: { locked: 'yes' } } })).rejects.toThrow(
    'Boolean cannot represent a non boolean value',
  );
});

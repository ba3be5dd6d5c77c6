import { afterAll, beforeAll, expect, test } from 'vitest';
import { admin, allow, deny, openRoleRig, type RoleRig } from './rig.ts';

let rig: RoleRig;
beforeAll(async () => {
  rig = await openRoleRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

test('what a role allows: without what a denial takes as a whole, and with what denials take in part or under a condition', async () => {
  const base = await rig.role({
    name: 'effectbase',
    permissions: [allow('plan', '*'), allow('trace', 'read'), allow('confirm', 'read'), allow('context', 'read')],
  });
  const mid = await rig.role({
    name: 'effectmid',
    parents: [{ roleId: base }],
    permissions: [deny('trace', '*'), deny('plan', 'delete')],
  });
  const top = await rig.role({
    name: 'effecttop',
    parents: [{ roleId: mid }],
    permissions: [
      allow('role', 'read'),
      { ...deny('confirm', 'read'), conditions: { locationBased: { allowedIpRanges: ['10.0.0.0/8'] } } },
    ],
  });
  const { roleHierarchy } = await rig.ask(
    admin,
    'query ($id: ID!) { roleHierarchy(roleId: $id) { nodes { roleId effectivePermissions { permission fromRoleId conditional except } } } }',
    { id: top },
  );
  interface Node {
    readonly roleId: string;
    readonly effectivePermissions: readonly { readonly permission: string }[];
  }
  const nodes = roleHierarchy!['nodes'] as unknown as readonly Node[];
  const effectOf = (roleId: string) =>
    nodes
      .find((node) => node.roleId === roleId)!
      .effectivePermissions.toSorted((a, b) => (a.permission < b.permission ? -1 : 1));
  const granted = (permission: string, fromRoleId = base, except: string[] = []) => ({
    permission,
    fromRoleId,
    conditional: false,
    except,
  });
  expect(effectOf(base)).toEqual(['confirm:read', 'context:read', 'plan:*', 'trace:read'].map((text) => granted(text)));
  expect(effectOf(mid)).toEqual([
    granted('confirm:read'),
    granted('context:read'),
    granted('plan:*', base, ['plan:delete']),
  ]);
  expect(effectOf(top)).toEqual([
    granted('confirm:read', base, ['confirm:read']),
    granted('context:read'),
    granted('plan:*', base, ['plan:delete']),
    granted('role:read', top),
  ]);
  // As decisions have it.
  await rig.hold('effective', top);
  const may = async (type: string, action: string) =>
    Boolean((await rig.check(admin, { subjectId: 'effective', action, resource: { type } }))['granted']);
  expect(
    await Promise.all([may('trace', 'read'), may('plan', 'delete'), may('plan', 'read'), may('role', 'read')]),
  ).toEqual([false, false, true, true]);
});

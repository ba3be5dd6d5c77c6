import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { admin, allow, codesOf, type Json, openRoleRig, principal, type RoleRig } from './rig.ts';

let rig: RoleRig;
beforeAll(async () => {
  rig = await openRoleRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const fields = 'id version status reviewEveryDays nextReviewAt reviewedAt reviewedBy';
const read = async (id: string) =>
  (await rig.ask(admin, `query ($id: ID!) { role(roleId: $id) { ${fields} } }`, { id }))['role']!;
const change = (
  field: 'changeRoleStatus' | 'updateRole' | 'reviewRole',
  roleId: string,
  more: Readonly<Record<string, unknown>> = {},
) => {
  const args = {
    changeRoleStatus: '$roleId: ID!, $status: RoleStatus!',
    updateRole: '$roleId: ID!, $patch: RolePatch!',
    reviewRole: '$roleId: ID!, $comment: String',
  };
  return rig.mutate(admin, field, args[field], { variables: { roleId, ...more }, selection: `role { ${fields} }` });
};
const typesOf = async (id: string) => (await rig.stream(id)).map(({ type }) => type);
const may = async (subjectId: string) =>
  Boolean((await rig.check(admin, { subjectId, action: 'read', resource: { type: 'plan' } }))['granted']);
const inMs = (ms: number) => new Date(Date.now() + ms).toISOString();
const due = async () =>
  (
    await rig.ask(admin, 'query ($by: DateTime!) { roles(filter: { reviewDueBy: $by }) { nodes { name } } }', {
      by: new Date().toISOString(),
    })
  )['roles']!['nodes']!.map((node) => String(node['name']));

test('a role begins by the clock and is told once', async () => {
  const id = await rig.role({ name: 'later', permissions: [allow('plan', 'read')], effectiveAt: inMs(3_000) });
  await rig.hold('ann', id);
  await rig.service.upkeep.expire();
  expect([await may('ann'), await typesOf(id)]).toEqual([false, ['role.created']]);
  await sleep(3_050);
  expect(await may('ann')).toBe(true);
  await rig.service.upkeep.expire();
  await rig.service.upkeep.expire();
  expect(await typesOf(id)).toEqual(['role.created', 'role.effective']);
  // Clients that hold its version are not disturbed by it.
  expect(await read(id)).toMatchObject({ version: 1, status: 'ACTIVE' });
  // One that is in force from the first is told by its creation.
  const now = await rig.role({ name: 'atonce', effectiveAt: inMs(-1_000) });
  await rig.service.upkeep.expire();
  expect(await typesOf(now)).toEqual(['role.created']);
});

test('a role whose time is over turns inactive, a deprecated one is archived', async () => {
  const id = await rig.role({ name: 'short', permissions: [allow('plan', 'read')], expiresAt: inMs(3_000) });
  const old = await rig.role({ name: 'old', expiresAt: inMs(3_000) });
  await rig.hold('bob', id);
  await change('changeRoleStatus', old, { status: 'DEPRECATED' });
  expect(await may('bob')).toBe(true);
  await sleep(3_050);
  expect(await may('bob')).toBe(false);
  await rig.service.upkeep.expire();
  await rig.service.upkeep.expire();
  expect([(await read(id))['status'], (await read(old))['status']]).toEqual(['INACTIVE', 'ARCHIVED']);
  expect(await typesOf(id)).toEqual(['role.created', 'role.status.changed']);
  expect(codesOf(await change('changeRoleStatus', id, { status: 'ACTIVE' }))).toEqual(['INVALID_STATE_TRANSITION']);
  expect(codesOf(await change('updateRole', id, { patch: { expiresAt: null } }))).toEqual([]);
  expect(await change('changeRoleStatus', id, { status: 'ACTIVE' })).toMatchObject({ role: { status: 'ACTIVE' } });
  expect(await may('bob')).toBe(true);
});

test('a review is due after its time, is listed and told once, and done by who administers the role', async () => {
  const id = await rig.role({ name: 'reviewed', reviewEveryDays: 30 });
  const daysFromNow = (role: Json) => Math.round((Date.parse(String(role['nextReviewAt'])) - Date.now()) / 86_400_000);
  expect(daysFromNow(await read(id))).toBe(30);
  expect(await due()).toEqual([]);
  await rig.sql`UPDATE role.role SET next_review_at = now() - interval '1 minute' WHERE id = ${id}`;
  expect(await due()).toEqual(['reviewed']);
  await rig.service.upkeep.expire();
  await rig.service.upkeep.expire();
  expect(await typesOf(id)).toEqual(['role.created', 'role.review.due']);
  const denied = await rig.run(
    principal('mallory'),
    'mutation ($id: ID!) { reviewRole(roleId: $id) { userErrors { code } } }',
    { id },
  );
  expect(denied.errors.map(({ code }) => code)).toEqual(['PERMISSION_DENIED']);
  const payload = await change('reviewRole', id, { comment: 'still needed' });
  expect(payload['role']).toMatchObject({ reviewedBy: 'admin', version: 2 });
  expect(daysFromNow(payload['role']!)).toBe(30);
  expect([await due(), (await typesOf(id)).at(-1)]).toEqual([[], 'role.reviewed']);
  // The next one is told again.
  await rig.sql`UPDATE role.role SET next_review_at = now() - interval '1 minute' WHERE id = ${id}`;
  await rig.service.upkeep.expire();
  expect((await typesOf(id)).at(-1)).toBe('role.review.due');
  expect(codesOf(await change('updateRole', id, { patch: { reviewEveryDays: 0 } }))).toEqual(['VALIDATION_FAILED']);
  const without = await change('updateRole', id, { patch: { reviewEveryDays: null } });
  expect(without['role']).toMatchObject({ nextReviewAt: null, reviewEveryDays: null });
});

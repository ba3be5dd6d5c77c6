import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Principal } from '#shared/principal.ts';
import { subjectStream } from '../../subgraphs/role/subjectStream.ts';
import { admin, allow, codesOf, type Json, openRoleRig, principal, type RoleRig } from './rig.ts';

let rig: RoleRig;
beforeAll(async () => {
  rig = await openRoleRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const delegate = (by: Principal, delegateId: string, more: Readonly<Record<string, unknown>> = {}) =>
  rig.mutate(by, 'delegate', '$input: DelegateInput!', {
    variables: {
      input: {
        delegateId,
        permissions: ['plan:read'],
        endsAt: new Date(Date.now() + 3_600_000).toISOString(),
        ...more,
      },
    },
    selection: 'delegation { id status }',
  });
const change = (field: string, delegationId: string, by: Principal) =>
  rig.mutate(by, field, '$delegationId: ID!', { variables: { delegationId }, selection: 'delegation { id status }' });
const idOf = (payload: Json) => {
  expect(codesOf(payload)).toEqual([]);
  return String(payload['delegation']!['id']);
};
const may = async (subjectId: string) =>
  Boolean((await rig.check(admin, { subjectId, action: 'read', resource: { type: 'plan' } }))['granted']);
const statusOf = async (id: string) => {
  const [row] = await rig.sql`SELECT status FROM role.delegation WHERE id = ${id}`;
  return String(row!['status']);
};

test('a delegation is suspended and resumed by who gave it; what an administrator suspends only one resumes', async () => {
  await rig.hold('ann', await rig.role({ name: 'giver', permissions: [allow('plan', 'read')] }));
  const [ann, bob] = [principal('ann'), principal('bob')];
  const id = idOf(await delegate(ann, 'bob'));
  expect(codesOf(await change('suspendDelegation', id, principal('mallory')))).toEqual(['NOT_FOUND']);
  const { errors } = await rig.run(
    bob,
    'mutation ($id: ID!) { suspendDelegation(delegationId: $id) { userErrors { code } } }',
    { id },
  );
  expect(errors.map(({ code }) => code)).toEqual(['PERMISSION_DENIED']);
  expect(await change('suspendDelegation', id, ann)).toMatchObject({ delegation: { status: 'SUSPENDED' } });
  expect(await may('bob')).toBe(false);
  expect(codesOf(await change('suspendDelegation', id, ann))).toEqual(['INVALID_STATE_TRANSITION']);
  expect(await change('resumeDelegation', id, ann)).toMatchObject({ delegation: { status: 'ACTIVE' } });
  expect(await may('bob')).toBe(true);
  await change('suspendDelegation', id, admin);
  const refused = await rig.run(
    ann,
    'mutation ($id: ID!) { resumeDelegation(delegationId: $id) { userErrors { code } } }',
    { id },
  );
  expect(refused.errors.map(({ code }) => code)).toEqual(['PERMISSION_DENIED']);
  await change('resumeDelegation', id, admin);
  expect(await may('bob')).toBe(true);
  await change('revokeDelegation', id, bob);
  expect(codesOf(await change('resumeDelegation', id, admin))).toEqual(['INVALID_STATE_TRANSITION']);
  const types = (await rig.stream(subjectStream('bob'))).map(({ type }) => type);
  expect(types).toEqual([
    'role.delegated',
    'role.delegation.changed',
    'role.delegation.changed',
    'role.delegation.changed',
    'role.delegation.changed',
    'role.delegation.revoked',
  ]);
});

test('a right is delegated on as far as its delegation reaches, and what came by it alone ends with it', async () => {
  await rig.hold('cleo', await rig.role({ name: 'source', permissions: [allow('plan', 'read')] }));
  const short = idOf(await delegate(principal('cleo'), 'dan'));
  expect(codesOf(await delegate(principal('dan'), 'eve'))).toEqual(['DELEGATION_REFUSED']);
  await change('revokeDelegation', short, principal('cleo'));
  const first = idOf(await delegate(principal('cleo'), 'dan', { maxDepth: 3 }));
  const second = idOf(await delegate(principal('dan'), 'eve', { maxDepth: 2 }));
  const third = idOf(await delegate(principal('eve'), 'fay'));
  expect([await may('eve'), await may('fay')]).toEqual([true, true]);
  expect(codesOf(await delegate(principal('fay'), 'gus'))).toEqual(['DELEGATION_REFUSED']);
  await change('revokeDelegation', first, principal('cleo'));
  expect([await statusOf(first), await statusOf(second), await statusOf(third)]).toEqual([
    'revoked',
    'revoked',
    'revoked',
  ]);
  expect([await may('dan'), await may('eve'), await may('fay')]).toEqual([false, false, false]);
  expect((await rig.stream(subjectStream('fay'))).at(-1)).toMatchObject({ type: 'role.delegation.revoked' });
});

test('what is held otherwise stays delegated, and time ends a chain as a revocation does', async () => {
  const roleId = await rig.role({ name: 'both', permissions: [allow('plan', 'read')] });
  await rig.hold('hal', roleId);
  const endsAt = new Date(Date.now() + 700).toISOString();
  const first = idOf(await delegate(principal('hal'), 'ida', { maxDepth: 2, endsAt }));
  const second = idOf(await delegate(principal('ida'), 'jan'));
  await rig.hold('kim', roleId);
  const other = idOf(await delegate(principal('hal'), 'kim', { maxDepth: 2, endsAt }));
  const kept = idOf(await delegate(principal('kim'), 'lea'));
  await change('suspendDelegation', other, principal('hal'));
  await sleep(750);
  await rig.service.upkeep.expire();
  expect([await statusOf(first), await statusOf(second)]).toEqual(['expired', 'revoked']);
  expect([await statusOf(other), await statusOf(kept)]).toEqual(['expired', 'active']);
  expect([await may('jan'), await may('lea')]).toEqual([false, true]);
});

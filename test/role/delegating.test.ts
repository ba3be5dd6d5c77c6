import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { EventRow } from '#shared/events.ts';
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
    selection: 'delegation { id status approval { required status confirmId } statusReason }',
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

/** As the confirm module says it. */
const resolved = (delegationId: string, status: string): EventRow => ({
  tenantId: 'one',
  module: 'platform',
  streamId: delegationId,
  sequence: 1,
  eventId: delegationId,
  type: 'confirm.resolved',
  actor: 'boss',
  data: {
    confirm: {
      id: '11111111-1111-4111-8111-111111111111',
      requestEventId: '22222222-2222-4222-8222-222222222222',
      targetType: 'other',
      targetId: delegationId,
      status,
      resolution: 'it was looked at',
      reference: { module: 'role', kind: 'delegation', delegationId },
    },
  },
  tags: [],
  createdAt: new Date().toISOString(),
});

test('a role bounds how far and how long its permissions are delegated, also where they are inherited', async () => {
  const bounded = await rig.role({
    name: 'bounded',
    permissions: [allow('plan', 'read')],
    delegationRules: { maxDepth: 2, maxHours: 2 },
  });
  await rig.hold('mia', await rig.role({ name: 'heir', parents: [{ roleId: bounded }] }));
  const mia = principal('mia');
  const messages = async (pending: Promise<Json>) =>
    (await pending)['userErrors']!.map(({ code, message }) => `${String(code)} ${String(message)}`);
  expect(await messages(delegate(mia, 'ned', { maxDepth: 3 }))).toEqual([
    'DELEGATION_REFUSED plan:read: expected a depth of at most 2, got 3',
  ]);
  const inHours = (hours: number) => new Date(Date.now() + hours * 3_600_000).toISOString();
  expect(codesOf(await delegate(mia, 'ned', { endsAt: inHours(3) }))).toEqual(['DELEGATION_REFUSED']);
  idOf(await delegate(mia, 'ned', { maxDepth: 2, endsAt: inHours(1.9) }));
  // What was passed on counts: one further, not two.
  expect(codesOf(await delegate(principal('ned'), 'ole', { maxDepth: 2 }))).toEqual(['DELEGATION_REFUSED']);
  idOf(await delegate(principal('ned'), 'ole'));
  const closed = await rig.role({
    name: 'closed',
    permissions: [allow('trace', 'read')],
    delegationRules: { allowed: false },
  });
  await rig.hold('mia', closed);
  const refused = await messages(delegate(mia, 'ned', { permissions: ['trace:read'] }));
  expect(refused).toEqual(['DELEGATION_REFUSED trace:read: the role does not let it be delegated']);
  const role = (
    await rig.ask(admin, 'query ($id: ID!) { role(roleId: $id) { delegationRules { allowed maxDepth maxHours } } }', {
      id: bounded,
    })
  )['role'];
  expect(role).toEqual({ delegationRules: { allowed: true, maxDepth: 2, maxHours: 2 } });
});

test('a delegation that needs an approval waits for it and gives nothing before', async () => {
  const roleId = await rig.role({
    name: 'asking',
    permissions: [allow('plan', 'read')],
    delegationRules: { requiresApproval: true, approverRoles: ['security'] },
  });
  const held = await rig.hold('pia', roleId);
  const pia = principal('pia');
  const first = await delegate(pia, 'quin', { reason: 'holidays' });
  expect(first['delegation']).toMatchObject({ status: 'PENDING', approval: { required: true, status: 'PENDING' } });
  const id = idOf(first);
  const [asked] = await rig.stream(id);
  expect(asked).toMatchObject({
    type: 'approval.requested',
    data: { approval: { targetId: id, reason: 'holidays', requestedBy: 'pia', approverRoles: ['security'] } },
  });
  expect(await may('quin')).toBe(false);
  expect(codesOf(await change('resumeDelegation', id, pia))).toEqual(['INVALID_STATE_TRANSITION']);
  await rig.service.upkeep.resolve(resolved(id, 'approved'));
  expect([await statusOf(id), await may('quin')]).toEqual(['active', true]);
  const second = idOf(await delegate(pia, 'rob'));
  await rig.service.upkeep.resolve(resolved(second, 'rejected'));
  // Late and repeated news change nothing.
  await rig.service.upkeep.resolve(resolved(second, 'approved'));
  expect([await statusOf(second), await may('rob')]).toEqual(['revoked', false]);
  const [row] = await rig.sql`SELECT status_reason AS reason, approval FROM role.delegation WHERE id = ${second}`;
  expect(row).toMatchObject({ reason: 'it was looked at', approval: { status: 'rejected' } });
  // Approved too late: who delegates holds it no more.
  const third = idOf(await delegate(pia, 'sam'));
  await rig.mutate(admin, 'revokeRole', '$assignmentId: ID!', {
    variables: { assignmentId: held },
    selection: 'assignment { id }',
  });
  await rig.service.upkeep.resolve(resolved(third, 'approved'));
  expect(await statusOf(third)).toBe('revoked');
  // One that nobody answers ends by its own time.
  await rig.hold('pia', roleId);
  const fourth = idOf(await delegate(pia, 'tim', { endsAt: new Date(Date.now() + 200).toISOString() }));
  await sleep(250);
  await rig.service.upkeep.expire();
  expect(await statusOf(fourth)).toBe('expired');
});

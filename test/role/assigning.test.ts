import { afterAll, beforeAll, expect, test } from 'vitest';
import type { EventRow } from '#shared/events.ts';
import { subjectStream } from '../../subgraphs/role/subjectStream.ts';
import { admin, allow, codesOf, type Json, openRoleRig, principal, type RoleRig } from './rig.ts';

let rig: RoleRig;
beforeAll(async () => {
  rig = await openRoleRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const change = (field: string, assignmentId: string, by = admin) =>
  rig.mutate(by, field, '$assignmentId: ID!', {
    variables: { assignmentId },
    selection: 'assignment { id status statusReason version }',
  });
const may = async (subjectId: string, resourceType: string, action: string, contextId?: string) =>
  Boolean((await rig.check(admin, { subjectId, action, contextId, resource: { type: resourceType } }))['granted']);
const confirmed = (assignmentId: string, status: string): EventRow => ({
  tenantId: 'one',
  module: 'platform',
  streamId: assignmentId,
  sequence: 1,
  eventId: assignmentId,
  type: 'confirm.resolved',
  actor: 'boss',
  data: {
    confirm: {
      id: '11111111-1111-4111-8111-111111111111',
      requestEventId: '22222222-2222-4222-8222-222222222222',
      targetType: 'other',
      targetId: assignmentId,
      status,
      reason: 'it was looked at',
      reference: { module: 'role', kind: 'assignment', assignmentId },
    },
  },
  tags: [],
  createdAt: new Date().toISOString(),
});
const statusOf = async (id: string) => {
  const [row] = await rig.sql`SELECT status FROM role.assignment WHERE id = ${id}`;
  return String(row!['status']);
};

test('an assignment gives the rights at once, once per subject, role and context', async () => {
  const roleId = await rig.role({ name: 'reader', permissions: [allow('plan', 'read')] });
  expect(await may('ann', 'plan', 'read')).toBe(false);
  const first = await rig.assign(admin, { roleId, subjectId: 'ann' });
  expect(first).toMatchObject({ existed: false, assignment: { status: 'ACTIVE' } });
  const lifeDays = (Date.parse(String(first['assignment']!['expiresAt'])) - Date.now()) / 86_400_000;
  expect(Math.round(lifeDays)).toBe(365);
  expect(await may('ann', 'plan', 'read')).toBe(true);
  const again = await rig.assign(admin, { roleId, subjectId: 'ann' });
  expect(again).toMatchObject({ existed: true, assignment: { id: first['assignment']!['id'] } });
  const contextId = rig.openContext();
  expect(await rig.assign(admin, { roleId, subjectId: 'ann', contextId })).toMatchObject({ existed: false });
  const concurrent = await Promise.all(
    Array.from({ length: 8 }, () => rig.assign(admin, { roleId, subjectId: 'crowd' })),
  );
  expect(new Set(concurrent.map((payload) => payload['assignment']!['id'])).size).toBe(1);
});

test('a role in one context gives nothing elsewhere; an unknown context is refused', async () => {
  const roleId = await rig.role({ name: 'local', permissions: [allow('trace', 'read')] });
  const [here, there] = [rig.openContext(), rig.openContext()];
  await rig.hold('bob', roleId, { contextId: here });
  expect([await may('bob', 'trace', 'read', here), await may('bob', 'trace', 'read', there)]).toEqual([true, false]);
  const contextId = '99999999-9999-4999-8999-999999999999';
  expect(codesOf(await rig.assign(admin, { roleId, subjectId: 'bob', contextId }))).toEqual(['NOT_FOUND']);
});

test('suspended, resumed and revoked: rights follow, and what is over stays over', async () => {
  const roleId = await rig.role({ name: 'switched', permissions: [allow('dialog', 'moderate')] });
  const id = await rig.hold('cleo', roleId);
  await change('suspendAssignment', id);
  expect(await may('cleo', 'dialog', 'moderate')).toBe(false);
  await change('resumeAssignment', id);
  expect(await may('cleo', 'dialog', 'moderate')).toBe(true);
  await change('revokeRole', id);
  expect(await may('cleo', 'dialog', 'moderate')).toBe(false);
  for (const field of ['revokeRole', 'suspendAssignment', 'resumeAssignment'])
    expect(codesOf(await change(field, id))).toEqual(['INVALID_STATE_TRANSITION']);
  const types = (await rig.stream(subjectStream('cleo'))).map(({ type }) => type);
  expect(types).toEqual(['role.assigned', 'role.assignment.changed', 'role.assignment.changed', 'role.revoked']);
});

test('separation of duties counts what is inherited', async () => {
  const payer = await rig.role({ name: 'payer' });
  const approver = await rig.role({
    name: 'approver',
    separationOfDuties: [{ conflictingRoles: [payer], severity: 'ERROR' }],
  });
  const senior = await rig.role({ name: 'senior', parents: [{ roleId: approver }] });
  await rig.hold('dan', payer);
  expect(codesOf(await rig.assign(admin, { roleId: senior, subjectId: 'dan' }))).toEqual(['SOD_VIOLATION']);
  // A role that unites both is refused as such.
  const united = await rig.createRole(admin, { name: 'united', parents: [{ roleId: payer }, { roleId: senior }] });
  expect(codesOf(united)).toEqual(['SOD_VIOLATION']);
  await rig.hold('eve', senior);
  expect(codesOf(await rig.assign(admin, { roleId: payer, subjectId: 'eve' }))).toEqual(['SOD_VIOLATION']);
});

test('an exception from separation waits for its approval', async () => {
  const one = await rig.role({ name: 'one' });
  const other = await rig.role({
    name: 'other',
    permissions: [allow('plan', 'approve')],
    separationOfDuties: [{ conflictingRoles: [one], severity: 'ERROR', exceptionApprovalRequired: true }],
  });
  await rig.hold('fay', one);
  expect(codesOf(await rig.assign(admin, { roleId: other, subjectId: 'fay' }))).toEqual(['SOD_VIOLATION']);
  const payload = await rig.assign(admin, { roleId: other, subjectId: 'fay', requestException: true });
  expect(payload).toMatchObject({ assignment: { status: 'PENDING', approval: { required: true, status: 'PENDING' } } });
  const id = String(payload['assignment']!['id']);
  await rig.service.upkeep.resolve(confirmed(id, 'approved'));
  expect(await statusOf(id)).toBe('active');
  expect(await may('fay', 'plan', 'approve')).toBe(true);
});

test('a rule of the role asks for an approval, forbids, or lets pass', async () => {
  const roleId = await rig.role({
    name: 'ruled',
    permissions: [allow('extension', 'install')],
    assignmentRules: [
      { condition: 'subject.department == "legal"', action: 'DENY' },
      { condition: 'subject.department == "it"', action: 'ALLOW' },
      { action: 'REQUIRE_APPROVAL', approverRoles: ['security'] },
    ],
  });
  const describe = (subjectId: string, department: string) =>
    rig.mutate(admin, 'updateSubject', '$subjectId: String!, $patch: SubjectPatch!', {
      variables: { subjectId, patch: { attributes: { department } } },
      selection: 'subject { id version }',
    });
  await describe('lawyer', 'legal');
  await describe('coder', 'it');
  expect(codesOf(await rig.assign(admin, { roleId, subjectId: 'lawyer' }))).toEqual(['ASSIGNMENT_RULE_DENIED']);
  expect(await rig.assign(admin, { roleId, subjectId: 'coder' })).toMatchObject({ assignment: { status: 'ACTIVE' } });
  const payload = await rig.assign(admin, { roleId, subjectId: 'guest', reason: 'for the audit' });
  const id = String(payload['assignment']!['id']);
  expect(payload).toMatchObject({ assignment: { status: 'PENDING' } });
  expect(await may('guest', 'extension', 'install')).toBe(false);
  const [asked] = await rig.stream(id);
  expect(asked).toMatchObject({
    type: 'approval.requested',
    data: { approval: { targetId: id, reason: 'for the audit', requestedBy: 'admin', approverRoles: ['security'] } },
  });
  await rig.service.upkeep.resolve(confirmed(id, 'rejected'));
  expect(await statusOf(id)).toBe('revoked');
  // Late and repeated news change nothing.
  await rig.service.upkeep.resolve(confirmed(id, 'approved'));
  expect(await statusOf(id)).toBe('revoked');
});

test('a subject holds twenty roles, a role its holders', async () => {
  const roles: string[] = [];
  for (let at = 0; at < 21; at += 1) roles.push(await rig.role({ name: `card${at}` }));
  for (const roleId of roles.slice(0, 20)) await rig.hold('gus', roleId);
  expect(codesOf(await rig.assign(admin, { roleId: roles[20], subjectId: 'gus' }))).toEqual(['CARDINALITY_EXCEEDED']);
  const single = await rig.role({ name: 'single', maxHolders: 1 });
  await rig.hold('hal', single);
  expect(codesOf(await rig.assign(admin, { roleId: single, subjectId: 'ida' }))).toEqual(['CARDINALITY_EXCEEDED']);
});

test('a role asks for capabilities, and agents are found by theirs', async () => {
  const profile = { capabilityProfiles: [{ name: 'typescript', level: 'EXPERT' }] };
  const roleId = await rig.role({ name: 'engineer', ...profile });
  const record = (subjectId: string, level: string) =>
    rig.mutate(admin, 'updateSubject', '$subjectId: String!, $patch: SubjectPatch!', {
      variables: { subjectId, patch: { capabilities: [{ name: 'typescript', level }] } },
      selection: 'subject { capabilities { name level } }',
    });
  await record('junior', 'BEGINNER');
  await record('expert', 'EXPERT');
  expect(codesOf(await rig.assign(admin, { roleId, subjectId: 'junior' }))).toEqual(['INSUFFICIENT_CAPABILITIES']);
  const { findAgentsWithCapabilities: found, recommendRoles } = await rig.ask(
    admin,
    `{ findAgentsWithCapabilities(capabilities: [{ name: "typescript", level: ADVANCED }]) { score subject { id } }
       recommendRoles(subjectId: "expert") { score role { name } } }`,
  );
  expect(found).toEqual([{ score: 1, subject: { id: 'expert' } }]);
  expect(recommendRoles!.map((row) => row['role']!['name'])).toEqual(['engineer']);
  await rig.hold('expert', roleId);
  const { userCapabilities } = await rig.ask(
    admin,
    '{ userCapabilities(subjectId: "expert") { capabilities { level } tags } }',
  );
  expect(userCapabilities).toEqual({ capabilities: [{ level: 'EXPERT' }], tags: [] });
});

test('many at once, each by itself', async () => {
  const roleId = await rig.role({ name: 'bulk' });
  const send = () =>
    rig.mutate(admin, 'assignRoles', '$inputs: [AssignRoleInput!]!, $idempotencyKey: String', {
      variables: {
        idempotencyKey: 'bulk-1',
        inputs: [
          { roleId, subjectId: 'b1' },
          { roleId, subjectId: 'b2' },
          { roleId: '99999999-9999-4999-8999-999999999999', subjectId: 'b3' },
        ],
      },
      selection: 'assigned failed results { existed assignment { id } error { code } }',
    });
  const first = await send();
  expect(first).toMatchObject({ assigned: 2, failed: 1 });
  expect(first['results']![2 as never]!['error']).toEqual({ code: 'ROLE_NOT_FOUND' });
  expect((await send())['results']).toEqual(first['results']);
});

test('what is over expires, and rights end by the clock before', async () => {
  const roleId = await rig.role({ name: 'short', permissions: [allow('plan', 'delete')] });
  const past = await rig.assign(admin, { roleId, subjectId: 'jan', expiresAt: '2001-01-01T00:00:00Z' });
  expect(codesOf(past)).toEqual(['VALIDATION_FAILED']);
  const id = await rig.hold('jan', roleId, { expiresAt: new Date(Date.now() + 250).toISOString() });
  expect(await may('jan', 'plan', 'delete')).toBe(true);
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(await may('jan', 'plan', 'delete')).toBe(false);
  expect(await rig.service.upkeep.expire()).toBeGreaterThan(0);
  expect(await statusOf(id)).toBe('expired');
  // The place is free again.
  expect(await rig.assign(admin, { roleId, subjectId: 'jan' })).toMatchObject({ existed: false });
});

test('a delegation lasts as long as the delegator holds what it gives', async () => {
  const roleId = await rig.role({ name: 'lender', permissions: [allow('confirm', 'approve', 'read')] });
  const held = await rig.hold('kim', roleId);
  const kim = principal('kim');
  const endsAt = new Date(Date.now() + 3_600_000).toISOString();
  const delegate = (permissions: string[], delegateId = 'lea') =>
    rig.mutate(kim, 'delegate', '$input: DelegateInput!', {
      variables: { input: { delegateId, permissions, endsAt } },
      selection: 'delegation { id status delegate { id } }',
    });
  expect(codesOf(await delegate(['plan:delete']))).toEqual(['DELEGATION_REFUSED']);
  expect(codesOf(await delegate(['confirm:approve'], 'kim'))).toEqual(['DELEGATION_REFUSED']);
  expect(codesOf(await delegate(['no permission']))).toEqual(['INVALID_PERMISSION']);
  const payload = await delegate(['confirm:approve']);
  expect(payload['delegation']).toMatchObject({ status: 'ACTIVE', delegate: { id: 'lea' } });
  expect([await may('lea', 'confirm', 'approve'), await may('lea', 'confirm', 'read')]).toEqual([true, false]);
  await change('suspendAssignment', held);
  expect(await may('lea', 'confirm', 'approve')).toBe(false);
  await change('resumeAssignment', held);
  const revoke = (by: typeof admin) =>
    rig.mutate(by, 'revokeDelegation', '$delegationId: ID!', {
      variables: { delegationId: payload['delegation']!['id'] },
      selection: 'delegation { status }',
    });
  expect(codesOf(await revoke(principal('mallory')))).toEqual(['NOT_FOUND']);
  expect(await revoke(kim)).toMatchObject({ delegation: { status: 'REVOKED' } });
  expect(await may('lea', 'confirm', 'approve')).toBe(false);
});

test('who holds a role, by id or name, with those who inherit it', async () => {
  const base = await rig.role({ name: 'basehold', permissions: [allow('context', 'read')] });
  const above = await rig.role({ name: 'abovehold', parents: [{ roleId: base }] });
  const contextId = rig.openContext();
  await rig.hold('holder1', base);
  await rig.hold('holder2', above, { contextId });
  const holders = async (args: string) =>
    (await rig.ask(admin, `{ roleHolders(${args}) { totalCount nodes { id } pageInfo { endCursor } } }`))[
      'roleHolders'
    ]!;
  const ids = (page: Json) => page['nodes']!.map((node) => node['id']);
  expect(ids(await holders('role: "basehold"'))).toEqual(['holder1', 'holder2']);
  expect(ids(await holders(`role: "${above}"`))).toEqual(['holder2']);
  const top = await rig.role({ name: 'tophold', parents: [{ roleId: above }] });
  await rig.hold('holder3', top);
  await rig.hold('holder1', top);
  const { roleHolders } = await rig.ask(admin, '{ roleHolders(role: "basehold") { edges { distance node { id } } } }');
  expect(roleHolders!['edges']).toEqual([
    { distance: 0, node: { id: 'holder1' } },
    { distance: 1, node: { id: 'holder2' } },
    { distance: 2, node: { id: 'holder3' } },
  ]);
  const first = await holders(`role: "${base}", first: 1`);
  expect(ids(await holders(`role: "${base}", first: 1, after: "${first['pageInfo']!['endCursor']}"`))).toEqual([
    'holder2',
  ]);
  expect(ids(await holders(`role: "basehold", contextId: "${rig.openContext()}"`))).toEqual(['holder1', 'holder3']);
  const { roleHierarchy } = await rig.ask(
    admin,
    'query ($id: ID!) { roleHierarchy(roleId: $id) { nodes { roleId relation level inheritedPermissions { permission fromRoleId } directHolders inheritedHolders } edges { roleId parentId type redundant } } }',
    { id: above },
  );
  expect(roleHierarchy!['nodes']!.find((node) => String(node['relation']) === 'SELF')).toMatchObject({
    inheritedPermissions: [{ permission: 'context:read', fromRoleId: base }],
    directHolders: 1,
  });
  expect(roleHierarchy!['edges']).toContainEqual({ roleId: above, parentId: base, type: 'FULL', redundant: false });
  const near = (depth: number) =>
    rig.run(admin, 'query ($id: ID!, $depth: Int) { roleHierarchy(roleId: $id, depth: $depth) { nodes { level } } }', {
      id: above,
      depth,
    });
  expect((await near(0)).data['roleHierarchy']!['nodes']).toEqual([{ level: 0 }]);
  expect((await near(-1)).errors.map(({ code }) => code)).toEqual(['VALIDATION_FAILED']);
});

test('a role asks for certifications and clearance, its own and inherited; the refusal names what is missing', async () => {
  const base = await rig.role({ name: 'certbase', attributes: { certificationRequirements: ['iso27001'] } });
  const roleId = await rig.role({
    name: 'certified',
    parents: [{ roleId: base }],
    attributes: { certificationRequirements: ['first aid'], securityClearance: 'SECRET' },
  });
  const record = (patch: object) =>
    rig.mutate(admin, 'updateSubject', '$subjectId: String!, $patch: SubjectPatch!', {
      variables: { subjectId: 'nora', patch },
      selection: 'subject { capabilities { certifications lastUsedAt } }',
    });
  await record({ attributes: { securityClearance: 'INTERNAL', certifications: ['first aid'] } });
  const refused = await rig.assign(admin, { roleId, subjectId: 'nora' });
  expect(codesOf(refused)).toEqual(['PREREQUISITES_MISSING']);
  expect(String(refused['userErrors']!.map(({ message }) => message))).toBe(
    'expected the certifications iso27001 and the clearance secret, got internal',
  );
  const lastUsedAt = '2026-01-02T03:04:05.000Z';
  const capabilities = [{ name: 'audit', level: 'EXPERT', certifications: ['iso27001'], lastUsedAt }];
  expect(
    await record({ capabilities, attributes: { securityClearance: 'TOP_SECRET', certifications: ['first aid'] } }),
  ).toMatchObject({
    subject: { capabilities: [{ certifications: ['iso27001'], lastUsedAt }] },
  });
  expect(await rig.assign(admin, { roleId, subjectId: 'nora' })).toMatchObject({ assignment: { status: 'ACTIVE' } });
  const hidden = { custom: { certifications: ['iso27001'] } };
  expect(codesOf(await record({ attributes: hidden }))).toEqual(['VALIDATION_FAILED']);
});

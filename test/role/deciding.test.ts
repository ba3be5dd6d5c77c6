import { setTimeout as sleep } from 'node:timers/promises';
import pino from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createLocalBus } from '#shared/bus.ts';
import { decodeCursor } from '#shared/cursor.ts';
import type { Principal } from '#shared/principal.ts';
import { createPublisher } from '#shared/publisher.ts';
import { attributesOf } from '#shared/rights.ts';
import { createDecisionAudit } from '../../subgraphs/role/decisionAudit.ts';
import { roleSubscriptions } from '../../subgraphs/role/events.ts';
import { createRoleAuthorizer } from '../../subgraphs/role/index.ts';
import { accessStream, subjectStream } from '../../subgraphs/role/subjectStream.ts';
import { admin, allow, codesOf, deny, openRoleRig, principal, type RoleRig } from './rig.ts';

let rig: RoleRig;
beforeAll(async () => {
  rig = await openRoleRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const silent = pino({ level: 'silent' });
const revoke = (assignmentId: string) =>
  rig.mutate(admin, 'revokeRole', '$assignmentId: ID!', {
    variables: { assignmentId },
    selection: 'assignment { status }',
  });

test('a decision says by which role and which way, or what failed', async () => {
  const base = await rig.role({
    name: 'base',
    permissions: [
      allow('plan', 'read'),
      { ...allow('plan', 'delete'), conditions: { expression: 'resource.amount < 100' } },
      { ...allow('plan', 'approve'), approvalRequired: { threshold: 2, approverRoles: ['board'] } },
    ],
  });
  const top = await rig.role({ name: 'top', parents: [{ roleId: base }] });
  await rig.hold('ann', top);
  const ask = (action: string, attributes = {}) =>
    rig.check(principal('ann'), { action, resource: { type: 'plan', id: 'p1', attributes } });
  expect(await ask('read')).toMatchObject({
    granted: true,
    decision: 'PERMIT',
    reason: 'permission_granted',
    source: { grantingRoleId: base, heldRoleId: top, path: [top, base] },
  });
  expect(await ask('delete', { amount: 50 })).toMatchObject({ granted: true });
  expect(await ask('delete', { amount: 500 })).toMatchObject({
    granted: false,
    reason: 'condition_failed:expression',
    failingConditions: ['expression'],
    nearest: { grantingRoleId: base },
  });
  expect(await ask('approve')).toMatchObject({
    granted: false,
    decision: 'NEEDS_APPROVAL',
    overallAccess: 'PARTIAL',
    obligations: [{ type: 'approval', approvals: 2, approverRoles: ['board'] }],
  });
  expect(await ask('monitor')).toMatchObject({ granted: false, reason: 'no_matching_permissions' });
  expect(await rig.check(principal('nobody'), { action: 'read', resource: { type: 'plan' } })).toMatchObject({
    granted: false,
    reason: 'no_roles',
  });
});

test('a denial overrides, whichever role it comes by', async () => {
  const wide = await rig.role({ name: 'wide', permissions: [allow('*', '*')] });
  const ban = await rig.role({ name: 'ban', permissions: [deny('trace', 'read')] });
  await rig.hold('bea', wide);
  const banned = await rig.hold('bea', ban);
  const ask = () => rig.check(principal('bea'), { action: 'read', resource: { type: 'trace' } });
  expect(await ask()).toMatchObject({
    granted: false,
    reason: 'explicit_deny',
    source: { grantingRoleId: ban, effect: 'DENY' },
  });
  await revoke(banned);
  expect(await ask()).toMatchObject({ granted: true });
  const { checkPermissions: many } = await rig.ask(
    principal('bea'),
    `{ checkPermissions(inputs: [{ action: "read", resource: { type: "plan" } }, { subjectId: "nobody", action: "read", resource: { type: "plan" } }]) {
      overallAccess decisions { granted } } }`,
  );
  expect(many).toEqual({ overallAccess: 'PARTIAL', decisions: [{ granted: true }, { granted: false }] });
});

test('expressions are evaluated, never run', async () => {
  const evaluate = async (expression: string, facts: object = {}) =>
    (
      await rig.ask(
        principal('ann'),
        'query ($e: String!, $f: ExpressionFactsInput) { evaluateExpression(expression: $e, facts: $f) { valid result error position } }',
        { e: expression, f: facts },
      )
    )['evaluateExpression'];
  expect(
    await evaluate('subject.age >= 18 AND NOT resource.locked', { subject: { age: 20 }, resource: { locked: false } }),
  ).toMatchObject({
    valid: true,
    result: true,
  });
  expect(await evaluate('subject.age >= 18', { subject: { age: 'old' } })).toMatchObject({ valid: true, result: null });
  for (const text of ['process.exit(1)', 'globalThis["x"]', 'a => a', 'subject.constructor.constructor("x")()'])
    expect(await evaluate(text)).toMatchObject({ valid: false, result: null });
});

test('token and roles together: what is granted stays, a denial overrides, a role grants without a scope', async () => {
  const { authorizer } = rig;
  const dora = principal('dora', { scopes: ['context:read', 'context:write'] });
  await authorizer.replicas.load('one');
  expect([authorizer.allows(dora, 'context:write'), authorizer.allows(dora, 'plan:read')]).toEqual([true, false]);

  const idle = await rig.role({ name: 'idle' });
  await rig.hold('dora', idle);
  expect([authorizer.allows(dora, 'context:write'), authorizer.allows(dora, 'plan:read')]).toEqual([true, false]);

  const grants = await rig.role({ name: 'grants', permissions: [allow('plan', 'read')] });
  const granted = await rig.hold('dora', grants);
  expect(authorizer.allows(dora, 'plan:read')).toBe(true);
  await revoke(granted);
  expect(authorizer.allows(dora, 'plan:read')).toBe(false);

  const denies = await rig.role({ name: 'denies', permissions: [deny('context', 'write')] });
  await rig.hold('dora', denies);
  expect([authorizer.allows(dora, 'context:read'), authorizer.allows(dora, 'context:write')]).toEqual([true, false]);
  // In another tenant the same name is somebody else.
  const elsewhere = principal('dora', { tenantId: 'two', scopes: ['context:write'] });
  expect(await authorizer.allows(elsewhere, 'context:write')).toBe(true);
});

test('who has rights by a role shares no cached answer with those who have the same token only', async () => {
  const { authorizer } = rig;
  const [plain, special] = [principal('erna'), principal('emil')];
  expect([authorizer.rightsKey!(plain), authorizer.rightsKey!(special)]).toEqual(['', '']);
  const roleId = await rig.role({ name: 'keyed', permissions: [allow('plan', 'read')] });
  const id = await rig.hold('emil', roleId);
  const before = authorizer.rightsKey!(special);
  expect([authorizer.rightsKey!(plain), before === '']).toEqual(['', false]);
  await revoke(id);
  expect(authorizer.rightsKey!(special)).not.toBe(before);
});

test('another instance knows within a second, by events or by what it reads itself', async () => {
  const bus = createLocalBus((error) => {
    throw error;
  });
  const other = createRoleAuthorizer({ sql: rig.sql, bus, logger: silent, publisher: createPublisher(bus, null) });
  const frida = principal('frida');
  expect(await other.allows(frida, 'plan:read')).toBe(false);
  const unsubscribe = rig.bus.subscribe('role', (messages) =>
    bus.publish(messages.filter((message) => 'eventId' in message) as never),
  );
  const roleId = await rig.role({ name: 'far', permissions: [allow('plan', 'read')] });
  const id = await rig.hold('frida', roleId);
  const reaches = async (expected: boolean) => {
    const untilMs = Date.now() + 1_000;
    while ((await other.allows(frida, 'plan:read')) !== expected && Date.now() < untilMs) await sleep(5);
    return other.allows(frida, 'plan:read');
  };
  expect(await reaches(true)).toBe(true);
  await revoke(id);
  expect(await reaches(false)).toBe(false);
  unsubscribe();
  await other.close();
});

test('decisions are written down in batches, none is lost at the end, and a row of denials is told', async () => {
  const audit = createDecisionAudit({ sql: rig.sql, logger: silent, publisher: rig.runtime.publisher });
  const decision = (at: number, tenantId: string) => ({
    tenantId,
    subjectId: 'audited',
    askedBy: 'audited',
    source: 'check' as const,
    action: `a${at}`,
    resourceType: 'plan',
    resourceId: null,
    contextId: null,
    decision: 'DENY' as const,
    reason: 'no_roles',
    grantingRoleId: null,
    permissionId: null,
    evaluationUs: 1,
  });
  const total = 5_321;
  for (let at = 0; at < total; at += 1) void audit.record(decision(at, 'audit'));
  await audit.close();
  const [row] =
    await rig.sql`SELECT count(*) AS n, count(DISTINCT action) AS d FROM role.decision WHERE tenant_id = 'audit'`;
  expect([row!['n'], row!['d']]).toEqual([total, total]);
  const told = (await rig.stream(accessStream('audited'), 'audit')).map(({ type }) => type);
  expect(told).toContain('permission.denied.repeatedly');
  // Asking about somebody does not make it known.
  expect(await rig.stream(subjectStream('audited'), 'audit')).toEqual([]);
});

test('the log of decisions is read with filters by those who may', async () => {
  await rig.check(principal('logged'), { action: 'read', resource: { type: 'plan', id: 'p9' } });
  const log =
    'query ($s: ID!) { permissionAuditLog(filter: { subjectId: $s, decision: [DENY] }) { nodes { subjectId action resourceId reason decision source } } }';
  const { permissionAuditLog } = await rig.ask(admin, log, { s: 'logged' });
  expect(permissionAuditLog!['nodes']).toEqual([
    { subjectId: 'logged', action: 'read', resourceId: 'p9', reason: 'no_roles', decision: 'DENY', source: 'check' },
  ]);
  const { errors } = await rig.run(principal('curious'), log, { s: 'logged' });
  expect(errors[0]!.code).toBe('PERMISSION_DENIED');
  const { roleAnalytics } = await rig.ask(
    admin,
    '{ roleAnalytics { decisions denied denialRate roles { name count } mostHeld { holders } } }',
  );
  expect(Number(roleAnalytics!['denied'])).toBeGreaterThan(0);
});

test('holders hear that a role of theirs confers something else', async () => {
  const base = await rig.role({ name: 'news', permissions: [allow('plan', 'read')] });
  const heir = await rig.role({ name: 'newsheir', parents: [{ roleId: base }] });
  await rig.hold('reader', heir);
  const payload = await rig.mutate(admin, 'updateRole', '$roleId: ID!, $patch: RolePatch!', {
    variables: { roleId: base, patch: { permissions: [allow('plan', 'write')] } },
    selection: 'role { version }',
  });
  expect(codesOf(payload)).toEqual([]);
  expect(await rig.check(principal('reader'), { action: 'read', resource: { type: 'plan' } })).toMatchObject({
    granted: false,
  });
  const [job] = await rig.sql`SELECT j.key FROM graphile_worker.jobs j WHERE j.key = ${`role.tellHolders:one:${base}`}`;
  expect(job).toBeDefined();
  await rig.service.upkeep.tellHolders({ tenantId: 'one', roleId: base });
  const last = (await rig.stream(subjectStream('reader'))).at(-1)!;
  expect(last).toMatchObject({ type: 'permission.changed', data: { subjectId: 'reader', roleId: base } });
});

test('streams of a subject: what is told, to whom', async () => {
  const { roleAssignments, permissionChanges } = roleSubscriptions;
  const roleId = await rig.role({ name: 'streamed', permissions: [allow('plan', 'read')] });
  const id = await rig.hold('streamy', roleId);
  await revoke(id);
  const args = { subjectId: 'streamy' };
  const gate = await roleAssignments!.admit(principal('watcher'), args, { sql: rig.sql });
  const events = await rig.stream(roleAssignments!.streamId(args, principal('watcher')));
  const told = events
    .filter((event) => gate.decide(event) === 'deliver')
    .map((event) => roleAssignments!.payload(event));
  expect(told).toMatchObject([
    { type: 'role.assigned', subjectId: 'streamy', sequence: 1, assignment: { id, status: 'ACTIVE', roleId } },
    { type: 'role.revoked', sequence: 2, assignment: { id, status: 'REVOKED' } },
  ]);
  expect(decodeCursor(String(told[0]!['cursor']), subjectStream('streamy'))).toBe(1);
  expect(permissionChanges!.payload(events[0]!)).toMatchObject({ subjectId: 'streamy', roleId, contextId: null });
  const admit = (by: Principal, subjectId: string) => roleAssignments!.admit(by, { subjectId }, { sql: rig.sql });
  await expect(admit(principal('watcher'), 'unheard-of')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  await expect(admit(principal('watcher', { tenantId: 'two' }), 'streamy')).rejects.toMatchObject({
    code: 'NOT_FOUND',
  });
});

test('what conditions of other modules may ask of a subject is what is recorded of it, from the door on', async () => {
  const { authorizer } = rig;
  const [who, other, elsewhere] = [principal('filed'), principal('unfiled'), principal('filed', { tenantId: 'two' })];
  const record = async (department: string) => {
    const payload = await rig.mutate(admin, 'updateSubject', '$subjectId: String!, $patch: SubjectPatch!', {
      variables: { subjectId: 'filed', patch: { attributes: { department } } },
      selection: 'subject { id }',
    });
    expect(codesOf(payload)).toEqual([]);
  };
  for (const one of [who, other, elsewhere]) {
    expect(attributesOf(one)).toBeNull();
    await authorizer.allows(one, 'context:read');
    expect(attributesOf(one)).toEqual({});
  }
  // Nothing is asked again: it is read as it stands.
  await record('legal');
  await expect.poll(() => attributesOf(who)).toMatchObject({ department: 'legal' });
  const before = attributesOf(who);
  expect(attributesOf(who)).toBe(before);
  await record('sales');
  await expect.poll(() => attributesOf(who)).toMatchObject({ department: 'sales' });
  expect(before).toMatchObject({ department: 'legal' });
  for (const one of [other, elsewhere]) expect(attributesOf(one)).toEqual({});
});

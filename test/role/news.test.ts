import pino from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readConfig } from '#shared/config.ts';
import { newId } from '#shared/ids.ts';
import { validateEvent } from '../../schema/protocol/index.ts';
import { createAccessNews } from '../../subgraphs/role/accessNews.ts';
import { roleCodec } from '../../subgraphs/role/codec.ts';
import { createDecisionAudit } from '../../subgraphs/role/decisionAudit.ts';
import { roleSubscriptions } from '../../subgraphs/role/events.ts';
import { readRoleLimits } from '../../subgraphs/role/limits.ts';
import type { PermissionAuditEntryRow } from '../../subgraphs/role/rows.ts';
import { accessStream } from '../../subgraphs/role/subjectStream.ts';
import { admin, allow, deny, openRoleRig, principal, type RoleRig } from './rig.ts';

let rig: RoleRig;
beforeAll(async () => {
  rig = await openRoleRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const update = (roleId: string, patch: object) =>
  rig.mutate(admin, 'updateRole', '$roleId: ID!, $patch: RolePatch!', {
    variables: { roleId, patch },
    selection: 'role { version }',
  });

test('what a role gives and takes is told by a change, with the frozen tags that follow', async () => {
  const id = await rig.role({
    name: 'told',
    permissions: [{ ...allow('plan', 'read', 'update'), permissionId: 'p1' }],
  });
  await update(id, { description: 'words alone' });
  await update(id, {
    permissions: [
      { ...allow('plan', 'read'), permissionId: 'p1' },
      { ...allow('trace', 'read'), permissionId: 'p2' },
      // Neither a denial nor what has conditions is a tag.
      { ...deny('role', 'read'), permissionId: 'p3' },
      { ...allow('context', 'read'), permissionId: 'p4', conditions: { expression: 'subject.level > 1' } },
    ],
  });
  await rig.mutate(admin, 'deleteRole', '$roleId: ID!', { variables: { roleId: id }, selection: 'deleted' });
  const events = await rig.stream(id);
  const idsOf = (list: unknown) => (list as { permissionId: string }[]).map(({ permissionId }) => permissionId);
  expect(
    events.map(({ type, data }) => [
      type,
      data['capabilities'] ?? (data['permissions'] ? idsOf(data['permissions']) : null),
    ]),
  ).toEqual([
    ['role.created', null],
    ['role.updated', null],
    ['role.updated', null],
    ['permission.granted', ['p1', 'p2', 'p3', 'p4']],
    ['permission.revoked', ['p1']],
    ['capability.granted', ['trace.read']],
    ['capability.revoked', ['plan.update']],
    ['role.deleted', null],
    ['permission.revoked', ['p1', 'p2', 'p3', 'p4']],
    ['capability.revoked', ['plan.read', 'trace.read']],
  ]);
  const observed = events.flatMap((event) => roleCodec.observe!(event));
  expect(
    observed.map((document) => [
      document['event_type'],
      document['update_kind'],
      document['node_delta'],
      document['edge_delta'],
    ]),
  ).toEqual([
    ['role_created', 'node_add', 1, 0],
    ['capability_granted', 'edge_add', 0, 2],
    ['role_updated', 'node_update', 0, 0],
    ['role_updated', 'node_update', 0, 0],
    ['capability_granted', 'edge_add', 0, 1],
    ['capability_revoked', 'edge_delete', 0, -1],
    ['capability_revoked', 'edge_delete', 0, -2],
  ]);
  for (const document of observed) expect(validateEvent(document)).toEqual([]);
  expect(new Set(observed.map((document) => document['event_id'])).size).toBe(observed.length);
});

const entry = (
  subjectId: string,
  decision: 'PERMIT' | 'DENY',
  more: Partial<PermissionAuditEntryRow> = {},
): PermissionAuditEntryRow => ({
  tenantId: 'one',
  id: newId(),
  subjectId,
  askedBy: subjectId,
  source: 'check',
  action: 'read',
  resourceType: 'plan',
  resourceId: null,
  contextId: null,
  decision,
  reason: decision === 'PERMIT' ? 'permission_granted' : 'no_roles',
  grantingRoleId: null,
  permissionId: null,
  evaluationUs: 1,
  createdAt: new Date().toISOString(),
  ...more,
});

test('of decisions the first of a kind is told, those that follow as a number', () => {
  let nowMs = 1_000_000;
  const news = createAccessNews({ everyMs: 60_000, now: () => nowMs });
  const tell = (batch: readonly PermissionAuditEntryRow[], isStored = true) => {
    const { changes, told } = news.of(batch);
    if (isStored) told();
    return changes.flatMap(({ events }) =>
      events.map(({ type, data }) => [type, data['subjectId'], data['decisions'], data['since']]),
    );
  };
  // What could not be stored is not taken for told.
  expect(tell([entry('a', 'PERMIT')], false)).toEqual([['access.granted', 'a', 1, null]]);
  expect(tell([entry('a', 'PERMIT'), entry('a', 'DENY'), entry('b', 'PERMIT'), entry('a', 'PERMIT')])).toEqual([
    ['access.granted', 'a', 2, null],
    ['access.denied', 'a', 1, null],
    ['access.granted', 'b', 1, null],
  ]);
  nowMs += 59_999;
  expect(tell([entry('a', 'PERMIT'), entry('a', 'PERMIT'), entry('a', 'PERMIT', { tenantId: 'two' })])).toEqual([
    ['access.granted', 'a', 1, null],
  ]);
  nowMs += 1;
  expect(tell([entry('a', 'PERMIT'), entry('a', 'DENY')])).toEqual([
    ['access.granted', 'a', 3, new Date(1_000_000).toISOString()],
    ['access.denied', 'a', 1, new Date(1_000_000).toISOString()],
  ]);
  expect(createAccessNews({ everyMs: 0 }).of([entry('a', 'DENY')]).changes).toEqual([]);
});

test('decisions are told on a stream of their subject once they are stored', async () => {
  const roleId = await rig.role({ name: 'reader', permissions: [allow('plan', 'read')] });
  await rig.hold('nora', roleId);
  const ask = (action: string) => rig.check(admin, { subjectId: 'nora', action, resource: { type: 'plan' } });
  for (const action of ['read', 'read', 'delete', 'read']) await ask(action);
  await rig.service.audit.flush();
  const told = (await rig.stream(accessStream('nora'))).filter(({ type }) => type.startsWith('access.'));
  expect(told.map(({ type, actor, data }) => [type, actor, data['decisions'], data['last']])).toEqual([
    [
      'access.granted',
      'admin',
      3,
      {
        action: 'read',
        resourceType: 'plan',
        resourceId: null,
        decision: 'PERMIT',
        reason: 'permission_granted',
        grantingRoleId: roleId,
      },
    ],
    [
      'access.denied',
      'admin',
      1,
      {
        action: 'delete',
        resourceType: 'plan',
        resourceId: null,
        decision: 'DENY',
        reason: 'no_matching_permissions',
        grantingRoleId: null,
      },
    ],
  ]);
  await ask('read');
  await rig.service.audit.flush();
  expect((await rig.stream(accessStream('nora'))).filter(({ type }) => type.startsWith('access.'))).toHaveLength(2);
});

test('a thousand decisions about one subject make one event, and none where it is turned off', async () => {
  const audits = [60_000, 0].map((accessNewsMs) =>
    createDecisionAudit({ sql: rig.sql, logger: pino({ level: 'silent' }), accessNewsMs, suspiciousDenials: 1e9 }),
  );
  for (const [at, audit] of audits.entries()) {
    for (let n = 0; n < 1_000; n += 1) audit.record(entry(`busy-${at}`, 'DENY'));
    await audit.close();
  }
  const count = async (subjectId: string) => (await rig.stream(accessStream(subjectId))).length;
  expect([await count('busy-0'), await count('busy-1')]).toEqual([1, 0]);
  const of = (environment: Record<string, string>) => readRoleLimits(readConfig(environment)).accessNewsMs;
  expect([of({}), of({ ROLE_ACCESS_EVENT_SECONDS: '0' })]).toEqual([60_000, 0]);
});

test('roleUpdates: what becomes of a role, to who is of its tenant', async () => {
  const { roleUpdates } = roleSubscriptions;
  const roleId = await rig.role({ name: 'followed', permissions: [{ ...allow('plan', 'read'), permissionId: 'p1' }] });
  await update(roleId, { displayName: 'Followed', permissions: [{ ...allow('plan', 'update'), permissionId: 'p2' }] });
  await rig.mutate(admin, 'deleteRole', '$roleId: ID!', { variables: { roleId }, selection: 'deleted' });
  const events = await rig.stream(roleId);
  const told = events.map((event) => roleUpdates!.payload(event)) as Record<string, unknown>[];
  expect(told.map(({ type, permissionIds, capabilities }) => [type, permissionIds, capabilities])).toEqual([
    ['role.created', [], []],
    ['role.updated', [], []],
    ['permission.granted', ['p2'], []],
    ['permission.revoked', ['p1'], []],
    ['capability.granted', [], ['plan.update']],
    ['capability.revoked', [], ['plan.read']],
    ['role.deleted', [], []],
    ['permission.revoked', ['p2'], []],
    ['capability.revoked', [], ['plan.update']],
  ]);
  expect(told[1]).toMatchObject({
    roleId,
    role: { id: roleId },
    changed: ['displayName', 'permissions'],
    actor: 'admin',
  });
  expect(told[6]!['role']).toBeNull();
  const standing = await rig.role({ name: 'standing' });
  const admit = (who: typeof admin, id: string) => roleUpdates!.admit(who, { roleId: id }, { sql: rig.sql });
  await expect(admit(admin, standing)).resolves.toBeDefined();
  for (const [who, id] of [
    [principal('eve', { tenantId: 'two' }), standing],
    [admin, newId()],
    [admin, 'x'],
  ] as const)
    await expect(admit(who, id)).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

test('accessDecisions: what was decided about a subject, and that it was denied again and again', async () => {
  const { accessDecisions } = roleSubscriptions;
  for (let n = 0; n < 12; n += 1)
    await rig.check(admin, { subjectId: 'knocker', action: 'delete', resource: { type: 'plan', id: `p${n}` } });
  await rig.service.audit.flush();
  const told = (await rig.stream(accessStream('knocker'))).map((event) => accessDecisions!.payload(event));
  expect(told).toHaveLength(2);
  expect(told.toSorted((one, two) => (String(one['kind']) < String(two['kind']) ? -1 : 1))).toMatchObject([
    { kind: 'DENIED', subjectId: 'knocker', actor: 'admin', action: 'delete', decision: 'DENY', reason: 'no_roles' },
    { kind: 'DENIED_REPEATEDLY', actor: 'knocker', resourceType: 'plan', grantingRole: null, since: null },
  ]);
  const admit = (who: typeof admin, subjectId: string) => accessDecisions!.admit(who, { subjectId }, { sql: rig.sql });
  await expect(admit(admin, 'knocker')).resolves.toBeDefined();
  // One that nobody has heard of may be decided about at the next moment.
  await expect(admit(admin, 'nobody-heard-of')).resolves.toBeDefined();
});

test('subjects: who is recorded and who only holds a role, page by page', async () => {
  const root = principal('root', { tenantId: 'listed', scopes: ['*'] });
  const owner = principal('lister', { tenantId: 'listed' });
  const roleId = await rig.role({ name: 'held', permissions: [allow('plan', 'read')] }, root);
  const record = (subjectId: string, patch: object) =>
    rig.mutate(root, 'updateSubject', '$subjectId: String!, $patch: SubjectPatch!', {
      variables: { subjectId, patch },
      selection: 'subject { id }',
    });
  await record('b-agent', { type: 'AGENT', displayName: 'Bee', capabilities: [{ name: 'maths', level: 'EXPERT' }] });
  await record('d-human', { type: 'HUMAN', displayName: 'Dee' });
  for (const subjectId of ['a-holder', 'b-agent', 'c-holder']) await rig.assign(root, { roleId, subjectId });
  const find = async (args: string, who = owner) => {
    const { subjects } = await rig.ask(
      who,
      `{ subjects${args && `(${args})`} { nodes { id type } pageInfo { hasNextPage endCursor } } }`,
    );
    return subjects!;
  };
  const ids = async (args: string, who = owner) => (await find(args, who))['nodes']!.map(({ id }) => String(id));
  expect(await ids('')).toEqual(['a-holder', 'b-agent', 'c-holder', 'd-human']);
  const first = await find('first: 2');
  expect(first['pageInfo']!['hasNextPage']).toBe(true);
  expect(await ids(`first: 2, after: "${String(first['pageInfo']!['endCursor'])}"`)).toEqual(['c-holder', 'd-human']);
  expect(await ids('filter: { text: "BEE" }')).toEqual(['b-agent']);
  expect(await ids('filter: { text: "hold" }')).toEqual(['a-holder', 'c-holder']);
  expect(await ids('filter: { type: [HUMAN] }')).toEqual(['d-human']);
  expect(await ids('filter: { capability: "maths" }')).toEqual(['b-agent']);
  expect(await ids(`filter: { roleId: "${roleId}" }`)).toEqual(['a-holder', 'b-agent', 'c-holder']);
  expect(await ids('', principal('lister', { tenantId: 'empty', scopes: ['role:read'] }))).toEqual([]);
});

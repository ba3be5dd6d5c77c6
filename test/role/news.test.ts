import pino from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readConfig } from '#shared/config.ts';
import { newId } from '#shared/ids.ts';
import { validateEvent } from '../../schema/protocol/index.ts';
import { createAccessNews } from '../../subgraphs/role/accessNews.ts';
import { roleCodec } from '../../subgraphs/role/codec.ts';
import { createDecisionAudit } from '../../subgraphs/role/decisionAudit.ts';
import { readRoleLimits } from '../../subgraphs/role/limits.ts';
import type { PermissionAuditEntryRow } from '../../subgraphs/role/rows.ts';
import { accessStream } from '../../subgraphs/role/subjectStream.ts';
import { admin, allow, deny, openRoleRig, type RoleRig } from './rig.ts';

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

import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { EventRow } from '#shared/events.ts';
import { newId } from '#shared/ids.ts';
import type { Principal } from '#shared/principal.ts';
import {
  applyChange,
  buildSnapshot,
  createDecisionPoint,
  decide,
  defaultDecideOptions,
  type GivenApproval,
  type PermissionRequest,
  readWorld,
  type Snapshot,
  toDecision,
} from '../../subgraphs/role/decision/index.ts';
import { roleSubscriptions } from '../../subgraphs/role/events.ts';
import { createRoleReplicas } from '../../subgraphs/role/replicas.ts';
import { subjectStream } from '../../subgraphs/role/subjectStream.ts';
import { admin, allow, codesOf, deny, type Json, openRoleRig, principal, type RoleRig } from './rig.ts';
import { requests, worlds } from './worlds.ts';

let rig: RoleRig;
beforeAll(async () => {
  rig = await openRoleRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const selection =
  'request { id status statusReason threshold approverRoles permissionId grantingRole { name } action resourceType resourceId contextId endsAt version subject { id } approval { status confirmId } } existed';
const ask = (by: Principal, input: Readonly<Record<string, unknown>>) =>
  rig.mutate(by, 'requestPermission', '$input: RequestPermissionInput!', { variables: { input }, selection });
const revoke = (by: Principal, requestId: string, more: Readonly<Record<string, unknown>> = {}) =>
  rig.mutate(by, 'revokePermissionRequest', '$requestId: ID!, $expectedVersion: Int', {
    variables: { requestId, ...more },
    selection: 'request { status version }',
  });
const idOf = (payload: Json) => {
  expect(codesOf(payload)).toEqual([]);
  return String(payload['request']!['id']);
};
const resolved = (targetId: string, status: 'approved' | 'rejected'): EventRow =>
  ({
    tenantId: 'one',
    eventId: newId(),
    module: 'confirm',
    streamId: targetId,
    sequence: 1,
    type: 'confirm.resolved',
    actor: 'system:confirm',
    data: {
      confirm: {
        id: newId(),
        requestEventId: newId(),
        targetId,
        status,
        resolution: 'it was looked at',
        reference: { module: 'role', kind: 'permission', permissionRequestId: targetId },
      },
    },
    tags: [],
    traceId: '1'.repeat(32),
    createdAt: new Date().toISOString(),
  }) as unknown as EventRow;
const publish = (id?: string) => ({
  action: 'publish',
  resource: { type: 'plan', ...(id === undefined ? {} : { id }) },
});
const asking = (name: string, more: Readonly<Record<string, unknown>> = {}) =>
  rig.role({
    name,
    permissions: [{ ...allow('plan', 'publish'), approvalRequired: { threshold: 2, approverRoles: ['board'] } }],
    ...more,
  });
const outcome = async (who: Principal, question: Readonly<Record<string, unknown>>) =>
  (await rig.check(who, question))['decision'];

test('what needs an approval is asked for, and permitted once it is approved: that and nothing else', async () => {
  const ann = principal('ann');
  await rig.hold('ann', await asking('publisher'));
  expect(await outcome(ann, publish('p1'))).toBe('NEEDS_APPROVAL');
  const first = await ask(ann, { ...publish('p1'), reason: 'it is ready' });
  const id = idOf(first);
  expect(first).toMatchObject({
    existed: false,
    request: {
      ...{ status: 'PENDING', threshold: 2, approverRoles: ['board'], grantingRole: { name: 'publisher' } },
      ...{ action: 'publish', resourceType: 'plan', resourceId: 'p1', contextId: null, subject: { id: 'ann' } },
      approval: { status: 'PENDING', confirmId: null },
    },
  });
  const [asked] = await rig.stream(id);
  expect(asked).toMatchObject({
    type: 'approval.requested',
    data: {
      approval: {
        ...{ targetType: 'other', targetId: id, requestedBy: 'ann', approverRoles: ['board'], reason: 'it is ready' },
        quorum: { kind: 'at_least', required: 2 },
      },
    },
  });
  // The same once more is no second question, and waiting permits nothing.
  expect(await ask(ann, publish('p1'))).toMatchObject({ existed: true, request: { id } });
  expect(await outcome(ann, publish('p1'))).toBe('NEEDS_APPROVAL');
  await rig.service.upkeep.resolve(resolved(id, 'approved'));
  const { checkPermission } = await rig.ask(
    ann,
    `query ($input: CheckPermissionInput!) { checkPermission(input: $input) {
       granted decision reason obligations { type } approvedRequest { id status approval { status } } } }`,
    { input: publish('p1') },
  );
  expect(checkPermission).toEqual({
    ...{ granted: true, decision: 'PERMIT', reason: 'permission_granted', obligations: [] },
    approvedRequest: { id, status: 'APPROVED', approval: { status: 'APPROVED' } },
  });
  expect(await outcome(ann, publish('p2'))).toBe('NEEDS_APPROVAL');
  expect(await outcome(ann, publish())).toBe('NEEDS_APPROVAL');
  expect(await outcome(principal('bob'), publish('p1'))).toBe('DENY');
  // Another instance reads it from the table.
  const other = createRoleReplicas({ sql: rig.sql, bus: rig.bus, logger: rig.runtime.logger });
  const { point } = await other.load('one');
  expect(point.checkPermission({ subjectId: 'ann', ...publish('p1') })).toMatchObject({ approvedRequestId: id });
  await other.close();
  // A denial overrides it, and who loses the role has no use for it.
  const gag = await rig.hold('ann', await rig.role({ name: 'nopublish', permissions: [deny('plan', 'publish')] }));
  expect(await outcome(ann, publish('p1'))).toBe('DENY');
  await rig.mutate(admin, 'revokeRole', '$assignmentId: ID!', {
    variables: { assignmentId: gag },
    selection: 'assignment { id }',
  });
  expect(await outcome(ann, publish('p1'))).toBe('PERMIT');
  // What is granted needs nobody.
  expect(codesOf(await ask(ann, publish('p1')))).toEqual([]);
  const types = (await rig.stream(subjectStream('ann'))).map(({ type }) => type);
  expect(types.filter((type) => type.startsWith('permission.request'))).toEqual([
    'permission.requested',
    'permission.request.approved',
  ]);
});

test('who follows its permissions hears what became of a request', async () => {
  const { permissionChanges } = roleSubscriptions;
  const { types } = permissionChanges!;
  expect(types).toEqual(expect.arrayContaining(['permission.requested', 'permission.request.*']));
  const cat = principal('cat');
  await rig.hold('cat', await asking('publisher2'));
  const id = idOf(await ask(cat, publish('p1')));
  await rig.service.upkeep.resolve(resolved(id, 'rejected'));
  // Late and repeated news change nothing.
  await rig.service.upkeep.resolve(resolved(id, 'approved'));
  const told = (await rig.stream(subjectStream('cat')))
    .filter(({ type }) => type.startsWith('permission.request'))
    .map((event) => permissionChanges!.payload(event));
  expect(told).toMatchObject([
    { type: 'permission.requested', subjectId: 'cat', request: { id, status: 'PENDING' } },
    {
      type: 'permission.request.rejected',
      request: { id, status: 'REJECTED', statusReason: 'it was looked at', approval: { status: 'REJECTED' } },
    },
  ]);
  expect(await outcome(cat, publish('p1'))).toBe('NEEDS_APPROVAL');
  // A new request may be made.
  expect(await ask(cat, publish('p1'))).toMatchObject({ existed: false });
});

test('an approval ends by the clock, and by who asked or administers the role', async () => {
  const dan = principal('dan');
  await rig.hold('dan', await asking('publisher3'));
  const short = idOf(await ask(dan, { ...publish('p1'), endsAt: new Date(Date.now() + 400).toISOString() }));
  await rig.service.upkeep.resolve(resolved(short, 'approved'));
  expect(await outcome(dan, publish('p1'))).toBe('PERMIT');
  await sleep(450);
  expect(await outcome(dan, publish('p1'))).toBe('NEEDS_APPROVAL');
  await rig.service.upkeep.expire();
  const read = async (id: string) =>
    (await rig.ask(dan, 'query ($id: ID!) { permissionRequest(requestId: $id) { status statusReason } }', { id }))[
      'permissionRequest'
    ];
  expect(await read(short)).toEqual({ status: 'EXPIRED', statusReason: 'its time is over' });
  const second = idOf(await ask(dan, publish('p1')));
  await rig.service.upkeep.resolve(resolved(second, 'approved'));
  await expect(revoke(principal('eve'), second)).rejects.toThrow('role:admin');
  expect(codesOf(await revoke(dan, second, { expectedVersion: 1 }))).toEqual(['VERSION_CONFLICT']);
  expect(await revoke(admin, second, { expectedVersion: 2 })).toMatchObject({ request: { status: 'REVOKED' } });
  expect(await outcome(dan, publish('p1'))).toBe('NEEDS_APPROVAL');
  expect(codesOf(await revoke(dan, second))).toEqual(['INVALID_STATE_TRANSITION']);
  expect(codesOf(await revoke(dan, newId()))).toEqual(['NOT_FOUND']);
  const third = idOf(await ask(dan, publish('p1')));
  expect(await revoke(dan, third)).toMatchObject({ request: { status: 'REVOKED' } });
  await rig.service.upkeep.resolve(resolved(third, 'approved'));
  expect(await read(third)).toMatchObject({ status: 'REVOKED' });
  const list = async (filter: string) =>
    (await rig.ask(dan, `{ permissionRequests(filter: ${filter}) { totalCount nodes { id } } }`))['permissionRequests'];
  expect(await list('{ subjectId: "dan", status: [REVOKED] }')).toEqual({
    totalCount: 2,
    nodes: [{ id: third }, { id: second }],
  });
  expect(await list('{ subjectId: "dan", action: ["publish"], resourceType: "plan", resourceId: "p1" }')).toMatchObject(
    {
      totalCount: 3,
    },
  );
  expect(await list('{ subjectId: "dan", action: ["read"] }')).toMatchObject({ totalCount: 0 });
});

test('what makes no sense is refused, and nothing is stored', async () => {
  const fay = principal('fay');
  await rig.hold('fay', await asking('publisher4', { permissions: [allow('plan', 'read'), allow('trace', 'read')] }));
  const codes = async (input: Readonly<Record<string, unknown>>, by = fay) => codesOf(await ask(by, input));
  expect(await codes({ action: 'read', resource: { type: 'plan' } })).toEqual(['INVALID_STATE']);
  expect(await codes(publish(), principal('boss', { scopes: ['role:read', 'plan:publish'] }))).toEqual([
    'INVALID_STATE',
  ]);
  // No approval would help.
  await expect(ask(fay, { action: 'delete', resource: { type: 'plan' } })).rejects.toThrow('no approval would permit');
  await rig.hold('fay', await asking('publisher5'));
  const inDays = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString();
  expect(await codes({ ...publish(), endsAt: inDays(-1) })).toEqual(['VALIDATION_FAILED']);
  expect(await codes({ ...publish(), endsAt: inDays(4_000) })).toEqual(['VALIDATION_FAILED']);
  expect(await codes({ ...publish(), environment: { time: '2026-01-01T00:00:00Z' } })).toEqual(['VALIDATION_FAILED']);
  expect(await codes({ ...publish(), contextId: newId() })).toEqual(['NOT_FOUND']);
  expect(await codes({ ...publish(), planId: 'plan' })).toEqual(['VALIDATION_FAILED']);
  const [{ count } = { count: -1 }] =
    await rig.sql`SELECT count(*)::int AS count FROM role.permission_request WHERE subject_id = 'fay'`;
  expect(count).toBe(0);
  const contextId = rig.openContext();
  const key = { ...publish(), contextId, idempotencyKey: 'once' };
  const id = idOf(await ask(fay, key));
  expect(idOf(await ask(fay, key))).toBe(id);
  expect(await codes({ ...key, action: 'read' })).toEqual(['IDEMPOTENCY_MISMATCH']);
  await rig.service.upkeep.resolve(resolved(id, 'approved'));
  expect(await outcome(fay, { ...publish('any'), contextId })).toBe('PERMIT');
  expect(await outcome(fay, publish('any'))).toBe('NEEDS_APPROVAL');
  const stranger = principal('fay', { tenantId: 'two', scopes: ['*'] });
  expect(codesOf(await revoke(stranger, id))).toEqual(['NOT_FOUND']);
  const { permissionRequest } = await rig.ask(
    stranger,
    'query ($id: ID!) { permissionRequest(requestId: $id) { id } }',
    { id },
  );
  expect(permissionRequest).toBeNull();
});

test('a conflict that is escalated is a person’s to settle, and what a delegator needs an approval for its delegate does', async () => {
  const base = await rig.role({ name: 'never', permissions: [deny('plan', 'publish')] });
  const heir = await rig.role({
    name: 'clashing',
    permissions: [allow('plan', 'publish')],
    parents: [{ roleId: base }],
    inheritanceRules: { conflictResolution: 'ESCALATE' },
  });
  await rig.hold('gus', heir);
  const gus = principal('gus');
  const escalated = await ask(gus, publish('p1'));
  expect(escalated).toMatchObject({ request: { grantingRole: { name: 'never' }, threshold: 1, approverRoles: [] } });
  await rig.service.upkeep.resolve(resolved(idOf(escalated), 'approved'));
  expect([await outcome(gus, publish('p1')), await outcome(gus, publish('p2'))]).toEqual(['PERMIT', 'NEEDS_APPROVAL']);
  await rig.hold('hal', await asking('publisher6'));
  await rig.mutate(principal('hal'), 'delegate', '$input: DelegateInput!', {
    variables: {
      input: {
        delegateId: 'ida',
        permissions: ['plan:publish'],
        endsAt: new Date(Date.now() + 3_600_000).toISOString(),
      },
    },
    selection: 'delegation { id }',
  });
  const ida = principal('ida');
  const id = idOf(await ask(ida, publish('p1')));
  await rig.service.upkeep.resolve(resolved(id, 'approved'));
  expect([await outcome(ida, publish('p1')), await outcome(principal('hal'), publish('p1'))]).toEqual([
    'PERMIT',
    'NEEDS_APPROVAL',
  ]);
});

function judge(snapshot: Snapshot, request: PermissionRequest) {
  const conclusion = decide(snapshot, {
    request,
    timeMs: request.environment!.timeMs!,
    options: defaultDecideOptions,
  });
  return { decision: toDecision(conclusion), ruling: conclusion.ruling };
}

test('in random worlds an approval turns just what needed it into what is permitted, cached or not', () => {
  fc.assert(
    fc.property(worlds, requests, requests, fc.boolean(), (world, request, other, isEverywhere) => {
      const snapshot = buildSnapshot(world);
      const { decision, ruling } = judge(snapshot, request);
      const [duty] = decision.obligations;
      const approval: GivenApproval = {
        requestId: 'approved',
        subjectId: request.subjectId,
        permissionId: duty?.permissionId ?? 'p0-0',
        roleId: (ruling?.escalates ?? ruling?.candidate)?.grant.roleId ?? 'r0',
        action: request.action,
        resourceType: request.resource.type,
        ...(request.resource.id === undefined || isEverywhere ? {} : { resourceId: request.resource.id }),
        ...(request.contextId === undefined || isEverywhere ? {} : { contextId: request.contextId }),
        untilMs: request.environment!.timeMs! + 1,
      };
      const approved = applyChange(snapshot, { kind: 'approval.saved', approval });
      expect(readWorld(buildSnapshot({ ...world, approvals: [approval] }))).toEqual(readWorld(approved));
      const after = judge(approved, request).decision;
      if (decision.decision === 'NEEDS_APPROVAL')
        expect(after).toMatchObject({ decision: 'PERMIT', approvedRequestId: 'approved', obligations: [] });
      else expect(after.decision).toBe(decision.decision);
      // At its end it is over.
      const later = { ...request, environment: { ...request.environment, timeMs: approval.untilMs } };
      expect(judge(approved, later).decision.decision).toBe(judge(snapshot, later).decision.decision);
      // Nobody else's, and no other question's, unless it is the same.
      const elsewhere = [judge(snapshot, other).decision.decision, judge(approved, other).decision.decision];
      if (elsewhere[0] !== elsewhere[1]) {
        expect(elsewhere).toEqual(['NEEDS_APPROVAL', 'PERMIT']);
        expect([other.subjectId, other.action, other.resource.type]).toEqual([
          request.subjectId,
          request.action,
          request.resource.type,
        ]);
      }
      // What is kept of a decision goes by the record, the time and the object.
      let current = snapshot;
      const point = createDecisionPoint({ readSnapshot: () => current });
      for (const next of [snapshot, approved, snapshot]) {
        current = next;
        for (const question of [request, other, later])
          expect(point.checkPermission(question).decision).toBe(judge(next, question).decision.decision);
      }
      const removed = applyChange(approved, { kind: 'approval.removed', ...approval });
      expect(readWorld(removed)).toEqual(readWorld(snapshot));
    }),
    { numRuns: 500 },
  );
});

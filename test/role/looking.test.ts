import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readConfig } from '#shared/config.ts';
import { buildSnapshot, createDecisionPoint } from '../../subgraphs/role/decision/index.ts';
import { recommend } from '../../subgraphs/role/decisions.ts';
import { readRoleLimits } from '../../subgraphs/role/limits.ts';
import { admin, allow, codesOf, openRoleRig, principal, type RoleRig } from './rig.ts';

let rig: RoleRig;
beforeAll(async () => {
  rig = await openRoleRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const inHours = (hours: number) => new Date(Date.now() + hours * 3_600_000).toISOString();
const request = { action: 'read', resource: { type: 'plan' } };

describe('options of a question', () => {
  test('explain: false leaves out how the decision came about, and nothing else', async () => {
    const roleId = await rig.role({
      name: 'asked',
      permissions: [
        allow('plan', 'read'),
        { ...allow('plan', 'update'), conditions: { expression: 'subject.level > 1' } },
      ],
    });
    await rig.hold('olaf', roleId);
    const ask = (action: string, explain: boolean) =>
      rig.check(admin, { subjectId: 'olaf', action, resource: { type: 'plan' }, options: { explain } });
    expect(await ask('read', true)).toMatchObject({ granted: true, source: { grantingRoleId: roleId } });
    expect(await ask('read', false)).toMatchObject({ granted: true, reason: 'permission_granted', source: null });
    const [full, short] = [await ask('update', true), await ask('update', false)];
    expect(full['nearest']).toMatchObject({ grantingRoleId: roleId });
    expect(full['recommendations']).toHaveLength(1);
    expect(short).toMatchObject({
      granted: false,
      decision: 'DENY',
      reason: full['reason'],
      overallAccess: 'NONE',
      nearest: null,
      failingConditions: [],
      recommendations: [],
    });
  });

  test('a question that finds no answer in time is denied by evaluation_timeout, the token notwithstanding', async () => {
    const asker = principal('late', { tenantId: 'unread', scopes: ['role:read', 'plan:read'] });
    const { decisions } = rig.service;
    const within = (timeoutMs: number) => ({ ...request, options: { timeoutMs } });
    // Nothing of the tenant is in memory, and its rows cannot be read. The door would wait for them too.
    const late = await rig.sql.begin(async (tx) => {
      await tx`LOCK TABLE role.tenant IN ACCESS EXCLUSIVE MODE`;
      return Promise.all([
        decisions.check({ principal: asker }, within(50)),
        decisions.checkMany({ principal: asker }, [within(50), within(20)]),
      ]);
    });
    for (const given of late.flat()) {
      expect(given).toMatchObject({ granted: false, grantedByToken: false, revision: 0 });
      expect(given.decision).toMatchObject({ decision: 'DENY', reason: 'evaluation_timeout' });
      expect(recommend(given)).toEqual(['ask again, or give it more time']);
    }
    expect(await rig.check(asker, { ...request })).toMatchObject({ granted: true, grantedByToken: true });
  });

  test('an evaluation past its deadline is given up and not kept', () => {
    const snapshot = buildSnapshot({
      roles: [
        {
          roleId: 'r',
          name: 'r',
          status: 'active',
          parents: [],
          permissions: [{ permissionId: 'p', resourceType: 'plan', actions: ['read'], effect: 'allow' }],
        },
      ],
      assignments: [{ assignmentId: 'a', roleId: 'r', subjectId: 's', status: 'active' }],
      delegations: [],
      subjects: [],
      separationRules: [],
    });
    const point = createDecisionPoint({ readSnapshot: () => snapshot });
    const asked = { subjectId: 's', ...request };
    expect(point.checkPermission(asked, performance.now() - 1)).toMatchObject({
      granted: false,
      decision: 'DENY',
      reason: 'evaluation_timeout',
      cacheable: false,
    });
    expect(point.checkPermission(asked, performance.now() + 1_000)).toMatchObject({ granted: true });
    // What is known needs no time.
    expect(point.checkPermission(asked, performance.now() - 1)).toMatchObject({ granted: true });
  });

  test('the most is 1000 ms, in production 500, or what is configured', async () => {
    const of = (environment: Record<string, string>) => readRoleLimits(readConfig(environment)).evaluationTimeoutMs;
    expect([of({}), of({ NODE_ENV: 'production' }), of({ ROLE_EVALUATION_TIMEOUT_MS: '20' })]).toEqual([
      1_000, 500, 20,
    ]);
    const codes = async (timeoutMs: number) =>
      (
        await rig.run(admin, 'query ($input: CheckPermissionInput!) { checkPermission(input: $input) { granted } }', {
          input: { ...request, options: { timeoutMs } },
        })
      ).errors.map(({ code }) => code);
    expect([await codes(1_001), await codes(0), await codes(1_000)]).toEqual([
      ['VALIDATION_FAILED'],
      ['VALIDATION_FAILED'],
      [],
    ]);
  });
});

describe('where a permission comes from', () => {
  const sources = async (subjectId: string) =>
    (
      await rig.ask(
        admin,
        'query ($id: ID!) { effectivePermissions(subjectId: $id) { action source { grantType expiresAt } } }',
        { id: subjectId },
      )
    )['effectivePermissions']!.map(({ action, source }) => [action, source!['grantType'], source!['expiresAt']]);
  const decided = async (subjectId: string, action: string) => {
    const data = await rig.ask(
      admin,
      'query ($input: CheckPermissionInput!) { checkPermission(input: $input) { source { grantType expiresAt } } }',
      { input: { subjectId, action, resource: { type: 'plan' } } },
    );
    const source = data['checkPermission']!['source']!;
    return [action, source['grantType'], source['expiresAt']];
  };

  test('is told with when it ends first', async () => {
    const [soon, later, last] = [inHours(1), inHours(2), inHours(3)];
    const base = await rig.role({ name: 'above', permissions: [allow('plan', 'read')], expiresAt: later });
    const roleId = await rig.role({
      name: 'below',
      parents: [{ roleId: base }],
      permissions: [allow('plan', 'update'), { ...allow('plan', 'approve'), expiresAt: soon }],
    });
    await rig.hold('pia', roleId, { expiresAt: last });
    const expected = [
      ['approve', 'TEMPORARY', soon],
      ['read', 'INHERITED', later],
      ['update', 'DIRECT', last],
    ];
    expect(await sources('pia')).toEqual(expected);
    for (const [action, ...rest] of expected) expect(await decided('pia', action!)).toEqual([action, ...rest]);

    const ends = inHours(0.5);
    const pia = principal('pia');
    await rig.mutate(pia, 'delegate', '$input: DelegateInput!', {
      variables: { input: { delegateId: 'quin', permissions: ['plan:read', 'plan:update'], endsAt: ends } },
      selection: 'delegation { id }',
    });
    const passedOn = [
      ['read', 'DELEGATED', ends],
      ['update', 'DELEGATED', ends],
    ];
    expect(await sources('quin')).toEqual(passedOn);
    for (const [action, ...rest] of passedOn) expect(await decided('quin', action!)).toEqual([action, ...rest]);

    await rig.hold('rosa', roleId, { type: 'TEMPORARY', expiresAt: soon });
    expect(await decided('rosa', 'update')).toEqual(['update', 'TEMPORARY', soon]);
    const shown = await rig.ask(
      admin,
      'query ($id: ID!) { role(roleId: $id) { permissions { grantType expiresAt } } }',
      {
        id: roleId,
      },
    );
    expect(shown['role']!['permissions']).toEqual([
      { grantType: 'DIRECT', expiresAt: null },
      { grantType: 'TEMPORARY', expiresAt: soon },
    ]);
  });
});

describe('seniority', () => {
  test('is one of five, of roles and of subjects', async () => {
    const update = (attributes: object) =>
      rig.mutate(admin, 'updateSubject', '$subjectId: String!, $patch: SubjectPatch!', {
        variables: { subjectId: 'sven', patch: { attributes } },
        selection: 'subject { version }',
      });
    await expect(rig.createRole(admin, { name: 'odd', attributes: { seniority: 'WIZARD' } })).rejects.toThrow('WIZARD');
    const hidden = { custom: { seniority: 'executive' } };
    expect(codesOf(await rig.createRole(admin, { name: 'odd', attributes: hidden }))).toEqual(['VALIDATION_FAILED']);
    expect(codesOf(await update(hidden))).toEqual(['VALIDATION_FAILED']);
    expect(codesOf(await update({ department: '' }))).toEqual(['VALIDATION_FAILED']);
    expect(codesOf(await update({ seniority: 'MID', department: 'it' }))).toEqual([]);
  });

  test('of a role, or of one above it, is asked of whom another is recorded', async () => {
    const base = await rig.role({ name: 'leads', attributes: { seniority: 'LEAD' } });
    const roleId = await rig.role({ name: 'inheriting', parents: [{ roleId: base }] });
    const refused = await rig.assign(admin, { roleId, subjectId: 'sven' });
    expect(refused['userErrors']).toMatchObject([
      { code: 'PREREQUISITES_MISSING', message: 'expected the seniority lead, got mid' },
    ]);
    expect(codesOf(await rig.assign(admin, { roleId, subjectId: 'unrecorded' }))).toEqual([]);
    const junior = await rig.role({ name: 'juniors', attributes: { seniority: 'JUNIOR' } });
    expect(codesOf(await rig.assign(admin, { roleId: junior, subjectId: 'sven' }))).toEqual([]);
  });
});

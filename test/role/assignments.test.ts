import { describe, expect, it } from 'vitest';
import {
  buildSnapshot,
  createPermissionSets,
  defaultAssignmentLimits,
  judgeAdministration,
  judgeAssignment,
  matchCapabilities,
  type Permission,
  type Role,
  type World,
} from '../../subgraphs/role/decision/index.ts';

const now = Date.UTC(2026, 0, 5, 12);

function role(roleId: string, more: Partial<Role> = {}): Role {
  return { roleId, name: roleId, status: 'active', permissions: [], parents: [], ...more };
}

function allow(resourceType: string, action: string, more: Partial<Permission> = {}): Permission {
  return { permissionId: `${resourceType}-${action}`, resourceType, actions: [action], effect: 'allow', ...more };
}

function setsOf(roles: Role[], held: Record<string, string[]>, more: Partial<World> = {}) {
  const assignments = Object.entries(held).flatMap(([subjectId, roleIds]) =>
    roleIds.map((roleId) => ({ assignmentId: `${subjectId}-${roleId}`, roleId, subjectId, status: 'active' as const })),
  );
  return createPermissionSets(
    buildSnapshot({ roles, assignments, delegations: [], subjects: [], separationRules: [], ...more }),
  );
}

const codes = (verdict: ReturnType<typeof judgeAssignment>) => verdict.refusals.map(({ code }) => code);

describe('separation of duties', () => {
  const conflict = (severity: 'warning' | 'error', exceptionApprovalRequired = false) =>
    role('payer', { separationOfDuties: [{ conflictingRoles: ['approver'], severity, exceptionApprovalRequired }] });
  const approver = role('approver', { permissions: [allow('plan', 'approve')] });
  const boss = role('boss', { parents: [{ roleId: 'approver', type: 'full' }] });
  const proposal = { roleId: 'payer', subjectId: 'ada', timeMs: now };

  it('reaches through inheritance and names the way', () => {
    const verdict = judgeAssignment(setsOf([conflict('error'), approver, boss], { ada: ['boss'] }), proposal);
    expect(codes(verdict)).toEqual(['SOD_VIOLATION']);
    expect(verdict.refusals[0]).toMatchObject({
      message: 'expected fewer than 2 of approver, payer',
      violation: {
        ruleId: 'payer/approver',
        holds: [
          { roleId: 'approver', path: ['boss', 'approver'] },
          { roleId: 'payer', path: ['payer'] },
        ],
      },
    });
  });

  it('reaches through delegation, by roles or by permissions', () => {
    const lent = (more: object) => [
      {
        delegationId: 'd',
        delegatorId: 'bob',
        delegateId: 'ada',
        status: 'active' as const,
        permissions: ['plan:approve'],
        ...more,
      },
    ];
    const judge = (more: object) =>
      codes(
        judgeAssignment(
          setsOf([conflict('error'), approver, boss], { bob: ['boss'] }, { delegations: lent(more) }),
          proposal,
        ),
      );
    expect(judge({})).toEqual(['SOD_VIOLATION']);
    expect(judge({ roleIds: ['boss'], permissions: ['task:read'] })).toEqual(['SOD_VIOLATION']);
    expect(judge({ permissions: ['task:read'] })).toEqual([]);
    expect(judge({ status: 'revoked' })).toEqual([]);
  });

  it('warns, refuses, or waits for an exception', () => {
    const warned = judgeAssignment(setsOf([conflict('warning'), approver], { ada: ['approver'] }), proposal);
    expect([codes(warned), warned.warnings.length]).toEqual([[], 1]);
    const excepted = judgeAssignment(setsOf([conflict('error', true), approver], { ada: ['approver'] }), proposal);
    expect([codes(excepted), excepted.needsException.length]).toEqual([['SOD_VIOLATION'], 1]);
  });

  it('counts the roles of a rule of the tenant, and blames no one for what was so before', () => {
    const rule = { ruleId: 'three', roleIds: ['a', 'b', 'c'], limit: 3, severity: 'critical' as const };
    const roles = ['a', 'b', 'c', 'd'].map((roleId) => role(roleId));
    const judge = (held: string[], roleId: string) =>
      codes(judgeAssignment(setsOf(roles, { ada: held }, { separationRules: [rule] }), { ...proposal, roleId }));
    expect(judge(['a'], 'b')).toEqual([]);
    expect(judge(['a', 'b'], 'c')).toEqual(['SOD_VIOLATION']);
    expect(judge(['a', 'b', 'c'], 'd')).toEqual([]);
  });
});

describe('an assignment', () => {
  it('needs a role that is active', () => {
    const sets = setsOf([role('old', { status: 'deprecated' })], {});
    expect(codes(judgeAssignment(sets, { roleId: 'old', subjectId: 'ada', timeMs: now }))).toEqual(['ROLE_NOT_ACTIVE']);
    expect(codes(judgeAssignment(sets, { roleId: 'none', subjectId: 'ada', timeMs: now }))).toEqual(['ROLE_NOT_FOUND']);
  });

  it('keeps the number of roles and of holders', () => {
    const roles = ['a', 'b', 'c'].map((roleId) => role(roleId));
    const sets = setsOf(roles, { ada: ['a', 'b'], bob: ['a'] });
    const limits = { ...defaultAssignmentLimits, maxRolesPerSubject: 2, maxHoldersPerRole: 2 };
    const judge = (roleId: string, subjectId: string) =>
      codes(judgeAssignment(sets, { roleId, subjectId, timeMs: now }, limits));
    expect(judge('c', 'ada')).toEqual(['CARDINALITY_EXCEEDED']);
    expect(judge('b', 'ada')).toEqual([]);
    expect(judge('a', 'cleo')).toEqual(['CARDINALITY_EXCEEDED']);
    expect(judge('a', 'bob')).toEqual([]);
  });

  it('needs the capabilities of the role', () => {
    const required = [
      { name: 'sql', level: 'expert' as const, weight: 3 },
      { name: 'law', level: 'beginner' as const },
    ];
    expect(
      matchCapabilities(required, [
        { name: 'sql', level: 'advanced' },
        { name: 'law', level: 'master' },
      ]),
    ).toEqual({
      score: (3 * 0.75 + 1) / 4,
      passes: true,
      gaps: [{ name: 'sql', required: 'expert', held: 'advanced' }],
    });
    const sets = setsOf(
      [role('dba', { capabilityProfiles: required })],
      {},
      {
        subjects: [{ subjectId: 'ada', capabilities: [{ name: 'sql', level: 'intermediate' }] }],
      },
    );
    expect(codes(judgeAssignment(sets, { roleId: 'dba', subjectId: 'ada', timeMs: now }))).toEqual([
      'INSUFFICIENT_CAPABILITIES',
    ]);
    expect(matchCapabilities([], []).score).toBe(1);
  });
});

describe('nobody grants what they cannot administer', () => {
  const editor = role('editor', {
    permissions: [allow('plan', 'update'), allow('task', 'delete', { resourceId: 't1' })],
    parents: [{ roleId: 'reader', type: 'full' }],
  });
  const reader = role('reader', { permissions: [allow('plan', 'read')] });
  const judge = (permissions: Permission[], more: { query?: object; extra?: Partial<Role> } = {}) => {
    const roles = [editor, reader, role('granter', { permissions, ...more.extra })];
    const query = { subjectId: 'ada', roleId: 'editor', timeMs: now, ...more.query };
    return judgeAdministration(setsOf(roles, { ada: ['granter'] }), query).missing;
  };
  const admin = allow('role', 'admin');

  it('unless they hold all that the role confers, or administer it', () => {
    expect(judge([])).toEqual(['role:admin', 'plan:update', 'task:delete:t1', 'plan:read']);
    expect(judge([admin, allow('plan', 'admin'), allow('task', 'delete')])).toEqual([]);
    expect(judge([admin, allow('*', '*')])).toEqual([]);
    expect(judge([admin, allow('plan', 'update'), allow('task', 'delete')])).toEqual(['plan:read']);
  });

  it('and not by a condition, another object, an approval, or against a denial', () => {
    const rest = [admin, allow('plan', 'admin')];
    expect(judge([...rest, allow('task', 'delete', { resourceId: 't2' })])).toEqual(['task:delete:t1']);
    expect(judge([...rest, allow('task', 'delete', { conditions: { minClearance: 'public' } })])).toEqual([
      'task:delete:t1',
    ]);
    expect(judge([...rest, allow('task', 'delete', { approvalRequired: {} })])).toEqual(['task:delete:t1']);
    const denial = { ...allow('task', 'delete'), permissionId: 'no', effect: 'deny' as const };
    expect(judge([...rest, allow('task', '*'), denial])).toEqual(['task:delete:t1']);
    expect(judge([...rest, allow('task', '*')], { extra: { constraints: { actions: ['admin'] } } })).toContain(
      'task:delete:t1',
    );
  });

  it('nor may they add to a role what they lack', () => {
    const held = [admin, allow('plan', '*')];
    expect(judge(held, { query: { permissions: [allow('plan', 'approve')] } })).toEqual([]);
    expect(judge(held, { query: { permissions: [allow('trace', 'read')] } })).toEqual(['trace:read']);
  });
});

import { describe, expect, it } from 'vitest';
import {
  applyChange,
  buildSnapshot,
  createDecisionPoint,
  createPermissionSets,
  type Delegation,
  listCapabilities,
  listEffectivePermissions,
  listSubjectsWithPermission,
  type Permission,
  parsePermissionPattern,
  type Role,
  readHierarchy,
  type World,
} from '../../subgraphs/role/decision/index.ts';

const now = Date.UTC(2026, 0, 5, 12);

function allow(
  permissionId: string,
  resourceType: string,
  actions: string[],
  more: Partial<Permission> = {},
): Permission {
  return { permissionId, resourceType, actions, effect: 'allow', ...more };
}

function role(roleId: string, permissions: Permission[] = [], more: Partial<Role> = {}): Role {
  return { roleId, name: roleId, status: 'active', permissions, parents: [], ...more };
}

function world(roles: Role[], held: Record<string, string[]>, more: Partial<World> = {}): World {
  const assignments = Object.entries(held).flatMap(([subjectId, roleIds]) =>
    roleIds.map((roleId) => ({ assignmentId: `${subjectId}-${roleId}`, roleId, subjectId, status: 'active' as const })),
  );
  return { roles, assignments, delegations: [], subjects: [], separationRules: [], ...more };
}

function pointOf(rows: World) {
  const snapshot = buildSnapshot(rows);
  return createDecisionPoint({ readSnapshot: () => snapshot, now: () => now, maxDecisions: 100, maxSubjects: 100 });
}

const plan = { type: 'plan', id: 'p1' };
const base = role('base', [allow('read', 'plan', ['read']), allow('write', 'plan', ['update', 'delete'])]);
const team = role('team', [], { parents: [{ roleId: 'base', type: 'partial', excludedPermissions: ['plan:delete'] }] });
const lead = role('lead', [], { parents: [{ roleId: 'team', type: 'full' }] });

describe('a decision', () => {
  it('names the rule, the assignment and the path', () => {
    const point = pointOf(world([base, team, lead], { ada: ['lead'] }));
    expect(point.checkPermission({ subjectId: 'ada', action: 'read', resource: plan })).toMatchObject({
      granted: true,
      decision: 'PERMIT',
      reason: 'permission_granted',
      source: {
        permissionId: 'read',
        effect: 'allow',
        grantingRoleId: 'base',
        heldRoleId: 'lead',
        assignmentId: 'ada-lead',
        path: ['lead', 'team', 'base'],
        delegationIds: [],
      },
      overallAccess: 'full',
      cacheable: true,
    });
  });

  it('keeps back what a partial inheritance excludes, action by action', () => {
    const point = pointOf(world([base, team, lead], { ada: ['lead'] }));
    expect(point.checkPermission({ subjectId: 'ada', action: 'update', resource: plan }).granted).toBe(true);
    const refused = point.checkPermission({ subjectId: 'ada', action: 'delete', resource: plan });
    expect(refused).toMatchObject({ decision: 'DENY', reason: 'no_matching_permissions' });
  });

  it('explains a denial by its rule and path', () => {
    const frozen = role('frozen', [{ permissionId: 'no', resourceType: '*', actions: ['*'], effect: 'deny' }]);
    const auditor = role('auditor', [allow('all', '*', ['*'])], { parents: [{ roleId: 'frozen', type: 'full' }] });
    const point = pointOf(world([frozen, auditor], { ada: ['auditor'] }));
    expect(point.checkPermission({ subjectId: 'ada', action: 'read', resource: plan })).toMatchObject({
      reason: 'explicit_deny',
      source: { permissionId: 'no', effect: 'deny', grantingRoleId: 'frozen', path: ['auditor', 'frozen'] },
    });
  });

  it('says why the nearest rule did not apply', () => {
    const rules: [Partial<Permission>, string][] = [
      [{ resourceId: 'p2' }, 'scope_violation'],
      [{ scope: { contextIds: ['c9'] } }, 'scope_violation'],
      [{ conditions: { timeBased: { start: '13:00' } } }, 'time_restriction'],
      [{ conditions: { minClearance: 'secret' } }, 'condition_failed:clearance'],
      [{ scope: { relation: 'own' } }, 'scope_violation'],
      [{ conditions: { expression: 'resource.size > 1' } }, 'evaluation_error'],
      [{ expiresAtMs: now }, 'no_matching_permissions'],
    ];
    for (const [rule, reason] of rules) {
      const point = pointOf(world([role('r', [allow('x', 'plan', ['read'], rule)])], { ada: ['r'] }));
      const resource = { ...plan, attributes: { size: 'big' } };
      expect(point.checkPermission({ subjectId: 'ada', action: 'read', resource })).toMatchObject({
        granted: false,
        reason,
      });
    }
    expect(pointOf(world([], {})).checkPermission({ subjectId: 'x', action: 'a', resource: plan }).reason).toBe(
      'no_roles',
    );
  });

  it('asks for approval only where no other rule grants without', () => {
    const asking = role('asking', [
      allow('ask', 'plan', ['update'], { approvalRequired: { threshold: 2, approverRoles: ['lead'] } }),
    ]);
    const request = { subjectId: 'ada', action: 'update', resource: plan };
    expect(pointOf(world([asking], { ada: ['asking'] })).checkPermission(request)).toMatchObject({
      granted: false,
      decision: 'NEEDS_APPROVAL',
      reason: 'approval_required',
      overallAccess: 'partial',
      obligations: [{ type: 'approval', permissionId: 'ask', approvals: 2, approverRoles: ['lead'] }],
    });
    expect(pointOf(world([asking, base], { ada: ['asking', 'base'] })).checkPermission(request).decision).toBe(
      'PERMIT',
    );
  });

  it('applies the most restrictive limit of role and assignment', () => {
    const spender = role('spender', [allow('spend', 'plan', ['update'])], { constraints: { limits: { amount: 500 } } });
    const assignment = {
      assignmentId: 'a',
      roleId: 'spender',
      subjectId: 'ada',
      status: 'active' as const,
      constraints: { limits: { amount: 100 } },
    };
    const point = pointOf(world([spender], {}, { assignments: [assignment] }));
    const spend = (amount: number) =>
      point.checkPermission({ subjectId: 'ada', action: 'update', resource: { ...plan, attributes: { amount } } });
    expect(spend(100)).toMatchObject({ granted: true, limits: [{ attribute: 'amount', max: 100 }], cacheable: false });
    expect(spend(101)).toMatchObject({ granted: false, reason: 'condition_failed:constraint.limits.amount' });
    expect(spend(100).constraints).toHaveLength(2);
  });

  it('ends with the assignment, from the cache too', () => {
    let time = now;
    const assignment = {
      assignmentId: 'a',
      roleId: 'base',
      subjectId: 'ada',
      status: 'active' as const,
      expiresAtMs: now + 1_000,
    };
    const snapshot = buildSnapshot(world([base], {}, { assignments: [assignment] }));
    const point = createDecisionPoint({ readSnapshot: () => snapshot, now: () => time, maxDecisions: 10 });
    const ask = () => point.checkPermission({ subjectId: 'ada', action: 'read', resource: plan });
    expect(ask()).toMatchObject({ granted: true, validUntilMs: now + 1_000 });
    time = now + 999;
    expect(ask().granted).toBe(true);
    expect(point.stats().hits).toBe(1);
    time = now + 1_000;
    expect(ask()).toMatchObject({ granted: false, reason: 'no_roles' });
  });

  it('counts an assignment only in its context', () => {
    const assignment = {
      assignmentId: 'a',
      roleId: 'base',
      subjectId: 'ada',
      status: 'active' as const,
      contextId: 'c1',
    };
    const point = pointOf(world([base], {}, { assignments: [assignment] }));
    const ask = (contextId: string) =>
      point.checkPermission({ subjectId: 'ada', action: 'read', resource: plan, contextId }).reason;
    expect([ask('c1'), ask('c2')]).toEqual(['permission_granted', 'no_roles']);
  });

  it('is not confused by separators in names', () => {
    const point = pointOf(world([role('r', [allow('x', 'plan', ['read'], { resourceId: 'a|b' })])], { ada: ['r'] }));
    const ask = (id: string, contextId: string) =>
      point.checkPermission({ subjectId: 'ada', action: 'read', resource: { type: 'plan', id }, contextId }).granted;
    expect([ask('a|b', 'c'), ask('a', 'b|c')]).toEqual([true, false]);
  });

  it('of many requests is full, partial or none', () => {
    const point = pointOf(world([base], { ada: ['base'] }));
    const ask = (...actions: string[]) =>
      point.checkPermissions(actions.map((action) => ({ subjectId: 'ada', action, resource: plan }))).overallAccess;
    expect([ask('read', 'update'), ask('read', 'admin'), ask('admin', 'approve')]).toEqual(['full', 'partial', 'none']);
  });
});

describe('a delegation', () => {
  const lend = (delegationId: string, from: string, to: string, more: Partial<Delegation> = {}): Delegation => ({
    delegationId,
    delegatorId: from,
    delegateId: to,
    permissions: ['plan:read'],
    status: 'active',
    ...more,
  });
  const ask = (rows: World, subjectId: string, action = 'read') =>
    pointOf(rows).checkPermission({ subjectId, action, resource: plan });

  it('lends what the delegator holds, and no more', () => {
    const rows = world([base], { ada: ['base'] }, { delegations: [lend('d', 'ada', 'bob')] });
    expect(ask(rows, 'bob')).toMatchObject({
      granted: true,
      source: { delegationIds: ['d'], assignmentId: 'ada-base' },
    });
    expect(ask(rows, 'bob', 'update')).toMatchObject({ granted: false });
  });

  it('ends when the delegator loses the right or is denied it', () => {
    const delegations = [lend('d', 'ada', 'bob')];
    const denying = role('denying', [{ ...allow('no', 'plan', ['read']), effect: 'deny' }]);
    expect(ask(world([base], { cleo: ['base'] }, { delegations }), 'bob').granted).toBe(false);
    expect(ask(world([base, denying], { ada: ['base', 'denying'] }, { delegations }), 'bob').granted).toBe(false);
    const rows = world([base], { ada: ['base'] }, { delegations });
    let snapshot = buildSnapshot(rows);
    const point = createDecisionPoint({ readSnapshot: () => snapshot, now: () => now, maxDecisions: 10 });
    const check = () => point.checkPermission({ subjectId: 'bob', action: 'read', resource: plan }).granted;
    expect([check(), check()]).toEqual([true, true]);
    snapshot = applyChange(snapshot, { kind: 'assignment.removed', assignmentId: 'ada-base' });
    expect(check()).toBe(false);
  });

  it('is passed on as far as each link of the chain allows', () => {
    const chain = (first: number) => [lend('d1', 'ada', 'bob', { maxDepth: first }), lend('d2', 'bob', 'cleo')];
    expect(ask(world([base], { ada: ['base'] }, { delegations: chain(1) }), 'cleo').granted).toBe(false);
    const rows = world([base], { ada: ['base'] }, { delegations: chain(2) });
    expect(ask(rows, 'cleo').source?.delegationIds).toEqual(['d2', 'd1']);
    const circle = [lend('d1', 'ada', 'bob', { maxDepth: 9 }), lend('d2', 'bob', 'ada', { maxDepth: 9 })];
    expect(ask(world([base], {}, { delegations: circle }), 'ada').granted).toBe(false);
  });
});

describe('what a subject or role has', () => {
  const denying = role('denying', [{ ...allow('no', 'plan', ['delete']), effect: 'deny' }]);
  const mixed = role('mixed', [
    allow('m1', 'task', ['read', 'read']),
    allow('m2', 'task', ['update'], { conditions: { minClearance: 'secret' } }),
    allow('m3', 'task', ['delete'], { resourceId: 't1' }),
    allow('m4', 'trace', ['*']),
  ]);
  const rows = world([base, team, denying, mixed], { ada: ['team', 'denying', 'mixed'], bob: ['mixed'] });
  const sets = createPermissionSets(buildSnapshot(rows));

  it('is listed with provenance, conditions and what is denied', () => {
    const found = listEffectivePermissions(sets, { subjectId: 'ada', timeMs: now });
    const text = found.map(
      ({ resourceType, action, resourceId, conditional, deniedBy, source }) =>
        `${resourceType}:${action}:${resourceId ?? '*'} ${source.path.join('<')}${conditional ? ' if' : ''}${deniedBy ? ' denied' : ''}`,
    );
    expect(text).toEqual([
      'plan:delete:* denying',
      'plan:read:* team<base',
      'plan:update:* team<base',
      'task:delete:t1 mixed',
      'task:read:* mixed',
      'task:update:* mixed if',
      'trace:*:* mixed',
    ]);
  });

  it('becomes the capability tags of the frozen document', () => {
    expect(listCapabilities(sets, 'mixed')).toEqual(['task.read', 'trace.*']);
    expect(listCapabilities(sets, 'team')).toEqual(['plan.read', 'plan.update']);
    expect(listCapabilities(sets, 'nobody')).toEqual([]);
  });

  it('can be asked the other way round', () => {
    const snapshot = buildSnapshot({
      ...rows,
      delegations: [
        { delegationId: 'd', delegatorId: 'bob', delegateId: 'cleo', permissions: ['*'], status: 'active' },
      ],
    });
    const who = (action: string) =>
      listSubjectsWithPermission(snapshot, { request: { action, resource: { type: 'task' } }, timeMs: now });
    expect(who('read').map(({ subjectId }) => subjectId)).toEqual(['ada', 'bob', 'cleo']);
    expect(who('update')).toEqual([]);
  });

  it('shows in the hierarchy', () => {
    const view = readHierarchy(sets, 'base', { direction: 'DESCENDANTS' })!;
    const entries = view.entries.map(({ roleId, own, permissions }) => [
      roleId,
      own.length,
      permissions.certain.length,
    ]);
    expect(entries).toEqual([
      ['base', 3, 3],
      ['team', 0, 2],
    ]);
  });
});

it('permissions are written with a colon or a dot', () => {
  expect(parsePermissionPattern('plan:read')).toEqual(parsePermissionPattern('plan.read'));
  expect(parsePermissionPattern('plan:*:p1')).toEqual({ resourceType: 'plan', action: '*', resourceId: 'p1' });
  expect(parsePermissionPattern('*')).toEqual({ resourceType: '*', action: '*', resourceId: undefined });
  for (const text of ['', 'plan', 'plan:', ':read', 'plan read', 'plan:read:a:b']) {
    expect(parsePermissionPattern(text)).toBeUndefined();
  }
});

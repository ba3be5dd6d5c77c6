import { afterAll, beforeAll, expect, test } from 'vitest';
import { admin, allow, codesOf, deny, openRoleRig, principal, type RoleRig } from './rig.ts';

let rig: RoleRig;
beforeAll(async () => {
  rig = await openRoleRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const update = (by: typeof admin, roleId: string, patch: object, expectedVersion?: number) =>
  rig.mutate(by, 'updateRole', '$roleId: ID!, $patch: RolePatch!, $expectedVersion: Int', {
    variables: { roleId, patch, expectedVersion },
    selection: 'role { id version parents { roleId } permissions { resourceType actions } }',
  });
const status = (roleId: string, to: string) =>
  rig.mutate(admin, 'changeRoleStatus', '$roleId: ID!, $status: RoleStatus!', {
    variables: { roleId, status: to },
    selection: 'role { status }',
  });
const remove = (roleId: string, replacementRoleId?: string) =>
  rig.mutate(admin, 'deleteRole', '$roleId: ID!, $replacementRoleId: ID', {
    variables: { roleId, replacementRoleId },
    selection: 'roleId deleted movedAssignments',
  });
const countRoles = async () => Number((await rig.sql`SELECT count(*) AS n FROM role.role`)[0]!['n']);

test('a role is created, read by id and as an entity, and told', async () => {
  const payload = await rig.createRole(admin, { name: 'editor', permissions: [allow('plan', 'create', 'read')] });
  expect(payload['role']).toMatchObject({ name: 'editor', version: 1, status: 'ACTIVE' });
  expect(payload['role']!['capabilities']).toEqual(['plan.create', 'plan.read']);
  const id = String(payload['role']!['id']);
  const { role, _entities } = await rig.ask(
    principal('reader'),
    `query ($id: ID!, $of: [_Any!]!) { role(roleId: $id) { id document permissions { effect actions } }
      _entities(representations: $of) { ... on Role { name } ... on Subject { id roles { totalCount } } } }`,
    {
      id,
      of: [
        { __typename: 'Role', id },
        { __typename: 'Subject', id: 'somebody@example' },
      ],
    },
  );
  expect(role!['document']).toMatchObject({ role_id: id, name: 'editor', capabilities: ['plan.create', 'plan.read'] });
  expect(_entities).toEqual([{ name: 'editor' }, { id: 'somebody@example', roles: { totalCount: 0 } }]);
  const events = await rig.stream(id);
  expect(events.map(({ type }) => type)).toEqual(['role.created']);
  expect(events[0]!.data['role']).toMatchObject({ id, name: 'editor' });
});

test('names are unique in their scope, and a key answers its first call again', async () => {
  const input = { name: 'unique', idempotencyKey: 'role-1' };
  const first = await rig.createRole(admin, input);
  expect((await rig.createRole(admin, input))['role']!['id']).toBe(first['role']!['id']);
  expect(codesOf(await rig.createRole(admin, { name: 'unique' }))).toEqual(['DUPLICATE_ROLE']);
  const scope = { level: 'PROJECT', contextIds: [rig.openContext()] };
  expect(codesOf(await rig.createRole(admin, { name: 'unique', scope }))).toEqual([]);
  expect(codesOf(await rig.createRole(admin, { ...input, name: 'other' }))).toEqual(['IDEMPOTENCY_MISMATCH']);
});

test('what makes no sense is refused by a code of its own, and nothing is stored', async () => {
  const before = await countRoles();
  const code = { resourceType: 'plan', actions: ['read'], conditions: { expression: 'process.exit(1)' } };
  const size = { attribute: 'resource.size', operator: 'LT' };
  const refused: readonly (readonly [object, string])[] = [
    [{ name: 'Not a name' }, 'VALIDATION_FAILED'],
    [{ name: 'code', permissions: [code] }, 'INVALID_PERMISSION'],
    [
      { name: 'call', permissions: [{ ...code, conditions: { expression: 'constructor("x")()' } }] },
      'INVALID_PERMISSION',
    ],
    [
      { name: 'zone', permissions: [{ ...code, conditions: { timeBased: { timezone: 'Mars/Base' } } }] },
      'INVALID_PERMISSION',
    ],
    [
      {
        name: 'twice',
        constraints: {
          limits: [
            { attribute: 'size', max: 1 },
            { attribute: 'size', max: 2 },
          ],
        },
      },
      'VALIDATION_FAILED',
    ],
    [
      { name: 'deep', permissions: [{ ...code, conditions: { attributes: [{ ...size, value: { script: 'x' } }] } }] },
      'VALIDATION_FAILED',
    ],
    [{ name: 'bare', permissions: [{ ...code, conditions: { attributes: [size] } }] }, 'INVALID_PERMISSION'],
    [{ name: 'words', permissions: [allow('plan', 'read it')] }, 'VALIDATION_FAILED'],
    [{ name: 'orphan', parents: [{ roleId: rig.openContext() }] }, 'ROLE_NOT_FOUND'],
    [{ name: 'system', roleType: 'SYSTEM' }, 'SYSTEM_ROLE_IMMUTABLE'],
    [{ name: 'many', permissions: Array.from({ length: 101 }, () => allow('plan', 'read')) }, 'VALIDATION_FAILED'],
    [{ name: 'times', effectiveAt: '2030-01-02T00:00:00Z', expiresAt: '2030-01-01T00:00:00Z' }, 'VALIDATION_FAILED'],
  ];
  for (const [input, expected] of refused) {
    expect([input, codesOf(await rig.createRole(admin, input as Record<string, unknown>))]).toEqual([
      input,
      [expected],
    ]);
  }
  expect(await countRoles()).toBe(before);
  const odd = { name: 'odd', permissions: [{ ...code, conditions: { script: 'x' } }] };
  await expect(rig.createRole(admin, odd)).rejects.toThrow('script');
});

test('conditions, scope, approvals, constraints and attributes are answered as they were given', async () => {
  const contextId = rig.openContext();
  const conditions = {
    timeBased: { start: '08:00', end: '18:00', timezone: 'Europe/Berlin', daysOfWeek: [1, 2, 3] },
    locationBased: {
      allowedIpRanges: ['10.0.0.0/8'],
      geo: { countries: ['DE'], within: { latitude: 53.5, longitude: 10, radiusKm: 20 } },
    },
    contextBased: {
      requiredAttributes: [
        { attribute: 'mfa', value: null },
        { attribute: 'subject.team', value: ['a', 'b'] },
      ],
      forbiddenAttributes: [{ attribute: 'subject.state', value: 'banned' }],
    },
    attributes: [
      { attribute: 'resource.name', operator: 'STARTS_WITH', value: 'x' },
      { attribute: 'resource.size', operator: 'EXISTS', value: null },
    ],
    minClearance: 'TOP_SECRET',
    expression: 'subject.level > 1',
  };
  const permission = {
    ...allow('plan', 'update'),
    scope: { contextIds: [contextId], planIds: null, relation: 'ASSIGNED' },
    conditions,
    approvalRequired: { forActions: ['update'], threshold: 2, approverRoles: ['board'] },
  };
  const constraints = {
    resourceTypes: ['plan'],
    resourceIds: null,
    actions: null,
    contextIds: [contextId],
    planIds: null,
    limits: [{ attribute: 'amount', max: 12.5 }],
    conditions: null,
  };
  const attributes = {
    securityClearance: 'SECRET',
    department: 'it',
    seniority: 'LEAD',
    certificationRequirements: ['iso27001'],
    custom: { region: 'north', floor: 3 },
  };
  const parent = await rig.role({ name: 'typedparent' });
  const edge = { ...conditions, locationBased: null, contextBased: null, timeBased: null, minClearance: null };
  const roleId = await rig.role({
    name: 'typed',
    permissions: [permission],
    parents: [{ roleId: parent, type: 'CONDITIONAL', conditions: edge }],
    constraints,
    attributes,
  });
  const fields = `timeBased { start end timezone daysOfWeek }
    locationBased { allowedIpRanges geo { countries within { latitude longitude radiusKm } } }
    contextBased { requiredAttributes { attribute value } forbiddenAttributes { attribute value } }
    attributes { attribute operator value } minClearance expression`;
  const { role } = await rig.ask(
    admin,
    `query ($id: ID!) { role(roleId: $id) {
      permissions { scope { contextIds planIds relation } conditions { ${fields} } approvalRequired { forActions threshold approverRoles } }
      parents { conditions { ${fields} } }
      constraints { resourceTypes resourceIds actions contextIds planIds limits { attribute max } conditions { ${fields} } }
      attributes { securityClearance department seniority certificationRequirements custom } } }`,
    { id: roleId },
  );
  const { scope, approvalRequired } = permission;
  expect(role).toEqual({
    permissions: [{ scope, conditions, approvalRequired }],
    parents: [{ conditions: edge }],
    constraints,
    attributes,
  });
});

test('what must be there, and what must not, decides', async () => {
  const roleId = await rig.role({
    name: 'attested',
    permissions: [
      {
        ...allow('trace', 'update'),
        conditions: {
          contextBased: {
            requiredAttributes: [{ attribute: 'mfa' }],
            forbiddenAttributes: [{ attribute: 'resource.state', value: ['sealed', 'gone'] }],
          },
        },
      },
    ],
  });
  await rig.hold('attestor', roleId);
  const ask = (environment: object, attributes: object) =>
    rig.check(admin, {
      subjectId: 'attestor',
      action: 'update',
      resource: { type: 'trace', attributes },
      environment,
    });
  expect(await ask({ mfa: true }, { state: 'open' })).toMatchObject({ decision: 'PERMIT' });
  expect(await ask({}, { state: 'open' })).toMatchObject({ reason: 'condition_failed:required.mfa' });
  expect(await ask({ mfa: true }, { state: 'sealed' })).toMatchObject({
    reason: 'condition_failed:forbidden.resource.state',
  });
});

test('a cycle, a sixth parent and an eleventh level are refused', async () => {
  const chain: string[] = [];
  for (let at = 0; at <= 10; at += 1) {
    const parents = at === 0 ? [] : [{ roleId: chain[at - 1] }];
    chain.push(await rig.role({ name: `level${at}`, parents }));
  }
  expect(codesOf(await rig.createRole(admin, { name: 'level11', parents: [{ roleId: chain[10] }] }))).toEqual([
    'DEPTH_EXCEEDED',
  ]);
  const cyclic = await update(admin, chain[0]!, { parents: [{ roleId: chain[5] }] });
  expect(codesOf(cyclic)).toEqual(['CYCLIC_INHERITANCE']);
  const { role } = await rig.ask(admin, 'query ($id: ID!) { role(roleId: $id) { version parents { roleId } } }', {
    id: chain[0],
  });
  expect(role).toEqual({ version: 1, parents: [] });
  const parents = chain.slice(0, 6).map((roleId) => ({ roleId }));
  expect(codesOf(await rig.createRole(admin, { name: 'wide', parents }))).toEqual(['VALIDATION_FAILED']);
});

test('versions guard changes, and a patch replaces only what it names', async () => {
  const id = await rig.role({ name: 'patched', permissions: [allow('plan', 'read')] });
  expect(codesOf(await update(admin, id, { description: 'x' }, 7))).toEqual(['VERSION_CONFLICT']);
  const payload = await update(admin, id, { description: 'x' }, 1);
  expect(payload['role']).toMatchObject({ version: 2, permissions: [{ resourceType: 'plan', actions: ['read'] }] });
  // What changes nothing makes no version.
  expect((await update(admin, id, { description: 'x' }))['role']!['version']).toBe(2);
});

test('the state machine of roles', async () => {
  const id = await rig.role({ name: 'moved' });
  expect((await status(id, 'SUSPENDED'))['role']).toEqual({ status: 'SUSPENDED' });
  expect(codesOf(await status(id, 'INACTIVE'))).toEqual(['INVALID_STATE_TRANSITION']);
  await status(id, 'ACTIVE');
  await status(id, 'DEPRECATED');
  expect(codesOf(await rig.assign(admin, { roleId: id, subjectId: 'late' }))).toEqual(['ROLE_NOT_ACTIVE']);
  await status(id, 'ARCHIVED');
  expect(codesOf(await status(id, 'ACTIVE'))).toEqual(['INVALID_STATE_TRANSITION']);
});

test('a role that is held is deleted only for a replacement, which takes its assignments over', async () => {
  const old = await rig.role({ name: 'old', permissions: [allow('trace', 'read')] });
  const heir = await rig.role({ name: 'heir', permissions: [allow('trace', 'write')] });
  await rig.hold('moving', old);
  expect(codesOf(await remove(old))).toEqual(['ROLE_IN_USE']);
  expect(await remove(old, heir)).toMatchObject({ deleted: true, movedAssignments: 1 });
  const check = (action: string) => rig.check(principal('moving'), { action, resource: { type: 'trace' } });
  expect(await check('write')).toMatchObject({ granted: true });
  expect(await check('read')).toMatchObject({ granted: false });
  expect((await rig.ask(admin, 'query ($id: ID!) { role(roleId: $id) { id } }', { id: old }))['role']).toBeNull();
  const child = await rig.role({ name: 'child', parents: [{ roleId: heir }] });
  expect(codesOf(await remove(heir, child))).toEqual(['ROLE_IN_USE']);
});

test('nobody may grant what they cannot administer', async () => {
  const plans = await rig.role({ name: 'plans', permissions: [allow('plan', '*')] });
  const traces = await rig.role({ name: 'traces', permissions: [allow('trace', 'write')] });
  const both = await rig.role({ name: 'both', parents: [{ roleId: plans }, { roleId: traces }] });
  const chief = await rig.role({ name: 'chief', permissions: [allow('role', 'admin'), allow('plan', 'admin')] });
  await rig.hold('petra', chief);
  const petra = principal('petra');

  expect(codesOf(await rig.assign(petra, { roleId: plans, subjectId: 'otto' }))).toEqual([]);
  expect(codesOf(await rig.assign(petra, { roleId: traces, subjectId: 'otto' }))).toEqual(['ESCALATION_REFUSED']);
  expect(codesOf(await rig.assign(petra, { roleId: both, subjectId: 'petra' }))).toEqual(['ESCALATION_REFUSED']);
  expect(codesOf(await rig.createRole(petra, { name: 'mine', permissions: [allow('trace', 'read')] }))).toEqual([
    'ESCALATION_REFUSED',
  ]);
  expect(codesOf(await rig.createRole(petra, { name: 'mine', parents: [{ roleId: traces }] }))).toEqual([
    'ESCALATION_REFUSED',
  ]);
  expect(codesOf(await update(petra, plans, { permissions: [allow('*', '*')] }))).toEqual(['ESCALATION_REFUSED']);
  expect(codesOf(await update(petra, plans, { parents: [{ roleId: traces }] }))).toEqual(['ESCALATION_REFUSED']);

  // Without role:admin nothing at all, whatever else is held.
  const { errors } = await rig.run(
    principal('otto', { scopes: ['role:read', 'plan:*', 'trace:*'] }),
    'mutation ($input: AssignRoleInput!) { assignRole(input: $input) { userErrors { code } } }',
    { input: { roleId: plans, subjectId: 'otto' } },
  );
  expect(errors.map(({ code }) => code)).toEqual(['PERMISSION_DENIED']);
});

test('a denial of their own binds administrators too: nobody lifts it from themselves', async () => {
  const gag = await rig.role({ name: 'gag', permissions: [deny('trace', 'export')] });
  const everything = principal('grace', { scopes: ['*'] });
  const assignmentId = await rig.hold('grace', gag);
  const revoke = (by: typeof admin) =>
    rig.mutate(by, 'revokeRole', '$assignmentId: ID!', {
      variables: { assignmentId },
      selection: 'assignment { status }',
    });
  expect(codesOf(await revoke(everything))).toEqual(['ESCALATION_REFUSED']);
  expect(codesOf(await update(everything, gag, { permissions: [] }))).toEqual(['ESCALATION_REFUSED']);
  expect(codesOf(await revoke(admin))).toEqual([]);
});

test('lists filter, page in both directions and count', async () => {
  const contextId = rig.openContext();
  for (let at = 0; at < 5; at += 1) {
    await rig.role({ name: `listed${at}`, roleType: 'PROJECT', scope: { level: 'PROJECT', contextIds: [contextId] } });
  }
  const list = async (args: string) =>
    (
      await rig.ask(
        admin,
        `{ roles(filter: { roleType: [PROJECT], text: "listed" }, ${args}) { totalCount nodes { name } pageInfo { hasNextPage endCursor startCursor } } }`,
      )
    )['roles']!;
  const first = await list('first: 2');
  expect(first['totalCount']).toBe(5);
  const second = await list(`first: 2, after: "${first['pageInfo']!['endCursor']}"`);
  const names = (page: typeof first) => page['nodes']!.map((node) => String(node['name']));
  expect(new Set([...names(first), ...names(second)]).size).toBe(4);
  const back = await list(`last: 2, before: "${second['pageInfo']!['startCursor']}"`);
  expect(names(back)).toEqual(names(first));
  const { errors } = await rig.run(admin, '{ roles(first: 2, after: "nonsense") { totalCount } }');
  expect(errors[0]!.code).toBe('CURSOR_INVALID');
});

test('tenants do not meet', async () => {
  const id = await rig.role({ name: 'private' });
  const stranger = principal('stranger', { tenantId: 'two', scopes: ['*'] });
  const { role, roles } = await rig.ask(
    stranger,
    'query ($id: ID!) { role(roleId: $id) { id } roles { totalCount } }',
    { id },
  );
  expect([role, roles!['totalCount']]).toEqual([null, 0]);
  expect(codesOf(await rig.assign(stranger, { roleId: id, subjectId: 'x' }))).toEqual(['ROLE_NOT_FOUND']);
  expect(codesOf(await update(stranger, id, { description: 'x' }))).toEqual(['ROLE_NOT_FOUND']);
});

test('inheritance rules decide what a role takes from its parents, and are given back', async () => {
  const base = await rig.role({ name: 'rulebase', permissions: [deny('plan', 'publish')] });
  const rules = { mergeStrategy: 'UNION', conflictResolution: 'ESCALATE', maxDepth: 3 };
  const heir = await rig.role({
    name: 'ruleheir',
    permissions: [allow('plan', 'publish')],
    parents: [{ roleId: base }],
    inheritanceRules: rules,
  });
  await rig.hold('ruled', heir);
  const decided = () => rig.check(admin, { subjectId: 'ruled', action: 'publish', resource: { type: 'plan' } });
  expect(await decided()).toMatchObject({ decision: 'NEEDS_APPROVAL', obligations: [{ type: 'escalation' }] });
  const patch = (inheritanceRules: object | null) =>
    rig.mutate(admin, 'updateRole', '$roleId: ID!, $patch: RolePatch!', {
      variables: { roleId: heir, patch: { inheritanceRules } },
      selection: 'role { inheritanceRules { mergeStrategy conflictResolution maxDepth } }',
    });
  expect(await patch({ conflictResolution: 'ALLOW' })).toMatchObject({
    role: { inheritanceRules: { mergeStrategy: 'UNION', conflictResolution: 'ALLOW', maxDepth: 10 } },
  });
  expect(await decided()).toMatchObject({ decision: 'PERMIT' });
  const custom = await patch({ mergeStrategy: 'CUSTOM' });
  expect([codesOf(custom), String(custom['userErrors']!.map(({ message }) => message))]).toEqual([
    ['VALIDATION_FAILED'],
    expect.stringContaining('none is run here'),
  ]);
  expect(codesOf(await patch({ maxDepth: 11 }))).toEqual(['VALIDATION_FAILED']);
  await patch(null);
  expect(await decided()).toMatchObject({ decision: 'DENY', reason: 'explicit_deny' });
  // Another instance reads them from the table.
  await rig.authorizer.replicas.catchUp('one');
  const [row] = await rig.sql`SELECT inheritance_rules FROM role.role WHERE id = ${heir}`;
  expect(row!['inheritance_rules']).toBeNull();
});

test('who may not administer what a role denies may not make its denials yield', async () => {
  const base = await rig.role({ name: 'yieldbase', permissions: [deny('trace', 'purge')] });
  const heir = await rig.role({
    name: 'yieldheir',
    permissions: [allow('plan', 'read')],
    parents: [{ roleId: base }],
  });
  const limited = principal('limited', { scopes: ['role:read', 'role:admin', 'plan:read'] });
  const payload = await rig.mutate(limited, 'updateRole', '$roleId: ID!, $patch: RolePatch!', {
    variables: { roleId: heir, patch: { inheritanceRules: { conflictResolution: 'ALLOW' } } },
    selection: 'role { id }',
  });
  expect(codesOf(payload)).toEqual(['ESCALATION_REFUSED']);
});

test('what a role asks of its holders counts what its parents ask, of each the highest level', async () => {
  const profile = (level: string) => ({ capabilityProfiles: [{ name: 'welding', level }] });
  const base = await rig.role({ name: 'capbase', ...profile('EXPERT') });
  const heir = await rig.role({ name: 'capheir', parents: [{ roleId: base }], ...profile('BEGINNER') });
  const { role } = await rig.ask(
    admin,
    'query ($id: ID!) { role(roleId: $id) { capabilityProfiles { level } requiredCapabilities { name level } } }',
    { id: heir },
  );
  expect(role).toEqual({
    capabilityProfiles: [{ level: 'BEGINNER' }],
    requiredCapabilities: [{ name: 'welding', level: 'EXPERT' }],
  });
  expect(codesOf(await rig.assign(admin, { roleId: heir, subjectId: 'unable' }))).toEqual([
    'INSUFFICIENT_CAPABILITIES',
  ]);
});

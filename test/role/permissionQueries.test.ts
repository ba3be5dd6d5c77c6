import { afterAll, beforeAll, expect, test } from 'vitest';
import { newId } from '#shared/ids.ts';
import { admin, allow, deny, type Json, openRoleRig, principal, type RoleRig } from './rig.ts';

let rig: RoleRig;
beforeAll(async () => {
  rig = await openRoleRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const holders = async (args: string, by = admin): Promise<Json> =>
  (
    await rig.ask(
      by,
      `{ permissionHolders(${args}) { totalCount edges { distance node { id } } pageInfo { hasNextPage endCursor } } }`,
    )
  )['permissionHolders']!;
const idsOf = (page: Json) => page['edges']!.map(({ node }) => String(node!['id']));

const standings = async (subjectIds: readonly string[], more: object = {}, by = admin) => {
  const { permissionStandings } = await rig.ask(
    by,
    'query ($permission: String!, $ids: [ID!]!, $contextId: ID, $planId: ID) { permissionStandings(permission: $permission, subjectIds: $ids, contextId: $contextId, planId: $planId) { subjectId standing } }',
    { permission: 'plan:approve', ids: subjectIds, ...more },
  );
  return permissionStandings!.map(({ subjectId, standing }) => `${String(subjectId)} ${String(standing)}`);
};

test('who may do something somewhere: by a role, by inheritance, in a context, about a plan, unless denied', async () => {
  const [contextId, planId] = [rig.openContext(), newId()];
  const approver = await rig.role({ name: 'approver', permissions: [allow('plan', 'approve')] });
  const above = await rig.role({ name: 'chair', parents: [{ roleId: approver }] });
  const barred = await rig.role({ name: 'barred', permissions: [deny('plan', 'approve')] });
  const ofOne = await rig.role({
    name: 'of_one_plan',
    permissions: [{ ...allow('plan', 'approve'), resourceId: planId }],
  });
  const asks = await rig.role({
    name: 'asks_first',
    permissions: [{ ...allow('plan', 'approve'), approvalRequired: { approverRoles: ['chair'] } }],
  });
  const reader = await rig.role({ name: 'just_reads', permissions: [allow('plan', 'read')] });
  await rig.hold('anywhere', approver);
  await rig.hold('here', approver, { contextId });
  await rig.hold('heir', above);
  await rig.hold('denied', approver);
  await rig.hold('denied', barred);
  await rig.hold('single', ofOne);
  await rig.hold('asking', asks);
  await rig.hold('reading', reader);

  const everywhere = await holders('permission: "plan:approve"');
  expect(everywhere['edges']).toEqual([
    { distance: 0, node: { id: 'anywhere' } },
    { distance: 1, node: { id: 'heir' } },
  ]);
  expect(everywhere['totalCount']).toBe(2);
  expect(idsOf(await holders(`permission: "plan:approve", contextId: "${contextId}"`))).toEqual([
    'anywhere',
    'heir',
    'here',
  ]);
  expect(idsOf(await holders(`permission: "plan:approve", contextId: "${rig.openContext()}"`))).toEqual([
    'anywhere',
    'heir',
  ]);
  expect(idsOf(await holders(`permission: "plan:approve", planId: "${planId}"`))).toEqual([
    'anywhere',
    'heir',
    'single',
  ]);
  const first = await holders(`permission: "plan:approve", first: 1`);
  expect(first['pageInfo']!['hasNextPage']).toBe(true);
  const after = String(first['pageInfo']!['endCursor']);
  expect(idsOf(await holders(`permission: "plan:approve", first: 1, after: "${after}"`))).toEqual(['heir']);

  const all = ['reading', 'single', 'denied', 'here', 'asking', 'nobody', 'anywhere', 'heir'];
  expect(await standings(all)).toEqual([
    'reading UNKNOWN',
    'single UNKNOWN',
    'denied DENIED',
    'here UNKNOWN',
    'asking NEEDS_APPROVAL',
    'nobody UNKNOWN',
    'anywhere GRANTED',
    'heir GRANTED',
  ]);
  expect(await standings(['here', 'single'], { contextId, planId })).toEqual(['here GRANTED', 'single GRANTED']);
  // Of another tenant nothing is told.
  const stranger = principal('admin', { tenantId: 'two', scopes: ['*'] });
  expect((await holders('permission: "plan:approve"', stranger))['totalCount']).toBe(0);
  expect(await standings(['anywhere'], {}, stranger)).toEqual(['anywhere UNKNOWN']);
});

test('a right that was just taken is told no more', async () => {
  const role = await rig.role({ name: 'fleeting', permissions: [allow('extension', 'approve')] });
  const assignmentId = await rig.hold('comes_and_goes', role);
  const ask = async () => idsOf(await holders('permission: "extension:approve"'));
  expect(await ask()).toEqual(['comes_and_goes']);
  await rig.mutate(admin, 'revokeRole', '$assignmentId: ID!', {
    variables: { assignmentId },
    selection: 'assignment { id }',
  });
  expect(await ask()).toEqual([]);
  expect(await standings(['comes_and_goes'], { permission: 'extension:approve' })).toEqual(['comes_and_goes UNKNOWN']);
});

test('what is no permission, no page and no list of subjects is refused', async () => {
  const codes = async (document: string) => (await rig.run(admin, document)).errors.map(({ code }) => code);
  for (const permission of ['plan', 'plan:', 'plan.approve', 'plan:approve:all', '*:*', 'x'.repeat(101)])
    expect(await codes(`{ permissionHolders(permission: "${permission}") { totalCount } }`)).toEqual([
      'VALIDATION_FAILED',
    ]);
  expect(await codes('{ permissionHolders(permission: "plan:approve", after: "nowhere") { totalCount } }')).toEqual([
    'CURSOR_INVALID',
  ]);
  const tooMany = Array.from({ length: 501 }, (_, index) => `"s${index}"`).join(',');
  for (const ids of ['', tooMany, '""'])
    expect(
      await codes(`{ permissionStandings(permission: "plan:approve", subjectIds: [${ids}]) { standing } }`),
    ).toEqual(['VALIDATION_FAILED']);
  const { errors } = await rig.run(
    principal('nobody', { scopes: [] }),
    '{ permissionHolders(permission: "plan:approve") { totalCount } }',
  );
  expect(errors.map(({ code }) => code)).toEqual(['PERMISSION_DENIED']);
});

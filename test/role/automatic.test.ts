import { afterAll, beforeAll, expect, test } from 'vitest';
import { admin, allow, codesOf, deny, openRoleRig, principal, type RoleRig } from './rig.ts';

let rig: RoleRig;
beforeAll(async () => {
  rig = await openRoleRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const record = (subjectId: string, level: string | null, by = admin) =>
  rig.mutate(by, 'updateSubject', '$subjectId: String!, $patch: SubjectPatch!', {
    variables: { subjectId, patch: { capabilities: level === null ? [] : [{ name: 'welding', level }] } },
    selection: 'subject { version }',
  });
const held = async (subjectId: string) =>
  (
    await rig.ask(
      admin,
      'query ($id: ID!) { userRoles(subjectId: $id) { nodes { type status statusReason role { name } } } }',
      { id: subjectId },
    )
  )['userRoles']!['nodes'];
const welder = (name: string, more: Readonly<Record<string, unknown>> = {}) => ({
  name,
  permissions: [allow('plan', 'weld')],
  capabilityProfiles: [{ name: 'welding', level: 'ADVANCED' }],
  autoAssign: true,
  ...more,
});
const look = (roleId: string) => rig.service.upkeep.assignAutomatically({ tenantId: 'one', roleId });
const may = async (subjectId: string) =>
  (await rig.check(admin, { subjectId, action: 'weld', resource: { type: 'plan' } }))['granted'];

test('a role that goes by capabilities comes and goes with them', async () => {
  await record('early', 'EXPERT');
  const roleId = await rig.role(welder('welder'));
  const [job] =
    await rig.sql`SELECT count(*)::int AS n FROM graphile_worker.jobs WHERE key = ${`role.assignAutomatically:one:${roleId}`}`;
  expect(job).toEqual({ n: 1 });
  await look(roleId);
  await look(roleId);
  expect(await held('early')).toEqual([
    { type: 'AUTOMATIC', status: 'ACTIVE', statusReason: null, role: { name: 'welder' } },
  ]);
  await record('late', 'ADVANCED');
  await record('unskilled', 'BEGINNER');
  expect([await may('early'), await may('late'), await may('unskilled')]).toEqual([true, true, false]);
  await record('late', 'BEGINNER');
  expect(await held('late')).toMatchObject([
    { status: 'REVOKED', statusReason: 'the capabilities do not match any more' },
  ]);
  expect(await may('late')).toBe(false);
  // What was given by hand stays, and what is asked for counts as it is now.
  await record('byhand', 'EXPERT');
  await rig.mutate(admin, 'updateRole', '$roleId: ID!, $patch: RolePatch!', {
    variables: { roleId, patch: { capabilityProfiles: [{ name: 'plumbing', level: 'MASTER' }] } },
    selection: 'role { autoAssign }',
  });
  await look(roleId);
  expect(await held('early')).toMatchObject([{ status: 'REVOKED' }]);
});

test('what forbids an assignment forbids it here, and nobody records what they could not grant', async () => {
  const guard = await rig.role({ name: 'weldguard', permissions: [deny('plan', 'burn')] });
  await rig.hold('torn', guard);
  await rig.role(welder('separated', { separationOfDuties: [{ conflictingRoles: [guard], severity: 'ERROR' }] }));
  const ruled = await rig.role(welder('ruledout', { assignmentRules: [{ action: 'DENY' }] }));
  await record('torn', 'EXPERT');
  const names = async (subjectId: string) =>
    (await held(subjectId))!.map(({ role }) => String(role!['name'])).toSorted();
  expect(await names('torn')).toEqual(['weldguard']);
  const limited = principal('limited', { scopes: ['role:read', 'role:admin'] });
  const refused = await record('friend', 'EXPERT', limited);
  expect(codesOf(refused)).toEqual(['ESCALATION_REFUSED']);
  const { subject } = await rig.ask(admin, '{ subject(id: "friend") { version } }');
  expect([subject, await held('friend')]).toEqual([{ version: 0 }, []]);
  expect(codesOf(await rig.createRole(admin, { name: 'aimless', autoAssign: true }))).toEqual(['VALIDATION_FAILED']);
  // Nobody gives it by hand under that name.
  expect(codesOf(await rig.assign(admin, { subjectId: 'x', roleId: ruled, type: 'AUTOMATIC' }))).toEqual([
    'VALIDATION_FAILED',
  ]);
});

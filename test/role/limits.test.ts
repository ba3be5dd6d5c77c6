import { afterAll, beforeAll, expect, test } from 'vitest';
import { readConfig } from '#shared/config.ts';
import { readRoleLimits } from '../../subgraphs/role/limits.ts';
import { admin, allow, codesOf, type Json, openRoleRig, type RoleRig } from './rig.ts';

let rig: RoleRig;
beforeAll(async () => {
  rig = await openRoleRig({ ROLE_MAX_DEPTH: '2', ROLE_MAX_PER_SUBJECT: '2', ROLE_ASSIGNMENT_DAYS: '10' });
});
afterAll(() => rig[Symbol.asyncDispose]());

test('limits go by the environment where nothing is configured', () => {
  const of = (environment: Record<string, string>) => {
    const { hierarchy, assignmentLifeMs, suspiciousDenials } = readRoleLimits(readConfig(environment));
    return [hierarchy.maxDepth, assignmentLifeMs / 86_400_000, suspiciousDenials];
  };
  expect(of({ NODE_ENV: 'development' })).toEqual([5, 365, 10]);
  expect(of({ NODE_ENV: 'test' })).toEqual([10, 365, 10]);
  expect(of({ NODE_ENV: 'production' })).toEqual([15, 180, 5]);
  const given = { ROLE_MAX_DEPTH: '7', ROLE_ASSIGNMENT_DAYS: '30', ROLE_SUSPICIOUS_DENIALS: '3' };
  expect(of({ NODE_ENV: 'production', ...given })).toEqual([7, 30, 3]);
  expect(() => readConfig({ ROLE_MAX_DEPTH: '0' })).toThrow('ROLE_MAX_DEPTH');
});

test('what is configured holds for depth, roles of a subject and the life of an assignment', async () => {
  const roles = [await rig.role({ name: 'level0' })];
  for (const name of ['level1', 'level2']) roles.push(await rig.role({ name, parents: [{ roleId: roles.at(-1) }] }));
  expect(codesOf(await rig.createRole(admin, { name: 'level3', parents: [{ roleId: roles[2] }] }))).toEqual([
    'DEPTH_EXCEEDED',
  ]);
  const first = await rig.assign(admin, { roleId: roles[0], subjectId: 'ann' });
  const lifeDays = (Date.parse(String(first['assignment']!['expiresAt'])) - Date.now()) / 86_400_000;
  expect(Math.round(lifeDays)).toBe(10);
  await rig.hold('ann', roles[1]!);
  expect(codesOf(await rig.assign(admin, { roleId: roles[2], subjectId: 'ann' }))).toEqual(['CARDINALITY_EXCEEDED']);
});

test('the log of decisions is found by action, context and role, page by page', async () => {
  const roleId = await rig.role({ name: 'logged', permissions: [allow('plan', 'read', 'update')] });
  await rig.hold('log', roleId);
  const contextId = rig.openContext();
  for (const action of ['read', 'update', 'delete'])
    for (const place of [contextId, undefined])
      await rig.check(admin, { subjectId: 'log', action, contextId: place, resource: { type: 'plan' } });
  const log = async (filter: Readonly<Record<string, unknown>>, page: Readonly<Record<string, unknown>> = {}) =>
    (
      await rig.ask(
        admin,
        `query ($filter: PermissionAuditFilter, $first: Int, $after: String) { permissionAuditLog(filter: $filter, first: $first, after: $after) {
          nodes { id action contextId decision } pageInfo { hasNextPage endCursor } } }`,
        { filter: { subjectId: 'log', ...filter }, ...page },
      )
    )['permissionAuditLog']!;
  const actions = (found: Json) => found['nodes']!.map((node) => String(node['action'])).sort();
  expect(actions(await log({ action: ['delete', 'read'] }))).toEqual(['delete', 'delete', 'read', 'read']);
  expect(actions(await log({ contextId }))).toEqual(['delete', 'read', 'update']);
  expect(actions(await log({ grantingRoleId: roleId, contextId }))).toEqual(['read', 'update']);
  expect(actions(await log({ action: ['delete'], decision: ['PERMIT'] }))).toEqual([]);
  const seen: string[] = [];
  let after: string | null = null;
  for (let pages = 0; pages < 3; pages += 1) {
    const page: Json = await log({ action: ['read', 'update'] }, { first: 2, after });
    seen.push(...page['nodes']!.map((node) => String(node['id'])));
    after = String(page['pageInfo']!['endCursor']);
    if (!page['pageInfo']!['hasNextPage']) break;
  }
  expect([seen.length, new Set(seen).size]).toEqual([4, 4]);
});

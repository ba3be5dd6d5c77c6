import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Mode, modes, type Platform, sharePlatform } from '../support/platform.ts';

type Payload = Record<string, { userErrors: { code: string }[] } & Record<string, { id: string } | null>>;

describeModes((mode) => {
  let platform: Platform;
  let adminToken: string;
  beforeAll(async () => {
    platform = await sharePlatform({ mode });
    adminToken = await platform.token({ tenant: 'roles', subject: 'boss', roles: ['admin'] });
  });
  afterAll(() => platform?.[Symbol.asyncDispose]());

  async function change(document: string, variables: Record<string, unknown>): Promise<Payload[string]> {
    const { data, errors } = await platform.query<Payload>(document, variables, { token: adminToken });
    expect(errors ?? []).toEqual([]);
    const payload = Object.values(data!)[0]!;
    expect(payload.userErrors).toEqual([]);
    return payload;
  }
  const role = async (name: string, permissions: object[]) =>
    (
      await change(
        'mutation ($input: CreateRoleInput!) { createRole(input: $input) { role { id } userErrors { code } } }',
        {
          input: { name, permissions },
        },
      )
    )['role']!.id;
  const assign = async (roleId: string, subjectId: string) =>
    (
      await change(
        'mutation ($input: AssignRoleInput!) { assignRole(input: $input) { assignment { id } userErrors { code } } }',
        { input: { roleId, subjectId } },
      )
    )['assignment']!.id;
  const revoke = (id: string) =>
    change('mutation ($id: ID!) { revokeRole(assignmentId: $id) { assignment { id } userErrors { code } } }', { id });
  const createContext = async () =>
    (
      await change(
        'mutation ($input: CreateContextInput!) { createContext(input: $input) { context { id } userErrors { code } } }',
        { input: { title: 'read again and again', root: { domain: 'test', environment: 'test' } } },
      )
    )['context']!.id;

  test(`${mode}: a right given by a role alone, read from the cache, and gone within a second once revoked`, async () => {
    const contextId = await createContext();
    // Both have the very same token rights: none for contexts.
    const token = async (subject: string) =>
      platform.token({ tenant: 'roles', subject, scopes: ['role:read'], roles: [] });
    const [lucky, other] = [await token('lucky'), await token('other')];
    const read = async (bearer: string) => {
      const answer = await platform.query<{ context: { title: string } | null }>(
        'query ($id: ID!) { context(contextId: $id) { title } }',
        { id: contextId },
        { token: bearer },
      );
      return answer.data?.context?.title ?? answer.errors?.[0]?.extensions.code;
    };
    const becomes = async (bearer: string, expected: string) => {
      const untilMs = Date.now() + 1_000;
      let last = await read(bearer);
      while (last !== expected && Date.now() < untilMs) {
        await sleep(10);
        last = await read(bearer);
      }
      return last;
    };
    expect([await read(lucky), await read(other)]).toEqual(['PERMISSION_DENIED', 'PERMISSION_DENIED']);
    const assignmentId = await assign(
      await role('contextreader', [{ resourceType: 'context', actions: ['read'] }]),
      'lucky',
    );
    expect(await becomes(lucky, 'read again and again')).toBe('read again and again');
    for (let times = 0; times < 5; times += 1) expect(await read(lucky)).toBe('read again and again');
    // What is kept for one is not given to the other, equal as their tokens are.
    expect(await read(other)).toBe('PERMISSION_DENIED');
    await revoke(assignmentId);
    expect(await becomes(lucky, 'PERMISSION_DENIED')).toBe('PERMISSION_DENIED');
  });

  test(`${mode}: a denial by a role overrides what a token grants, in every subgraph`, async () => {
    const contextId = await createContext();
    const token = await platform.token({ tenant: 'roles', subject: 'gagged', roles: ['member'] });
    const rename = async () => {
      const { data, errors } = await platform.query<Payload>(
        'mutation ($id: ID!) { addParticipant(input: { contextId: $id, agentId: "x" }) { userErrors { code } } }',
        { id: contextId },
        { token },
      );
      return errors?.[0]?.extensions.code ?? data!['addParticipant']!.userErrors[0]?.code ?? 'done';
    };
    const before = await rename();
    expect(before).not.toBe('PERMISSION_DENIED_BY_ROLE');
    const roleId = await role('gag', [{ resourceType: 'context', actions: ['*'], effect: 'DENY' }]);
    const assignmentId = await assign(roleId, 'gagged');
    const untilMs = Date.now() + 1_000;
    let last = await rename();
    while (last !== 'PERMISSION_DENIED' && Date.now() < untilMs) {
      await sleep(10);
      last = await rename();
    }
    expect(last).toBe('PERMISSION_DENIED');
    await revoke(assignmentId);
  });

  test(`${mode}: a context tells its owner's role and who holds roles in it, a subject its roles`, async () => {
    const contextId = (
      await change(
        'mutation ($input: CreateContextInput!) { createContext(input: $input) { context { id } userErrors { code } } }',
        {
          input: {
            title: 'owned',
            ownerRole: await role('owner_role', []),
            root: { domain: 'test', environment: 'test' },
          },
        },
      )
    )['context']!.id;
    const roleId = await role('local_role', [{ resourceType: 'plan', actions: ['read'] }]);
    await change(
      'mutation ($input: AssignRoleInput!) { assignRole(input: $input) { assignment { id } userErrors { code } } }',
      { input: { roleId, subjectId: 'local@example', contextId } },
    );
    const { data, errors } = await platform.query(
      `query ($id: ID!) { context(contextId: $id) { title ownerRole { name }
        roleAssignments { totalCount nodes { role { name } context { title } subject { id roles { totalCount } } } } } }`,
      { id: contextId },
      { token: adminToken },
    );
    expect(errors ?? []).toEqual([]);
    expect(data!['context']).toEqual({
      title: 'owned',
      ownerRole: { name: 'owner_role' },
      roleAssignments: {
        totalCount: 1,
        nodes: [
          {
            role: { name: 'local_role' },
            context: { title: 'owned' },
            subject: { id: 'local@example', roles: { totalCount: 1 } },
          },
        ],
      },
    });
  });

  test(`${mode}: roles come and go by the protocol door to the letter`, async () => {
    const object = {
      meta: { protocol_version: '1.0.0', schema_version: '1.0.0' },
      role_id: '7e7c6a52-2a39-4f0c-9c4e-3d1f6a1f0a01',
      name: 'imported role with spaces',
      capabilities: ['plan.create', 'nonsense', 'plan.create'],
      created_at: '2025-01-02T03:04:05+01:00',
    };
    const imported = await platform.query<{ importProtocolObject: { ok: boolean; errors: unknown[] } }>(
      'mutation ($object: JSON!) { importProtocolObject(module: ROLE, object: $object) { ok errors { message } } }',
      { object },
      { token: adminToken },
    );
    expect(imported.data?.importProtocolObject).toEqual({ ok: true, errors: [] });
    const read = await platform.query<{ role: { document: unknown } }>(
      'query ($id: ID!) { role(roleId: $id) { document } }',
      { id: object.role_id },
      { token: adminToken },
    );
    expect(read.data?.role.document).toEqual(object);
    await assign(object.role_id, 'planner');
    const check = await platform.query<{ checkPermission: { granted: boolean } }>(
      '{ checkPermission(input: { subjectId: "planner", action: "create", resource: { type: "plan" } }) { granted } }',
      {},
      { token: adminToken },
    );
    expect(check.data?.checkPermission.granted).toBe(true);
  });
});

function describeModes(body: (mode: Mode) => void): void {
  for (const mode of modes) body(mode);
}

import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Platform, sharePlatform } from '../support/platform.ts';
import { subscribe } from '../support/subscribe.ts';

type Json = Record<string, unknown>;
const tenant = 'permissionrequest';

let platform: Platform;
const tokens = new Map<string, string>();
beforeAll(async () => {
  platform = await sharePlatform({ mode: 'one process' });
  for (const subject of ['boss', 'chief'])
    tokens.set(subject, await platform.token({ tenant, subject, roles: ['admin'] }));
  tokens.set('agent', await platform.token({ tenant, subject: 'agent', roles: [], scopes: ['role:read'] }));
  // Who may ask for approvals and give them, and means to help each other.
  for (const subject of ['mallory', 'friend'])
    tokens.set(
      subject,
      await platform.token({ tenant, subject, roles: [], scopes: ['role:read', 'confirm:*', 'context:*'] }),
    );
}, 120_000);
afterAll(() => platform?.close());

const query = (subject: string, document: string, variables: Json = {}) =>
  platform.query<Record<string, Json>>(document, variables, { token: tokens.get(subject)! });
async function ask(subject: string, document: string, variables: Json = {}): Promise<Record<string, Json>> {
  const answer = await query(subject, document, variables);
  expect(answer.errors, document).toEqual([]);
  return answer.data!;
}
async function done(subject: string, field: string, type: string, selection: string, input: Json): Promise<Json> {
  const document = `mutation ($input: ${type}!) { ${field}(input: $input) { ${selection} userErrors { code message } } }`;
  const payload = (await ask(subject, document, { input }))[field]!;
  expect(payload['userErrors'], document).toEqual([]);
  return payload;
}
const idOf = (value: unknown) => (value as { id: string }).id;

async function eventually<Value>(read: () => Promise<Value | undefined>): Promise<Value> {
  for (const untilMs = Date.now() + 20_000; Date.now() < untilMs; await sleep(100)) {
    const value = await read();
    if (value !== undefined) return value;
  }
  return expect.fail('not within 20 s');
}

it('what a permission leaves to a person opens a confirm, and its approval opens the door', async () => {
  const role = async (name: string, permissions: readonly Json[]) =>
    idOf((await done('boss', 'createRole', 'CreateRoleInput', 'role { id }', { name, permissions }))['role']);
  const assign = (roleId: string, subjectId: string) =>
    done('boss', 'assignRole', 'AssignRoleInput', 'assignment { id }', { roleId, subjectId });
  await assign(await role('security', []), 'chief');
  const auditor = await role('auditor', [
    { resourceType: 'role', actions: ['audit'], approvalRequired: { approverRoles: ['security'] } },
  ]);
  await assign(auditor, 'agent');
  const look = async () => {
    const { errors } = await query('agent', '{ permissionAuditLog(first: 1) { nodes { id } } }');
    return errors[0]?.extensions.code ?? 'seen';
  };
  expect(await look()).toBe('PERMISSION_DENIED');
  const followed = subscribe<{ permissionChanges: { type: string; request: { id: string; status: string } | null } }>({
    url: platform.url,
    token: tokens.get('agent')!,
    query: `subscription { permissionChanges(subjectId: "agent") { type request { id status grantingRole { name } approval { status } } } }`,
  });
  const input = { action: 'audit', resource: { type: 'role' }, reason: 'a question of the board' };
  const requestId = idOf(
    (await done('agent', 'requestPermission', 'RequestPermissionInput', 'request { id status }', input))['request'],
  );
  const confirm = await eventually(async () => {
    const { confirms } = await ask(
      'chief',
      '{ confirms(first: 20) { nodes { id status targetId targetType confirmationType } } }',
    );
    return (confirms as unknown as { nodes: Record<string, string>[] }).nodes.find(
      ({ targetId }) => targetId === requestId,
    );
  });
  expect(confirm).toMatchObject({ status: 'PENDING', targetType: 'OTHER' });
  expect(await look()).toBe('PERMISSION_DENIED');
  await ask('chief', 'mutation ($id: ID!) { approveConfirm(confirmId: $id) { userErrors { code } } }', {
    id: confirm['id'],
  });
  await eventually(async () => ((await look()) === 'seen' ? true : undefined));
  await followed.until((payloads) =>
    payloads.some(({ permissionChanges }) => permissionChanges.request?.status === 'APPROVED'),
  );
  expect(followed.payloads.at(-1)).toEqual({
    permissionChanges: {
      type: 'permission.request.approved',
      request: {
        id: requestId,
        status: 'APPROVED',
        grantingRole: { name: 'auditor' },
        approval: { status: 'APPROVED' },
      },
    },
  });
  await followed.close();
  await ask('agent', 'mutation ($id: ID!) { revokePermissionRequest(requestId: $id) { userErrors { code } } }', {
    id: requestId,
  });
  await eventually(async () => ((await look()) === 'PERMISSION_DENIED' ? true : undefined));

  // One that is taken back while it waits leaves nobody anything to decide.
  const second = idOf(
    (await done('agent', 'requestPermission', 'RequestPermissionInput', 'request { id }', input))['request'],
  );
  const statusOf = async () => {
    const { confirms } = await ask('chief', '{ confirms(first: 20) { nodes { status targetId } } }');
    return (confirms as unknown as { nodes: Record<string, string>[] }).nodes.find(
      ({ targetId }) => targetId === second,
    )?.['status'];
  };
  await eventually(async () => ((await statusOf()) === 'PENDING' ? true : undefined));
  await ask('agent', 'mutation ($id: ID!) { revokePermissionRequest(requestId: $id) { userErrors { code } } }', {
    id: second,
  });
  await eventually(async () => ((await statusOf()) === 'CANCELLED' ? true : undefined));
});

it('a confirm that a client opens in the name of a request approves nothing', async () => {
  const roleId = idOf(
    (
      await done('boss', 'createRole', 'CreateRoleInput', 'role { id }', {
        name: 'examiner',
        permissions: [{ resourceType: 'role', actions: ['audit'], approvalRequired: { approverRoles: ['wardens'] } }],
      })
    )['role'],
  );
  const wardens = idOf(
    (await done('boss', 'createRole', 'CreateRoleInput', 'role { id }', { name: 'wardens', permissions: [] }))['role'],
  );
  await done('boss', 'assignRole', 'AssignRoleInput', 'assignment { id }', { roleId: wardens, subjectId: 'chief' });
  await done('boss', 'assignRole', 'AssignRoleInput', 'assignment { id }', { roleId, subjectId: 'mallory' });
  const input = { action: 'audit', resource: { type: 'role' } };
  const requestId = await eventually(async () => {
    const { requestPermission } = await ask(
      'mallory',
      'mutation ($input: RequestPermissionInput!) { requestPermission(input: $input) { request { id } userErrors { code } } }',
      { input },
    );
    const request = requestPermission!['request'];
    return request === null ? undefined : idOf(request);
  });
  const contextId = idOf(
    (
      await done('mallory', 'createContext', 'CreateContextInput', 'context { id }', {
        title: 'a cover',
        root: { domain: 'd', environment: 'e' },
      })
    )['context'],
  );
  const forged = idOf(
    (
      await done('mallory', 'createApproval', 'CreateApprovalInput', 'confirm { id }', {
        ...{ targetType: 'OTHER', targetId: requestId, contextId, confirmationType: 'TASK_APPROVAL', title: 'yes' },
        approvers: [{ subject: 'friend' }],
        reference: { module: 'role', kind: 'permission', permissionRequestId: requestId },
      })
    )['confirm'],
  );
  const approve = (subject: string, id: unknown) =>
    ask(
      subject,
      'mutation ($id: ID!) { approveConfirm(confirmId: $id) { confirm { status } userErrors { code message } } }',
      { id },
    );
  expect(await approve('friend', forged)).toEqual({
    approveConfirm: { confirm: { status: 'APPROVED' }, userErrors: [] },
  });
  const genuine = await eventually(async () => {
    const { confirms } = await ask('chief', '{ confirms(first: 50) { nodes { id targetId } } }');
    return (confirms as unknown as { nodes: Record<string, string>[] }).nodes.find(
      ({ id, targetId }) => targetId === requestId && id !== forged,
    )?.['id'];
  });
  const state = async () =>
    (
      await ask('mallory', 'query ($id: ID!) { permissionRequest(requestId: $id) { status approval { confirmId } } }', {
        id: requestId,
      })
    )['permissionRequest'] as unknown as { status: string; approval: { confirmId: string | null } };
  expect(await state()).toMatchObject({ status: 'PENDING' });
  await approve('chief', genuine);
  // What was resolved first is heard first: had the forged one counted, it would stand here.
  const settled = await eventually(async () => {
    const read = await state();
    return read.status === 'PENDING' ? undefined : read;
  });
  expect(settled).toEqual({ status: 'APPROVED', approval: { confirmId: genuine } });
});

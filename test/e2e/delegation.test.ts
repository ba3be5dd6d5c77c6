import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Platform, sharePlatform } from '../support/platform.ts';

type Json = Record<string, unknown>;
const tenant = 'delegation';

let platform: Platform;
const tokens = new Map<string, string>();
beforeAll(async () => {
  platform = await sharePlatform({ mode: 'one process' });
  for (const subject of ['boss', 'chief'])
    tokens.set(subject, await platform.token({ tenant, subject, roles: ['admin'] }));
  tokens.set(
    'pia',
    await platform.token({ tenant, subject: 'pia', roles: [], scopes: ['role:read', 'role:delegate'] }),
  );
}, 120_000);
afterAll(() => platform?.close());

async function ask(subject: string, document: string, variables: Json = {}): Promise<Record<string, Json>> {
  const answer = await platform.query<Record<string, Json>>(document, variables, { token: tokens.get(subject)! });
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

/** Reads until something is found. */
async function eventually<Value>(read: () => Promise<Value | undefined>): Promise<Value> {
  for (const untilMs = Date.now() + 20_000; Date.now() < untilMs; await sleep(100)) {
    const value = await read();
    if (value !== undefined) return value;
  }
  return expect.fail('not within 20 s');
}

it('a delegation that needs an approval opens a confirm, which makes it active, or ends with it', async () => {
  const role = async (name: string, more: Json) =>
    idOf((await done('boss', 'createRole', 'CreateRoleInput', 'role { id }', { name, ...more }))['role']);
  const assign = (roleId: string, subjectId: string) =>
    done('boss', 'assignRole', 'AssignRoleInput', 'assignment { id }', { roleId, subjectId });
  await assign(await role('security', {}), 'chief');
  await assign(
    await role('planner', {
      permissions: [{ resourceType: 'plan', actions: ['read'] }],
      delegationRules: { requiresApproval: true, approverRoles: ['security'] },
    }),
    'pia',
  );
  const delegate = async (delegateId: string) =>
    idOf(
      (
        await done('pia', 'delegate', 'DelegateInput', 'delegation { id status }', {
          delegateId,
          permissions: ['plan:read'],
          endsAt: new Date(Date.now() + 3_600_000).toISOString(),
        })
      )['delegation'],
    );
  const confirmOf = (targetId: string) =>
    eventually(async () => {
      const { confirms } = await ask('chief', '{ confirms(first: 20) { nodes { id status targetId } } }');
      const { nodes } = confirms as unknown as { nodes: { id: string; status: string; targetId: string }[] };
      return nodes.find((node) => node.targetId === targetId);
    });
  const first = await delegate('quin');
  const { id, status } = await confirmOf(first);
  expect(status).toBe('PENDING');
  await ask('chief', 'mutation ($id: ID!) { approveConfirm(confirmId: $id) { userErrors { code } } }', { id });
  const may = async (subjectId: string) => {
    const input = { subjectId, action: 'read', resource: { type: 'plan' } };
    const { checkPermission } = await ask(
      'boss',
      'query ($input: CheckPermissionInput!) { checkPermission(input: $input) { granted } }',
      { input },
    );
    return checkPermission!['granted'] === true;
  };
  await eventually(async () => ((await may('quin')) ? true : undefined));

  const second = await delegate('rob');
  const waiting = await confirmOf(second);
  await ask('pia', 'mutation ($id: ID!) { revokeDelegation(delegationId: $id) { userErrors { code } } }', {
    id: second,
  });
  await eventually(async () => ((await confirmOf(second)).status === 'CANCELLED' ? true : undefined));
  expect([waiting.status, await may('rob')]).toEqual(['PENDING', false]);
});

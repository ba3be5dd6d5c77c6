import { afterAll, beforeAll, expect, test } from 'vitest';
import { admin, alice, bob, type ContextRig, type Json, openContextRig, principal } from './rig.ts';

let rig: ContextRig;
beforeAll(async () => {
  rig = await openContextRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const create =
  'mutation ($input: CreateContextInput!) { answer: createContext(input: $input) { context { id } accessInfo { joinToken } } }';
const rotate =
  'mutation ($id: ID!, $version: Int, $key: String) { answer: rotateContextJoinToken(contextId: $id, expectedVersion: $version, idempotencyKey: $key) { joinToken context { id version } userErrors { code path } } }';
const revoke =
  'mutation ($id: ID!, $key: String) { answer: revokeContextJoinToken(contextId: $id, idempotencyKey: $key) { context { version } userErrors { code path } } }';
const join =
  'mutation ($id: ID!, $token: String) { answer: joinContext(contextId: $id, joinToken: $token) { participant { agentId } userErrors { code } } }';
const patch =
  'mutation ($id: ID!, $patch: ContextPatch!) { answer: updateContext(contextId: $id, patch: $patch) { userErrors { code } } }';

const ask = async (who: typeof alice, query: string, variables: Record<string, unknown>): Promise<Json> =>
  (await rig.ask(who, query, variables))['answer']!;

async function invited(visibility = 'TENANT'): Promise<{ id: string; token: string }> {
  const accessControl = { joinPolicy: 'INVITATION_ONLY', visibility };
  const made = await ask(alice, create, {
    input: { title: 'by invitation', root: { domain: 'd', environment: 'e' }, accessControl },
  });
  return { id: String(made['context']!['id']), token: String(made['accessInfo']!['joinToken']) };
}

let newcomers = 0;
/** Whether a newcomer gets in by this token. */
async function opens(id: string, token: unknown): Promise<boolean> {
  newcomers += 1;
  const { data, errors } = await rig.run(principal(`newcomer-${newcomers}`), join, { id, token });
  return errors.length === 0 && data['answer']!['participant'] !== null;
}

test('a new token replaces the former one, whoever has joined stays', async () => {
  const { id, token } = await invited();
  expect(await opens(id, token)).toBe(true);
  const { joinToken, userErrors } = await ask(alice, rotate, { id, version: 1 });
  expect([userErrors, joinToken]).toEqual([[], expect.stringMatching(/^[\w-]{32}$/)]);
  expect(joinToken).not.toBe(token);
  expect([await opens(id, token), await opens(id, joinToken), await opens(id, 'wrong')]).toEqual([false, true, false]);
  expect((await ask(alice, rotate, { id, version: 1 }))['userErrors']).toEqual([
    { code: 'VERSION_CONFLICT', path: ['expectedVersion'] },
  ]);
  expect(await opens(id, joinToken)).toBe(true);
  const next = await ask(admin, rotate, { id });
  expect([await opens(id, joinToken), await opens(id, next['joinToken'])]).toEqual([false, true]);
  const [row] = await rig.sql`SELECT participant_count AS n FROM context.context WHERE id = ${id}`;
  expect(row).toEqual({ n: 4 });
});

test('a revoked token opens nothing, a private context not even its existence', async () => {
  const { id, token } = await invited('PRIVATE');
  expect(await opens(id, token)).toBe(true);
  expect(await ask(alice, revoke, { id })).toEqual({ context: { version: 2 }, userErrors: [] });
  expect((await ask(bob, join, { id, token }))['userErrors']).toEqual([{ code: 'NOT_FOUND' }]);
  for (const none of [null, '', 'null']) expect(await opens(id, none)).toBe(false);
  const before = rig.events.length;
  expect(await ask(alice, revoke, { id })).toEqual({ context: { version: 2 }, userErrors: [] });
  expect(rig.events.length).toBe(before);
  const { joinToken } = await ask(alice, rotate, { id });
  expect(await opens(id, joinToken)).toBe(true);
});

test('a context that comes to be joined by invitation gets its first token so', async () => {
  const id = await rig.createContext(alice);
  expect((await ask(alice, rotate, { id }))['userErrors']).toEqual([{ code: 'INVALID_STATE', path: null }]);
  await ask(alice, patch, { id, patch: { accessControl: { joinPolicy: 'INVITATION_ONLY' } } });
  expect(await opens(id, null)).toBe(false);
  const { joinToken } = await ask(alice, rotate, { id });
  expect(await opens(id, joinToken)).toBe(true);
  await rig.ask(
    alice,
    'mutation ($id: ID!) { changeContextStatus(contextId: $id, status: CLOSED) { context { id } } }',
    {
      id,
    },
  );
  expect((await ask(alice, rotate, { id }))['userErrors']).toEqual([{ code: 'INVALID_STATE', path: null }]);
  expect((await ask(alice, revoke, { id }))['userErrors']).toEqual([]);
});

test('only owner and administrators do so', async () => {
  const { id, token } = await invited();
  for (const call of [rotate, revoke])
    expect((await rig.run(bob, call, { id })).errors).toMatchObject([{ code: 'PERMISSION_DENIED' }]);
  expect(await opens(id, token)).toBe(true);
});

test('a repeat answers the same token, at once as later; a key serves one operation', async () => {
  const { id } = await invited();
  const answers = await Promise.all(Array.from({ length: 5 }, () => ask(alice, rotate, { id, key: 'once' })));
  answers.push(await ask(alice, rotate, { id, key: 'once' }));
  expect(new Set(answers.map((answer) => answer['joinToken'])).size).toBe(1);
  expect(await opens(id, answers[0]!['joinToken'])).toBe(true);
  expect((await ask(alice, revoke, { id, key: 'once' }))['userErrors']).toEqual([
    { code: 'IDEMPOTENCY_MISMATCH', path: ['idempotencyKey'] },
  ]);
  expect(await opens(id, answers[0]!['joinToken'])).toBe(true);
});

test('neither token nor hash is told, kept in the history or logged in the audit', async () => {
  const { id, token } = await invited();
  const { joinToken } = await ask(alice, rotate, { id });
  const [row] = await rig.sql`SELECT join_token_hash AS hash FROM context.context WHERE id = ${id}`;
  const told = JSON.stringify([
    await rig.sql`SELECT * FROM context.event WHERE stream_id = ${id}`,
    await rig.sql`SELECT * FROM context.context_version WHERE context_id = ${id}`,
    await rig.sql`SELECT * FROM context.audit WHERE resource_id = ${id}`,
  ]);
  expect(told).toContain('ROTATED');
  for (const secret of [token, joinToken, row!['hash']]) expect(told).not.toContain(String(secret));
});

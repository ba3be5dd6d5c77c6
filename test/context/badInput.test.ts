import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { contextCodec } from '../../subgraphs/context/codec.ts';
import { admin, alice, bob, type ContextRig, type Json, openContextRig, principal } from './rig.ts';

let rig: ContextRig;
beforeAll(async () => {
  rig = await openContextRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const ask = async (who: typeof alice, query: string, variables: Record<string, unknown>): Promise<Json> =>
  (await rig.ask(who, query, variables))['answer']!;
const create =
  'mutation ($input: CreateContextInput!) { answer: createContext(input: $input) { context { id } userErrors { code path } } }';
const update =
  'mutation ($id: ID!, $patch: ContextPatch!, $key: String) { answer: updateContext(contextId: $id, patch: $patch, idempotencyKey: $key) { context { id version } userErrors { code path } } }';
const remove =
  'mutation ($id: ID!, $key: String) { answer: deleteContext(contextId: $id, idempotencyKey: $key) { deleted restorableUntil userErrors { code path } } }';
const restore = 'mutation ($id: ID!) { answer: restoreContext(contextId: $id) { context { id } userErrors { code } } }';
const add =
  'mutation ($input: AddParticipantInput!) { answer: addParticipant(input: $input) { participant { id roles permissions } userErrors { code } } }';
/** Text that no compression makes short. */
const noise = (bytes: number) => randomBytes(bytes).toString('hex');

test.each([[{ entry_point: 5 }], [{ domain: 'other' }], [{ environment: null }]])(
  'root.extra %j does not stand in for a named key',
  async (extra) => {
    const root = { domain: 'd', environment: 'e', extra };
    expect((await ask(alice, create, { input: { title: 't', root } }))['userErrors']).toEqual([
      { code: 'VALIDATION_FAILED', path: ['input', 'root', 'extra'] },
    ]);
  },
);

test.each([
  ['domain', noise(4_000)],
  ['environment', noise(4_000)],
  ['entry_point', noise(4_000)],
  ['domain', 'a'.repeat(256)],
])('a patch of root.%s keeps to its bounds, and fails no neighbour', async (key, value) => {
  const id = await rig.createContext(alice);
  const [refused, passed] = await Promise.all([
    ask(alice, update, { id, patch: { root: { [key]: value } } }),
    ask(bob, update, { id, patch: { summary: 'neighbour' } }),
  ]);
  expect(refused!['userErrors']).toEqual([{ code: 'VALIDATION_FAILED', path: ['patch', 'root', key] }]);
  expect(passed!['userErrors']).toEqual([]);
});

test('an import that no index could hold is refused', async () => {
  const document = {
    meta: { protocol_version: '1.0.0', schema_version: '1.0.0' },
    context_id: '6f9619ff-8b86-4011-b42d-00cf4fc964ff',
    root: { domain: 'd', environment: 'e' },
    title: 't',
    status: 'active',
  };
  for (const change of [
    { title: noise(4_000) },
    { root: { domain: noise(4_000), environment: 'e' } },
    { tags: ['a', noise(4_000)] },
  ])
    await expect(
      rig.sql.begin((tx) => contextCodec.write(tx, alice, [{ ...document, ...change }])),
    ).rejects.toMatchObject({ code: 'VALIDATION_FAILED' });
});

test('a key that changed nothing is used up all the same', async () => {
  const id = await rig.createContext(alice);
  const same = { id, patch: { title: 'A context' }, key: 'same' };
  expect(await ask(alice, update, same)).toEqual({ context: { id, version: 1 }, userErrors: [] });
  expect((await ask(alice, update, { ...same, patch: { title: 'Other' } }))['userErrors']).toEqual([
    { code: 'IDEMPOTENCY_MISMATCH', path: ['idempotencyKey'] },
  ]);
  await ask(alice, update, { id, patch: { title: 'Renamed' } });
  // The repeat is answered, not done: the title stays renamed.
  expect(await ask(alice, update, same)).toEqual({ context: { id, version: 2 }, userErrors: [] });
  const first = await ask(alice, remove, { id });
  const again = { id, key: 'again' };
  expect(await ask(alice, remove, again)).toEqual(first);
  expect(await ask(alice, remove, again)).toEqual(first);
  expect((await ask(alice, update, { ...same, key: 'again' }))['userErrors']).toMatchObject([
    { code: 'IDEMPOTENCY_MISMATCH' },
  ]);
});

test('what is deleted is unknown to all who may not bring it back', async () => {
  const id = await rig.createContext(alice);
  await ask(alice, remove, { id });
  expect(await ask(bob, remove, { id })).toEqual({
    deleted: null,
    restorableUntil: null,
    userErrors: [{ code: 'NOT_FOUND', path: ['contextId'] }],
  });
  expect((await ask(bob, restore, { id }))['userErrors']).toEqual([{ code: 'NOT_FOUND' }]);
  expect(await ask(admin, restore, { id })).toEqual({ context: { id }, userErrors: [] });
});

test('entries of the shared state look as their section says', async () => {
  const id = await rig.createContext(alice);
  const set = (key: string, value: unknown) =>
    ask(
      alice,
      'mutation ($input: UpdateSharedStateInput!) { answer: updateSharedState(input: $input) { userErrors { code path } } }',
      { input: { contextId: id, baseVersion: 0, changes: [{ key, value }] } },
    );
  for (const [key, value, ...path] of [
    ['goals.g', 5],
    ['goals.g', null],
    ['goals.g', [{ id: 'g' }]],
    ['goals.g', { name: 'without id' }, 'id'],
    ['goals.g', { id: 'g', text: 'no field of a goal' }],
    ['goals.g', { id: 'g', priority: 'HIGH' }, 'priority'],
    ['dependencies.d', { id: 'another' }, 'id'],
    ['resources.allocated.gpu', { amount: -1 }, 'amount'],
    ['resources.allocated.gpu', 2],
    ['resources.requirements.gpu', { minimum: 1 }, 'unit'],
    ['resources.requirements.gpu', { minimum: 2, maximum: 1, unit: 'card' }],
  ] as const)
    expect((await set(key, value))['userErrors'], JSON.stringify(value)).toEqual([
      { code: 'VALIDATION_FAILED', path: ['input', 'changes', '0', 'value', ...path] },
    ]);
  expect((await set('goals.g', { id: 'g' }))['userErrors']).toEqual([]);
});

test('nobody but owner and administrators hands out roles; an agent brings those of its token', async () => {
  const id = await rig.createContext(alice, {
    accessControl: {
      requiredRoles: ['dev'],
      permissions: [{ principal: 'dev', principalType: 'ROLE', resource: 'plan', actions: ['WRITE'] }],
    },
  });
  const input = { contextId: id, agentId: 'bob', roles: ['dev'] };
  expect((await rig.run(bob, add, { input })).errors).toMatchObject([{ code: 'PERMISSION_DENIED' }]);
  expect((await rig.run(bob, add, { input: { ...input, agentId: 'friend' } })).errors).toMatchObject([
    { code: 'PERMISSION_DENIED' },
  ]);
  const dev = principal('bob', { roles: ['dev'] });
  const { participant } = await ask(dev, add, { input });
  expect(participant).toMatchObject({ roles: ['dev'], permissions: ['plan:write'] });
  const patch =
    'mutation ($id: ID!, $participant: ID!, $roles: [String!]) { answer: updateParticipant(contextId: $id, participantId: $participant, patch: { roles: $roles }) { participant { roles } userErrors { code } } }';
  const own = { id, participant: participant!['id'] };
  expect((await rig.run(dev, patch, { ...own, roles: ['dev', 'lead'] })).errors).toMatchObject([
    { code: 'PERMISSION_DENIED' },
  ]);
  // Giving roles up takes no right.
  expect((await ask(bob, patch, { ...own, roles: [] }))['participant']).toEqual({ roles: [] });
  expect((await rig.run(bob, patch, { ...own, roles: ['dev'] })).errors).toMatchObject([{ code: 'PERMISSION_DENIED' }]);
  expect((await ask(alice, patch, { ...own, roles: ['lead'] }))['participant']).toEqual({ roles: ['lead'] });
});

test('pages below a context: bounds and forged cursors', async () => {
  const id = await rig.createContext(alice);
  const lists = ['participants', 'sessions', 'metadata', 'history'];
  for (const list of lists) {
    const query = `query ($id: ID!, $first: Int, $after: String) { context(contextId: $id) { ${list}(first: $first, after: $after) { pageInfo { hasNextPage } } } }`;
    for (const first of [0, -1, 101, 2_147_483_647])
      expect((await rig.run(alice, query, { id, first })).errors).toMatchObject([{ code: 'VALIDATION_FAILED' }]);
    const forged = (...values: unknown[]) =>
      Buffer.from(JSON.stringify([`${list}:${id}`, ...values])).toString('base64url');
    for (const after of [
      '',
      'x',
      'a\0',
      '\ud800',
      'x'.repeat(300_000),
      forged(),
      forged('2026-02-30T00:00:00.000Z', id),
      forged('0000-01-01T00:00:00.000Z', id),
      forged('Thu Jan 01 1970 00:00:00', id),
      forged('2026-01-01T00:00:00.000Z', 'id'),
      forged(null),
      forged(1e300),
      forged('a\0'),
      forged({ a: 1 }),
    ])
      expect([list, after.slice(0, 80), (await rig.run(alice, query, { id, after })).errors[0]?.code]).toEqual([
        list,
        after.slice(0, 80),
        'CURSOR_INVALID',
      ]);
  }
});

test('lists of contexts: forged cursors', async () => {
  const id = await rig.createContext(alice);
  for (const field of ['CREATED_AT', 'UPDATED_AT', 'LAST_ACTIVITY_AT', 'TITLE']) {
    const query = `query ($after: String) { contexts(after: $after, sort: { field: ${field} }) { pageInfo { hasNextPage } } }`;
    const forged = (...values: unknown[]) =>
      Buffer.from(JSON.stringify([`contexts:${field}:DESC`, ...values])).toString('base64url');
    const impossible = field === 'TITLE' ? [] : ['2026-02-30T00:00:00.000Z', '0000-01-01T00:00:00.000Z', 'yesterday'];
    for (const value of [...impossible, null, 7])
      expect([field, value, (await rig.run(alice, query, { after: forged(value, id) })).errors[0]?.code]).toEqual([
        field,
        value,
        'CURSOR_INVALID',
      ]);
    const good = field === 'TITLE' ? 'zzz' : '2999-01-01T00:00:00.000Z';
    expect((await rig.run(alice, query, { after: forged(good, id) })).errors).toEqual([]);
  }
});

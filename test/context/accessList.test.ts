import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { EventRow } from '#shared/events.ts';
import type { Principal } from '#shared/principal.ts';
import { giveAttributes } from '#shared/rights.ts';
import { viewerKeys, visibleCondition } from '../../subgraphs/context/access.ts';
import { contextSubscriptions } from '../../subgraphs/context/events.ts';
import { contextExports } from '../../subgraphs/context/exports.ts';
import { admin, alice, bob, type ContextRig, type Json, openContextRig, principal } from './rig.ts';

let rig: ContextRig;
beforeAll(async () => {
  rig = await openContextRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const carol = principal('carol', { roles: ['steward'] });
const update =
  'mutation ($id: ID!, $patch: ContextPatch!) { answer: updateContext(contextId: $id, patch: $patch) { userErrors { code path } } }';
const add =
  'mutation ($id: ID!, $agent: String!) { answer: addParticipant(input: { contextId: $id, agentId: $agent }) { userErrors { code } } }';
const close =
  'mutation ($id: ID!) { answer: changeContextStatus(contextId: $id, status: CLOSED) { userErrors { code } } }';
const remove = 'mutation ($id: ID!) { answer: deleteContext(contextId: $id) { userErrors { code } } }';

const permission = (who: string, resource: string, actions: string[], more: object = {}) => ({
  ...{ principal: who, principalType: 'USER', resource, actions },
  ...more,
});
const listed = (permissions: object[], accessControl: object = {}) =>
  rig.createContext(alice, { accessControl: { permissions, ...accessControl }, tags: ['calm'] });
/** What an operation is answered with: nothing, or codes. */
const codesOf = async (who: typeof alice, query: string, variables: Record<string, unknown>): Promise<string[]> => {
  const { data, errors } = await rig.run(who, query, variables);
  if (errors.length > 0) return errors.map(({ code }) => String(code));
  return (data['answer']!['userErrors'] as readonly Json[]).map((error) => String(error['code']));
};
const open = { accessControl: { requiredRoles: [] } };
const byRole = { principalType: 'ROLE' };
const joinIn = 'mutation ($id: ID!) { answer: joinContext(contextId: $id) { userErrors { code } } }';
const write =
  'mutation ($id: ID!, $key: String!) { answer: updateSharedState(input: { contextId: $id, baseVersion: 0, changes: [{ key: $key, value: 1 }] }) { userErrors { code } } }';
const note =
  'mutation ($id: ID!, $key: String!) { answer: setMetadata(contextId: $id, entries: [{ key: $key, value: 1 }]) { userErrors { code } } }';
const grant = (id: string, permissions: object[]) =>
  rig.ask(alice, update, { id, patch: { accessControl: { permissions } } });
/** Whether a context is there by id, in the list, the counts, a search, the search index and the export's condition. */
async function sightsOf(who: typeof alice, id: string): Promise<readonly boolean[]> {
  const { context, contexts, found, contextStatistics } = (await rig.ask(
    who,
    `query ($id: ID!) { context(contextId: $id) { id } contexts(first: 100) { totalCount nodes { id } }
      found: searchContexts(query: "A context", first: 100) { nodes { id } } contextStatistics { total } }`,
    { id },
  )) as unknown as {
    readonly context: object | null;
    readonly contexts: { readonly totalCount: number; readonly nodes: readonly { readonly id: string }[] };
    readonly found: { readonly nodes: readonly { readonly id: string }[] };
    readonly contextStatistics: { readonly total: number };
  };
  const [exported] = contextExports;
  const text = (value: string) => `'${value}'`;
  const list = (values: readonly string[]) => `ARRAY[${values.map(text).join()}]`;
  const conditions = exported!.visible!(who, {
    text,
    uuid: (value) => `${text(value)}::uuid`,
    uuids: (values) => `${list(values)}::uuid[]`,
    texts: (values) => `${list(values)}::text[]`,
  });
  const rows = await rig.sql.unsafe(
    `SELECT c.id FROM ${exported!.from} WHERE ${[...conditions, `c.id = '${id}'`].join(' AND ')}`,
  );
  const isIn = ({ nodes }: { readonly nodes: readonly { readonly id: string }[] }) =>
    nodes.some((node) => node.id === id);
  const visible = await rig.sql.unsafe<{ n: number }[]>(
    `SELECT count(*)::int AS n FROM context.context c WHERE c.deleted_at IS NULL AND ${visibleCondition('c', { subject: '$1', keys: '$2::text[]' })}`,
    [who.subject, [...viewerKeys(who)]],
  );
  return [
    ...[context !== null, isIn(contexts), contexts.totalCount === visible[0]!.n],
    ...[isIn(found), contextStatistics.total === visible[0]!.n, rows.length === 1],
  ].map((seen, at) => (at === 2 || at === 4 ? seen && context !== null : seen));
}

test('ADMIN on the context grants what the owner may, to whom it names', async () => {
  const id = await listed([
    permission('bob', 'context', ['ADMIN']),
    permission('steward', '*', ['ADMIN'], { principalType: 'ROLE' }),
    permission('dave', 'context', ['READ', 'WRITE', 'EXECUTE', 'DELETE']),
    permission('erin', 'plan', ['ADMIN']),
  ]);
  for (const who of [bob, carol]) expect(await codesOf(who, update, { id, patch: open })).toEqual([]);
  for (const who of [principal('dave'), principal('erin'), principal('steward')])
    expect(await codesOf(who, update, { id, patch: open })).toEqual(['PERMISSION_DENIED']);
  expect(await codesOf(principal('dave'), close, { id })).toEqual(['PERMISSION_DENIED']);
  // The operation itself is still the token's and the roles' to allow.
  expect(await codesOf(principal('bob', { scopes: ['context:read'] }), close, { id })).toEqual(['PERMISSION_DENIED']);
  expect(await codesOf(bob, close, { id })).toEqual([]);
  expect(await codesOf(carol, remove, { id })).toEqual([]);
});

test('WRITE on participants lets others in, and does nothing else', async () => {
  const id = await listed([permission('bob', 'participant', ['WRITE'])], { joinPolicy: 'APPROVAL' });
  expect(await codesOf(bob, add, { id, agent: 'x' })).toEqual([]);
  expect(await codesOf(carol, add, { id, agent: 'y' })).toEqual(['PERMISSION_DENIED']);
  expect(await codesOf(bob, update, { id, patch: open })).toEqual(['PERMISSION_DENIED']);
  const join = 'mutation ($id: ID!) { answer: joinContext(contextId: $id) { participant { id status } } }';
  const asked = (await rig.ask(carol, join, { id }))['answer']!['participant']!;
  const decide =
    'mutation ($id: ID!, $participant: ID!) { answer: decideJoinRequest(contextId: $id, participantId: $participant, decision: APPROVE) { userErrors { code } } }';
  expect(await codesOf(bob, decide, { id, participant: asked['id'] })).toEqual([]);
});

test('a list shows a private context to whom it names, in every way it is looked for', async () => {
  const entries = [permission('bob', 'context', ['READ']), permission('steward', '*', ['READ'], byRole)];
  const id = await listed(
    [
      ...entries,
      permission('dave', 'plan', ['READ']),
      permission('erin', 'context', ['READ'], { conditions: { expression: 'environment.time < 0' } }),
      permission('fred', 'context', ['READ'], { conditions: { expression: 'NOT environment.ip == "::1"' } }),
    ],
    { visibility: 'PRIVATE' },
  );
  for (const who of [bob, carol]) expect(await sightsOf(who, id)).toEqual([true, true, true, true, true, true]);
  // A name is no role, and a role no name; what is granted on something else, or under a condition that does not hold or
  // cannot be evaluated where contexts are read, shows nothing.
  for (const who of ['steward', 'dave', 'erin', 'fred']
    .map((name) => principal(name))
    .concat(principal('x', { roles: ['bob'] })))
    expect(await sightsOf(who, id)).toEqual([false, false, false, false, false, false]);
  await grant(id, entries.slice(1));
  expect(await sightsOf(bob, id)).toEqual([false, false, false, false, false, false]);
  expect(await sightsOf(carol, id)).toEqual([true, true, true, true, true, true]);
});

test('a list shows a private context under conditions, as long as they hold', async () => {
  const attributes = new Map<Principal, Record<string, unknown>>();
  const of = (subject: string, department: string) => {
    const who = principal(subject, { roles: ['member'] });
    attributes.set(who, { department });
    giveAttributes(who, () => () => attributes.get(who));
    return who;
  };
  const [lawyer, seller] = [of('lawyer', 'legal'), of('seller', 'sales')];
  const under = (expression: string) =>
    permission('member', 'context', ['READ'], { ...byRole, conditions: { expression } });
  const all = (seen: boolean) => Array.from({ length: 6 }, () => seen);
  const id = await listed([under('subject.department == resource.category')], { visibility: 'PRIVATE' });
  const change = (patch: object) => rig.ask(alice, update, { id, patch });
  for (const who of [lawyer, seller]) expect(await sightsOf(who, id)).toEqual(all(false));
  // A column that conditions look at decides with the change that writes it.
  await change({ category: 'legal' });
  expect(await sightsOf(lawyer, id)).toEqual(all(true));
  expect(await sightsOf(seller, id)).toEqual(all(false));
  attributes.set(seller, { department: 'legal' });
  attributes.set(lawyer, { department: 'sales' });
  expect(await sightsOf(lawyer, id)).toEqual(all(false));
  expect(await sightsOf(seller, id)).toEqual(all(true));
  await change({ category: 'sales' });
  expect(await sightsOf(lawyer, id)).toEqual(all(true));
  expect(await sightsOf(seller, id)).toEqual(all(false));
  await grant(id, [under(`environment.time < ${Date.now() + 3_600_000} AND subject.roles CONTAINS "member"`)]);
  for (const who of [lawyer, seller]) expect(await sightsOf(who, id)).toEqual(all(true));
  expect(await sightsOf(bob, id)).toEqual(all(false));
  await grant(id, []);
  for (const who of [lawyer, seller]) expect(await sightsOf(who, id)).toEqual(all(false));
});

test('a stream of a private context ends for whom a condition of its list holds no longer', async () => {
  let department = 'legal';
  const who = principal('follower', { roles: ['member'] });
  giveAttributes(who, () => () => ({ department }));
  const id = await listed(
    [permission('member', '*', ['READ'], { ...byRole, conditions: { expression: 'subject.department == "legal"' } })],
    { visibility: 'PRIVATE' },
  );
  const { admit } = contextSubscriptions['contextUpdates']!;
  const follow = () => admit(who, { contextId: id }, { sql: rig.sql } as Parameters<typeof admit>[2]);
  const gate = await follow();
  const stirred = async (summary: string) => {
    rig.events.length = 0;
    await rig.ask(alice, update, { id, patch: { summary } });
    return rig.events.find((event): event is EventRow => event.type === 'context.updated')!;
  };
  expect(gate.decide(await stirred('one'))).toBe('deliver');
  department = 'sales';
  const event = await stirred('two');
  expect(gate.decide(event)).toBe('end');
  department = 'legal';
  expect(gate.decide(await stirred('three'))).toBe('end');
  department = 'sales';
  await expect(follow()).rejects.toMatchObject({ message: 'no such context' });
});

test('who sees a private context by its list alone changes there what the list lets it change', async () => {
  const id = await listed(
    [
      permission('reader', 'context', ['READ']),
      permission('writer', 'context', ['READ', 'WRITE']),
      permission('deleter', '*', ['DELETE']),
      permission('admitter', 'context', ['READ']),
      permission('admitter', 'participant', ['WRITE']),
    ],
    { visibility: 'PRIVATE' },
  );
  const attempts = (name: string) =>
    Promise.all([
      codesOf(principal(name), update, { id, patch: { summary: name } }),
      codesOf(principal(name), write, { id, key: `variables.${name}` }),
      codesOf(principal(name), note, { id, key: name }),
      codesOf(principal(name), add, { id, agent: `of-${name}` }),
    ]).then((codes) => codes.map(([code]) => code ?? 'ok'));
  const denied = 'PERMISSION_DENIED';
  expect(await attempts('reader')).toEqual([denied, denied, denied, denied]);
  expect(await attempts('writer')).toEqual(['ok', 'ok', 'ok', 'ok']);
  expect(await attempts('deleter')).toEqual([denied, denied, denied, denied]);
  expect(await attempts('admitter')).toEqual([denied, denied, denied, 'ok']);
  expect(await attempts('nobody')).toEqual(['NOT_FOUND', 'NOT_FOUND', 'NOT_FOUND', 'NOT_FOUND']);
  // Who has joined is bound by the list no longer.
  expect(await codesOf(principal('reader'), joinIn, { id })).toEqual([]);
  expect(await attempts('reader')).toEqual(['ok', 'ok', 'ok', 'ok']);
  expect(await codesOf(principal('writer'), remove, { id })).toEqual([denied]);
  expect(await codesOf(principal('deleter'), remove, { id })).toEqual([]);
});

test('a stream ends for who is taken off the list', async () => {
  const id = await listed([permission('bob', 'context', ['READ'])], { visibility: 'PRIVATE' });
  const follow = (who: typeof alice) =>
    contextSubscriptions['contextUpdates']!.admit!(who, { contextId: id }, { sql: rig.sql } as never);
  await expect(follow(carol)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  const gate = await follow(bob);
  await rig.ask(alice, update, { id, patch: { summary: 'seen' } });
  await grant(id, []);
  const told = rig.events.filter((event): event is EventRow => event.streamId === id && 'sequence' in event);
  expect(told.map((event) => gate.decide(event))).toEqual(['deliver', 'deliver', 'end']);
});

test('conditions are asked each time; what cannot be evaluated grants nothing', async () => {
  const admit = (expression: string) => permission('bob', 'context', ['ADMIN'], { conditions: { expression } });
  for (const [expression, expected] of [
    ['resource.status == "active" AND resource.tags CONTAINS "calm"', []],
    ['resource.status == "suspended"', ['PERMISSION_DENIED']],
    ['resource.status > 3', ['PERMISSION_DENIED']],
    ['environment.action == "admin" AND subject.id == "bob"', []],
  ] as const)
    expect([expression, await codesOf(bob, update, { id: await listed([admit(expression)]), patch: open })]).toEqual([
      expression,
      expected,
    ]);
});

test('a strict policy denies whatever else allows, to the owner too, who can take it back', async () => {
  const policy = (enforcement: string, ...deny: string[]) => ({ type: 'COMPLIANCE', enforcement, rules: { deny } });
  const writes: readonly [string, string, string][] = [
    ['context', 'write', 'updateContext(contextId: $id, patch: { title: "x" })'],
    ['context', 'write', 'changeContextStatus(contextId: $id, status: SUSPENDED)'],
    ['context', 'delete', 'deleteContext(contextId: $id)'],
    ['participant', 'write', 'addParticipant(input: { contextId: $id, agentId: "z" })'],
    ['session', 'write', 'createSession(input: { contextId: $id, name: "s" })'],
    ['metadata', 'write', 'setMetadata(contextId: $id, entries: [{ key: "a", value: 1 }])'],
    [
      'sharedState',
      'write',
      'updateSharedState(input: { contextId: $id, baseVersion: 0, changes: [{ key: "variables.a", value: 1 }] })',
    ],
  ];
  for (const [resource, action, call] of writes) {
    const deny = `resource.type == "${resource}" AND environment.action == "${action}"`;
    const id = await rig.createContext(alice, { accessControl: { policies: [policy('STRICT', deny)] } });
    const query = `mutation ($id: ID!) { answer: ${call} { userErrors { code } } }`;
    const before = rig.events.length;
    for (const who of [alice, bob, admin])
      expect([call, await codesOf(who, query, { id })]).toEqual([call, ['PERMISSION_DENIED']]);
    expect(rig.events.length).toBe(before);
    for (const enforcement of ['ADVISORY', 'DISABLED'])
      expect(
        await codesOf(alice, update, { id, patch: { accessControl: { policies: [policy(enforcement, deny)] } } }),
      ).toEqual([]);
    expect([call, await codesOf(alice, query, { id })]).toEqual([call, []]);
  }
  const broken = await rig.createContext(alice, {
    accessControl: { policies: [policy('STRICT', 'resource.status > 3')] },
  });
  expect(await codesOf(alice, close, { id: broken })).toEqual(['PERMISSION_DENIED']);
});

test('time ends a context, and participants leave it, whatever a policy denies', async () => {
  const id = await rig.createContext(alice);
  const leave = 'mutation ($id: ID!) { answer: leaveContext(contextId: $id) { userErrors { code } } }';
  expect(await codesOf(alice, add, { id, agent: 'bob' })).toEqual([]);
  const policies = [{ type: 'SECURITY', enforcement: 'STRICT', rules: { deny: ['subject.id != ""'] } }];
  expect(await codesOf(alice, update, { id, patch: { accessControl: { policies } } })).toEqual([]);
  expect(await codesOf(alice, add, { id, agent: 'z' })).toEqual(['PERMISSION_DENIED']);
  expect(await codesOf(bob, leave, { id })).toEqual([]);
  await rig.sql`UPDATE context.context SET expires_at = now() - interval '1 minute' WHERE id = ${id}`;
  await rig.service.upkeep.expire({ tenantId: 'one', contextId: id });
  expect((await rig.ask(alice, 'query ($id: ID!) { context(contextId: $id) { status } }', { id }))['context']).toEqual({
    status: 'CLOSED',
  });
});

test('lists and values that promise what is not done are refused', async () => {
  const create =
    'mutation ($input: CreateContextInput!) { answer: createContext(input: $input) { userErrors { code path } } }';
  const root = { domain: 'd', environment: 'e' };
  const entry = permission('a', 'context', ['READ']);
  const policy = { type: 'SECURITY', enforcement: 'STRICT' };
  for (const [input, ...path] of [
    [
      { accessControl: { permissions: [{ ...entry, principalType: 'GROUP' }] } },
      'accessControl',
      'permissions',
      '0',
      'principalType',
    ],
    [
      { accessControl: { permissions: [{ ...entry, conditions: { expression: 'a ==' } }] } },
      'accessControl',
      'permissions',
      '0',
      'conditions',
      'expression',
    ],
    [
      { accessControl: { permissions: [{ ...entry, conditions: { a: 1 } }] } },
      'accessControl',
      'permissions',
      '0',
      'conditions',
      'expression',
    ],
    [
      { accessControl: { policies: [{ ...policy, rules: { deny: ['other.id == 1'] } }] } },
      'accessControl',
      'policies',
      '0',
      'rules',
      'deny',
      '0',
    ],
    [{ configuration: { persistenceLevel: 'NONE' } }, 'configuration', 'persistenceLevel'],
    [{ configuration: { isolationLevel: 'STRICT' } }, 'configuration', 'isolationLevel'],
  ] as const) {
    const { userErrors } = (await rig.ask(alice, create, { input: { title: 't', root, ...input } }))['answer']!;
    expect(userErrors, JSON.stringify(input)).toEqual([{ code: 'VALIDATION_FAILED', path: ['input', ...path] }]);
  }
  const id = await rig.createContext(alice);
  const session =
    'mutation ($input: CreateSessionInput!) { answer: createSession(input: $input) { userErrors { code path } } }';
  for (const more of [
    { persistState: false },
    { autoSave: false },
    { compression: true },
    { isolationLevel: 'RELAXED' },
  ])
    expect(
      (await rig.ask(alice, session, { input: { contextId: id, name: 's', ...more } }))['answer']!['userErrors'],
    ).toEqual([{ code: 'VALIDATION_FAILED', path: ['input', Object.keys(more)[0]] }]);
});

test('the migration works out of lists that stood before what is worked out as they are written', async () => {
  const lists = [
    [],
    [permission('bob', 'context', ['READ']), permission('steward', '*', ['WRITE'], byRole)],
    [permission('bob', 'plan', ['READ'])],
    [
      permission('a:b', '*', ['READ'], { conditions: { expression: 'false' } }),
      permission('é "x"', 'context', ['ADMIN']),
    ],
  ];
  const ids = await Promise.all(lists.map((entries) => listed(entries)));
  const readers = () => rig.sql`SELECT id, readers FROM context.context WHERE id = ANY (${ids}::uuid[]) ORDER BY id`;
  const before = await readers();
  expect(before.flatMap((row) => row['readers'] as string[]).toSorted()).toEqual([
    'role:steward',
    'subject:bob',
    'subject:é "x"',
  ]);
  const file = new URL('../../prisma/migrations/20261128181000_context_readers/migration.sql', import.meta.url);
  const statement = /WITH listed AS[^;]*;/.exec(await readFile(file, 'utf8'))![0];
  await rig.sql`UPDATE context.context SET readers = '{}' WHERE id = ANY (${ids}::uuid[])`;
  await rig.sql.unsafe(statement);
  expect(await readers()).toEqual(before);
});

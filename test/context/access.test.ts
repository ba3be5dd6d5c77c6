import { afterAll, beforeAll, expect, test } from 'vitest';
import { createRequestScope, subjectBoundTag } from '#shared/context.ts';
import type { EventRow } from '#shared/events.ts';
import { contextSubscriptions } from '../../subgraphs/context/events.ts';
import { admin, alice, bob, type ContextRig, openContextRig, principal, stranger } from './rig.ts';

let rig: ContextRig;
let hidden: string;
let open: string;
let sessionId: string;
const member = principal('member');

beforeAll(async () => {
  rig = await openContextRig();
  open = await rig.createContext(alice, { title: 'open one' });
  hidden = await rig.createContext(alice, {
    title: 'hidden one',
    summary: 'secret marmalade',
    tags: ['rare'],
    accessControl: { visibility: 'PRIVATE' },
  });
  await rig.service.participants.add(scopeOf(alice), { contextId: hidden, agentId: 'member' });
  sessionId = (await rig.service.sessions.create(scopeOf(alice), { contextId: hidden, name: 'private talk' }))
    .sessionId;
});
afterAll(() => rig[Symbol.asyncDispose]());

function scopeOf(who: typeof alice) {
  return createRequestScope({
    principal: who,
    correlationId: '',
    traceparent: '00-11111111111111111111111111111111-2222222222222222-01',
  });
}

const reads: readonly [string, string, (answer: never) => boolean][] = [
  ['context', 'query ($id: ID!) { answer: context(contextId: $id) { id } }', (answer) => answer !== null],
  ['contextByName', 'query { answer: contextByName(name: "hidden one") { id } }', (answer) => answer !== null],
  [
    'contexts',
    'query { answer: contexts(filter: { namePattern: "hidden*" }) { nodes { id } } }',
    (answer: { nodes: unknown[] }) => answer.nodes.length > 0,
  ],
  [
    'its total',
    'query { answer: contexts(filter: { namePattern: "hidden*" }) { totalCount } }',
    (answer: { totalCount: number }) => answer.totalCount > 0,
  ],
  [
    'searchContexts',
    'query { answer: searchContexts(query: "marmalade") { edges { snippet node { id } } } }',
    (answer: { edges: unknown[] }) => answer.edges.length > 0,
  ],
  [
    'facets',
    'query { answer: searchContexts { facets { values { value } } } }',
    (answer: { facets: { values: { value: string }[] }[] }) =>
      answer.facets.some(({ values }) => values.some(({ value }) => value === 'rare')),
  ],
  [
    'statistics',
    'query { answer: contextStatistics(filter: { tagsAny: ["rare"] }) { total } }',
    (answer: { total: number }) => answer.total > 0,
  ],
  ['health', 'query ($id: ID!) { answer: contextHealth(contextId: $id) { overall } }', (answer) => answer !== null],
  [
    'an entity',
    'query ($representations: [_Any!]!) { answer: _entities(representations: $representations) { __typename } }',
    (answer: unknown[]) => answer[0] !== null,
  ],
  [
    'the entity of a session',
    'query ($session: [_Any!]!) { answer: _entities(representations: $session) { __typename } }',
    (answer: unknown[]) => answer[0] !== null,
  ],
  [
    'by its participants',
    'query { answer: contexts(filter: { participantAgentId: "member" }) { nodes { id } } }',
    (answer: { nodes: unknown[] }) => answer.nodes.length > 0,
  ],
];

test.each(reads)('a private context shows through %s to its own only', async (_name, query, shows) => {
  for (const [who, sees] of [
    [alice, true],
    [member, true],
    [admin, true],
    [bob, false],
    [stranger, false],
  ] as const) {
    const answer = await rig.ask(who, query, {
      id: hidden,
      representations: [{ __typename: 'Context', id: hidden }],
      session: [{ __typename: 'ContextSession', id: sessionId }],
    });
    expect([who.subject, shows(answer['answer'] as never)]).toEqual([who.subject, sees]);
  }
});

test('what depends on who asks bears the mark that keeps it from being shared; what does not, does not', async () => {
  const marked = async (query: string, who = bob, id = hidden) =>
    (await rig.run(who, query, { id })).scope.readTags.has(subjectBoundTag);
  const one = 'query ($id: ID!) { context(contextId: $id) { title } }';
  const list = 'query { contexts { nodes { id } } }';
  expect(await marked(one)).toBe(true);
  expect(await marked(one, alice)).toBe(true);
  expect(await marked(one, bob, open)).toBe(false);
  for (const query of [
    list,
    'query { searchContexts(query: "nothing of the kind") { totalCount } }',
    'query { contextStatistics { total } }',
  ])
    expect(await marked(query)).toBe(true);
  // A tenant without private contexts: its lists are the same for everyone, and say what makes them stale.
  const calm = principal('calm', { tenantId: 'calm' });
  const id = await rig.createContext(calm);
  const { scope } = await rig.run(calm, list);
  expect([...scope.readTags]).toEqual(['contexts:standing', `Context:${id}`]);
  const { scope: filtered } = await rig.run(
    calm,
    'query { contexts(filter: { status: [ACTIVE, SUSPENDED, CLOSED] }) { nodes { id } } }',
  );
  expect([...filtered.readTags].slice(0, 2)).toEqual(['contexts', 'contexts:members']);
  expect((await rig.run(calm, 'query { contextStatistics { total } }')).scope.readTags.has(subjectBoundTag)).toBe(
    false,
  );
  expect((await rig.run(principal('x', { tenantId: 'empty' }), list)).scope.readTags.has(subjectBoundTag)).toBe(false);
});

const unknown = '6f9619ff-8b86-4011-b42d-00cf4fc964ff';
const mutations: readonly [string, string][] = [
  ['updateContext', 'updateContext(contextId: $id, patch: { title: "taken" })'],
  ['changeContextStatus', 'changeContextStatus(contextId: $id, status: SUSPENDED)'],
  ['deleteContext', 'deleteContext(contextId: $id)'],
  ['restoreContext', 'restoreContext(contextId: $id)'],
  [
    'updateSharedState',
    'updateSharedState(input: { contextId: $id, baseVersion: 0, changes: [{ key: "variables.a", value: 1 }] })',
  ],
  ['addParticipant', 'addParticipant(input: { contextId: $id, agentId: "bob" })'],
  ['updateParticipant', `updateParticipant(contextId: $id, participantId: "${unknown}", patch: {})`],
  ['removeParticipant', `removeParticipant(contextId: $id, participantId: "${unknown}")`],
  ['joinContext', 'joinContext(contextId: $id)'],
  ['decideJoinRequest', `decideJoinRequest(contextId: $id, participantId: "${unknown}", decision: APPROVE)`],
  ['leaveContext', 'leaveContext(contextId: $id)'],
  ['rotateContextJoinToken', 'rotateContextJoinToken(contextId: $id)'],
  ['revokeContextJoinToken', 'revokeContextJoinToken(contextId: $id)'],
  ['createSession', 'createSession(input: { contextId: $id, name: "mine" })'],
  ['changeSessionStatus', `changeSessionStatus(contextId: $id, sessionId: "${unknown}", status: PAUSED)`],
  ['endSession', `endSession(contextId: $id, sessionId: "${unknown}")`],
  ['setMetadata', 'setMetadata(contextId: $id, entries: [{ key: "a", value: 1 }])'],
  ['deleteMetadata', 'deleteMetadata(contextId: $id, keys: ["a"])'],
];

test.each(mutations)('%s answers a hidden, a foreign and an unknown context alike', async (name, call) => {
  const before =
    await rig.sql`SELECT (SELECT count(*) FROM context.event) AS events, (SELECT json_agg(c) FROM context.context c) AS rows`;
  const mutate = async (who: typeof bob, id: string) =>
    (await rig.ask(who, `mutation ($id: ID!) { ${call} { userErrors { code message path } } }`, { id }))[name]![
      'userErrors'
    ];
  const answers = [
    await mutate(bob, hidden),
    await mutate(stranger, hidden),
    await mutate(stranger, open),
    await mutate(bob, unknown),
  ];
  for (const answer of answers)
    expect(answer).toEqual([{ code: 'NOT_FOUND', message: 'no such context', path: ['contextId'] }]);
  expect(
    await rig.sql`SELECT (SELECT count(*) FROM context.event) AS events, (SELECT json_agg(c) FROM context.context c) AS rows`,
  ).toEqual(before);
});

test('every mutation is in that list', () => {
  const fields = Object.keys(rig.subgraph.schema.getMutationType()!.getFields());
  expect(fields.filter((name) => !['createContext', 'createContexts'].includes(name)).sort()).toEqual(
    mutations.map(([name]) => name).sort(),
  );
});

test('only owner and administrators decide who else sees a context', async () => {
  const patch =
    'mutation ($id: ID!) { updateContext(contextId: $id, patch: { accessControl: { visibility: PRIVATE } }) { userErrors { code } } }';
  expect((await rig.run(bob, patch, { id: open })).errors).toMatchObject([{ code: 'PERMISSION_DENIED' }]);
});

test('without the permission nothing is answered', async () => {
  const nobody = principal('nobody', { scopes: [] });
  expect((await rig.run(nobody, 'query { contexts { totalCount } }')).errors).toMatchObject([
    { code: 'PERMISSION_DENIED' },
  ]);
  for (const [, call] of mutations)
    expect(
      (await rig.run(nobody, `mutation ($id: ID!) { ${call} { userErrors { code } } }`, { id: open })).errors,
    ).toMatchObject([{ code: 'PERMISSION_DENIED' }]);
});

test('metadata shows to whom its access level says, also in filters and search', async () => {
  const id = await rig.createContext(alice, { title: 'levels' });
  await rig.service.participants.add(scopeOf(alice), { contextId: id, agentId: 'member' });
  await rig.service.metadata.set(
    scopeOf(alice),
    id,
    ['PUBLIC', 'PARTICIPANTS', 'OWNER'].map((accessLevel) => ({
      key: accessLevel.toLowerCase(),
      value: `word${accessLevel}`,
      accessLevel,
    })),
    {},
  );
  const query = 'query ($id: ID!) { context(contextId: $id) { metadata { totalCount nodes { key } } } }';
  for (const [who, keys] of [
    [alice, ['owner', 'participants', 'public']],
    [admin, ['owner', 'participants', 'public']],
    [member, ['participants', 'public']],
    [bob, ['public']],
  ] as const) {
    expect((await rig.ask(who, query, { id }))['context']!['metadata']).toEqual({
      totalCount: keys.length,
      nodes: keys.map((key) => ({ key })),
    });
  }
  const filtered = async (who: typeof bob, key: string) =>
    (
      await rig.ask(who, 'query ($filter: ContextFilter) { contexts(filter: $filter) { totalCount } }', {
        filter: { metadata: [{ key, value: `word${key.toUpperCase()}` }] },
      })
    )['contexts']!['totalCount'];
  expect([
    await filtered(alice, 'owner'),
    await filtered(member, 'owner'),
    await filtered(member, 'participants'),
    await filtered(bob, 'participants'),
    await filtered(bob, 'public'),
  ]).toEqual([1, 0, 1, 0, 1]);
  const searched = async (word: string) =>
    (await rig.ask(alice, 'query ($query: String) { searchContexts(query: $query) { totalCount } }', { query: word }))[
      'searchContexts'
    ]!['totalCount'];
  expect([await searched('wordPUBLIC'), await searched('wordOWNER')]).toEqual([1, 0]);
  const set =
    'mutation ($id: ID!, $entries: [ContextMetadataInput!]!) { setMetadata(contextId: $id, entries: $entries) { userErrors { code } } }';
  for (const key of ['owner', 'participants'])
    expect((await rig.run(bob, set, { id, entries: [{ key, value: 1 }] })).errors).toMatchObject([
      { code: 'PERMISSION_DENIED' },
    ]);
  expect(
    (await rig.run(bob, set, { id, entries: [{ key: 'new', value: 1, accessLevel: 'OWNER' }] })).errors,
  ).toMatchObject([{ code: 'PERMISSION_DENIED' }]);
});

test('an invitation opens a private context to its bearer, once the token is right', async () => {
  const created = await rig.ask(
    alice,
    'mutation { createContext(input: { title: "by invitation", root: { domain: "d", environment: "e" }, accessControl: { visibility: PRIVATE, joinPolicy: INVITATION_ONLY }, idempotencyKey: "invite" }) { context { id } accessInfo { joinToken } } }',
  );
  const { context, accessInfo } = created['createContext']!;
  const join =
    'mutation ($id: ID!, $token: String) { joinContext(contextId: $id, joinToken: $token, displayName: "Bob") { participant { agentId displayName status } context { id } userErrors { code } } }';
  for (const token of [null, 'wrong', ''])
    expect((await rig.ask(bob, join, { id: context!['id'], token }))['joinContext']).toEqual({
      participant: null,
      context: null,
      userErrors: [{ code: 'NOT_FOUND' }],
    });
  expect((await rig.ask(bob, join, { id: context!['id'], token: accessInfo!['joinToken'] }))['joinContext']).toEqual({
    participant: { agentId: 'bob', displayName: 'Bob', status: 'ACTIVE' },
    context: { id: context!['id'] },
    userErrors: [],
  });
  const left = await rig.ask(
    bob,
    'mutation ($id: ID!) { leaveContext(contextId: $id) { participant { status } context { id } userErrors { code } } }',
    { id: context!['id'] },
  );
  expect(left['leaveContext']).toEqual({ participant: { status: 'LEFT' }, context: null, userErrors: [] });
  const stored = JSON.stringify(
    await rig.sql`SELECT data FROM context.event WHERE stream_id = ${String(context!['id'])}`,
  );
  expect(stored).not.toContain(String(accessInfo!['joinToken']));
  expect(stored).not.toContain('joinTokenHash');
});

test('a gate follows deletion, visibility and membership, and lets the past be', async () => {
  const id = await rig.createContext(alice, { title: 'watched' });
  const joined = await rig.service.participants.add(scopeOf(alice), { contextId: id, agentId: 'bob' });
  const eventsOf = () => rig.events.filter((event): event is EventRow => event.streamId === id && 'sequence' in event);
  const admit = (field: 'contextUpdates' | 'participantActivities', who: typeof bob) =>
    contextSubscriptions[field]!.admit(who, { contextId: id }, { sql: rig.sql });
  const [updates, activities, outsider, owner] = await Promise.all([
    admit('contextUpdates', bob),
    admit('participantActivities', bob),
    admit('contextUpdates', member),
    admit('contextUpdates', alice),
  ]);
  const past = eventsOf();
  await rig.service.update(scopeOf(alice), id, { accessControl: { visibility: 'PRIVATE' } }, {});
  await rig.service.participants.remove(scopeOf(alice), id, joined.participantId, {});
  await rig.service.update(scopeOf(alice), id, { title: 'unseen' }, {});
  await rig.service.remove(scopeOf(alice), id, { force: false });
  await rig.service.upkeep.cascadeDelete({ tenantId: 'one', contextId: id });
  const decisions = (gate: typeof owner) =>
    eventsOf()
      .slice(past.length)
      .map((event) => gate.decide(event));
  expect(
    eventsOf()
      .slice(past.length)
      .map(({ type }) => type),
  ).toEqual(['context.updated', 'context.participant.left', 'context.updated', 'context.deleted']);
  // Private, yet a participant; then not even that: the field that selects the leaving shows it, the other ends.
  expect(decisions(updates)).toEqual(
    ['deliver', 'end', 'deliver', 'deliver'].map((decision, index) => (index > 1 ? expect.any(String) : decision)),
  );
  expect(decisions(activities).slice(0, 3)).toEqual(['deliver', 'deliver', 'end']);
  expect(decisions(outsider)[0]).toBe('end');
  expect(decisions(owner)).toEqual(['deliver', 'deliver', 'deliver', 'deliver']);
  expect(owner.decide({ ...past[0]!, sequence: 99 })).toBe('end');
  await expect(admit('contextUpdates', alice)).rejects.toMatchObject({ code: 'NOT_FOUND' });

  await rig.service.restore(scopeOf(alice), id, {});
  await expect(admit('contextUpdates', bob)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  await expect(admit('contextUpdates', stranger)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  // Replaying a past that holds its own leaving does not end who is back.
  await rig.service.participants.add(scopeOf(alice), { contextId: id, agentId: 'bob' });
  const back = await admit('participantActivities', bob);
  expect(new Set(eventsOf().map((event) => back.decide(event)))).toEqual(new Set(['deliver']));
});

import { afterAll, beforeAll, expect, test } from 'vitest';
import { alice, type ContextRig, openContextRig, principal } from './rig.ts';

let rig: ContextRig;
const ids: string[] = [];
const owner = principal('owner', { tenantId: 'edges' });

beforeAll(async () => {
  rig = await openContextRig();
  for (let index = 0; index < 20; index += 1) {
    const id = await rig.createContext(owner, { title: `Context ${index}`, sharedState: { variables: { index } } });
    ids.push(id);
    for (const agent of ['a', 'b', 'c']) await rig.service.participants.add(scope(), { contextId: id, agentId: agent });
    await rig.service.sessions.create(scope(), { contextId: id, name: 'one' });
    await rig.service.metadata.set(
      scope(),
      id,
      [
        { key: 'colour', value: 'red' },
        { key: 'size', value: index + 1 },
      ],
      {},
    );
    await rig.service.metadata.set(scope(), id, [{ key: 'colour', value: 'blue' }], {});
    await rig.service.update(scope(), id, { title: `Renamed ${index}` }, {});
  }
}, 60_000);
afterAll(() => rig[Symbol.asyncDispose]());

function scope() {
  return {
    principal: owner,
    correlationId: '',
    traceparent: '00-11111111111111111111111111111111-2222222222222222-01',
    readTags: new Set<string>(),
    written: [],
    moduleContexts: new Map<string, unknown>(),
  };
}

test('twenty contexts with all their edges take one statement an edge', async () => {
  rig.statements.length = 0;
  const { contexts } = await rig.ask(
    owner,
    `query { contexts(first: 20) { nodes { id
      participants(first: 2) { totalCount nodes { agentId context { title } } pageInfo { hasNextPage } }
      sessions { totalCount nodes { name status durationMs context { id } } }
      metadata { totalCount nodes { key value versions { version value } } }
      history { nodes { version changed } }
      sharedState { version checksum variables } } } }`,
  );
  const nodes = contexts!['nodes'] as unknown as Record<
    string,
    { nodes: Record<string, unknown>[]; totalCount: number; pageInfo: unknown }
  >[];
  expect(nodes).toHaveLength(20);
  for (const node of nodes) {
    expect(node['participants']).toMatchObject({
      totalCount: 3,
      pageInfo: { hasNextPage: true },
      nodes: [{ agentId: 'a', context: { title: expect.stringMatching(/^Renamed/) } }, { agentId: 'b' }],
    });
    expect(node['sessions']).toMatchObject({
      totalCount: 1,
      nodes: [{ name: 'one', status: 'ACTIVE', context: { id: node['id'] } }],
    });
    expect(node['metadata']).toMatchObject({
      totalCount: 2,
      nodes: [
        { key: 'colour', value: 'blue', versions: [{ version: 1, value: 'red' }] },
        { key: 'size', versions: [] },
      ],
    });
    expect(node['history']!.nodes).toMatchObject([{ version: 1, changed: ['title'] }]);
    expect(node['sharedState']).toMatchObject({ version: 1, variables: { index: expect.any(Number) as number } });
  }
  // list; pages of four edges; three totals; participants' and sessions' contexts; versions of entries; shared states.
  expect(rig.statements).toHaveLength(1 + 4 + 3 + 1 + 1 + 1);
});

test('pages of an edge meet every row once; a cursor of another context is refused', async () => {
  const query =
    'query ($id: ID!, $after: String) { context(contextId: $id) { participants(first: 1, after: $after) { nodes { agentId } pageInfo { hasNextPage endCursor } } } }';
  const seen: unknown[] = [];
  let after: unknown = null;
  do {
    const { context } = await rig.ask(owner, query, { id: ids[0], after });
    const page = context!['participants'] as unknown as {
      nodes: { agentId: string }[];
      pageInfo: { hasNextPage: boolean; endCursor: string };
    };
    seen.push(...page.nodes.map((node) => node.agentId));
    after = page.pageInfo.endCursor;
    if (!page.pageInfo.hasNextPage) break;
  } while (seen.length < 10);
  expect(seen).toEqual(['a', 'b', 'c']);
  expect((await rig.run(owner, query, { id: ids[1], after })).errors).toMatchObject([{ code: 'CURSOR_INVALID' }]);
  const forged = Buffer.from(JSON.stringify([`participants:${ids[1]}`, 'x', 'y'])).toString('base64url');
  expect((await rig.run(owner, query, { id: ids[1], after: forged })).errors).toMatchObject([
    { code: 'CURSOR_INVALID' },
  ]);
});

test('statuses and patterns select; without statuses those who left are left out', async () => {
  const id = await rig.createContext(owner);
  for (const agent of ['a', 'b']) await rig.service.participants.add(scope(), { contextId: id, agentId: agent });
  const query =
    'query ($id: ID!, $status: [ContextParticipantStatus!], $pattern: String) { context(contextId: $id) { participantCount participants(status: $status) { totalCount nodes { id agentId leftAt } } metadata(pattern: $pattern) { nodes { key } } } }';
  const before = await rig.ask(owner, query, { id });
  await rig.service.participants.remove(scope(), id, String(before['context']!['participants']!['nodes']![0]!['id']), {
    reason: 'done',
  });
  await rig.service.metadata.set(
    scope(),
    id,
    ['a_b', 'axb', 'a'].map((key) => ({ key, value: 1 })),
    {},
  );
  expect((await rig.ask(owner, query, { id, pattern: 'a_*' }))['context']).toMatchObject({
    participantCount: 1,
    participants: { totalCount: 1, nodes: [{ agentId: 'b', leftAt: null }] },
    metadata: { nodes: [{ key: 'a_b' }] },
  });
  expect((await rig.ask(owner, query, { id, status: ['LEFT'] }))['context']!['participants']).toMatchObject({
    totalCount: 1,
    nodes: [{ agentId: 'a', leftAt: expect.any(String) as string }],
  });
});

test('entities are resolved in one statement each', async () => {
  const { context } = await rig.ask(
    owner,
    'query ($id: ID!) { context(contextId: $id) { participants { nodes { id } } sessions { nodes { id } } } }',
    { id: ids[0] },
  );
  const participant = context!['participants']!['nodes']![0]!['id'];
  const session = context!['sessions']!['nodes']![0]!['id'];
  const representations = [
    ...ids.map((id) => ({ __typename: 'Context', id })),
    { __typename: 'ContextParticipant', id: participant },
    { __typename: 'ContextSession', id: session },
    { __typename: 'Context', id: 'malformed' },
    { __typename: 'Context', id: '6f9619ff-8b86-4011-b42d-00cf4fc964ff' },
  ];
  const query =
    'query ($representations: [_Any!]!) { _entities(representations: $representations) { ... on Context { title } ... on ContextParticipant { agentId } ... on ContextSession { name } } }';
  rig.statements.length = 0;
  const { _entities } = await rig.ask(owner, query, { representations });
  expect(_entities).toHaveLength(24);
  expect(_entities).toEqual([
    ...ids.map(() => ({ title: expect.stringMatching(/^Renamed/) as string })),
    { agentId: 'a' },
    { name: 'one' },
    null,
    null,
  ]);
  expect(rig.statements).toHaveLength(3);
  const foreign = await rig.ask(principal('x', { tenantId: 'elsewhere', scopes: ['*'] }), query, { representations });
  expect(new Set(foreign['_entities'] as unknown as unknown[])).toEqual(new Set([null]));
});

test('a read takes one statement', async () => {
  rig.statements.length = 0;
  await rig.ask(
    owner,
    'query ($id: ID!) { context(contextId: $id) { id title status configuration { maxParticipants } document } }',
    { id: ids[0] },
  );
  expect(rig.statements).toHaveLength(1);
  expect(
    (await rig.ask(alice, 'query ($id: ID!) { context(contextId: $id) { id } }', { id: ids[0] }))['context'],
  ).toBeNull();
  expect((await rig.ask(owner, 'query { context(contextId: "not an id") { id } }'))['context']).toBeNull();
});

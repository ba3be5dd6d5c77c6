import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { ConcurrentInsert } from '#shared/codec.ts';
import { newId } from '#shared/ids.ts';
import { sameDocument, validateProtocolObject } from '../../schema/protocol/index.ts';
import { collabCodec } from '../../subgraphs/collab/codec.ts';
import { ann, type CollabRig, cat, openCollabRig, principal } from './rig.ts';

let rig: CollabRig;
beforeAll(async () => {
  rig = await openCollabRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const minimal = (contextId: string) => ({
  meta: { protocol_version: '1.0.0', schema_version: '1.0.0' },
  collab_id: newId(),
  context_id: contextId,
  title: 'ä',
  purpose: 'p',
  mode: 'swarm',
  status: 'draft',
  participants: [{ participant_id: 'x', kind: 'agent' }],
  created_at: '2026-01-01T10:00:00.123456+05:30',
});

test('frozen collabs come back to the letter; one that came in can be carried on', async () => {
  const contextId = rig.openContext();
  const documents = [
    minimal(contextId),
    { ...minimal(contextId), governance: {}, events: [], status: 'cancelled', created_at: '1990-12-31T23:59:60Z' },
    {
      ...minimal(contextId),
      mode: 'pair',
      status: 'active',
      updated_at: '2026-01-02T00:00:00Z',
      governance: { locked: false, truthDomain: 'd' },
      trace: { trace_id: newId(), span_id: newId(), attributes: { 'a.b': 1 } },
      participants: [
        { participant_id: 'ann', kind: 'human', role_id: 'lead', display_name: 'Ann' },
        { participant_id: 'bob', kind: 'system', role_id: 'tool' },
      ],
    },
  ];
  for (const document of documents) expect(validateProtocolObject('collab', document)).toEqual([]);
  await rig.sql.begin((tx) => collabCodec.write(tx, ann, documents));
  const ids = documents.map((document) => document.collab_id);
  const read = await collabCodec.read(rig.sql, 'one', ids);
  for (const document of documents) expect(sameDocument(read.get(document.collab_id), document)).toBe(true);
  expect(await collabCodec.read(rig.sql, 'two', ids)).toEqual(new Map());
  expect(await collabCodec.idsOfContext(rig.sql, 'one', contextId)).toEqual(ids);
  await expect(rig.sql.begin((tx) => collabCodec.write(tx, ann, [documents[0]!]))).rejects.toBeInstanceOf(
    ConcurrentInsert,
  );
  const turn = await rig.act(ann, 'dispatchTurn', { collabId: ids[2] }, 'turn { participantId roleId }');
  expect(turn['turn']).toEqual({ participantId: 'ann', roleId: 'lead' });
});

test('what lies in a private context is there for its owner, its participants and nobody else', async () => {
  const contextId = rig.openContext('one', { visibility: 'PRIVATE' });
  const id = await rig.session('SWARM', ['bob'], { contextId });
  const module = await rig.service.start();
  const context = { id: contextId, status: 'active', ownerId: 'ann', accessControl: { visibility: 'PRIVATE' } };
  await rig.tell('context', contextId, 'context.created', { context });
  await rig.service.catchUp();
  const source = `query ($id: ID!, $contextId: ID!) {
    collaboration(id: $id) { id } collaborations(filter: { contextId: $contextId }) { totalCount nodes { id } }
    decisions(collabId: $id) { nodes { id } } collabMetrics(collabId: $id) { collabId }
    _entities(representations: [{ __typename: "Context", id: $contextId }]) { ... on Context { collaborations { totalCount nodes { id } } } } }`;
  const see = async (who: typeof ann) => JSON.stringify(await rig.ask(who, source, { id, contextId }));
  expect(await see(ann)).toContain(id);
  expect(await see(cat)).not.toContain(id);
  expect(await see(principal('chief', { scopes: ['collab:read', 'context:read', 'context:admin'] }))).toContain(id);
  const codes = (
    await rig.mutate(cat, 'joinCollaboration', {
      collabId: id,
      participant: { participantId: 'cat', kind: 'AGENT', roleId: 'r' },
    })
  )['userErrors']!.map((error) => error['code']);
  expect(codes).toEqual(['NOT_FOUND']);
  await expect(rig.replay(cat, 'coordinationUpdate', { collabId: id })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  await rig.tell('context', contextId, 'context.participant.joined', {
    participant: { id: newId(), contextId, agentId: 'cat', status: 'ACTIVE' },
  });
  await rig.service.catchUp();
  expect(await see(cat)).toContain(id);
  expect(await collabCodec.visibleTo!(rig.sql, cat, [id])).toEqual(new Set([id]));
  const followed = await rig.replay(cat, 'coordinationUpdate', { collabId: id });
  expect(followed.length).toBeGreaterThan(2);
  await module.close();
});

test('a locked collaboration changes for who may override it; roles that exist are asked for once', async () => {
  const roleId = newId();
  rig.roles.add(roleId);
  const asked = vi.spyOn(rig.runtime.graph, 'execute');
  const participants = ['ann', 'bob'].map((participantId) => ({ participantId, kind: 'AGENT', roleId }));
  const id = await rig.session('SWARM', [], { participants, governance: { locked: true } });
  expect(asked.mock.calls.filter(([document]) => document.includes('CollabRole')).length).toBe(1);
  asked.mockRestore();
  const codes = async (who: typeof ann) =>
    (await rig.move(who, 'suspendCollaboration', id))['userErrors']!.map((error) => String(error['code']));
  expect(await codes(ann)).toEqual(['GOVERNANCE_LOCKED']);
  expect(await codes(principal('ann', { scopes: ['collab:write', 'collab:read', 'governance:override'] }))).toEqual([]);
  const listed = await rig.ask(
    ann,
    'query ($id: ID!) { _entities(representations: [{ __typename: "Role", id: $id }]) { ... on Role { collaborations { totalCount nodes { id participants { nodes { role { id } } } } } } } }',
    { id: roleId },
  );
  expect(listed['_entities']!.map((role) => role['collaborations'])[0]).toMatchObject({
    totalCount: 1,
    nodes: [{ id, participants: { nodes: [{ role: { id: roleId } }, { role: { id: roleId } }] } }],
  });
});

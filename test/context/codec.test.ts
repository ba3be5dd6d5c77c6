import { afterAll, beforeAll, expect, test } from 'vitest';
import type { EventRow } from '#shared/events.ts';
import { newId } from '#shared/ids.ts';
import { appendChange } from '#shared/outbox.ts';
import { sameDocument, validateEvent, validateProtocolObject } from '../../schema/protocol/index.ts';
import { contextCodec } from '../../subgraphs/context/codec.ts';
import { contextPayload } from '../../subgraphs/context/events.ts';
import { alice, type ContextRig, openContextRig, principal } from './rig.ts';

let rig: ContextRig;
beforeAll(async () => {
  rig = await openContextRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const minimal = () => ({
  meta: { protocol_version: '1.0.0', schema_version: '1.0.0' },
  context_id: newId(),
  root: { domain: 'd', environment: 'e' },
  title: 't',
  status: 'active',
});
const traceId = newId();
const documents = [
  minimal(),
  { ...minimal(), tags: [], events: [], constraints: {}, governance: {}, summary: '' },
  {
    ...minimal(),
    status: 'archived',
    created_at: '2026-01-01T10:00:00.123456+05:30',
    updated_at: '1990-12-31T23:59:60Z',
    language: 'de',
    owner_role: newId(),
  },
  {
    ...minimal(),
    root: JSON.parse(
      '{"domain":"d","environment":"e","entry_point":"x","__proto__":{"a":[1,null,{"b":"ä"}]},"constructor":null,"constraints":1.5}',
    ) as object,
    constraints: JSON.parse('{"__proto__":1,"deep":{"__proto__":{}}}') as object,
  },
  {
    ...minimal(),
    meta: { ...minimal().meta, tags: ['a'], cross_cutting: ['security'], created_at: '2026-01-01T00:00:00Z' },
    governance: {
      locked: true,
      truthDomain: 'x',
      lifecyclePhase: 'y',
      lastConfirmRef: { id: newId(), module: 'confirm', description: '' },
    },
  },
  {
    ...minimal(),
    trace: { trace_id: traceId, span_id: newId(), attributes: { 'a.b': 1 } },
    events: [
      { event_id: newId(), event_type: 'context.created', source: 's', timestamp: '2026-01-01T00:00:00Z', data: null },
    ],
  },
];

test.each(documents.map((document, index) => [index, document] as const))(
  'document %i comes back to the letter, also from an update that changes something else',
  async (_index, document) => {
    expect(validateProtocolObject('context', document)).toEqual([]);
    const events = await rig.sql.begin(async (tx) =>
      appendChange(tx, 'context', await contextCodec.write(tx, alice, [document])),
    );
    const back = (await contextCodec.read(rig.sql, 'one', [document.context_id])).get(document.context_id);
    expect(sameDocument(back, document)).toBe(true);
    expect(JSON.parse(JSON.stringify(back))).toEqual(JSON.parse(JSON.stringify(document)));
    expect(
      (await rig.ask(alice, 'query ($id: ID!) { context(contextId: $id) { document } }', { id: document.context_id }))[
        'context'
      ]!['document'],
    ).toEqual(JSON.parse(JSON.stringify(document)));
    expect((await contextCodec.read(rig.sql, 'two', [document.context_id])).size).toBe(0);
    expect(
      JSON.parse(JSON.stringify(contextPayload(events[0]!.data['context'] as Record<string, unknown>)['document'])),
    ).toEqual(JSON.parse(JSON.stringify(document)));
    expect(await contextCodec.idsOfContext(rig.sql, 'one', document.context_id)).toEqual([document.context_id]);
  },
);

test.each([
  ['someone', 'human', 'USER'],
  ['someone', 'agent', 'USER'],
  ['someone', 'service', 'SERVICE'],
  ['system', 'service', 'SYSTEM'],
  ['system:extension', 'service', 'SYSTEM'],
  ['systematic', 'service', 'SERVICE'],
  // A subject alone makes nobody the platform.
  ['system:extension', 'human', 'USER'],
] as const)('what %s, a %s, creates or imports is owned by %s', async (subject, subjectType, ownerType) => {
  const owner = principal(subject, { subjectType });
  const document = minimal();
  await rig.sql.begin(async (tx) => appendChange(tx, 'context', await contextCodec.write(tx, owner, [document])));
  for (const id of [await rig.createContext(owner), document.context_id])
    expect(
      (await rig.ask(owner, 'query ($id: ID!) { context(contextId: $id) { ownerId ownerType } }', { id }))['context'],
    ).toEqual({ ownerId: subject, ownerType });
});

test('a deleted id begins anew when it is imported', async () => {
  const id = await rig.createContext(alice, { sharedState: { variables: { former: 1 } } });
  await rig.ask(
    alice,
    'mutation ($id: ID!) { changeContextStatus(contextId: $id, status: SUSPENDED) { userErrors { code } } deleteContext(contextId: $id) { deleted } }',
    { id },
  );
  const document = { ...minimal(), context_id: id };
  await rig.sql.begin(async (tx) => appendChange(tx, 'context', await contextCodec.write(tx, alice, [document])));
  expect(
    (
      await rig.ask(
        alice,
        'query ($id: ID!) { context(contextId: $id) { participants { totalCount } sharedState { version variables } } }',
        { id },
      )
    )['context'],
  ).toEqual({ participants: { totalCount: 0 }, sharedState: { version: 0, variables: {} } });
  await expect(rig.sql.begin(async (tx) => contextCodec.write(tx, alice, [document]))).rejects.toThrow(
    'another import',
  );
});

test('what the graph made is valid, and its events tell valid graph updates', async () => {
  const id = await rig.createContext(alice, { tags: ['a'], governance: { locked: false, lifecyclePhase: 'draft' } });
  await rig.ask(
    alice,
    'mutation ($id: ID!) { updateContext(contextId: $id, patch: { title: "new", constraints: { a: 1 } }) { userErrors { code } } changeContextStatus(contextId: $id, status: SUSPENDED) { userErrors { code } } deleteContext(contextId: $id) { deleted } restoreContext(contextId: $id) { userErrors { code } } }',
    { id },
  );
  expect(validateProtocolObject('context', (await contextCodec.read(rig.sql, 'one', [id])).get(id))).toEqual([]);
  const own = rig.events.filter((event): event is EventRow => event.streamId === id && 'sequence' in event);
  const observed = own.flatMap((event) => contextCodec.observe!(event));
  expect(observed.map(({ event_type, update_kind }) => [event_type, update_kind])).toEqual([
    ['context_created', 'node_add'],
    ['context_updated', 'node_update'],
    ['context_updated', 'node_update'],
    ['world_state_changed', 'node_update'],
    ['context_deleted', 'node_delete'],
    ['context_created', 'node_add'],
  ]);
  expect(new Set(observed.map((event) => event['event_id'])).size).toBe(observed.length);
  const imported = contextCodec.observe!({ ...own[0]!, data: { ...own[0]!.data, changes: { imported: true } } });
  expect(imported.map(({ event_type, event_family }) => [event_type, event_family])).toEqual([
    ['import_started', 'import_process'],
    ['context_created', 'graph_update'],
    ['import_completed', 'import_process'],
  ]);
  for (const event of imported) expect(validateEvent(event)).toEqual([]);
  for (const event of observed) expect(validateEvent(event)).toEqual([]);
});

test('goals that are set for a context are intents, what becomes of them is none', async () => {
  const id = await rig.createContext(alice, {
    sharedState: { goals: [{ id: 'ship', name: 'Ship', priority: 'HIGH' }], variables: { a: 1 } },
  });
  const change = async (status: string, name = 'next') => {
    const answer = await rig.ask(
      alice,
      'mutation ($input: UpdateSharedStateInput!) { updateSharedState(input: $input) { userErrors { code } } }',
      { input: { contextId: id, baseVersion: 1, changes: [{ key: `goals.${name}`, value: { id: name, status } }] } },
    );
    expect(answer['updateSharedState']!['userErrors']).toEqual([]);
  };
  await change('active');
  await change('achieved', 'ship');
  const own = rig.events.filter((event): event is EventRow => event.streamId === id && 'sequence' in event);
  const observed = own.flatMap((event) => contextCodec.observe!(event));
  const intents = observed.filter(({ event_family: family }) => family === 'intent');
  expect(intents.map(({ event_type, project_id, payload }) => [event_type, project_id, payload])).toEqual([
    ['context_intent_received', id, { context_id: id, goal_id: 'ship', status: 'defined', priority: 'high' }],
    ['context_intent_received', id, { context_id: id, goal_id: 'next', status: 'active' }],
  ]);
  for (const event of observed) expect(validateEvent(event)).toEqual([]);
  expect(new Set(observed.map((event) => event['event_id'])).size).toBe(observed.length);
});

test('the payload of an event answers every plain field of a context, and no secret', async () => {
  const id = await rig.createContext(alice, { accessControl: { joinPolicy: 'INVITATION_ONLY' } });
  const event = rig.events.find((entry) => entry.streamId === id)!;
  const payload = contextPayload(event.data['context'] as Record<string, unknown>);
  const type = rig.subgraph.schema.getType('Context') as unknown as {
    getFields(): Record<string, { args: unknown[] }>;
  };
  const plain = Object.entries(type.getFields())
    .filter(([name, field]) => field.args.length === 0 && name !== 'sharedState')
    .map(([name]) => name);
  for (const name of plain) expect([name, payload[name] !== undefined]).toEqual([name, true]);
  const query = `query ($id: ID!) { context(contextId: $id) { ${plain.map((name) => (['configuration', 'accessControl', 'governance'].includes(name) ? `${name} { __typename }` : name)).join(' ')} } }`;
  const asked = (await rig.ask(alice, query, { id }))['context'] as unknown as Record<string, unknown>;
  for (const name of plain.filter((field) => !['configuration', 'accessControl', 'governance'].includes(field)))
    expect([name, payload[name]]).toEqual([name, asked[name]]);
  expect(JSON.stringify(event)).not.toContain('joinTokenHash');
});

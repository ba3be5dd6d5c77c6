import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mergeState, type SharedKeyState, type StateWrite } from '../../subgraphs/context/mergeState.ts';
import { alice, bob, type ContextRig, type Json, openContextRig } from './rig.ts';

let rig: ContextRig;
beforeAll(async () => {
  rig = await openContextRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const shown = `version checksum variables document dependencies { id type status }
  resources { allocated { name amount status } requirements { name minimum unit } }
  goals { id name priority successCriteria { metric operator value unit } }`;
const update = `mutation ($input: UpdateSharedStateInput!) { answer: updateSharedState(input: $input) { sharedState { ${shown} } context { lastActivityAt } conflicts { key baseVersion headVersion resolution ours theirs } userErrors { code path message } } }`;
const read = `query ($id: ID!) { context(contextId: $id) { sharedState { ${shown} } } }`;
const ask = async (input: Record<string, unknown>, who = alice): Promise<Json> =>
  (await rig.ask(who, update, { input }))['answer']!;
const stateOf = async (id: string): Promise<Json> => (await rig.ask(alice, read, { id }))['context']!['sharedState']!;
const set = (key: string, value: unknown, atMs?: number) => ({
  key,
  value,
  ...(atMs === undefined ? {} : { timestamp: new Date(atMs).toISOString() }),
});
const past = Date.parse('2026-01-01T00:00:00Z');

function checksum(state: Json): string {
  return createHash('sha256').update(canonicalize(state['document'])!).digest('hex');
}

test('changes on the head apply; null is a value, a deletion is not', async () => {
  const id = await rig.createContext(alice, { sharedState: { variables: { kept: null, gone: 1 } } });
  expect(await stateOf(id)).toMatchObject({ version: 1, variables: { kept: null, gone: 1 } });
  const { sharedState, userErrors } = await ask({
    contextId: id,
    baseVersion: 1,
    changes: [
      set('variables.a', JSON.parse('{"__proto__": 1}')),
      set('variables.b', null),
      { key: 'variables.gone', operation: 'DELETE' },
      set('goals.g1', { id: 'g1', name: 'goal' }),
      set('resources.allocated.gpu', { amount: 2 }),
    ],
  });
  expect(userErrors).toEqual([]);
  expect(sharedState).toMatchObject({
    version: 2,
    variables: { b: null, kept: null },
    resources: { allocated: [{ name: 'gpu', amount: 2, status: null }], requirements: [] },
    goals: [{ id: 'g1', name: 'goal', successCriteria: [] }],
    dependencies: [],
    document: {
      resources: { allocated: { gpu: { amount: 2 } }, requirements: {} },
      goals: [{ id: 'g1', name: 'goal' }],
      dependencies: [],
    },
  });
  expect(sharedState!['variables']).not.toHaveProperty('gone');
  expect(Object.hasOwn(sharedState!['variables']!['a']! as object, '__proto__')).toBe(true);
  const stored = await stateOf(id);
  expect(stored).toEqual(sharedState);
  expect(stored['checksum']).toBe(checksum(stored));
  expect(rig.events.at(-1)).toMatchObject({
    type: 'context.state.sync',
    data: {
      version: 2,
      checksum: stored['checksum'],
      changedKeys: ['variables.a', 'variables.b', 'variables.gone', 'goals.g1', 'resources.allocated.gpu'],
    },
  });
});

test('a state given at creation is stored in the protocol’s words and shown in the graph’s', async () => {
  const id = await rig.createContext(alice, {
    sharedState: {
      resources: {
        allocated: [{ name: 'gpu', type: 'CARD', amount: 2, unit: 'card', status: 'EXHAUSTED' }],
        requirements: [{ name: 'cpu', minimum: 1, maximum: 4, unit: 'core' }],
      },
      dependencies: [{ id: 'd', type: 'EXTERNAL', status: 'PENDING' }],
      goals: [
        {
          id: 'g',
          name: 'fast',
          priority: 'HIGH',
          successCriteria: [{ metric: 'p95', operator: 'LTE', value: 20, unit: 'ms' }],
        },
      ],
    },
  });
  expect(await stateOf(id)).toMatchObject({
    document: {
      variables: {},
      resources: {
        allocated: { gpu: { type: 'CARD', amount: 2, unit: 'card', status: 'exhausted' } },
        requirements: { cpu: { minimum: 1, maximum: 4, unit: 'core' } },
      },
      dependencies: [{ id: 'd', type: 'external', status: 'pending' }],
      goals: [
        {
          id: 'g',
          name: 'fast',
          priority: 'high',
          successCriteria: [{ metric: 'p95', operator: 'lte', value: 20, unit: 'ms' }],
        },
      ],
    },
    resources: {
      allocated: [{ name: 'gpu', amount: 2, status: 'EXHAUSTED' }],
      requirements: [{ name: 'cpu', minimum: 1, unit: 'core' }],
    },
    dependencies: [{ id: 'd', type: 'EXTERNAL', status: 'PENDING' }],
    goals: [{ priority: 'HIGH', successCriteria: [{ metric: 'p95', operator: 'LTE', value: 20, unit: 'ms' }] }],
  });
});

test('a stale base merges other keys; the same key goes by time, then node; REJECT stores nothing', async () => {
  const id = await rig.createContext(alice);
  await ask({ contextId: id, baseVersion: 0, changes: [set('variables.a', 'first', past + 10)], nodeId: 'm' });
  expect(
    (await ask({ contextId: id, baseVersion: 0, changes: [set('variables.b', 'other', past)] }))['conflicts'],
  ).toEqual([]);
  const older = await ask({
    contextId: id,
    baseVersion: 0,
    changes: [set('variables.a', 'older', past + 9)],
    nodeId: 'z',
  });
  expect(older).toMatchObject({
    sharedState: { version: 2, variables: { a: 'first', b: 'other' } },
    conflicts: [
      { key: 'variables.a', baseVersion: 0, headVersion: 1, resolution: 'KEPT', ours: 'older', theirs: 'first' },
    ],
  });
  expect(rig.events.at(-1)).toMatchObject({
    type: 'context.state.resolved',
    sequence: expect.any(Number) as number,
    data: { changedKeys: ['variables.a'], changes: { conflicts: [{ resolution: 'KEPT' }] } },
  });
  expect(
    (
      await ask({
        contextId: id,
        baseVersion: 0,
        changes: [set('variables.a', 'same time, lesser node', past + 10)],
        nodeId: 'a',
      })
    )['sharedState']!['variables'],
  ).toMatchObject({ a: 'first' });
  expect(
    await ask({
      contextId: id,
      baseVersion: 0,
      changes: [set('variables.a', 'same time, greater node', past + 10)],
      nodeId: 'n',
    }),
  ).toMatchObject({
    sharedState: { version: 3, variables: { a: 'same time, greater node' } },
    conflicts: [{ resolution: 'APPLIED' }],
  });
  const stored = async () => {
    const [row] = await rig.sql`SELECT to_jsonb(c) AS context,
        (SELECT json_agg(k ORDER BY key) FROM context.shared_key k WHERE context_id = c.id) AS keys,
        (SELECT count(*)::int FROM context.audit a WHERE a.resource_id = c.id::text) AS audits
      FROM context.context c WHERE id = ${id}`;
    return row;
  };
  const told = async () =>
    (await rig.sql`SELECT count(*)::int AS n FROM context.event WHERE stream_id = ${id}`)[0]!['n'] as number;
  const [before, toldBefore] = [await stored(), await told()];
  const rejected = await ask({
    contextId: id,
    baseVersion: 1,
    policy: 'REJECT',
    changes: [set('variables.c', 1), set('variables.a', 'mine')],
    idempotencyKey: 'refused-1',
  });
  expect(rejected).toMatchObject({
    sharedState: null,
    conflicts: [{ key: 'variables.a', resolution: 'REJECTED', ours: 'mine' }],
    userErrors: [{ code: 'SYNC_CONFLICT', path: ['input', 'changes', '1'] }],
  });
  expect(await stored()).toEqual(before);
  expect(await rig.sql`SELECT 1 FROM context.idempotency WHERE key = 'refused-1'`).toHaveLength(0);
  expect(await told()).toBe(toldBefore + 1);
  expect(rig.events.at(-1)).toMatchObject({
    type: 'context.state.conflict',
    sequence: toldBefore + 1,
    data: {
      version: 3,
      checksum: (await stateOf(id))['checksum'],
      changedKeys: ['variables.a'],
      changes: { conflicts: [{ key: 'variables.a', resolution: 'REJECTED' }] },
    },
  });
  expect((await stateOf(id))['variables']).not.toHaveProperty('c');
  expect(
    (await ask({ contextId: id, baseVersion: 3, policy: 'REJECT', changes: [set('variables.a', 'mine')] }))[
      'sharedState'
    ],
  ).toMatchObject({ version: 4 });
});

const keys = ['variables.a', 'variables.b', 'goals.c'];
const write = fc.record({
  key: fc.constantFrom(...keys),
  value: fc.jsonValue({ maxDepth: 1 }),
  deleted: fc.boolean(),
  timestampMs: fc.integer({ min: 0, max: 4 }),
});

function replay(order: readonly { nodeId: string; writes: readonly StateWrite[] }[]): Map<string, SharedKeyState> {
  const state = new Map<string, SharedKeyState>();
  let head = 0;
  for (const { nodeId, writes } of order) {
    const merged = mergeState({
      head,
      base: 0,
      nodeId,
      policy: 'LAST_WRITE_WINS',
      writes,
      find: (key) => state.get(key),
    });
    for (const entry of merged.applied) state.set(entry.key, entry);
    head = merged.version;
  }
  return state;
}

test('concurrent writers end in one state, whatever the order of arrival: the greatest write of each key', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ nodeId: fc.constantFrom('n1', 'n2', 'n3'), write }), { minLength: 1, maxLength: 8 }),
      fc.integer(),
      (writers, seed) => {
        const single = writers.map(({ nodeId, write: one }) => ({ nodeId, writes: [one] }));
        const shuffled = single
          .map((entry, index) => ({ entry, rank: Math.sin(seed + index * 7.3) }))
          .sort((a, b) => a.rank - b.rank)
          .map(({ entry }) => entry);
        const [one, other] = [replay(single), replay(shuffled)];
        for (const key of keys) {
          const strip = (state: SharedKeyState | undefined) =>
            state && [state.value, state.deleted, state.changedAtMs, state.nodeId];
          expect(canonicalize(strip(one.get(key)) ?? null)).toBe(canonicalize(strip(other.get(key)) ?? null));
          const all = writers.filter((entry) => entry.write.key === key);
          // No write of a key is lost but to a greater one.
          if (all.length > 0)
            expect(one.get(key)!.changedAtMs).toBe(Math.max(...all.map((entry) => entry.write.timestampMs)));
        }
      },
    ),
    { numRuns: 500 },
  );
});

test('a writer that has seen a value replaces it, however slow its clock', () => {
  const state = new Map<string, SharedKeyState>();
  const apply = (base: number, head: number, nodeId: string, value: unknown, timestampMs: number) => {
    const merged = mergeState({
      head,
      base,
      nodeId,
      policy: 'LAST_WRITE_WINS',
      writes: [{ key: 'variables.a', value, deleted: false, timestampMs }],
      find: (key) => state.get(key),
    });
    for (const entry of merged.applied) state.set(entry.key, entry);
  };
  apply(0, 0, 'n1', 'first', 10);
  apply(1, 1, 'n2', 'follows', 3);
  apply(0, 2, 'n3', 'concurrent with the first', 5);
  expect(state.get('variables.a')).toMatchObject({ value: 'follows', changedAtMs: 11 });
});

test('through the database: disjoint keys are never lost, the checksum is that of the state, versions have no gap', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({
          shared: fc.integer({ min: 0, max: 3 }),
          at: fc.integer({ min: 0, max: 3 }),
          node: fc.constantFrom('n1', 'n2', 'n3'),
        }),
        { minLength: 2, maxLength: 12 },
      ),
      async (writers) => {
        const id = await rig.createContext(alice);
        const answers = await Promise.all(
          writers.map(({ shared, at, node }, index) =>
            ask(
              {
                contextId: id,
                baseVersion: 0,
                nodeId: node,
                changes: [
                  set(`variables.own${index}`, index, past + at),
                  set(`variables.shared${shared}`, `${at}${node}`, past + at),
                ],
              },
              index % 2 === 0 ? alice : bob,
            ),
          ),
        );
        expect(answers.flatMap((answer) => answer['userErrors'] as unknown as unknown[])).toEqual([]);
        const state = await stateOf(id);
        const variables = state['variables'] as unknown as Record<string, unknown>;
        for (const index of writers.keys()) expect(variables[`own${index}`]).toBe(index);
        for (const { shared } of writers) {
          const greatest = writers
            .filter((entry) => entry.shared === shared)
            .map(({ at, node }) => `${at}${node}`)
            .sort()
            .at(-1);
          expect(variables[`shared${shared}`]).toBe(greatest);
        }
        expect(state['checksum']).toBe(checksum(state));
        expect(state['version']).toBe(writers.length);
        const events =
          await rig.sql`SELECT (data->>'version')::int AS version FROM context.event WHERE stream_id = ${id} AND type = 'context.state.sync' ORDER BY sequence`;
        expect(events.map((row) => row['version'] as number)).toEqual(writers.map((_writer, index) => index + 1));
      },
    ),
    { numRuns: 15 },
  );
});

test('the same key and input answer alike, at once as later; other input is refused', async () => {
  const id = await rig.createContext(alice);
  const input = { contextId: id, baseVersion: 0, changes: [set('variables.n', 1, past)], idempotencyKey: 'state-1' };
  const answers = await Promise.all(Array.from({ length: 6 }, () => ask(input)));
  answers.push(await ask(input));
  for (const answer of answers)
    expect(answer).toMatchObject({ sharedState: { version: 1, variables: { n: 1 } }, conflicts: [], userErrors: [] });
  expect((await ask({ ...input, changes: [set('variables.n', 2, past)] }))['userErrors']).toMatchObject([
    { code: 'IDEMPOTENCY_MISMATCH', path: ['idempotencyKey'] },
  ]);
  expect((await stateOf(id))['version']).toBe(1);
});

test.each([
  [{ baseVersion: -1 }, 'VALIDATION_FAILED', ['input', 'baseVersion']],
  [{ baseVersion: 5 }, 'VALIDATION_FAILED', ['input', 'baseVersion']],
  [{ changes: [] }, 'VALIDATION_FAILED', ['input', 'changes']],
  [{ changes: [{ key: 'elsewhere.a', value: 1 }] }, 'VALIDATION_FAILED', ['input', 'changes', '0', 'key']],
  [{ changes: [{ key: 'variables.', value: 1 }] }, 'VALIDATION_FAILED', ['input', 'changes', '0', 'key']],
  [{ changes: [{ key: 'variables.a' }] }, 'VALIDATION_FAILED', ['input', 'changes', '0', 'value']],
  [{ changes: [set('variables.a', 1), set('variables.a', 2)] }, 'VALIDATION_FAILED', ['input', 'changes', '1', 'key']],
  [{ changes: [set('variables.a', 'x\0')] }, 'VALIDATION_FAILED', ['input', 'changes', '0', 'value']],
  [{ changes: [set('variables.\ud800', 1)] }, 'VALIDATION_FAILED', ['input', 'changes', '0', 'key']],
  [
    { changes: [set('variables.a', 1, Date.now() + 3_600_000)] },
    'VALIDATION_FAILED',
    ['input', 'changes', '0', 'timestamp'],
  ],
  [{ contextId: 'x' }, 'VALIDATION_FAILED', ['input', 'contextId']],
])('%j is refused', async (given, code, path) => {
  const id = await rig.createContext(alice);
  expect(
    (await ask({ contextId: id, baseVersion: 0, changes: [set('variables.a', 1)], ...given }))['userErrors'],
  ).toMatchObject([{ code, path }]);
  expect((await stateOf(id))['version']).toBe(0);
});

test('5,000 keys and no more; a closed context takes none', async () => {
  const id = await rig.createContext(alice);
  for (let page = 0; page < 5; page += 1)
    expect(
      (
        await ask({
          contextId: id,
          baseVersion: page,
          changes: Array.from({ length: 1_000 }, (_, index) => set(`variables.${page * 1_000 + index}`, 1)),
        })
      )['userErrors'],
    ).toEqual([]);
  expect(
    (await ask({ contextId: id, baseVersion: 5, changes: [set('variables.more', 1)] }))['userErrors'],
  ).toMatchObject([{ code: 'QUOTA_EXCEEDED', path: ['input', 'changes'] }]);
  expect(
    (
      await ask({
        contextId: id,
        baseVersion: 5,
        changes: [set('variables.1', 2), { key: 'variables.2', operation: 'DELETE' }, set('variables.more', 1)],
      })
    )['userErrors'],
  ).toEqual([]);
  await rig.ask(
    alice,
    'mutation ($id: ID!) { changeContextStatus(contextId: $id, status: CLOSED) { userErrors { code } } }',
    { id },
  );
  expect((await ask({ contextId: id, baseVersion: 6, changes: [set('variables.1', 3)] }))['userErrors']).toMatchObject([
    { code: 'INVALID_STATE' },
  ]);
});

test('who holds another state under the stored version is told so, and changes nothing', async () => {
  const id = await rig.createContext(alice, { sharedState: { variables: { a: 1 } } });
  const before = await stateOf(id);
  const held = String(before['checksum']);
  const other = createHash('sha256').update('other').digest('hex');
  const write = (baseChecksum: string, more: object = {}) =>
    ask({ contextId: id, baseVersion: 1, baseChecksum, changes: [set('variables.a', 2)], ...more });
  expect((await write(other))['userErrors']).toMatchObject([
    { code: 'SYNC_CONFLICT', path: ['input', 'baseChecksum'] },
  ]);
  expect((await write('none'))['userErrors']).toMatchObject([{ code: 'VALIDATION_FAILED' }]);
  expect(await stateOf(id)).toEqual(before);
  expect((await write(held))['sharedState']).toMatchObject({ version: 2, variables: { a: 2 } });
  // Of a version that is gone nobody knows the checksum: its keys are merged as ever.
  expect((await write(other, { changes: [set('variables.b', 1)] }))['userErrors']).toEqual([]);
});

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { alice, type ContextRig, type Json, openContextRig } from './rig.ts';

let rig: ContextRig;
beforeAll(async () => {
  rig = await openContextRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const ask = async (who: typeof alice, query: string, variables: Record<string, unknown>): Promise<Json> =>
  (await rig.ask(who, query, variables))['answer']!;

describe('metadata', () => {
  const set =
    'mutation ($id: ID!, $entries: [ContextMetadataInput!]!, $key: String) { answer: setMetadata(contextId: $id, entries: $entries, idempotencyKey: $key) { entries { key value type version accessLevel description versions { version value } } context { id } userErrors { code path } } }';
  const del =
    'mutation ($id: ID!, $keys: [String!]!) { answer: deleteMetadata(contextId: $id, keys: $keys) { deletedKeys userErrors { code path } } }';

  test('keeps ten earlier versions, found by search while public', async () => {
    const id = await rig.createContext(alice);
    for (let version = 1; version <= 13; version += 1)
      await ask(alice, set, { id, entries: [{ key: 'note', value: `text${version} zanzibar` }] });
    const again = await ask(alice, set, {
      id,
      entries: [{ key: 'note', value: { odd: true }, description: 'why' }],
      key: 'once',
    });
    expect(again['entries']).toMatchObject([
      { key: 'note', value: { odd: true }, type: 'object', version: 14, accessLevel: 'PUBLIC', description: 'why' },
    ]);
    expect(
      (again['entries']![0]!['versions'] as unknown as { version: number }[]).map(({ version }) => version),
    ).toEqual([13, 12, 11, 10, 9, 8, 7, 6, 5, 4]);
    expect(
      await ask(alice, set, { id, entries: [{ key: 'note', value: { odd: true }, description: 'why' }], key: 'once' }),
    ).toEqual(again);
    const found = async (query: string) =>
      (await rig.ask(alice, 'query ($query: String) { searchContexts(query: $query) { totalCount } }', { query }))[
        'searchContexts'
      ]!['totalCount'];
    expect([await found('zanzibar'), await found('odd')]).toEqual([0, 1]);
    await ask(alice, set, { id, entries: [{ key: 'note', value: 'madagascar', accessLevel: 'OWNER' }] });
    expect(await found('madagascar')).toBe(0);
    await ask(alice, set, { id, entries: [{ key: 'note', value: 'madagascar', accessLevel: 'PUBLIC' }] });
    expect(await found('madagascar')).toBe(1);
    // A later update of the context keeps the words.
    await rig.ask(
      alice,
      'mutation ($id: ID!) { updateContext(contextId: $id, patch: { summary: "new" }) { userErrors { code } } }',
      { id },
    );
    expect(await found('madagascar')).toBe(1);
    expect(await ask(alice, del, { id, keys: ['note', 'none'] })).toEqual({ deletedKeys: ['note'], userErrors: [] });
    expect(await found('madagascar')).toBe(0);
    expect(await ask(alice, del, { id, keys: ['note'] })).toEqual({ deletedKeys: [], userErrors: [] });
  });

  test('writes and removes what stands at the version that is expected, all or none', async () => {
    const id = await rig.createContext(alice);
    const rows = () =>
      rig.sql`SELECT key, value, version FROM context.metadata WHERE context_id = ${id} ORDER BY key`.then((found) => [
        ...found,
      ]);
    const note = (value: string, expectedVersion: number) => ({ key: 'note', value, expectedVersion });
    expect((await ask(alice, set, { id, entries: [note('first', 0)] }))['entries']).toMatchObject([{ version: 1 }]);
    const events = rig.events.length;
    for (const [entries, index] of [
      [[note('again', 0)], '0'],
      [[note('later', 2)], '0'],
      [[{ key: 'other', value: 1 }, note('later', 7)], '1'],
      [[{ key: 'other', value: 1, expectedVersion: 1 }], '0'],
      // Of the same key twice each has to hold.
      [[note('later', 3), note('latest', 1)], '0'],
    ] as const)
      expect((await ask(alice, set, { id, entries }))['userErrors']).toEqual([
        { code: 'VERSION_CONFLICT', path: ['entries', index, 'expectedVersion'] },
      ]);
    expect((await ask(alice, set, { id, entries: [note('x', -1)] }))['userErrors']).toEqual([
      { code: 'VALIDATION_FAILED', path: ['entries', '0', 'expectedVersion'] },
    ]);
    expect(await rows()).toEqual([{ key: 'note', value: 'first', version: 1 }]);
    expect(rig.events).toHaveLength(events);
    expect((await ask(alice, set, { id, entries: [note('second', 1)] }))['entries']).toMatchObject([{ version: 2 }]);

    const delExpecting =
      'mutation ($id: ID!, $keys: [String!]!, $of: [ContextMetadataVersionInput!]) { answer: deleteMetadata(contextId: $id, keys: $keys, expectedVersions: $of) { deletedKeys userErrors { code path } } }';
    const refused = async (of: object[]) =>
      (await ask(alice, delExpecting, { id, keys: ['note', 'gone'], of }))['userErrors'];
    expect(await refused([{ key: 'note', expectedVersion: 1 }])).toEqual([
      { code: 'VERSION_CONFLICT', path: ['expectedVersions', '0', 'expectedVersion'] },
    ]);
    expect(
      await refused([
        { key: 'note', expectedVersion: 2 },
        { key: 'gone', expectedVersion: 1 },
      ]),
    ).toEqual([{ code: 'VERSION_CONFLICT', path: ['expectedVersions', '1', 'expectedVersion'] }]);
    expect(await refused([{ key: 'elsewhere', expectedVersion: 1 }])).toEqual([
      { code: 'VALIDATION_FAILED', path: ['expectedVersions', '0', 'key'] },
    ]);
    expect(await rows()).toEqual([{ key: 'note', value: 'second', version: 2 }]);
    expect(
      await ask(alice, delExpecting, { id, keys: ['note', 'gone'], of: [{ key: 'note', expectedVersion: 2 }] }),
    ).toEqual({ deletedKeys: ['note'], userErrors: [] });
    // What is written in its place is not taken for what was removed.
    expect((await ask(alice, set, { id, entries: [note('anew', 0)] }))['entries']).toMatchObject([{ version: 3 }]);
    expect((await ask(alice, set, { id, entries: [note('stale', 2)] }))['userErrors']).toMatchObject([
      { code: 'VERSION_CONFLICT' },
    ]);
  });

  test('of two who write what both have read one is refused', async () => {
    const id = await rig.createContext(alice);
    await ask(alice, set, { id, entries: [{ key: 'k', value: 0 }] });
    const answers = await Promise.all(
      [1, 2, 3, 4].map((value) => ask(alice, set, { id, entries: [{ key: 'k', value, expectedVersion: 1 }] })),
    );
    const codes = answers.map((answer) =>
      (answer['userErrors'] as unknown as { code: string }[]).map(({ code }) => code),
    );
    expect(codes.filter((list) => list.length === 0)).toHaveLength(1);
    expect(codes.flat()).toEqual(['VERSION_CONFLICT', 'VERSION_CONFLICT', 'VERSION_CONFLICT']);
  });

  test('holds its bounds', async () => {
    const id = await rig.createContext(alice);
    const many = (count: number, prefix: string) =>
      Array.from({ length: count }, (_, index) => ({ key: `${prefix}${index}`, value: index }));
    expect((await ask(alice, set, { id, entries: many(1_000, 'k') }))['userErrors']).toEqual([]);
    expect((await ask(alice, set, { id, entries: many(1, 'x') }))['userErrors']).toEqual([
      { code: 'QUOTA_EXCEEDED', path: ['entries'] },
    ]);
    expect((await ask(alice, set, { id, entries: many(500, 'k') }))['userErrors']).toEqual([]);
    for (const [entry, path] of [
      [{ key: '', value: 1 }, ['entries', '0', 'key']],
      [{ key: 'k'.repeat(256), value: 1 }, ['entries', '0', 'key']],
      [{ key: 'a\0', value: 1 }, ['entries', '0', 'key']],
      [{ key: 'k1', value: 'x'.repeat(1_048_577) }, ['entries', '0', 'value']],
      [{ key: 'k1', value: { a: ['\udfff'] } }, ['entries', '0', 'value']],
    ] as const) {
      expect((await ask(alice, set, { id, entries: [entry] }))['userErrors']).toEqual([
        { code: 'VALIDATION_FAILED', path },
      ]);
    }
    expect((await ask(alice, set, { id, entries: [] }))['userErrors']).toMatchObject([{ code: 'VALIDATION_FAILED' }]);
  });
});

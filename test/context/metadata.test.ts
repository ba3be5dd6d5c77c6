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

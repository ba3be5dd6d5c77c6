import { describe, expect, it } from 'vitest';
import { readHotRequest } from '../../gateway/hotRequest.ts';

const query = '{ me { subject } }';
const hash = 'a'.repeat(64);
const persisted = { peek: (asked: string) => (asked === hash ? query : undefined) };
const read = (body: unknown) => readHotRequest(body, persisted);
const named = (more: object = {}) => ({ extensions: { persistedQuery: { version: 1, sha256Hash: hash, ...more } } });

describe('a request that needs no Apollo Server', () => {
  it('sends its document, or names by its hash one that the process knows', () => {
    const variables = { n: 1 };
    for (const body of [{ query }, { query, extensions: null }, named(), { query: null, ...named() }]) {
      expect(read(body)).toEqual({ source: query, operationName: null, variables: undefined });
      expect(read({ ...body, operationName: 'A', variables })).toEqual({
        source: query,
        operationName: 'A',
        variables,
      });
    }
  });

  it('is nothing else: whatever is odd Apollo Server answers', () => {
    for (const body of [
      ...[null, 'text', 7, [], [{ query }], {}, { query: 7 }, { query, extensions: {} }, { extensions: {} }],
      ...[{ query, ...named() }, { query: 7, ...named() }, named({ version: 2 }), named({ sha256Hash: 7 })],
      ...[named({ sha256Hash: 'b'.repeat(64) }), { extensions: { persistedQuery: hash } }, { extensions: hash }],
      { extensions: { ...named().extensions, other: 1 } },
      ...[
        { query, operationName: 7 },
        { query, variables: [] },
        { query, variables: 'n' },
      ],
    ])
      expect([body, read(body)]).toEqual([body, null]);
  });
});

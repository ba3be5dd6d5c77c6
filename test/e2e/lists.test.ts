import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { modes, type Platform, sharePlatform } from '../support/platform.ts';

// biome-ignore lint/suspicious/noExplicitAny: what a test reads is checked by its expectations
type Json = any;

describe.each(modes)('lists that are kept by the ids of their rows, %s', (mode) => {
  let platform: Platform;
  beforeAll(async () => {
    platform = await sharePlatform({ mode });
  });
  afterAll(() => platform.close());

  test('show what was changed, made, hidden and deleted, each at once, and to nobody else what is another’s', async () => {
    const owner = await platform.token({ tenant: 'lists', subject: 'owner', scopes: ['*'] });
    const other = await platform.token({ tenant: 'lists', subject: 'other', roles: ['member'] });
    const foreign = await platform.token({ tenant: 'elsewhere', subject: 'owner' });
    const ask = async (token: string, document: string, variables: Record<string, unknown> = {}): Promise<Json> => {
      const answer = await platform.query<Json>(document, variables, { token });
      expect(answer.errors).toEqual([]);
      return answer.data;
    };
    const titles = async (token: string): Promise<string[]> => {
      const nodes = 'query Nodes { contexts(first: 10) { nodes { id title version } pageInfo { hasNextPage } } }';
      const edges = 'query Edges { contexts(first: 10) { edges { cursor node { id title } } } }';
      const asNodes = (await ask(token, nodes)).contexts.nodes.map(({ title }: Json) => title);
      const asEdges = (await ask(token, edges)).contexts.edges.map(({ node }: Json) => node.title);
      expect(asEdges).toEqual(asNodes);
      return asNodes;
    };
    const create = async (title: string): Promise<string> =>
      (
        await ask(
          owner,
          'mutation ($title: String!) { createContext(input: { title: $title, root: { domain: "d", environment: "e" } }) { context { id } } }',
          { title },
        )
      ).createContext.context.id;
    const update = (id: string, patch: object) =>
      ask(
        owner,
        'mutation ($id: ID!, $patch: ContextPatch!) { updateContext(contextId: $id, patch: $patch) { context { version } userErrors { code } } }',
        { id, patch },
      );

    const [a, b] = [await create('a'), await create('b')];
    expect(await titles(owner)).toEqual(['b', 'a']);
    for (let round = 1; round <= 3; round += 1) {
      await update(a, { title: `a${round}` });
      expect([await titles(owner), await titles(other)]).toEqual([
        ['b', `a${round}`],
        ['b', `a${round}`],
      ]);
    }
    await create('c');
    expect([await titles(owner), await titles(other)]).toEqual([
      ['c', 'b', 'a3'],
      ['c', 'b', 'a3'],
    ]);
    expect(await titles(foreign)).toEqual([]);
    await update(b, { accessControl: { visibility: 'PRIVATE' } });
    expect([await titles(owner), await titles(other)]).toEqual([
      ['c', 'b', 'a3'],
      ['c', 'a3'],
    ]);
    await update(b, { accessControl: { visibility: 'TENANT' } });
    expect(await titles(other)).toEqual(['c', 'b', 'a3']);
    await ask(owner, 'mutation ($id: ID!) { deleteContext(contextId: $id, force: true) { userErrors { code } } }', {
      id: b,
    });
    expect([await titles(owner), await titles(other)]).toEqual([
      ['c', 'a3'],
      ['c', 'a3'],
    ]);
  });
});

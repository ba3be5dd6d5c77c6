import { buildSchema, Kind, parse } from 'graphql';
import { describe, expect, it } from 'vitest';
import { compileCost } from '../../../gateway/limits/cost.ts';

const schema = buildSchema(`
  type Query { node(id: ID!): Node nodes(ids: [ID!]!): [Node]! all(first: Int = 30, kinds: [Kind!]): NodeConnection! searchContexts(first: Int): NodeConnection! }
  type Mutation { write(title: String): Written! import(objects: [In!]!): Written! }
  input In { a: Int }
  enum Kind { A B }
  type Written { node: Node errors: [Problem!]! }
  type Problem { code: String }
  type Node { id: ID! tags: [String!]! parts: [Node!]! children(first: Int, last: Int): NodeConnection! }
  type NodeConnection { edges: [Edge!]! nodes: [Node!]! pageInfo: PageInfo! totalCount: Int! }
  type Edge { node: Node! cursor: String! }
  type PageInfo { endCursor: String }
`);

function costOf(text: string, variables?: Readonly<Record<string, unknown>>): number {
  const document = parse(text);
  const operation = document.definitions.find((node) => node.kind === Kind.OPERATION_DEFINITION)!;
  return compileCost(schema, document, operation).of(variables);
}

describe('the cost of an operation', () => {
  it.each([
    ['values are free', '{ node(id: 1) { id tags } }', 1],
    ['an object is one', '{ node(id: 1) { children(first: 1) { totalCount } } }', 2],
    ['a list without a length is ten', '{ node(id: 1) { parts { parts { id } } } }', 1 + 1 + 10 * 1],
    ['a page costs each of its items', '{ all(first: 5) { edges { node { id } } } }', 1 + 5 * (1 + 1)],
    [
      'pages in pages multiply',
      '{ all(first: 5) { nodes { children(last: 7) { nodes { id } } } } }',
      1 + 5 * (1 + (1 + 7)),
    ],
    ['a page not told how long is as long as its default', '{ all { nodes { id } } }', 1 + 30],
    ['or twenty', '{ node(id: 1) { children { nodes { id } } } }', 1 + 1 + 20],
    ['as many as there are ids', '{ nodes(ids: [1, 2, 3]) { children(first: 1) { totalCount } } }', 1 + 3],
    ['a filter is no length', '{ all(first: 2, kinds: [A, B]) { nodes { id } } }', 1 + 2],
    ['a search has a weight', '{ searchContexts(first: 1) { nodes { id } } }', 10 + 1],
    ['a mutation too', 'mutation { write(title: "t") { node { id } } }', 10 + 1],
    ['inputs count', 'mutation { import(objects: [{ a: 1 }, { a: 2 }]) { node { id } } }', 10 + 2],
    ['introspection is one', '{ __schema { types { name } } }', 1],
    ['no type is none', '{ __typename }', 1],
  ])('%s', (_, text, expected) => {
    expect(costOf(text)).toBe(expected);
  });

  it('follows variables, their defaults, and bounds what they say', () => {
    const page = 'query ($n: Int = 3) { all(first: $n) { nodes { id } } }';
    expect(costOf(page)).toBe(1 + 3);
    expect(costOf(page, { n: 8 })).toBe(1 + 8);
    expect(costOf(page, { n: -5 })).toBe(1 + 20);
    expect(costOf(page, { n: 2 ** 31 })).toBe(1 + 10_000);
    const many = 'query ($ids: [ID!]!) { nodes(ids: $ids) { parts { id } } }';
    expect(costOf(many, { ids: ['1', '2'] })).toBe(1 + 2 * 1);
    expect(costOf(many, {})).toBe(1 + 10 * 1);
  });

  it('counts a fragment wherever it is spread, and computes it once', () => {
    expect(costOf('{ a: node(id: 1) { ...F } b: node(id: 2) { ...F } } fragment F on Node { parts { id } }')).toBe(4);
    const levels = Array.from({ length: 20 }, (_, i) => `fragment F${i} on Node { ...F${i + 1} ...F${i + 1} }`);
    expect(costOf(`{ node(id: 1) { ...F0 } } ${levels.join(' ')} fragment F20 on Node { parts { id } }`)).toBe(
      1 + 2 ** 20,
    );
    expect(costOf('{ node(id: 1) { ...A } } fragment A on Node { parts { ...A } }')).toBe(2);
  });
});

import fc from 'fast-check';
import { buildSchema, executeSync, type GraphQLError, parse, validate } from 'graphql';
import { describe, expect, it } from 'vitest';
import { compileProjector, type Projection } from '../../../gateway/subscriptions/projector.ts';
import { findOperation } from '../../../gateway/subscriptions/selection.ts';

const schema = buildSchema(`
  type Query { none: Int }
  type Subscription { event(id: ID): Event! maybe: Event }
  enum Color { RED GREEN }
  scalar JSON
  interface Node { id: ID! label: String }
  union Thing = Leaf | Branch
  type Leaf implements Node { id: ID! label: String weight: Float! }
  type Branch implements Node { id: ID! label: String children: [Thing!]! nodes: [Node] }
  type Event {
    id: ID! sequence: Int! text: String strict: String! color: Color colors: [Color!] data: JSON
    grid: [[Int!]!] thing: Thing node: Node! tree: Branch sized(size: Int): String
  }
`);

function project(query: string, payload: Record<string, unknown>, variables: Record<string, unknown> = {}): Projection {
  const document = parse(query);
  expect(validate(schema, document)).toEqual([]);
  const operation = findOperation(document);
  if (operation === undefined) throw new Error('one operation');
  return compileProjector({ schema, document, operation, variables, canFetch: () => false, nulls: 'spread' })(payload);
}

/** The same by graphql-js: the payload as the root field's value, default resolvers below. */
function reference(query: string, payload: Record<string, unknown>, variables: Record<string, unknown> = {}) {
  return executeSync({
    schema,
    document: parse(query),
    rootValue: { event: payload, maybe: payload },
    variableValues: variables,
  });
}

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value ?? null));
const places = (errors: readonly Pick<GraphQLError, 'message' | 'path'>[] | undefined): unknown =>
  (errors ?? []).map(({ message, path }) => ({ message, path }));

const name = fc.constantFrom('a', 'b', 'id', 'text');
const leaf = fc.record({
  __typename: fc.constant('Leaf'),
  id: fc.uuid(),
  label: fc.option(name),
  weight: fc.double({ noNaN: true, noDefaultInfinity: true }),
});
const thing = fc.letrec<{ thing: unknown; branch: unknown }>((tie) => ({
  thing: fc.oneof({ depthSize: 'small', withCrossShrink: true }, leaf, tie('branch')),
  branch: fc.record({
    __typename: fc.constant('Branch'),
    id: fc.nat(),
    label: fc.option(name),
    children: fc.array(tie('thing'), { maxLength: 3 }),
    nodes: fc.option(fc.array(fc.option(tie('thing')), { maxLength: 3 })),
  }),
}));
const payloads = fc.record(
  {
    id: fc.oneof(fc.uuid(), fc.nat()),
    sequence: fc.integer(),
    text: fc.option(fc.string()),
    strict: fc.option(name, { freq: 4 }),
    color: fc.option(fc.constantFrom('RED', 'GREEN')),
    colors: fc.option(fc.array(fc.constantFrom('RED', 'GREEN'))),
    data: fc.jsonValue().filter((value) => JSON.stringify(value).indexOf('__proto__') < 0),
    grid: fc.option(fc.array(fc.option(fc.array(fc.nat({ max: 9 })), { freq: 6 }), { maxLength: 3 })),
    thing: fc.option(thing.thing),
    node: fc.oneof({ weight: 6, arbitrary: thing.thing }, { weight: 1, arbitrary: fc.constant(null) }),
    tree: fc.option(thing.branch),
  },
  { requiredKeys: ['id', 'sequence', 'node'] },
);

/** Random valid selections: fields by type, aliases that never clash, fragments, conditions. */
const fieldsOf: Record<string, readonly string[]> = {
  Event: ['__typename', 'id', 'sequence', 'text', 'strict', 'color', 'colors', 'data', 'grid', 'thing', 'node', 'tree'],
  Leaf: ['__typename', 'id', 'label', 'weight'],
  Branch: ['__typename', 'id', 'label', 'children', 'nodes'],
  Node: ['__typename', 'id', 'label'],
  Thing: ['__typename'],
};
const typeOf: Record<string, string> = {
  thing: 'Thing',
  node: 'Node',
  tree: 'Branch',
  children: 'Thing',
  nodes: 'Node',
};
const condition = fc.constantFrom(
  '',
  '',
  '',
  ' @include(if: $yes)',
  ' @include(if: $no)',
  ' @skip(if: $yes)',
  ' @skip(if: $no)',
  ' @skip(if: false)',
);

function selection(type: string, depth: number): fc.Arbitrary<string> {
  const field = fc.constantFrom(...(fieldsOf[type] ?? [])).chain((fieldName) => {
    const inner = typeOf[fieldName];
    const below =
      inner === undefined ? fc.constant('') : depth === 0 ? fc.constant('{ __typename }') : selection(inner, depth - 1);
    return fc.tuple(fc.boolean(), condition, below).map(([aliased, when, selected]) => {
      // Aliases name their type and field, so that merged selections never conflict.
      return `${aliased ? `${type}_${fieldName}: ` : ''}${fieldName}${when} ${selected}`;
    });
  });
  const conditions = type === 'Thing' || type === 'Node' ? ['Leaf', 'Branch'] : [type];
  const fragment = fc
    .constantFrom(...conditions)
    .chain((on) =>
      fc
        .tuple(condition, selection(on, Math.max(0, depth - 1)))
        .map(([when, selected]) => `... on ${on}${when} ${selected}`),
    );
  return fc
    .array(fc.oneof({ weight: 4, arbitrary: field }, { weight: depth > 0 ? 1 : 0, arbitrary: fragment }), {
      minLength: 1,
      maxLength: 6,
    })
    .map((selections) => `{ ${selections.join(' ')} }`);
}

describe('projector', () => {
  it('answers as graphql-js does, for random selections and payloads', () => {
    let bubbled = 0;
    let full = 0;
    fc.assert(
      fc.property(selection('Event', 3), fc.constantFrom('event', 'maybe'), payloads, (selected, root, payload) => {
        const query = `subscription ($yes: Boolean = true, $no: Boolean!) { e: ${root} ${selected} ...Vars }
          fragment Vars on Subscription { e: ${root} { id @include(if: $yes) sequence @skip(if: $no) } }`;
        const variables = { yes: true, no: false };
        const projected = project(query, payload, variables);
        const expected = reference(query, payload, variables);
        expect(plain(projected.data)).toEqual(plain(expected.data));
        expect(places(projected.errors)).toEqual(places(expected.errors));
        if (expected.errors === undefined) full++;
        else bubbled++;
      }),
      { numRuns: 400 },
    );
    // Both kinds of answer were compared, not one alone.
    expect(full).toBeGreaterThan(20);
    expect(bubbled).toBeGreaterThan(20);
  });

  it('keeps the order of fields as they are selected', () => {
    const { data } = project('subscription { event { text z: id ...F sequence } } fragment F on Event { color }', {
      sequence: 1,
      id: 'x',
      color: 'RED',
      text: 't',
    });
    expect(JSON.stringify(data)).toBe('{"event":{"text":"t","z":"x","color":"RED","sequence":1}}');
  });

  it('does not serve a field with arguments from the payload', () => {
    const { data } = project('subscription { event { sized(size: 3) plain: sized } }', { sized: 'whole' });
    expect(plain(data)).toEqual({ event: { sized: null, plain: 'whole' } });
  });

  it('reports what an entity lacks, with its place', () => {
    const document = parse('subscription { event { tree { children { ... on Leaf { id heavy: weight } } } } }');
    const operation = findOperation(document);
    if (operation === undefined) throw new Error('one operation');
    const { missing } = compileProjector({
      schema,
      document,
      operation,
      variables: {},
      canFetch: (typeName, source) => typeName === 'Leaf' && source['id'] !== undefined,
      nulls: 'keep',
    })({
      tree: {
        children: [
          { __typename: 'Leaf', id: '1', weight: 1 },
          { __typename: 'Leaf', id: '2' },
        ],
      },
    });
    expect(missing.map(({ typeName, path, source }) => ({ typeName, path, id: source['id'] }))).toEqual([
      { typeName: 'Leaf', path: ['event', 'tree', 'children', 1], id: '2' },
    ]);
  });
});

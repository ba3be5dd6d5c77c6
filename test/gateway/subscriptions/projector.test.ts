import fc from 'fast-check';
import { executeSync, type GraphQLError, parse, validate } from 'graphql';
import { describe, expect, it } from 'vitest';
import { compileProjector, type Projection } from '../../../gateway/subscriptions/projector.ts';
import { findOperation } from '../../../gateway/subscriptions/selection.ts';
import { payloads, schema, selection } from './rig/selections.ts';

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

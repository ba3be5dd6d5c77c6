import type { QueryPlanSelectionNode } from '@apollo/query-planner';
import * as fc from 'fast-check';
import { buildSchema } from 'graphql';
import { expect, it } from 'vitest';
import { compileRepresentation, compileRepresentationKey } from '../../../gateway/execution/plan/representations.ts';

const schema = buildSchema(`
  type Query { products: [Product] }
  interface Product { upc: ID! size: Int name: String }
  type Book implements Product { upc: ID! size: Int name: String }
  type Lamp implements Product { upc: ID! size: Int name: String }
  type User { upc: ID! }
`);

const field = (name: string): QueryPlanSelectionNode => ({ kind: 'Field', name }) as QueryPlanSelectionNode;
const on = (typeCondition: string, ...names: readonly string[]): QueryPlanSelectionNode =>
  ({ kind: 'InlineFragment', typeCondition, selections: names.map(field) }) as QueryPlanSelectionNode;

/** Texts that would be mixed up if parts were only put one after the other. */
const text = fc.constantFrom('', '1', '11', '1:1', 'n1;', '“');
const sources = fc.record(
  {
    __typename: fc.constantFrom('Book', 'Lamp'),
    upc: text,
    name: fc.option(text, { freq: 9, nil: null }),
    size: fc.constantFrom(1, 11, -0.5),
  },
  { requiredKeys: ['__typename', 'upc', 'size', 'name'] },
);

it('keys are equal where representations are, and there alone', () => {
  const selections = [on('Product', '__typename', 'upc', 'name', 'size')];
  const build = compileRepresentation(schema, selections);
  const keyOf = compileRepresentationKey(schema, selections);
  const counts = { equal: 0, other: 0 };
  fc.assert(
    fc.property(sources, sources, (one, other) => {
      const keys = [keyOf(one), keyOf(other)];
      if (keys.includes(null)) return;
      const made = [build(one), build(other)].map((representation) => JSON.stringify(representation));
      counts[made[0] === made[1] ? 'equal' : 'other'] += 1;
      expect(keys[0] === keys[1]).toBe(made[0] === made[1]);
      expect(keys.every((key) => key !== made[0] && !key!.startsWith('{'))).toBe(true);
    }),
    { numRuns: 5_000, seed: 1 },
  );
  expect([counts.equal > 10, counts.other > 1_000]).toEqual([true, true]);
});

it('says nothing where it would have to make the representation: other types, what is missing, null or an object', () => {
  const keyOf = compileRepresentationKey(schema, [on('Product', '__typename', 'upc', 'name')]);
  expect(keyOf({ __typename: 'Book', upc: 'a', name: 'b' })).not.toBeNull();
  for (const source of [
    { __typename: 'User', upc: 'a', name: 'b' },
    { __typename: 'Book', upc: 'a' },
    { __typename: 'Book', upc: 'a', name: null },
    { __typename: 'Book', upc: { id: 'a' }, name: 'b' },
    { upc: 'a', name: 'b' },
  ])
    expect(keyOf(source)).toBeNull();
  const nested = { kind: 'Field', name: 'upc', selections: [field('id')] } as QueryPlanSelectionNode;
  for (const selections of [
    [on('Product', 'upc'), on('User', 'upc')],
    [on('Product', 'constructor')],
    [{ kind: 'InlineFragment', typeCondition: 'Product', selections: [nested] } as QueryPlanSelectionNode],
  ])
    expect(compileRepresentationKey(schema, selections)({ __typename: 'Book', upc: 'a' })).toBeNull();
});

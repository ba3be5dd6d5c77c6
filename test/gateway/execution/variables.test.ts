import fc from 'fast-check';
import { buildSchema, getVariableValues, Kind, parse } from 'graphql';
import { describe, expect, it } from 'vitest';
import { compileVariables } from '#shared/execution/compiled/variables.ts';

const schema = buildSchema(`
  scalar JSON
  enum Colour { RED GREEN }
  input Point { x: Int! y: Int = 2 label: String colour: Colour = RED }
  input Shape { id: ID! points: [Point!]! tags: [String] = ["a"] inner: Shape weights: [[Float!]] extra: JSON flag: Boolean }
  input Choice @oneOf { id: ID name: String }
  type Query { a(shape: Shape, choice: Choice): String }
`);
const types = [
  'Shape',
  'Shape!',
  '[Point!]!',
  'Point',
  'Int',
  'Int!',
  'String',
  '[ID!]',
  'Colour',
  'Choice',
  'JSON',
  '[[Float!]]',
];

/** Mostly what the types want, now and then something else. */
const leaf = fc.oneof(
  { weight: 3, arbitrary: fc.integer({ min: -3, max: 3 }) },
  { weight: 3, arbitrary: fc.constantFrom('RED', 'GREEN', 'a', '7') },
  fc.constant(null),
  fc.boolean(),
  fc.double(),
  fc.constant(2 ** 40),
);
const point = fc.record(
  { x: fc.oneof(fc.integer({ max: 9 }), leaf), y: leaf, label: leaf, colour: leaf, z: leaf },
  { requiredKeys: [] },
);
const { shape } = fc.letrec((tie) => ({
  shape: fc.record(
    {
      id: fc.oneof(fc.constant('s'), leaf),
      points: fc.oneof(fc.array(point, { maxLength: 3 }), point, leaf),
      tags: fc.oneof(fc.array(leaf, { maxLength: 3 }), leaf),
      inner: fc.oneof({ maxDepth: 2 }, leaf, tie('shape')),
      weights: fc.oneof(fc.array(fc.array(leaf, { maxLength: 2 }), { maxLength: 2 }), leaf),
      extra: fc.jsonValue({ maxDepth: 2 }),
      flag: leaf,
      unknown: leaf,
    },
    { requiredKeys: [] },
  ),
}));
const choice = fc.record({ id: leaf, name: leaf }, { requiredKeys: [] });
const value = fc.oneof(shape, fc.array(point, { maxLength: 3 }), point, leaf, choice, fc.array(leaf, { maxLength: 3 }));

describe('compiled coercion of variables', () => {
  it('answers what graphql-js answers, in the same order and with the same errors', () => {
    let plain = 0;
    let faulty = 0;
    const definition = fc.tuple(fc.constantFrom(...types), fc.boolean());
    fc.assert(
      fc.property(fc.array(definition, { minLength: 1, maxLength: 3 }), fc.array(value), (definitions, values) => {
        const text = definitions.map(([type, hasDefault], at) => {
          const given = hasDefault && type === 'Point' ? ' = { x: 1 }' : hasDefault && type === 'Int' ? ' = 5' : '';
          return `$v${at}: ${type}${given}`;
        });
        const [operation] = parse(`query (${text.join(' ')}) { a }`).definitions;
        if (operation?.kind !== Kind.OPERATION_DEFINITION) throw new Error('expected an operation');
        const inputs = Object.fromEntries(values.slice(0, definitions.length).map((given, at) => [`v${at}`, given]));
        const asked = operation.variableDefinitions ?? [];
        const expected = getVariableValues(schema, asked, inputs, { maxErrors: 3 });
        const compiled = compileVariables(schema, asked, { maxErrors: 3 })(inputs);
        expect(JSON.stringify(compiled)).toBe(JSON.stringify(expected));
        expect(compiled.coerced).toEqual(expected.coerced);
        if (expected.errors) faulty += 1;
        else plain += 1;
      }),
      { numRuns: 3_000 },
    );
    expect(plain).toBeGreaterThan(200);
    expect(faulty).toBeGreaterThan(500);
  });

  it('does not take the names of an object’s prototype for fields, nor __proto__ from JSON', () => {
    const [operation] = parse('query ($v: Point) { a }').definitions;
    if (operation?.kind !== Kind.OPERATION_DEFINITION) throw new Error('expected an operation');
    const coerce = compileVariables(schema, operation.variableDefinitions ?? []);
    for (const text of ['{"v":{"x":1,"constructor":1}}', '{"v":{"x":1,"__proto__":{"y":3}}}'])
      expect(coerce(JSON.parse(text)).errors?.map(({ message }) => message)).toEqual([
        expect.stringContaining('is not defined by type "Point"'),
      ]);
    expect(coerce({ v: { x: 1 } })).toEqual({ coerced: { v: { x: 1, y: 2, colour: 'RED' } } });
  });
});

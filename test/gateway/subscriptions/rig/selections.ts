import fc from 'fast-check';
import { buildSchema } from 'graphql';

/** A schema with every kind of type, payloads of its `Event`, and selections of them. */
export const schema = buildSchema(`
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
export const payloads = fc.record(
  {
    id: fc.oneof(fc.uuid(), fc.nat()),
    sequence: fc.integer(),
    text: fc.option(fc.string({ unit: 'binary' })),
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

export function selection(type: string, depth: number): fc.Arbitrary<string> {
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

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { breakingChanges } from '../../subgraphs/extension/manifest/compatibility.ts';
import { accepts } from '../../subgraphs/extension/manifest/jsonSchemas.ts';
import { readManifest } from '../../subgraphs/extension/manifest/manifest.ts';
import { findNarrowing } from '../../subgraphs/extension/manifest/schemaComparison.ts';

const number = { type: 'number' };
const text = { type: 'string' };
const object = (properties: object, more: object = {}) => ({ type: 'object', properties, ...more });

describe('schemas that take all that others take', () => {
  it.each<[string, unknown, unknown]>([
    ['anything', number, {}],
    ['numbers for integers', { type: 'integer' }, number],
    ['one more type', text, { type: ['string', 'null'] }],
    ['one more value', { enum: ['a', 'b'] }, { enum: ['c', 'b', 'a'] }],
    ['any text for two', { enum: ['a', 'b'] }, { type: 'string', minLength: 1 }],
    ['all booleans', { type: 'boolean' }, { enum: [true, false] }],
    ['a wider range', { ...number, minimum: 1, maximum: 5 }, { ...number, minimum: 0, maximum: 5 }],
    ['a closed bound', { ...number, exclusiveMinimum: 1 }, { ...number, minimum: 1 }],
    ['multiples of a divisor', { type: 'integer', multipleOf: 6 }, { type: 'integer', multipleOf: 3 }],
    ['longer texts', { ...text, maxLength: 5 }, { ...text, maxLength: 6 }],
    ['what is not asked of texts', text, { type: 'string', minimum: 7, minItems: 2 }],
    ['an optional property', object({ a: number }, { required: ['a'] }), object({ a: number })],
    [
      'a property that no one had',
      object({ a: number }, { additionalProperties: false }),
      object({ a: number, b: text }),
    ],
    ['wider properties, deep', object({ a: object({ b: { type: 'integer' } }) }), object({ a: object({ b: number }) })],
    ['items', { type: 'array', items: { type: 'integer' } }, { type: 'array', items: number }],
    ['a tuple as a list', { items: [{ const: 1 }, { const: 2 }], additionalItems: number }, { items: number }],
    ['one more branch', { anyOf: [text, number] }, { anyOf: [number, { type: 'null' }, text] }],
    ['types as branches', { type: ['string', 'number'] }, { anyOf: [text, number] }],
    ['a part of what has to hold', { allOf: [number, { minimum: 3 }] }, { type: 'number', minimum: 2 }],
    ['what stayed as it was', { ...text, pattern: '^a' }, { ...text, pattern: '^a' }],
    ['words about it', { ...text, title: 'before' }, { ...text, description: 'after', default: 'x' }],
    ['less that is excluded', { not: { enum: [1, 2] } }, { not: { const: 1 } }],
  ])('%s', (_what, before, after) => {
    expect(findNarrowing(before, after)).toBeNull();
  });

  it.each<[unknown, unknown, string]>([
    [{}, number, 'type'],
    [number, { type: 'integer' }, 'type'],
    [{ type: ['string', 'null'] }, text, 'type'],
    [{ type: 'string', nullable: true }, text, 'type'],
    [{ enum: ['a', 'b'] }, { enum: ['a'] }, 'enum'],
    [text, { const: 'a' }, 'const'],
    [number, { ...number, minimum: 0 }, 'minimum'],
    [{ ...number, maximum: 5 }, { ...number, exclusiveMaximum: 5 }, 'exclusiveMaximum'],
    [{ type: 'integer', multipleOf: 3 }, { type: 'integer', multipleOf: 6 }, 'multipleOf'],
    [text, { ...text, minLength: 1 }, 'minLength'],
    [{ type: 'array' }, { type: 'array', uniqueItems: true }, 'uniqueItems'],
    [object({ a: number }), object({ a: number }, { required: ['a'] }), 'required'],
    [object({ a: number }), object({ a: { type: 'integer' } }), 'a: type'],
    [object({ a: object({ b: text }) }), object({ a: object({ b: number }) }), 'a.b: type'],
    [object({ a: number }), object({ a: number }, { additionalProperties: false }), '*: not'],
    // Anything could stand under a name that nobody had declared.
    [object({ a: number }), object({ a: number, b: text }), 'b: type'],
    [{ type: 'array', items: number }, { type: 'array', items: { type: 'integer' } }, '[]: type'],
    [{ ...text, pattern: '^a' }, { ...text, pattern: '^b' }, 'pattern'],
    [{ anyOf: [text, number] }, { anyOf: [text] }, 'anyOf'],
    [{ items: [number], contains: {} }, { contains: {} }, 'contains'],
    [{ oneOf: [text, number] }, { oneOf: [number, text] }, 'oneOf'],
    [
      { $ref: '#/definitions/a', definitions: { a: number } },
      { $ref: '#/definitions/a', definitions: { a: text } },
      '$ref',
    ],
    [object({ constructor: number }), object({ constructor: text }), 'constructor: type'],
  ])('%j is more than %j', (before, after, where) => {
    expect(findNarrowing(before, after)).toBe(where);
  });

  it('gives up on what takes too long', () => {
    const deep = (level: number): object =>
      level === 0
        ? { type: ['number', 'string'] }
        : { anyOf: Array.from({ length: 7 }, (_, at) => ({ ...deep(level - 1), minimum: -at })) };
    expect(findNarrowing(deep(5), { ...deep(5), maximum: 7 })).not.toBeNull();
  });
});

/** Schemas and values of a small world, so that they meet. */
const small = fc.integer({ min: -2, max: 3 });
const scalar = fc.constantFrom<unknown>(null, true, false, -1, 0, 1, 2, 0.5, '', 'a', 'ab', 'abc');
const { schema: drawn } = fc.letrec<{ schema: object | boolean }>((tie) => {
  const sub = tie('schema');
  return {
    schema: fc.oneof(
      { maxDepth: 3, depthSize: 'medium' },
      fc.record(
        {
          type: fc.oneof(
            fc.constantFrom('string', 'number', 'integer', 'object', 'array', 'null', 'boolean'),
            fc.uniqueArray(fc.constantFrom('string', 'integer', 'number', 'null', 'object', 'array'), {
              minLength: 1,
              maxLength: 3,
            }),
          ),
          minimum: small,
          exclusiveMaximum: small,
          minLength: fc.nat(2),
          maxLength: fc.nat(3),
          enum: fc.uniqueArray(scalar, { minLength: 1, maxLength: 4 }),
        },
        { requiredKeys: [] },
      ),
      fc.constantFrom(true, false, {}, { type: 'number' }, { multipleOf: 2 }, { const: 1 }),
      fc.record(
        {
          type: fc.constant('object'),
          properties: fc.dictionary(fc.constantFrom('a', 'b'), sub, { maxKeys: 2 }),
          required: fc.uniqueArray(fc.constantFrom('a', 'b')),
          additionalProperties: sub,
          minProperties: fc.nat(2),
          propertyNames: fc.constantFrom({ maxLength: 1 }, { enum: ['a', 'b'] }),
        },
        { requiredKeys: [] },
      ),
      fc.record(
        {
          type: fc.constant('array'),
          items: fc.oneof(sub, fc.array(sub, { minLength: 1, maxLength: 2 })),
          additionalItems: sub,
          maxItems: fc.nat(2),
          minItems: fc.nat(2),
          contains: sub,
          uniqueItems: fc.boolean(),
        },
        { requiredKeys: [] },
      ),
      fc.record(
        {
          anyOf: fc.array(sub, { minLength: 1, maxLength: 2 }),
          allOf: fc.array(sub, { minLength: 1, maxLength: 2 }),
          oneOf: fc.array(sub, { minLength: 1, maxLength: 2 }),
          not: sub,
          ...Object.fromEntries(['if', 'then', 'else'].map((name) => [name, sub])),
        },
        { requiredKeys: [] },
      ),
    ),
  };
});
/** As they are read, with the prototypes of all objects. */
const schema = drawn.map((one) => JSON.parse(JSON.stringify(one)) as object | boolean);
const { value: written } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3, depthSize: 'medium', withCrossShrink: true },
    { arbitrary: scalar, weight: 3 },
    { arbitrary: fc.array(tie('value'), { maxLength: 3 }), weight: 1 },
    { arbitrary: fc.dictionary(fc.constantFrom('a', 'b', 'c'), tie('value'), { maxKeys: 3 }), weight: 1 },
  ),
}));

const value = written.map((one) => JSON.parse(JSON.stringify(one)) as unknown);

/** The same with one keyword of it, somewhere, left out or taken from another. */
const varied = fc.tuple(schema, schema, fc.nat(20)).map(([base, other, at]) => {
  const places: (() => object | boolean)[] = [];
  const visit = (node: object | boolean, rebuild: (next: object | boolean) => object | boolean): void => {
    places.push(() => rebuild(other));
    if (typeof node !== 'object') return;
    for (const [name, part] of Object.entries(node)) {
      const { [name]: _gone, ...rest } = node as Record<string, unknown>;
      places.push(() => rebuild(rest));
      if (['additionalProperties', 'contains', 'not', 'additionalItems'].includes(name))
        visit(part, (next) => rebuild({ ...node, [name]: next }));
      if (name === 'properties')
        for (const [key, one] of Object.entries(part as object))
          visit(one, (next) => rebuild({ ...node, properties: { ...(part as object), [key]: next } }));
    }
  };
  visit(base, (next) => next);
  return [base, places[at % places.length]!()] as const;
});

describe('whatever the schemas', () => {
  const isTaken = (one: object | boolean, of: unknown) => (typeof one === 'boolean' ? one : accepts(one, of));

  it('a value that was taken before is taken after, where nothing is found to be narrower', () => {
    const met = { compared: 0, taken: 0, narrower: 0 };
    fc.assert(
      fc.property(
        varied,
        fc.boolean(),
        fc.array(value, { minLength: 10, maxLength: 20 }),
        ([one, other], turned, list) => {
          const [before, after] = turned ? [other, one] : [one, other];
          if (findNarrowing(before, after) !== null) {
            met.narrower += 1;
            return;
          }
          met.compared += 1;
          for (const item of list)
            if (isTaken(before, item)) {
              met.taken += 1;
              expect([item, isTaken(after, item)]).toEqual([item, true]);
            }
        },
      ),
      { numRuns: 500 },
    );
    // Else nothing was shown.
    expect(Math.min(met.compared, met.narrower)).toBeGreaterThan(50);
    expect(met.taken).toBeGreaterThan(150);
  });

  it('each is as wide as itself, and as what leaves out one of its words about values', () => {
    fc.assert(
      fc.property(schema, (one) => {
        expect(findNarrowing(one, structuredClone(one))).toBeNull();
        expect(findNarrowing(one, true)).toBeNull();
        expect(findNarrowing(false, one)).toBeNull();
      }),
    );
  });
});

describe('methods of a release in the place of another', () => {
  const manifestOf = (method: object) =>
    readManifest({
      ...{ entry_point: 'main.js', main_class: 'Main' },
      capabilities: [
        { name: 'sums', interfaces: [{ interface_name: 'sums', methods: [{ method_name: 'add', ...method }] }] },
      ],
    });
  const changes = (before: object, after: object) => breakingChanges(manifestOf(before), manifestOf(after));
  const took = object({ a: number, unit: { enum: ['m', 'ft'] } }, { required: ['a'] });

  it('inputs get no narrower', () => {
    expect(changes({ input_schema: took }, { input_schema: took })).toEqual([]);
    expect(changes({ input_schema: took }, {})).toEqual([]);
    expect(changes({}, { input_schema: took })).toEqual(['sums.add asks for a']);
    expect(changes({}, { input_schema: object({}) })).toEqual(['sums.add takes less (type)']);
    expect(
      changes({ input_schema: took }, { input_schema: { ...took, properties: { a: number, unit: { enum: ['m'] } } } }),
    ).toEqual(['sums.add takes less (unit: enum)']);
  });

  it('results get no wider', () => {
    const gave = object({ sum: { ...number, minimum: 0 } }, { required: ['sum'], additionalProperties: false });
    expect(changes({}, { output_schema: gave })).toEqual([]);
    expect(changes({ output_schema: gave }, {})).toEqual(['sums.add need not answer sum any more']);
    const wide = { ...gave, properties: { sum: number } };
    expect(changes({ output_schema: gave }, { output_schema: wide })).toEqual([
      'sums.add may answer something else (sum: minimum)',
    ]);
    expect(changes({ output_schema: wide }, { output_schema: gave })).toEqual([]);
    expect(changes({ output_schema: gave }, { output_schema: { ...gave, additionalProperties: true } })).toEqual([
      'sums.add may answer something else (*: not)',
    ]);
  });
});

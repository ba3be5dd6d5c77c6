import fc from 'fast-check';
import { buildSchema, parse, validate } from 'graphql';
import { describe, expect, it } from 'vitest';
import { createDocumentRule } from '../../../gateway/limits/documentRule.ts';
import { type DocumentSize, measureDocument } from '../../../gateway/limits/documentSize.ts';

/** A selection as a tree whose fragments are expanded. */
interface Tree {
  readonly text: string;
  readonly size: DocumentSize;
}

const leaf: Tree = { text: 'a', size: { depth: 1, aliases: 0, rootFields: 1, directives: 0 } };
const together = (parts: readonly Tree[]): DocumentSize => ({
  depth: Math.max(...parts.map((part) => part.size.depth)),
  aliases: parts.reduce((sum, part) => sum + part.size.aliases, 0),
  rootFields: parts.reduce((sum, part) => sum + part.size.rootFields, 0),
  directives: parts.reduce((sum, part) => sum + part.size.directives, 0),
});

const tree: fc.Memo<Tree> = fc.memo((levels) => {
  if (levels <= 1) return fc.constant(leaf);
  const parts = fc.array(tree(levels - 1), { minLength: 1, maxLength: 3 });
  const wrapped = (name: string, add: (size: DocumentSize) => DocumentSize) =>
    parts.map((inner) => ({
      text: `${name} { ${inner.map((part) => part.text).join(' ')} }`,
      size: add(together(inner)),
    }));
  const below = (size: DocumentSize): DocumentSize => ({ ...size, depth: size.depth + 1, rootFields: 1 });
  return fc.oneof(
    fc.constant(leaf),
    wrapped('a', below),
    wrapped('b: a', (size) => ({ ...below(size), aliases: size.aliases + 1 })),
    wrapped('a @x @y', (size) => ({ ...below(size), directives: size.directives + 2 })),
    wrapped('... on T @x', (size) => ({ ...size, directives: size.directives + 1 })),
  );
});

describe('the size of a document', () => {
  it('is that of its largest operation, with fragments in the place of their spreads', () => {
    fc.assert(
      fc.property(tree(5), tree(3), fc.integer({ min: 1, max: 3 }), (outer, inner, spreads) => {
        const spread = { text: '...F', size: inner.size };
        const expected = together([outer, ...Array.from({ length: spreads }, () => spread)]);
        const operation = `{ ${outer.text} ${Array.from({ length: spreads }, () => '...F').join(' ')} }`;
        expect(measureDocument(parse(`${operation} fragment F on T { ${inner.text} }`))).toEqual(expected);
        expect(measureDocument(parse(`query A { a } query B ${operation} fragment F on T { ${inner.text} }`))).toEqual(
          expected,
        );
      }),
    );
  });

  it('of 2^20 fields is found without expanding them, and spreads in a circle end', () => {
    const levels = Array.from(
      { length: 20 },
      (_, level) => `fragment F${level} on T { ...F${level + 1} ...F${level + 1} }`,
    );
    const fanOut = parse(`{ ...F0 } ${levels.join(' ')} fragment F20 on T { b: a }`);
    expect(measureDocument(fanOut)).toEqual({ depth: 1, aliases: 2 ** 20, rootFields: 2 ** 20, directives: 0 });
    const circle = parse('{ ...A } fragment A on T { a { ...B } } fragment B on T { a { ...A } }');
    expect(measureDocument(circle).depth).toBe(2);
  });

  it('leaves the depth of introspection to the rule made for it', () => {
    const document = parse('{ __schema { types { fields { type { ofType { ofType { name } } } } } } }');
    expect(measureDocument(document).depth).toBe(1);
  });

  it('over a limit is refused with what was allowed and found, each limit by an error of its own', () => {
    const schema = buildSchema('directive @x on FIELD type Query { a: Query b: Int }');
    const rule = createDocumentRule({ depth: 3, aliases: 1, rootFields: 2, directives: 0 });
    const refusals = (text: string) =>
      validate(schema, parse(text), [rule]).map(({ originalError }) => Reflect.get(originalError ?? {}, 'details'));
    expect(refusals('{ a { a { b } } c: b }')).toEqual([]);
    expect(refusals('{ a { a { a { b } } } c: b d: b @x }')).toEqual([
      { limit: 'depth', allowed: 3, found: 4 },
      { limit: 'aliases', allowed: 1, found: 2 },
      { limit: 'rootFields', allowed: 2, found: 3 },
      { limit: 'directives', allowed: 0, found: 1 },
    ]);
  });
});

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type Condition,
  type Hit,
  type IndexSelection,
  type QueryNode,
  SearchIndex,
  tsvectorFields,
} from '#shared/searchIndex/index.ts';
import { packFrequencies } from '#shared/searchIndex/scoring.ts';
import { type NaiveDocument, NaiveIndex } from './naive.ts';

// Few of everything, so that ids, words and values meet.
const id = fc.integer({ min: 0, max: 40 }).map((n) => `doc-${String(n).padStart(2, '0')}`);
const term = fc.constantFrom('ant', 'bee', 'cat', 'dog', 'eel', 'a-much-longer-word-than-most', 'fox', '');
const kind = fc.constantFrom('red', 'green', 'blue');
const tag = fc.constantFrom('x', 'y', 'z', 'w');
const frequencies = fc.array(fc.oneof(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 400 })), {
  minLength: 4,
  maxLength: 4,
});

const document: fc.Arbitrary<NaiveDocument> = fc
  .record({
    id,
    revision: fc.nat(),
    restricted: fc.oneof({ weight: 4, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
    words: fc.uniqueArray(fc.tuple(term, frequencies), { maxLength: 6, selector: ([word]) => word }),
    values: fc.record({ kind: fc.option(kind), owner: fc.option(fc.constantFrom('me', 'you')) }),
    sets: fc.record({ tags: fc.array(tag, { maxLength: 5 }) }),
    numbers: fc.record({ at: fc.integer({ min: 0, max: 10 }) }),
  })
  .map(({ words, ...rest }) => ({
    ...rest,
    terms: words.map(([word]) => word),
    frequencies: words.map(([, counts]) => packFrequencies(counts)),
  }));

const { node } = fc.letrec<{ node: QueryNode }>((tie) => ({
  node: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    term.map((word): QueryNode => ({ kind: 'term', term: word })),
    fc.constant<QueryNode>({ kind: 'none' }),
    fc.array(tie('node'), { minLength: 1, maxLength: 3 }).map((nodes): QueryNode => ({ kind: 'and', nodes })),
    fc.array(tie('node'), { minLength: 1, maxLength: 3 }).map((nodes): QueryNode => ({ kind: 'or', nodes })),
    tie('node').map((child): QueryNode => ({ kind: 'not', node: child })),
  ),
}));

const condition: fc.Arbitrary<Condition> = fc.oneof(
  fc
    .array(fc.oneof(kind, fc.constant('none has it')), { maxLength: 2 })
    .map((values): Condition => ({ kind: 'oneOf', column: 'kind', values })),
  fc
    .constantFrom('me', 'you', 'nobody')
    .map((owner): Condition => ({ kind: 'oneOf', column: 'owner', values: [owner] })),
  fc
    .tuple(
      fc.constantFrom('anyOf' as const, 'allOf' as const),
      fc.array(fc.oneof(tag, fc.constant('none')), { maxLength: 3 }),
    )
    .map(([which, values]): Condition => ({ kind: which, column: 'tags', values })),
  fc
    .tuple(fc.option(fc.integer({ min: 0, max: 10 })), fc.option(fc.integer({ min: 0, max: 10 })))
    .map(([from, to]): Condition => ({ kind: 'between', column: 'at', from: from ?? undefined, to: to ?? undefined })),
);

const selection: fc.Arbitrary<IndexSelection> = fc.record({
  query: fc.option(node, { freq: 5 }),
  conditions: fc.array(condition, { maxLength: 3 }),
  granted: fc.oneof(fc.constant('all' as const), fc.array(id, { maxLength: 10 })),
});

type Step =
  | { readonly kind: 'put'; readonly document: NaiveDocument }
  | { readonly kind: 'remove'; readonly id: string }
  | { readonly kind: 'compact' };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 12, arbitrary: document.map((given): Step => ({ kind: 'put', document: given })) },
  { weight: 4, arbitrary: id.map((given): Step => ({ kind: 'remove', id: given })) },
  { weight: 1, arbitrary: fc.constant<Step>({ kind: 'compact' }) },
);

const create = () =>
  new SearchIndex({ fields: tsvectorFields, values: ['kind', 'owner'], sets: ['tags'], numbers: ['at'] });

function build(steps: readonly Step[]) {
  const [index, naive] = [create(), new NaiveIndex()];
  for (const next of steps) {
    if (next.kind === 'put') {
      index.put(next.document);
      naive.put(next.document);
    } else if (next.kind === 'remove') expect(index.remove(next.id)).toBe(naive.remove(next.id));
    else index.compact();
  }
  return { index, naive };
}

describe('the index answers like a list read from end to end', () => {
  test('pages, totals and facets after any additions, replacements and removals', () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 120, size: 'max' }),
        fc.array(selection, { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 0, max: 12 }),
        fc.boolean(),
        (steps, selections, limit, reversed) => {
          const { index, naive } = build(steps);
          expect(index.size).toBe(naive.documents.size);
          for (const asked of selections) {
            const page = { limit, reversed, after: null };
            expect(index.search(asked, page)).toEqual(naive.search(asked, page));
            expect(index.count(asked)).toBe(naive.count(asked));
            expect(Object.fromEntries(index.facets(asked, ['kind', 'tags'], 2))).toEqual(naive.facets(asked, 2));
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  test('pages one behind the other meet every match once, forwards and backwards', () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 120, size: 'max' }),
        selection,
        fc.integer({ min: 1, max: 7 }),
        (steps, asked, limit) => {
          const { index, naive } = build(steps);
          const whole = naive.search(asked, { limit: 1_000, reversed: false, after: null }).hits;
          for (const reversed of [false, true]) {
            const met: string[] = [];
            let after: Hit | null = null;
            for (;;) {
              const { hits, total } = index.search(asked, { limit, reversed, after });
              expect(total).toBe(whole.length);
              if (hits.length === 0) break;
              met.push(...hits.map((hit) => hit.id));
              after = hits.at(-1)!;
            }
            expect(reversed ? met.reverse() : met).toEqual(whole.map((hit) => hit.id));
          }
        },
      ),
      { numRuns: 150 },
    );
  });
});

const simple = (given: string, words: string): NaiveDocument => ({
  id: given,
  revision: 1,
  restricted: false,
  terms: words.split(' '),
  frequencies: words.split(' ').map(() => packFrequencies([0, 1])),
  values: { kind: null, owner: null },
  sets: { tags: [] },
  numbers: { at: 0 },
});
const everything = { conditions: [], granted: 'all' } as const;
const word = (given: string): QueryNode => ({ kind: 'term', term: given });

describe('while it changes', () => {
  test('a page goes on behind a hit that has not changed, whatever has', () => {
    const index = create();
    for (let n = 0; n < 50; n += 1) index.put(simple(`doc-${n}`, 'cat'));
    const asked = { ...everything, query: word('cat') };
    const first = index.search(asked, { limit: 10, reversed: false, after: null }).hits;
    index.put(simple('other', 'dog bird and many more words'));
    const second = index.search(asked, { limit: 100, reversed: false, after: first.at(-1)! }).hits;
    expect(second).toHaveLength(40);
    expect(second[0]!.score).not.toBe(first[0]!.score);
    expect(new Set([...first, ...second].map((hit) => hit.id)).size).toBe(50);
  });

  test('memory does not grow with replacements', () => {
    const index = create();
    for (let n = 0; n < 2_000; n += 1) index.put(simple(`doc-${n}`, `cat w${n} v${n % 7}`));
    index.compact();
    const before = index.bytes;
    for (let round = 1; round <= 20; round += 1)
      for (let n = 0; n < 2_000; n += 1) index.put(simple(`doc-${n}`, `cat w${n + 10_000 * round} v${n % 7}`));
    expect(index.bytes).toBeLessThan(before * 2);
    expect(index.count({ ...everything, query: word('cat') })).toBe(2_000);
    expect(index.count({ ...everything, query: word('w5') })).toBe(0);
  });

  test('long lists of entries move to arrays of their own and back', () => {
    const index = create();
    for (let n = 0; n < 20_000; n += 1) index.put(simple(`doc-${n}`, 'cat'));
    for (let n = 0; n < 19_900; n += 1) index.remove(`doc-${n}`);
    index.compact();
    expect(index.count({ ...everything, query: word('cat') })).toBe(100);
    index.put(simple('one more', 'cat'));
    expect(
      index.search({ ...everything, query: word('cat') }, { limit: 200, reversed: false, after: null }).hits,
    ).toHaveLength(101);
  });
});

test('what it does not support it says', () => {
  const index = create();
  expect(index.supports({ kind: 'and', nodes: [word('a'), { kind: 'not', node: word('b') }] })).toBe(true);
  expect(index.supports({ kind: 'or', nodes: [word('a'), { kind: 'not', node: { kind: 'phrase' } }] })).toBe(false);
  expect(() => index.count({ ...everything, query: { kind: 'prefix' } })).toThrow('cannot answer a prefix query');
  expect(
    () => new SearchIndex({ fields: Array(5).fill(tsvectorFields[0]), values: [], sets: [], numbers: [] }),
  ).toThrow('expected at most 4 fields, got 5');
});

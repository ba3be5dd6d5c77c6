import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseTsquery, parseTsvector, type QueryNode, supportsQuery } from '#shared/searchIndex/index.ts';
import { frequencyOf } from '#shared/searchIndex/scoring.ts';
import { createSql, type Sql } from '#shared/sql.ts';
import { createTestDatabase, type TestDatabase } from '../../support/database.ts';

let database: TestDatabase;
let sql: Sql;
beforeAll(async () => {
  database = await createTestDatabase();
  sql = createSql(database.url, { applicationName: 'tsvector-test', max: 2 });
});
afterAll(async () => {
  await sql?.end();
  await database?.drop();
});

// Quotes, backslashes, colons and signs of the query language stand in words too.
const word = fc.oneof(
  fc.constantFrom('cat', 'dog', "it's", 'a\\b', 'x:y', "''", '\\', 'Ärger', '日本', '1A', '&', '!', '( )', 'a b', '🦊'),
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }).filter((text) => !text.includes('\0')),
);
const weights = ['D', 'C', 'B', 'A'] as const;

describe('text forms of PostgreSQL', () => {
  test('a tsvector gives every lexeme with its frequency in each class', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(word, fc.constantFrom(...weights)), { maxLength: 12 }), async (words) => {
        const [row] = (await sql.unsafe(
          `WITH w AS (SELECT * FROM json_to_recordset($1::text::json) AS w(word text, class text, place int)),
             v AS (SELECT COALESCE(string_agg('''' || replace(replace(word, '\\', '\\\\'), '''', '''''') || ''':' || place || class, ' '), '')::tsvector AS vector FROM w)
           SELECT vector::text AS text, (SELECT COALESCE(json_agg(json_build_array(lexeme, weights)), '[]') FROM unnest(vector) u) AS lexemes FROM v`,
          [JSON.stringify(words.map(([text, kind], at) => ({ word: text, class: kind, place: at + 1 })))],
        )) as unknown as { text: string; lexemes: [string, string[]][] }[];
        const { terms, frequencies } = parseTsvector(row!.text);
        const found = terms.map((term, at) => [term, weights.map((_, field) => frequencyOf(frequencies[at]!, field))]);
        const expected = row!.lexemes.map(([lexeme, classes]) => [
          lexeme,
          weights.map((kind) => classes.filter((given) => given === kind).length),
        ]);
        expect(found).toEqual(expected);
      }),
      { numRuns: 100 },
    );
  });

  const cases: readonly [string, QueryNode | 'unsupported'][] = [
    ['', { kind: 'none' }],
    ['!!! ***', { kind: 'none' }],
    ['Cat', { kind: 'term', term: 'cat' }],
    [
      'cat dog',
      {
        kind: 'and',
        nodes: [
          { kind: 'term', term: 'cat' },
          { kind: 'term', term: 'dog' },
        ],
      },
    ],
    [
      'cat or dog -bird',
      {
        kind: 'or',
        nodes: [
          { kind: 'term', term: 'cat' },
          {
            kind: 'and',
            nodes: [
              { kind: 'term', term: 'dog' },
              { kind: 'not', node: { kind: 'term', term: 'bird' } },
            ],
          },
        ],
      },
    ],
    ['"fat cat"', 'unsupported'],
    ['-"fat cat" dog', 'unsupported'],
    ['part-time', 'unsupported'],
  ];
  test.each(cases)('a query %j', async (text, expected) => {
    const [row] = (await sql.unsafe(`SELECT websearch_to_tsquery('simple', $1)::text AS parsed`, [
      text,
    ])) as unknown as {
      parsed: string;
    }[];
    const node = parseTsquery(row!.parsed);
    if (expected === 'unsupported') expect(supportsQuery(node)).toBe(false);
    else expect(node).toEqual(expected);
  });

  test('groups, prefixes and weights', () => {
    expect(parseTsquery(`( 'a' | 'b' ) & !( 'c' & 'd' )`)).toEqual({
      kind: 'and',
      nodes: [
        {
          kind: 'or',
          nodes: [
            { kind: 'term', term: 'a' },
            { kind: 'term', term: 'b' },
          ],
        },
        {
          kind: 'not',
          node: {
            kind: 'and',
            nodes: [
              { kind: 'term', term: 'c' },
              { kind: 'term', term: 'd' },
            ],
          },
        },
      ],
    });
    expect(parseTsquery(`'a':*`)).toEqual({ kind: 'prefix' });
    expect(parseTsquery(`'a':AB`)).toEqual({ kind: 'weighted' });
    expect(() => parseTsquery(`'a' 'b'`)).toThrow('expected the end of a tsquery');
    expect(() => parseTsvector('abc')).toThrow('expected a quote');
  });
});

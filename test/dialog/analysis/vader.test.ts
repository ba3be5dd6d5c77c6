import { createRequire } from 'node:module';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { readVaderLexicon } from '../../../subgraphs/dialog/analysis/sentiment/lexicon.ts';
import { createVader } from '../../../subgraphs/dialog/analysis/sentiment/vader.ts';

const lexicon = readVaderLexicon();
const vader = createVader(lexicon);
const port = z
  .object({ SentimentIntensityAnalyzer: z.custom<{ polarity_scores(text: string): { compound: number } }>() })
  .parse(createRequire(import.meta.url)('vader-sentiment')).SentimentIntensityAnalyzer;

describe('the examples its authors publish, with their scores', () => {
  test.each([
    ['VADER is smart, handsome, and funny.', 0.8316, 0.746, 0.254, 0],
    ['VADER is smart, handsome, and funny!', 0.8439, 0.752, 0.248, 0],
    ['VADER is very smart, handsome, and funny.', 0.8545, 0.701, 0.299, 0],
    ['VADER is VERY SMART, handsome, and FUNNY.', 0.9227, 0.754, 0.246, 0],
    ['VADER is VERY SMART, handsome, and FUNNY!!!', 0.9342, 0.767, 0.233, 0],
    ['VADER is VERY SMART, uber handsome, and FRIGGIN FUNNY!!!', 0.9469, 0.706, 0.294, 0],
    ['VADER is not smart, handsome, nor funny.', -0.7424, 0, 0.354, 0.646],
    ['The book was good.', 0.4404, 0.492, 0.508, 0],
    ["At least it isn't a horrible book.", 0.431, 0.322, 0.678, 0],
    ['The book was only kind of good.', 0.3832, 0.303, 0.697, 0],
    [
      'The plot was good, but the characters are uncompelling and the dialog is not great.',
      -0.7042,
      0.094,
      0.579,
      0.327,
    ],
    ['Today SUX!', -0.5461, 0, 0.221, 0.779],
    ["Today only kinda sux! But I'll get by, lol", 0.5249, 0.317, 0.556, 0.127],
    ['Make sure you :) or :D today!', 0.8633, 0.706, 0.294, 0],
    ['Not bad at all', 0.431, 0.487, 0.513, 0],
  ])('%s', (sentence, compound, positive, neutral, negative) => {
    const polarity = vader(sentence);
    expect(polarity.compound).toBeCloseTo(compound, 4);
    expect(polarity.positive).toBeCloseTo(positive, 3);
    expect(polarity.neutral).toBeCloseTo(neutral, 3);
    expect(polarity.negative).toBeCloseTo(negative, 3);
  });
});

test('the compound is the valence over the root of its square and 15', () => {
  const good = lexicon.get('good') ?? 0;
  expect(good).toBe(1.9);
  expect(vader('good work').compound).toBeCloseTo(1.9 / Math.sqrt(1.9 ** 2 + 15), 12);
  expect(vader('not good').compound).toBeCloseTo((1.9 * -0.74) / Math.sqrt((1.9 * 0.74) ** 2 + 15), 12);
  expect(vader('very good').compound).toBeCloseTo((1.9 + 0.293) / Math.sqrt((1.9 + 0.293) ** 2 + 15), 12);
});

test('agrees with the independent port on lower-case sentences in which both read the same words', () => {
  // Words of three letters and more, without those that only one of the two versions of the rules knows.
  const plain = [
    'the',
    'report',
    'great',
    'awful',
    'very',
    'not',
    'never',
    'good',
    'bad',
    'parser',
    'slightly',
    'and',
    'extremely',
    'love',
    'tests',
    'isnt',
    'without',
  ];
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(...plain), { minLength: 1, maxLength: 14 }),
      fc.constantFrom('', '.', '!', '!!', '??'),
      (words, end) => {
        // "never so/this" and "without doubt" changed between the versions; neither can be formed of these words.
        const sentence = words.join(' ') + end;
        expect(vader(sentence).compound).toBeCloseTo(port.polarity_scores(sentence).compound, 3);
      },
    ),
  );
});

test('emoji count as their words, unknown ones as nothing', () => {
  expect(vader('shipped 🎉').compound).toBeGreaterThan(0.4);
  expect(vader('shipped 💔').compound).toBeLessThan(-0.3);
  expect(vader('shipped 🪛').compound).toBe(0);
});

test('never throws and stays in range for any text', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 200 }), (text) => {
      const { compound, positive, neutral, negative } = vader(text);
      expect(Math.abs(compound)).toBeLessThanOrEqual(1);
      const sum = positive + neutral + negative;
      expect(sum === 0 || Math.abs(sum - 1) < 1e-9).toBe(true);
    }),
  );
});

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { extractKeywords } from '../../../subgraphs/dialog/analysis/keywords/rake.ts';
import { countTerms, weighTerms } from '../../../subgraphs/dialog/analysis/keywords/tfidf.ts';
import { rankTopics } from '../../../subgraphs/dialog/analysis/keywords/topics.ts';
import { readDocument } from '../../../subgraphs/dialog/analysis/text/document.ts';

function keywordsOf(text: string): Map<string, number> {
  return new Map(
    extractKeywords(readDocument(text, 100_000).sentences, 100).map(({ phrase, score }) => [phrase, score]),
  );
}

test('RAKE on the example of Rose et al. (2010): degree over frequency, summed over a phrase', () => {
  // Their abstract, shortened to the part whose table of degrees is easily recounted by hand. Phrases:
  // compatibility | systems | linear constraints | set | natural numbers | criteria | compatibility | system |
  // linear diophantine equations | strict inequations | nonstrict inequations
  const keywords = keywordsOf(
    'Compatibility of systems of linear constraints over the set of natural numbers. Criteria of compatibility of a system of linear Diophantine equations, strict inequations, and nonstrict inequations.',
  );
  // linear: in phrases of 2 and 3 words, degree 5, frequency 2. equations 3/1, diophantine 3/1.
  expect(keywords.get('linear diophantine equations')).toBeCloseTo(2.5 + 3 + 3, 12);
  expect(keywords.get('linear constraints')).toBeCloseTo(2.5 + 2, 12);
  expect(keywords.get('natural numbers')).toBeCloseTo(4, 12);
  // inequations: degree 4, frequency 2.
  expect(keywords.get('strict inequations')).toBeCloseTo(2 + 2, 12);
  expect(keywords.get('compatibility')).toBe(1);
  expect([...keywords.keys()][0]).toBe('linear diophantine equations');
});

test('TF-IDF of two texts, computed by hand', async () => {
  const documents = [countTerms(['parser', 'parser', 'upload']), countTerms(['parser', 'queue'])];
  const { total, documentFrequency } = await weighTerms(documents);
  const idf = (df: number): number => Math.log(3 / (1 + df)) + 1;
  const first = { parser: (1 + Math.log(2)) * idf(2), upload: idf(1) };
  const second = { parser: idf(2), queue: idf(1) };
  const length1 = Math.hypot(first.parser, first.upload);
  const length2 = Math.hypot(second.parser, second.queue);
  const pivot = (length1 + length2) / 2;
  const norm1 = 0.8 * pivot + 0.2 * length1;
  const norm2 = 0.8 * pivot + 0.2 * length2;
  expect(total.get('parser')).toBeCloseTo(first.parser / norm1 + second.parser / norm2, 12);
  expect(total.get('upload')).toBeCloseTo(first.upload / norm1, 12);
  expect(total.get('queue')).toBeCloseTo(second.queue / norm2, 12);
  expect(documentFrequency.get('parser')).toBe(2);
});

test('TF-IDF does not depend on the order of the texts', async () => {
  const term = fc.constantFrom('a', 'b', 'c', 'd', 'e');
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(term, { maxLength: 8 }), { maxLength: 8 }), async (texts) => {
      const forward = await weighTerms(texts.map(countTerms));
      const backward = await weighTerms(texts.toReversed().map(countTerms));
      expect([...backward.total.keys()].sort()).toEqual([...forward.total.keys()].sort());
      for (const [word, weight] of forward.total) expect(backward.total.get(word)).toBeCloseTo(weight, 9);
    }),
    { numRuns: 50 },
  );
});

test('topics share no word, prefer phrases and are at most as many as asked for', () => {
  const weights = new Map([
    ['import', 2],
    ['importer', 1.9],
    ['import job', 1.5],
    ['imports', 1.4],
    ['queue', 1],
  ]);
  const documentFrequency = new Map([...weights.keys()].map((term): [string, number] => [term, 3]));
  const topics = rankTopics({ total: weights, documentFrequency }, 6, 3);
  expect(topics.map(({ topic }) => topic)).toEqual(['import job', 'importer', 'queue']);
  expect(topics[0]).toEqual({ topic: 'import job', score: 1, messageCount: 3 });
});

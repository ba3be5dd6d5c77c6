import fc from 'fast-check';
import { expect, test } from 'vitest';
import { rankSentences, sentenceSimilarity } from '../../../subgraphs/dialog/analysis/summary/textRank.ts';

test('similarity is the number of common words over the sum of the logarithms of the lengths', () => {
  const left = ['alpha', 'beta', 'gamma'];
  const right = ['beta', 'gamma', 'delta', 'epsilon'];
  expect(sentenceSimilarity(left, right)).toBeCloseTo(2 / (Math.log(3) + Math.log(4)), 12);
  expect(sentenceSimilarity(['a'], ['a'])).toBe(0);
  expect(sentenceSimilarity(left, ['zeta', 'eta'])).toBe(0);
  expect(sentenceSimilarity([], left)).toBe(0);
});

test('three sentences in a line: the scores solve the equations of the paper', () => {
  // B shares one word with A and one with C; A and C share none. With equal weights w:
  //   b = 0.15 + 0.85 (a + c), a = c = 0.15 + 0.85 b / 2   =>   b = 0.15 + 1.7 (0.15 + 0.425 b)
  const b = (0.15 + 1.7 * 0.15) / (1 - 1.7 * 0.425);
  const a = 0.15 + 0.425 * b;
  const { scores, converged } = rankSentences(
    [
      ['one', 'two'],
      ['two', 'three'],
      ['three', 'four'],
    ],
    { tolerance: 1e-12, maxIterations: 1_000 },
  );
  expect(converged).toBe(true);
  expect(scores[0]).toBeCloseTo(a, 9);
  expect(scores[1]).toBeCloseTo(b, 9);
  expect(scores[2]).toBeCloseTo(a, 9);
});

test('uneven weights agree with the linear system solved by elimination', () => {
  const sentences = [
    ['parser', 'fails', 'header', 'file'],
    ['parser', 'header', 'slow'],
    ['file', 'upload', 'slow', 'customer', 'header'],
    ['customer', 'upload'],
    ['unrelated', 'words', 'here'],
  ];
  const { scores } = rankSentences(sentences, { tolerance: 1e-13, maxIterations: 2_000 });
  const weight = (i: number, j: number): number => {
    if (i === j) return 0;
    const common = sentences[i]!.filter((word) => sentences[j]!.includes(word)).length;
    return common / (Math.log(sentences[i]!.length) + Math.log(sentences[j]!.length));
  };
  const out = sentences.map((_, j) => sentences.reduce((sum, __, k) => sum + weight(j, k), 0));
  const matrix = sentences.map((_, i) =>
    sentences.map((__, j) => (i === j ? 1 : 0) - (out[j] === 0 ? 0 : (0.85 * weight(j, i)) / out[j]!)).concat(0.15),
  );
  const expected = solve(matrix);
  for (const [index, score] of scores.entries()) expect(score).toBeCloseTo(expected[index]!, 9);
  expect(scores[4]).toBeCloseTo(0.15, 12);
});

test('a sentence ranks the same wherever it stands, and connected scores average to 1', () => {
  const words = fc.constantFrom(...'a b c d e f g h i j'.split(' '));
  fc.assert(
    fc.property(
      fc.array(fc.array(words, { minLength: 2, maxLength: 6 }), { minLength: 2, maxLength: 12 }),
      fc.nat(),
      (sentences, turn) => {
        const shift = turn % sentences.length;
        const rotated = [...sentences.slice(shift), ...sentences.slice(0, shift)];
        const options = { tolerance: 1e-12, maxIterations: 2_000 };
        const before = rankSentences(sentences, options).scores;
        const after = rankSentences(rotated, options).scores;
        for (const [index, score] of after.entries())
          expect(score).toBeCloseTo(before[(index + shift) % sentences.length]!, 6);
        const linked = sentences.every((left, i) =>
          sentences.some((right, j) => i !== j && left.some((word) => right.includes(word))),
        );
        if (linked) expect(before.reduce((sum, score) => sum + score, 0) / before.length).toBeCloseTo(1, 6);
      },
    ),
    { numRuns: 50 },
  );
});

/** Gauss with partial pivoting on an augmented matrix. */
function solve(matrix: number[][]): number[] {
  const n = matrix.length;
  for (let column = 0; column < n; column++) {
    const pivot = matrix
      .map((row, index) => ({ row, index }))
      .slice(column)
      .reduce((best, entry) => (Math.abs(entry.row[column]!) > Math.abs(best.row[column]!) ? entry : best));
    [matrix[column], matrix[pivot.index]] = [matrix[pivot.index]!, matrix[column]!];
    for (let row = 0; row < n; row++) {
      if (row === column) continue;
      const factor = matrix[row]![column]! / matrix[column]![column]!;
      for (let k = column; k <= n; k++) matrix[row]![k]! -= factor * matrix[column]![k]!;
    }
  }
  return matrix.map((row, index) => row[n]! / row[index]!);
}

export interface Bm25Options {
  /** Saturation of term frequency. @default 1.2 */
  readonly k1?: number;
  /** Correction for length, 0 to 1. @default 0.75 */
  readonly b?: number;
}

/**
 * Okapi BM25 (Robertson et al. 1994; Robertson & Zaragoza 2009) of each document for a query, over these documents as
 * the collection. The inverse document frequency is ln(1 + (N - df + 0.5) / (df + 0.5)), never negative. A query word
 * counts as often as it is given.
 */
export function scoreBm25(
  documents: readonly (readonly string[])[],
  query: readonly string[],
  options: Bm25Options = {},
): number[] {
  const { k1 = 1.2, b = 0.75 } = options;
  const wanted = new Set(query);
  const frequencies = documents.map((document) => countWanted(document, wanted));
  const documentFrequency = new Map<string, number>();
  for (const counts of frequencies) {
    for (const word of counts.keys()) documentFrequency.set(word, (documentFrequency.get(word) ?? 0) + 1);
  }
  const totalLength = documents.reduce((sum, document) => sum + document.length, 0);
  const averageLength = totalLength / Math.max(1, documents.length) || 1;
  return documents.map((document, index) => {
    const counts = frequencies[index];
    if (counts === undefined || counts.size === 0) return 0;
    const lengthNorm = k1 * (1 - b + (b * document.length) / averageLength);
    let score = 0;
    for (const word of query) {
      const frequency = counts.get(word);
      if (frequency === undefined) continue;
      const containing = documentFrequency.get(word) ?? 0;
      const idf = Math.log(1 + (documents.length - containing + 0.5) / (containing + 0.5));
      score += (idf * frequency * (k1 + 1)) / (frequency + lengthNorm);
    }
    return score;
  });
}

function countWanted(document: readonly string[], wanted: ReadonlySet<string>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const word of document) if (wanted.has(word)) counts.set(word, (counts.get(word) ?? 0) + 1);
  return counts;
}

/** Term counts of one text. */
export type TermCounts = ReadonlyMap<string, number>;

export interface TermWeights {
  /** Summed over all texts of the collection. */
  readonly total: ReadonlyMap<string, number>;
  readonly documentFrequency: ReadonlyMap<string, number>;
}

export function countTerms(terms: Iterable<string>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const term of terms) counts.set(term, (counts.get(term) ?? 0) + 1);
  return counts;
}

/**
 * Smoothed inverse document frequency, ln((1 + N) / (1 + df)) + 1: a term in every text keeps weight 1, since the
 * subject of a dialog is named in most of its messages (plain ln(N / df) would give it 0).
 */
export function inverseDocumentFrequency(documentCount: number, documentFrequency: number): number {
  return Math.log((1 + documentCount) / (1 + documentFrequency)) + 1;
}

/**
 * TF-IDF with logarithmic term frequency and cosine normalisation (Salton & Buckley 1988), summed over the texts, so
 * that a long message counts no more than a short one. Independent of the order of the texts.
 */
export function weighTerms(documents: readonly TermCounts[]): TermWeights {
  const documentFrequency = new Map<string, number>();
  for (const document of documents) {
    for (const term of document.keys()) documentFrequency.set(term, (documentFrequency.get(term) ?? 0) + 1);
  }
  const total = new Map<string, number>();
  for (const document of documents) {
    const weights: [string, number][] = [];
    let squares = 0;
    for (const [term, count] of document) {
      const idf = inverseDocumentFrequency(documents.length, documentFrequency.get(term) ?? 0);
      const weight = (1 + Math.log(count)) * idf;
      squares += weight * weight;
      weights.push([term, weight]);
    }
    const norm = Math.sqrt(squares);
    for (const [term, weight] of weights) total.set(term, (total.get(term) ?? 0) + weight / norm);
  }
  return { total, documentFrequency };
}

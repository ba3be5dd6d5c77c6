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

/** How much of its length a text is normalised for: 0.2 after Singhal et al. */
const slope = 0.2;
const pauseEvery = 64;

/**
 * TF-IDF with logarithmic term frequency (Salton & Buckley 1988), divided by the pivoted length of the text (Singhal,
 * Buckley & Mitra 1996: 0.8 of the mean cosine length and 0.2 of its own) and summed over the texts. Plain cosine
 * length would let a message of one word outweigh every other. Independent of the order of the texts up to rounding.
 * `pause` is awaited now and then.
 */
export async function weighTerms(
  documents: readonly TermCounts[],
  pause: () => Promise<void> | undefined = () => undefined,
): Promise<TermWeights> {
  const filled = documents.filter((document) => document.size > 0);
  const documentFrequency = new Map<string, number>();
  for (const [index, document] of filled.entries()) {
    if (index % pauseEvery === 0) await pause();
    for (const term of document.keys()) documentFrequency.set(term, (documentFrequency.get(term) ?? 0) + 1);
  }
  const inverse = new Map<string, number>();
  for (const [term, frequency] of documentFrequency)
    inverse.set(term, inverseDocumentFrequency(documents.length, frequency));
  const lengths: number[] = [];
  for (const [index, document] of filled.entries()) {
    if (index % pauseEvery === 0) await pause();
    let squares = 0;
    for (const [term, count] of document) squares += weigh(count, inverse.get(term)) ** 2;
    lengths.push(Math.sqrt(squares));
  }
  const pivot = lengths.reduce((sum, length) => sum + length, 0) / Math.max(1, lengths.length);
  const total = new Map<string, number>();
  for (const [index, document] of filled.entries()) {
    if (index % pauseEvery === 0) await pause();
    const norm = (1 - slope) * pivot + slope * (lengths[index] ?? 0);
    for (const [term, count] of document) {
      total.set(term, (total.get(term) ?? 0) + weigh(count, inverse.get(term)) / norm);
    }
  }
  return { total, documentFrequency };
}

function weigh(count: number, inverseFrequency: number | undefined): number {
  return (count === 1 ? 1 : 1 + Math.log(count)) * (inverseFrequency ?? 0);
}

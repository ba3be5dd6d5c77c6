export interface TextRankOptions {
  /** Chance to follow an edge rather than jump. @default 0.85 */
  readonly damping?: number;
  /** Greatest change of a score at which the iteration has converged. @default 0.0001 */
  readonly tolerance?: number;
  /** @default 100 */
  readonly maxIterations?: number;
}

export interface TextRankResult {
  /** One score for each sentence, at least 1 - damping. */
  readonly scores: readonly number[];
  readonly iterations: number;
  readonly converged: boolean;
}

/**
 * Similarity of two sentences by Mihalcea & Tarau (2004): words in common over the sum of the logarithms of their
 * lengths. 0 where both have a single word, for which the formula is undefined.
 */
export function sentenceSimilarity(left: readonly string[], right: readonly string[]): number {
  const norm = Math.log(left.length) + Math.log(right.length);
  if (!(norm > 0) || !Number.isFinite(norm)) return 0;
  const words = new Set(left);
  let common = 0;
  for (const word of new Set(right)) if (words.has(word)) common++;
  return common / norm;
}

/**
 * TextRank for sentences (Mihalcea & Tarau 2004): weighted PageRank on the graph of similarities,
 * WS(i) = (1 - d) + d * sum over j of w(j,i) / sum over k of w(j,k) * WS(j), by power iteration from 1.
 * Quadratic in the number of sentences: the caller bounds it.
 */
export function rankSentences(
  sentences: readonly (readonly string[])[],
  options: TextRankOptions = {},
): TextRankResult {
  const { damping = 0.85, tolerance = 1e-4, maxIterations = 100 } = options;
  const edges = similarityGraph(sentences);
  let scores = new Float64Array(sentences.length).fill(1);
  for (let iteration = 1; iteration <= maxIterations; iteration++) {
    const next = new Float64Array(sentences.length).fill(1 - damping);
    for (const [from, targets] of edges.entries()) {
      if (targets.total === 0) continue;
      const share = (damping * (scores[from] ?? 0)) / targets.total;
      for (let edge = 0; edge < targets.to.length; edge++) {
        const to = targets.to[edge] ?? 0;
        next[to] = (next[to] ?? 0) + share * (targets.weight[edge] ?? 0);
      }
    }
    let change = 0;
    for (let index = 0; index < next.length; index++)
      change = Math.max(change, Math.abs((next[index] ?? 0) - (scores[index] ?? 0)));
    scores = next;
    if (change <= tolerance) return { scores: [...scores], iterations: iteration, converged: true };
  }
  return { scores: [...scores], iterations: maxIterations, converged: sentences.length === 0 };
}

interface Edges {
  readonly to: number[];
  readonly weight: number[];
  total: number;
}

/** Only pairs that share a word are looked at: an index from word to sentences counts the common words. */
function similarityGraph(sentences: readonly (readonly string[])[]): Edges[] {
  const edges = sentences.map((): Edges => ({ to: [], weight: [], total: 0 }));
  const index = new Map<string, number[]>();
  for (const [right, words] of sentences.entries()) {
    const common = new Map<number, number>();
    for (const word of new Set(words)) {
      const earlier = index.get(word);
      if (earlier === undefined) {
        index.set(word, [right]);
        continue;
      }
      for (const left of earlier) common.set(left, (common.get(left) ?? 0) + 1);
      earlier.push(right);
    }
    for (const [left, count] of common) {
      const norm = Math.log(sentences[left]?.length ?? 0) + Math.log(words.length);
      if (!(norm > 0)) continue;
      connect(edges, left, right, count / norm);
      connect(edges, right, left, count / norm);
    }
  }
  return edges;
}

function connect(edges: readonly Edges[], from: number, to: number, weight: number): void {
  const row = edges[from];
  if (row === undefined) return;
  row.to.push(to);
  row.weight.push(weight);
  row.total += weight;
}

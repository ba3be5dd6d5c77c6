/** A ranking with its weight: best first; options left out stand last together. */
export interface Ranking {
  readonly order: readonly string[];
  readonly weight: number;
}

/** `beats[i][j]`: weight of the voters that put option i before option j. */
export type Pairwise = readonly Float64Array[];

export function countPairs(options: readonly string[], rankings: readonly Ranking[]): Pairwise {
  const size = options.length;
  const index = new Map(options.map((option, at) => [option, at]));
  const beats = options.map(() => new Float64Array(size));
  const place = new Int32Array(size);
  for (const { order, weight } of rankings) {
    place.fill(size);
    for (const [at, option] of order.entries()) place[index.get(option)!] = at;
    for (let i = 0; i < size; i += 1)
      for (let j = 0; j < size; j += 1) if (place[i]! < place[j]!) beats[i]![j]! += weight;
  }
  return beats;
}

export interface SchulzeResult {
  /** Those that no other beats; more than one where they tie. */
  readonly winners: readonly string[];
  /** All options from the best on; those in one group tie. */
  readonly order: readonly (readonly string[])[];
  readonly beats: Pairwise;
  /** Strength of the strongest path between two options, in winning votes. */
  readonly strength: Pairwise;
}

/**
 * The Schulze method (Schulze 2011, Social Choice and Welfare 36), strengths in winning votes: strongest paths by the
 * algorithm of Floyd and Warshall, O(options^3). Its relation is transitive, so that the options stand in an order.
 */
export function schulze(options: readonly string[], rankings: readonly Ranking[]): SchulzeResult {
  const size = options.length;
  const beats = countPairs(options, rankings);
  const strength = beats.map((row, i) => row.map((votes, j) => (votes > beats[j]![i]! ? votes : 0)));
  for (let k = 0; k < size; k += 1)
    for (let i = 0; i < size; i += 1) {
      if (i === k) continue;
      const through = strength[i]![k]!;
      if (through === 0) continue;
      const [from, on] = [strength[i]!, strength[k]!];
      for (let j = 0; j < size; j += 1) {
        if (j === i || j === k) continue;
        const way = through < on[j]! ? through : on[j]!;
        if (way > from[j]!) from[j] = way;
      }
    }
  const isBeaten = (i: number, among: readonly number[]) => among.some((j) => strength[j]![i]! > strength[i]![j]!);
  const order: string[][] = [];
  for (let left = options.map((_, at) => at); left.length > 0; ) {
    const best = left.filter((i) => !isBeaten(i, left));
    order.push(best.map((i) => options[i]!));
    left = left.filter((i) => !best.includes(i));
  }
  return { winners: order[0] ?? [], order, beats, strength };
}

export interface Greatest {
  set(at: number, value: number): void;
  /** 0 where there are none. */
  value(): number;
}

/** The greatest of values of at least 0 that change one at a time: a tournament, whose rounds halve them. */
export function createGreatest(values: ArrayLike<number>): Greatest {
  const size = 2 ** Math.ceil(Math.log2(Math.max(1, values.length)));
  // The winner of places 2n and 2n + 1 is at n; the values stand behind them.
  const rounds = new Float64Array(2 * size);
  rounds.set(values, size);
  for (let at = size - 1; at >= 1; at -= 1) rounds[at] = Math.max(rounds[2 * at]!, rounds[2 * at + 1]!);
  return {
    set(place, value) {
      let at = size + place;
      rounds[at] = value;
      for (at >>= 1; at >= 1; at >>= 1) {
        const greater = Math.max(rounds[2 * at]!, rounds[2 * at + 1]!);
        if (rounds[at] === greater) return;
        rounds[at] = greater;
      }
    },
    value: () => rounds[1]!,
  };
}

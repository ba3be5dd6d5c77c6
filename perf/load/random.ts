/** Repeatable randomness: the same seed gives the same run. */
export interface Random {
  /** Uniform in [0, 1) with 32 random bits. */
  next(): number;
  /** Uniform integer in [0, bound). */
  integer(bound: number): number;
  pick<T>(items: readonly T[]): T;
  /** UUID v4 of this sequence. A key that must be new in every run (idempotency) is `crypto.randomUUID()` instead. */
  uuid(): string;
  /** Exponentially distributed with this mean: the gap between the arrivals of a Poisson process. */
  exponential(mean: number): number;
}

/** sfc32 (Chris Doty-Humphrey, PractRand, 2010), its state filled by splitmix32. */
export function createRandom(seed: number): Random {
  let mix = seed >>> 0;
  const splitmix = (): number => {
    mix = (mix + 0x9e3779b9) >>> 0;
    let z = mix;
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
    return (z ^ (z >>> 16)) >>> 0;
  };
  let a = splitmix();
  let b = splitmix();
  let c = splitmix();
  let counter = 1;
  const bits = (): number => {
    const result = (a + b + counter) >>> 0;
    counter = (counter + 1) >>> 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) >>> 0;
    c = (((c << 21) | (c >>> 11)) + result) >>> 0;
    return result;
  };
  for (let i = 0; i < 12; i += 1) bits();
  const next = (): number => bits() / 0x1_0000_0000;
  const integer = (bound: number): number => Math.floor(next() * bound);
  const hex = (digits: number): string => bits().toString(16).padStart(8, '0').slice(0, digits);
  return {
    next,
    integer,
    pick(items) {
      if (items.length === 0) throw new Error('expected at least one item to pick from, got none');
      return items[integer(items.length)]!;
    },
    uuid: () => `${hex(8)}-${hex(4)}-4${hex(3)}-${'89ab'[integer(4)]}${hex(3)}-${hex(8)}${hex(4)}`,
    exponential: (mean) => -Math.log(1 - next()) * mean,
  };
}

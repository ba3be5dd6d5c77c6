import fc from 'fast-check';
import {
  type DependencyType,
  dependencyTypes,
  free,
  type RenewableResource,
  type SchedulingProblem,
} from '../../../subgraphs/plan/scheduling/index.ts';

interface Shape {
  readonly most: number;
  readonly types?: readonly DependencyType[];
  readonly longestDuration?: number;
}

const highestCapacity = 5;

/** Feasible problems: acyclic, with lags below and above zero, and calendars that end at full capacity. */
export function anyProblem({
  most,
  types = dependencyTypes,
  longestDuration = 6,
}: Shape): fc.Arbitrary<SchedulingProblem> {
  return fc
    .record({ size: fc.integer({ min: 1, max: most }), resourceCount: fc.integer({ min: 0, max: 3 }) })
    .chain(({ size, resourceCount }) =>
      fc.record({
        durations: int32s(size, { min: 0, max: longestDuration }),
        demands: int32s(size * resourceCount, { min: 0, max: highestCapacity }),
        releases: int32s(size, { min: 0, max: 4 }),
        resources: fc.array(anyResource, { minLength: resourceCount, maxLength: resourceCount }),
        precedences: fc.array(
          fc
            .record({
              pair: fc.tuple(fc.nat(size - 1), fc.nat(size - 1)).filter(([left, right]) => left !== right),
              type: fc.constantFrom(...types),
              lag: fc.integer({ min: -3, max: 3 }),
            })
            .map(({ pair, type, lag }) => ({ from: Math.min(...pair), to: Math.max(...pair), type, lag })),
          { maxLength: size < 2 ? 0 : 2 * size },
        ),
      }),
    );
}

const anyResource: fc.Arbitrary<RenewableResource> = fc
  .array(fc.integer({ min: 0, max: highestCapacity }), { maxLength: 3 })
  .chain((levels) =>
    fc.array(fc.integer({ min: 1, max: 5 }), { minLength: levels.length, maxLength: levels.length }).map((lengths) => {
      if (levels.length === 0) return { capacity: highestCapacity };
      let time = 0;
      const calendar = lengths.map((length, at) => {
        time += length;
        return { time, capacity: levels[at + 1] ?? highestCapacity };
      });
      return { capacity: levels[0]!, calendar };
    }),
  );

function int32s(length: number, range: { min: number; max: number }): fc.Arbitrary<Int32Array> {
  return fc.array(fc.integer(range), { minLength: length, maxLength: length }).map((values) => Int32Array.from(values));
}

/** Sequential by finish-to-start with unit demands on one resource: the shape a test then changes. */
export function plainProblem(
  durations: readonly number[],
  overrides: Partial<SchedulingProblem> = {},
): SchedulingProblem {
  return {
    durations: Int32Array.from(durations),
    demands: new Int32Array(durations.length).fill(1),
    resources: [{ capacity: 1 }],
    precedences: [],
    ...overrides,
  };
}

export function fixedAt(size: number, starts: Record<number, number>): Int32Array {
  return Int32Array.from({ length: size }, (_, activity) => starts[activity] ?? free);
}

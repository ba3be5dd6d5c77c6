import fc from 'fast-check';
import {
  type DependencyType,
  dependencyTypes,
  type NetworkDependency,
  type NetworkStep,
} from '../../../subgraphs/plan/network/index.ts';

export interface NetworkInput {
  readonly steps: NetworkStep[];
  readonly dependencies: NetworkDependency[];
}

export interface NetworkShape {
  readonly maxSteps?: number;
  readonly types?: readonly DependencyType[];
  readonly minLag?: number;
  readonly maxLag?: number;
  readonly imposed?: boolean;
  readonly acyclic?: boolean;
}

/** Networks of integer times. Acyclic ones run from lower to higher rank, and the ranks are shuffled over the indices. */
export function networks(shape: NetworkShape = {}): fc.Arbitrary<NetworkInput> {
  const { maxSteps = 9, types = dependencyTypes, minLag = -3, maxLag = 4, imposed = false, acyclic = true } = shape;
  return fc.integer({ min: 1, max: maxSteps }).chain((count) => {
    const names = Array.from({ length: count }, (_, index) => `s${index}`);
    const pair = fc
      .tuple(fc.nat({ max: count - 1 }), fc.nat({ max: count - 1 }))
      .filter(([source, target]) => !acyclic || source !== target);
    return fc
      .record({
        ranked: fc.shuffledSubarray(names, { minLength: count, maxLength: count }),
        times: fc.array(
          fc.record({
            duration: fc.nat({ max: 7 }),
            earliestStart: fc.option(fc.nat({ max: 12 }), { nil: undefined }),
          }),
          { minLength: count, maxLength: count },
        ),
        edges: fc.array(fc.tuple(pair, fc.constantFrom(...types), fc.integer({ min: minLag, max: maxLag })), {
          maxLength: count === 1 && acyclic ? 0 : 2 * count,
        }),
      })
      .map(({ ranked, times, edges }) => ({
        steps: names.map((id, index) => ({
          id,
          duration: times[index]!.duration,
          ...(imposed ? { earliestStart: times[index]!.earliestStart } : {}),
        })),
        dependencies: edges.map(([[left, right], type, lag], index) => ({
          id: `d${index}`,
          source: ranked[acyclic ? Math.min(left, right) : left]!,
          target: ranked[acyclic ? Math.max(left, right) : right]!,
          type,
          lag,
        })),
      }));
  });
}

/** A finish-to-start chain or mesh written as `a:3 b:2<a c:1<a,b`. */
export function parseNetwork(text: string): NetworkInput {
  const steps: NetworkStep[] = [];
  const dependencies: NetworkDependency[] = [];
  for (const word of text.split(' ')) {
    const [, id, duration, before] = /^(\w+):(\d+)(?:<(.+))?$/.exec(word)!;
    steps.push({ id: id!, duration: Number(duration) });
    for (const source of before?.split(',') ?? [])
      dependencies.push({ id: `${source}>${id}`, source, target: id!, type: 'finish_to_start', lag: 0 });
  }
  return { steps, dependencies };
}

export interface NaiveSchedule {
  readonly start: Map<string, number>;
  readonly end: Map<string, number>;
  readonly finish: number;
}

/** Relaxes every inequality until nothing moves (Bellman-Ford), with steps that stretch or do not. */
export function naiveSchedule({ steps, dependencies }: NetworkInput, stretch = false): NaiveSchedule {
  const start = new Map(steps.map((step) => [step.id, Math.max(0, step.earliestStart ?? 0)]));
  const end = new Map(steps.map((step) => [step.id, start.get(step.id)! + step.duration]));
  for (let moved = true; moved; ) {
    moved = false;
    const raise = (dates: Map<string, number>, id: string, value: number): void => {
      if (dates.get(id)! >= value) return;
      dates.set(id, value);
      moved = true;
    };
    for (const { source, target, type, lag } of dependencies) {
      const from = type.startsWith('finish') ? end : start;
      raise(type.endsWith('finish') ? end : start, target, from.get(source)! + lag);
    }
    for (const { id, duration } of steps) {
      raise(end, id, start.get(id)! + duration);
      if (!stretch) raise(start, id, end.get(id)! - duration);
    }
  }
  return { start, end, finish: Math.max(0, ...end.values()) };
}

/** Which steps each step reaches over one or more dependencies, by depth-first search. */
export function naiveReach({ steps, dependencies }: NetworkInput): Map<string, Set<string>> {
  return new Map(
    steps.map(({ id }) => {
      const seen = new Set<string>();
      const visit = (from: string): void => {
        for (const { source, target } of dependencies)
          if (source === from && !seen.has(target)) {
            seen.add(target);
            visit(target);
          }
      };
      visit(id);
      return [id, seen];
    }),
  );
}

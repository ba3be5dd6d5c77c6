import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import {
  type Continuity,
  computeSchedule,
  createNetwork,
  findCriticalPaths,
} from '../../../subgraphs/plan/network/index.ts';
import { type NetworkInput, naiveSchedule, networks, parseNetwork } from './networks.ts';

const build = ({ steps, dependencies }: NetworkInput) => createNetwork(steps, dependencies);
const limit = 60;

/** Largest delay up to `limit` for which the condition holds. */
function largestDelay(holds: (delay: number) => boolean): number {
  let delay = 0;
  while (delay < limit && holds(delay + 1)) delay += 1;
  return delay;
}

const delayStart = (input: NetworkInput, id: string, until: number): NetworkInput => ({
  ...input,
  steps: input.steps.map((step) =>
    step.id === id ? { ...step, earliestStart: Math.max(until, step.earliestStart ?? 0) } : step,
  ),
});

/** Holds back the finish alone, by a milestone that the step may not finish before. */
const delayFinish = (input: NetworkInput, id: string, until: number): NetworkInput => ({
  steps: [...input.steps, { id: 'gate', duration: 0, earliestStart: until }],
  dependencies: [...input.dependencies, { id: 'gate', source: 'gate', target: id, type: 'finish_to_finish', lag: 0 }],
});

describe.each<Continuity>(['contiguous', 'interruptible'])('%s steps', (continuity) => {
  const stretch = continuity === 'interruptible';
  const schedule = (input: NetworkInput, horizon?: number) =>
    computeSchedule(build(input), { continuity, ...(horizon === undefined ? {} : { horizon }) });

  it('start and finish as early as every inequality allows', () => {
    fc.assert(
      fc.property(networks({ imposed: true, maxSteps: 12 }), (input) => {
        const { earlyStart, earlyFinish, finish } = schedule(input);
        const naive = naiveSchedule(input, stretch);
        expect([...earlyStart]).toEqual([...naive.start.values()]);
        expect([...earlyFinish]).toEqual([...naive.end.values()]);
        expect(finish).toBe(naive.finish);
      }),
      { numRuns: 500 },
    );
  });

  it('have as float the largest delay of start or finish that does not move the end of the project', () => {
    fc.assert(
      fc.property(networks({ imposed: true }), (input) => {
        const { earlyStart, earlyFinish, startFloat, finishFloat, totalFloat, finish } = schedule(input);
        for (const [node, { id }] of input.steps.entries()) {
          const keepsEnd = (changed: NetworkInput) => naiveSchedule(changed, stretch).finish === finish;
          expect(startFloat[node]).toBe(
            largestDelay((delay) => keepsEnd(delayStart(input, id, earlyStart[node]! + delay))),
          );
          expect(finishFloat[node]).toBe(
            largestDelay((delay) => keepsEnd(delayFinish(input, id, earlyFinish[node]! + delay))),
          );
          expect(totalFloat[node]).toBe(Math.min(startFloat[node]!, finishFloat[node]!));
        }
      }),
      { numRuns: 200 },
    );
  });

  it('have as free float the largest delay that moves no other step and not the end', () => {
    fc.assert(
      fc.property(networks({ imposed: true }), (input) => {
        const { earlyStart, earlyFinish, freeFloat, finish } = schedule(input);
        for (const [node, { id }] of input.steps.entries()) {
          const movesNothing = (delay: number): boolean => {
            const later = naiveSchedule(
              delayFinish(delayStart(input, id, earlyStart[node]! + delay), id, earlyFinish[node]! + delay),
              stretch,
            );
            return (
              later.finish === finish &&
              input.steps.every(
                (other, at) =>
                  at === node ||
                  (later.start.get(other.id) === earlyStart[at] && later.end.get(other.id) === earlyFinish[at]),
              )
            );
          };
          expect(freeFloat[node]).toBe(largestDelay(movesNothing));
        }
      }),
      { numRuns: 200 },
    );
  });

  it('have as longest remaining path what the project still takes when only they hold it up', () => {
    fc.assert(
      fc.property(networks({ minLag: 0 }), (input) => {
        const { longestRemaining, finish } = schedule(input);
        const far = 1_000;
        for (const [node, { id }] of input.steps.entries())
          expect(naiveSchedule(delayStart(input, id, far), stretch).finish).toBe(far + longestRemaining[node]!);
        expect(Math.max(...longestRemaining)).toBeGreaterThanOrEqual(0);
        expect(Math.max(...longestRemaining)).toBeLessThanOrEqual(finish);
      }),
      { numRuns: 200 },
    );
  });

  it('are critical exactly when they have no float', () => {
    fc.assert(
      fc.property(networks({ imposed: true }), (input) => {
        const { critical, totalFloat } = schedule(input);
        expect([...critical]).toEqual([...totalFloat].map((float) => (float === 0 ? 1 : 0)));
      }),
      { numRuns: 500 },
    );
  });

  it('form critical paths that are as many as counted and cover the critical steps', () => {
    fc.assert(
      fc.property(networks({ imposed: true }), (input) => {
        const network = build(input);
        const dates = schedule(input);
        const { count, paths } = findCriticalPaths(network, dates);
        const listed = [...paths()];
        expect(BigInt(listed.length)).toBe(count);
        expect([...paths({ limit: 2 })]).toEqual(listed.slice(0, 2));
        if (continuity === 'contiguous') expect(new Set(listed.map(String)).size).toBe(listed.length);
        const covered = new Set(listed.flat());
        expect(network.ids.filter((id) => covered.has(id))).toEqual(
          network.ids.filter((_, node) => dates.critical[node] === 1),
        );
      }),
      { numRuns: 300 },
    );
  });
});

it('lists the longest paths of a finish-to-start network, all of them', () => {
  fc.assert(
    fc.property(networks({ types: ['finish_to_start'], minLag: 0, maxLag: 2 }), (input) => {
      const longest = new Set<string>();
      let length = -1;
      const walk = (path: string[], total: number): void => {
        const id = path.at(-1)!;
        const after = input.dependencies.filter(({ source }) => source === id);
        const sum = total + input.steps.find((step) => step.id === id)!.duration;
        for (const { target, lag } of after) walk([...path, target], sum + lag);
        if (after.length > 0 || sum < length) return;
        if (sum > length) longest.clear();
        length = sum;
        longest.add(String(path));
      };
      for (const { id } of input.steps) if (!input.dependencies.some(({ target }) => target === id)) walk([id], 0);
      const network = build(input);
      const { paths } = findCriticalPaths(network, computeSchedule(network));
      const listed = [...paths()].map(String);
      expect(listed.toSorted()).toEqual([...longest].toSorted());
    }),
    { numRuns: 300 },
  );
});

it('delays a step as long as its total float by lengthening it, in a finish-to-start network', () => {
  fc.assert(
    fc.property(networks({ types: ['finish_to_start'], minLag: 0 }), (input) => {
      const { totalFloat, finish } = computeSchedule(build(input));
      for (const [node, { id }] of input.steps.entries()) {
        const longer = (delay: number): NetworkInput => ({
          ...input,
          steps: input.steps.map((step) => (step.id === id ? { ...step, duration: step.duration + delay } : step)),
        });
        expect(largestDelay((delay) => naiveSchedule(longer(delay)).finish === finish)).toBe(totalFloat[node]);
      }
    }),
    { numRuns: 200 },
  );
});

test('a hundred diamonds in a row have 2^100 critical paths, of which three are listed', () => {
  const words = ['j0:0'];
  for (let n = 0; n < 100; n += 1) words.push(`l${n}:1<j${n}`, `r${n}:1<j${n}`, `j${n + 1}:0<l${n},r${n}`);
  const network = build(parseNetwork(words.join(' ')));
  const { count, paths } = findCriticalPaths(network, computeSchedule(network));
  expect(count).toBe(2n ** 100n);
  expect([...paths({ limit: 3 })].map((path) => path.length)).toEqual([201, 201, 201]);
});

test('a deadline and a horizon move the late dates only', () => {
  const { steps, dependencies } = parseNetwork('a:2 b:4<a c:1<a d:3<b,c');
  const network = createNetwork(
    steps.map((step) => (step.id === 'b' ? { ...step, deadline: 5 } : step)),
    dependencies,
  );
  const { earlyStart, lateStart, totalFloat, critical } = computeSchedule(network, { horizon: 10 });
  expect([...earlyStart]).toEqual([0, 2, 2, 6]);
  expect([...lateStart]).toEqual([-1, 1, 6, 7]);
  expect([...totalFloat]).toEqual([-1, -1, 4, 1]);
  expect([...critical]).toEqual([1, 1, 0, 1]);
});

test('a finish-to-finish bound pushes a contiguous step and stretches an interruptible one', () => {
  const { steps } = parseNetwork('a:10 b:2');
  const network = createNetwork(steps, [
    { id: 'x', source: 'a', target: 'b', type: 'start_to_start', lag: 1 },
    { id: 'y', source: 'a', target: 'b', type: 'finish_to_finish', lag: 1 },
  ]);
  const rigid = computeSchedule(network);
  expect([rigid.earlyStart[1], rigid.earlyFinish[1], rigid.startFloat[1], rigid.finishFloat[1]]).toEqual([9, 11, 0, 0]);
  const loose = computeSchedule(network, { continuity: 'interruptible' });
  expect([loose.earlyStart[1], loose.earlyFinish[1], loose.startFloat[1], loose.finishFloat[1]]).toEqual([1, 11, 8, 0]);
});

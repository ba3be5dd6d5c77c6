import fc from 'fast-check';
import { expect, it } from 'vitest';
import { simulateFinish } from '../../../subgraphs/plan/analysis/monteCarlo.ts';
import { analyzePert } from '../../../subgraphs/plan/analysis/pert.ts';
import {
  computeSchedule,
  createNetwork,
  findCriticalPaths,
  fits,
  intersect,
  type NetworkStep,
  type OpenTimes,
} from '../../../subgraphs/plan/network/index.ts';
import { type NetworkInput, networks } from './networks.ts';

/** Spans that alternate with breaks; the last is endless, so that each step fits somewhere. */
const openTimes = fc
  .array(fc.record({ pause: fc.integer({ min: 1, max: 6 }), length: fc.integer({ min: 1, max: 6 }) }), { maxLength: 3 })
  .chain((spans) => fc.record({ spans: fc.constant(spans), last: fc.integer({ min: 1, max: 5 }) }))
  .map(({ spans, last }): OpenTimes => {
    let end = 0;
    const from: number[] = [];
    const until: number[] = [];
    for (const { pause, length } of spans) {
      from.push(end + pause);
      end += pause + length;
      until.push(end);
    }
    return { from: Float64Array.of(...from, end + last), until: Float64Array.of(...until, Infinity) };
  });

const timed = networks({ imposed: true }).chain(({ steps, dependencies }) =>
  fc
    .array(fc.option(openTimes, { nil: undefined }), { minLength: steps.length, maxLength: steps.length })
    .map((open) => ({ steps: steps.map((step, at): NetworkStep => ({ ...step, open: open[at] })), dependencies })),
);

const build = ({ steps, dependencies }: NetworkInput) => createNetwork(steps, dependencies);
const isOpen = ({ open, duration }: NetworkStep, start: number) => open === undefined || fits(open, start, duration);

/** Moves every start one unit at a time until all relations and times are kept. */
function naiveDates({ steps, dependencies }: NetworkInput) {
  const start = new Map(steps.map(({ id, earliestStart }) => [id, Math.max(0, earliestStart ?? 0)]));
  const byId = new Map(steps.map((step) => [step.id, step]));
  for (let moved = true; moved; ) {
    moved = false;
    const raise = (id: string, to: number) => {
      if (to <= start.get(id)!) return;
      start.set(id, to);
      moved = true;
    };
    for (const step of steps) if (!isOpen(step, start.get(step.id)!)) raise(step.id, start.get(step.id)! + 1);
    for (const { source, target, type, lag } of dependencies) {
      const bound = start.get(source)! + (type.startsWith('finish') ? byId.get(source)!.duration : 0) + lag;
      raise(target, type.endsWith('finish') ? bound - byId.get(target)!.duration : bound);
    }
  }
  const starts = steps.map(({ id }) => start.get(id)!);
  return { starts, finish: Math.max(0, ...starts.map((at, node) => at + steps[node]!.duration)) };
}

const held = (input: NetworkInput, node: number, from: number): NetworkInput => ({
  ...input,
  steps: input.steps.map((step, at) => (at === node ? { ...step, earliestStart: from } : step)),
});

it('begins each step where it fits, and floats as far as its times leave it', () => {
  fc.assert(
    fc.property(timed, (input) => {
      const { earlyStart, finish, lateStart, totalFloat, freeFloat, critical } = computeSchedule(build(input));
      const naive = naiveDates(input);
      expect([...earlyStart]).toEqual(naive.starts);
      expect(finish).toBe(naive.finish);
      for (const [node, step] of input.steps.entries()) {
        expect(isOpen(step, lateStart[node]!)).toBe(true);
        expect(naiveDates(held(input, node, lateStart[node]!)).finish).toBe(finish);
        expect(naiveDates(held(input, node, lateStart[node]! + 1)).finish).toBeGreaterThan(finish);
        expect(critical[node]).toBe(totalFloat[node] === 0 ? 1 : 0);
        const others = (from: number) => {
          const found = naiveDates(held(input, node, from));
          return [found.finish, ...found.starts.toSpliced(node, 1)];
        };
        const undisturbed = [finish, ...naive.starts.toSpliced(node, 1)];
        expect(others(earlyStart[node]! + freeFloat[node]!)).toEqual(undisturbed);
        expect(others(earlyStart[node]! + freeFloat[node]! + 1)).not.toEqual(undisturbed);
      }
    }),
    { numRuns: 400 },
  );
});

it('lists as critical paths those on which every delay delays the project', () => {
  fc.assert(
    fc.property(timed, (input) => {
      const network = build(input);
      const schedule = computeSchedule(network);
      const listed = new Set([...findCriticalPaths(network, schedule).paths()].flat());
      expect(listed).toEqual(new Set(input.steps.flatMap(({ id }, at) => (schedule.critical[at] ? [id] : []))));
    }),
    { numRuns: 200 },
  );
});

it('samples and PERT come to the same for fixed durations', () => {
  fc.assert(
    fc.property(timed, (input) => {
      const network = build(input);
      const exact = input.steps.map(({ duration: is }) => ({ optimistic: is, mostLikely: is, pessimistic: is }));
      const { finish, critical } = computeSchedule(network);
      const sampled = simulateFinish(network, exact, { samples: 2 });
      expect(sampled.mean).toBe(finish);
      expect([...sampled.criticality]).toEqual([...critical]);
      expect(analyzePert(network, exact).finish).toBeCloseTo(finish, 9);
    }),
    { numRuns: 200 },
  );
});

it('a longer sample begins where the plan would and goes on past the end of the span', () => {
  const open = { from: Float64Array.of(4, 20), until: Float64Array.of(10, Infinity) };
  const network = createNetwork([{ id: 'a', duration: 5, open }], []);
  const longer = { optimistic: 8, mostLikely: 8, pessimistic: 8 };
  expect(simulateFinish(network, [longer], { samples: 1 }).mean).toBe(12);
});

it('has what two times have in common', () => {
  fc.assert(
    fc.property(openTimes, openTimes, (left, right) => {
      const both = intersect(left, right);
      for (let at = 0; at < 60; at += 1) expect(fits(both, at, 1)).toBe(fits(left, at, 1) && fits(right, at, 1));
    }),
  );
});

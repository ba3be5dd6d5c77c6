import fc from 'fast-check';
import { expect, it, test } from 'vitest';
import {
  createStaffing,
  measureProgress,
  rankSteps,
  simulateDispatch,
} from '../../../subgraphs/plan/dispatch/index.ts';
import { computeSchedule, createNetwork, peakOf, sumSpans } from '../../../subgraphs/plan/network/index.ts';
import { networks } from '../network/networks.ts';

it('follows the early dates of interruptible steps when nothing is scarce', () => {
  fc.assert(
    fc.property(networks({ imposed: true, minLag: 0 }), ({ steps, dependencies }) => {
      const network = createNetwork(steps, dependencies);
      const schedule = computeSchedule(network, { continuity: 'interruptible' });
      const run = simulateDispatch(network, { rank: rankSteps(network, schedule) });
      expect(run.complete).toBe(true);
      expect([...run.start]).toEqual([...schedule.earlyStart]);
      expect([...run.finish]).toEqual([...schedule.earlyFinish]);
      expect(run.makespan).toBe(schedule.finish);
    }),
    { numRuns: 300 },
  );
});

it('keeps every relation and capacity when something is', () => {
  const shape = networks({ imposed: true, minLag: 0, maxSteps: 12 }).chain((input) =>
    fc.tuple(
      fc.constant(input),
      fc.array(fc.nat({ max: 3 }), { minLength: input.steps.length, maxLength: input.steps.length }),
    ),
  );
  fc.assert(
    fc.property(shape, ([{ steps, dependencies }, amounts]) => {
      const network = createNetwork(steps, dependencies);
      const run = simulateDispatch(network, {
        rank: rankSteps(network, computeSchedule(network)),
        capacities: new Map([['crew', 3]]),
        demands: amounts.map((amount) => [{ resourceId: 'crew', amount }]),
        maxConcurrent: 2,
      });
      expect(run.complete).toBe(true);
      for (const { source, target, type, lag } of dependencies) {
        const [from, to] = [network.indexOf.get(source)!, network.indexOf.get(target)!];
        const before = type.startsWith('start') ? run.start[from]! : run.finish[from]!;
        const after = type.endsWith('start') ? run.start[to]! : run.finish[to]!;
        expect(after).toBeGreaterThanOrEqual(before + lag);
      }
      const spans = steps.map(({ duration }, node) => ({ start: run.start[node]!, end: run.start[node]! + duration }));
      expect(peakOf(sumSpans(spans.map((span) => ({ ...span, weight: 1 }))))).toBeLessThanOrEqual(2);
      expect(peakOf(sumSpans(spans.map((span, node) => ({ ...span, weight: amounts[node]! }))))).toBeLessThanOrEqual(3);
    }),
    { numRuns: 300 },
  );
});

it('gives no agent more than it can carry, none outside its time, and each step one that can do it', () => {
  const agent = fc.record({
    agentId: fc.uuid(),
    capabilities: fc.uniqueArray(fc.constantFrom('a', 'b')),
    capacity: fc.integer({ min: 1, max: 2 }),
    availableFrom: fc.nat({ max: 20 }),
  });
  const shape = networks({ minLag: 0, maxSteps: 10 }).chain((input) =>
    fc.tuple(
      fc.constant(input),
      fc.array(fc.uniqueArray(fc.constantFrom('a', 'b')), {
        minLength: input.steps.length,
        maxLength: input.steps.length,
      }),
      fc.uniqueArray(agent, { minLength: 1, maxLength: 4, selector: ({ agentId }) => agentId }),
    ),
  );
  fc.assert(
    fc.property(shape, ([{ steps, dependencies }, needs, pool]) => {
      const network = createNetwork(steps, dependencies);
      const staffing = createStaffing(
        pool,
        needs.map((capabilities) => ({ capabilities })),
      );
      const rank = rankSteps(network, computeSchedule(network));
      const run = simulateDispatch(network, { rank }, { staffing });
      const able = needs.every((wanted) =>
        pool.some(({ capabilities }) => wanted.every((one) => capabilities.includes(one))),
      );
      expect(run.complete).toBe(able);
      for (const { agentId, capabilities, capacity, availableFrom } of pool) {
        const own = steps.flatMap(({ duration }, node) =>
          run.agents[node] === agentId ? [{ node, start: run.start[node]!, end: run.start[node]! + duration }] : [],
        );
        for (const { node, start } of own) {
          expect(start).toBeGreaterThanOrEqual(availableFrom);
          expect(needs[node]!.filter((one) => !capabilities.includes(one))).toEqual([]);
        }
        expect(peakOf(sumSpans(own.map((span) => ({ ...span, weight: 1 }))))).toBeLessThanOrEqual(capacity);
      }
    }),
    { numRuns: 200 },
  );
});

test('progress is weighted by duration and leaves skipped steps out', () => {
  expect(measureProgress([])).toBe(1);
  expect(
    measureProgress([
      { duration: 30, progress: 1 },
      { duration: 10, progress: 0.5 },
    ]),
  ).toBe(0.875);
  expect(
    measureProgress([
      { duration: 30, progress: 0, skipped: true },
      { duration: 10, progress: 0.5 },
    ]),
  ).toBe(0.5);
  expect(
    measureProgress([
      { duration: 0, progress: 1 },
      { duration: 0, progress: 0 },
    ]),
  ).toBe(0.5);
});

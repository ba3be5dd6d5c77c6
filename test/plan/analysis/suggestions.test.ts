import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import {
  analyzePlan,
  applyChange,
  type PlanChange,
  type PlanProblem,
  type ProblemStep,
  suggestChanges,
} from '../../../subgraphs/plan/analysis/index.ts';
import { rankSteps, simulateDispatch } from '../../../subgraphs/plan/dispatch/index.ts';
import { type Continuity, computeSchedule, createNetwork } from '../../../subgraphs/plan/network/index.ts';
import { networks, parseNetwork } from '../network/networks.ts';

/** Priority-rule scheduling under resources. */
function schedule({ steps, dependencies, resources }: PlanProblem): number {
  const network = createNetwork(steps, dependencies);
  return simulateDispatch(network, {
    rank: rankSteps(network, computeSchedule(network)),
    capacities: new Map(resources.map(({ id, capacity }) => [id, capacity])),
    demands: steps.map(({ demands = [] }) => demands),
  }).makespan;
}

const longestPath = ({ steps, dependencies }: PlanProblem, continuity: Continuity = 'contiguous'): number =>
  computeSchedule(createNetwork(steps, dependencies), { continuity }).finish;

const problems: fc.Arbitrary<PlanProblem> = networks({ imposed: true, minLag: 0, maxSteps: 10 }).chain((input) =>
  fc
    .array(
      fc.record({
        amount: fc.nat({ max: 3 }),
        cut: fc.nat({ max: 4 }),
        parts: fc.nat({ max: 3 }),
        parallel: fc.boolean(),
      }),
      { minLength: input.steps.length, maxLength: input.steps.length },
    )
    .map((details) => ({
      steps: input.steps.map((step, at): ProblemStep => {
        const { amount, cut, parts, parallel } = details[at]!;
        return {
          ...step,
          demands: [{ resourceId: 'crew', amount }],
          crash: { minDuration: Math.max(0, step.duration - cut), costPerUnit: 5 },
          ...(parts > 0 ? { divisible: { maxParts: parts, parallel } } : {}),
        };
      }),
      dependencies: input.dependencies,
      resources: [{ id: 'crew', capacity: 3, maxAdded: 3, costRate: 2 }],
    })),
);

describe('suggestions for any plan', () => {
  it('state a gain that the change really brings, best first', () => {
    fc.assert(
      fc.property(problems, (problem) => {
        const frozen = structuredClone(problem);
        const { makespan, suggestions, evaluations, untried } = suggestChanges(problem, schedule, { limit: 100 });
        expect(problem).toEqual(frozen);
        expect(makespan).toBe(schedule(problem));
        for (const { change, before, after, gain } of suggestions) {
          expect(before).toBe(makespan);
          expect(after).toBe(schedule(applyChange(problem, change)));
          expect(gain).toBe(before - after);
          if (change.kind !== 'remove_redundant_edge') expect(gain).toBeGreaterThan(0);
        }
        const gains = suggestions.map(({ gain }) => gain);
        expect(gains).toEqual(gains.toSorted((left, right) => right - left));
        expect(evaluations).toBeLessThanOrEqual(50);
        expect(untried).toBeGreaterThanOrEqual(0);
      }),
      { numRuns: 150 },
    );
  });

  it('divide a step into parts of the same work, which never lengthens the longest path', () => {
    fc.assert(
      fc.property(
        problems,
        fc.nat(),
        fc.integer({ min: 2, max: 4 }),
        fc.boolean(),
        (problem, pick, parts, parallel) => {
          const { id, duration } = problem.steps[pick % problem.steps.length]!;
          const divided = applyChange(problem, { kind: 'split', target: id, parameters: { parts, parallel } });
          const lengths = divided.steps.filter((step) => step.id.startsWith(`${id}/`)).map((step) => step.duration);
          expect(lengths).toHaveLength(parts);
          expect(lengths.reduce((sum, length) => sum + length, 0)).toBe(duration);
          expect(Math.max(...lengths) - Math.min(...lengths)).toBeLessThanOrEqual(1);
          expect(new Set(divided.dependencies.map((dependency) => dependency.id)).size).toBe(
            divided.dependencies.length,
          );
          // A short part that may not finish before another step starts later, and so does what waits for its start:
          // contiguous steps make that longer (Wiest 1981).
          const continuity = parallel ? 'interruptible' : 'contiguous';
          expect(longestPath(divided, continuity)).toBeLessThanOrEqual(longestPath(problem, continuity));
        },
      ),
    );
  });
});

describe('each kind of change', () => {
  const { steps, dependencies } = parseNetwork('a:4 b:8<a c:3<a d:2<b,c,a');
  const problem: PlanProblem = {
    steps: steps.map((step) => ({
      ...step,
      demands: [{ resourceId: 'crew', amount: 1 }],
      ...(step.id === 'a' ? { earliestStart: 3 } : {}),
      ...(step.id === 'b'
        ? { crash: { minDuration: 5, costPerUnit: 7 }, divisible: { maxParts: 2, parallel: true } }
        : {}),
    })),
    dependencies,
    resources: [{ id: 'crew', capacity: 1, maxAdded: 2, costRate: 1 }],
    deadline: 18,
  };
  const { makespan, suggestions } = suggestChanges(problem, schedule);
  const found = (kind: PlanChange['kind']) => suggestions.filter(({ change }) => change.kind === kind);

  it('is tried, priced and says whether it keeps the deadline', () => {
    expect(makespan).toBe(20);
    expect(found('add_capacity')).toEqual([
      {
        ...{
          change: { kind: 'add_capacity', target: 'crew', parameters: { amount: 1 } },
          before: 20,
          after: 17,
          gain: 3,
        },
        ...{ cost: 17, keepsDeadline: true },
      },
    ]);
    expect(found('crash')).toMatchObject([{ gain: 3, cost: 21, keepsDeadline: true }]);
    expect(found('release_start')).toMatchObject([{ gain: 3, cost: null }]);
    expect(found('remove_redundant_edge')).toMatchObject([
      { change: { target: 'a>d' }, gain: 0, keepsDeadline: false },
    ]);
    expect(suggestions.at(-1)?.change.kind).toBe('remove_redundant_edge');
  });

  it('gains without scarcity what the longest path gains', () => {
    const roomy = { ...problem, resources: [{ id: 'crew', capacity: 9 }] };
    const gains = suggestChanges(roomy, (changed) => longestPath(changed)).suggestions.map(
      ({ change, gain }) => `${change.kind} ${gain}`,
    );
    expect(gains).toEqual([
      'split 4',
      'crash 3',
      'release_start 3',
      'fast_track 2',
      'fast_track 1',
      'remove_redundant_edge 0',
    ]);
  });

  it('stops at the limit of runs, or when told', () => {
    expect(suggestChanges(problem, schedule, { maxEvaluations: 2 }).evaluations).toBe(2);
    expect(suggestChanges(problem, schedule, { shouldStop: () => true })).toMatchObject({
      makespan: 20,
      suggestions: [],
    });
    expect(suggestChanges(problem, schedule, { limit: 1 }).suggestions).toHaveLength(1);
  });

  it('gives the first part what concerns the start of a step and the last what concerns its finish, or all to all', () => {
    const around: PlanProblem = {
      steps: ['a', 'b', 'c'].map((id) => ({ id, duration: 5, earliestStart: 1, deadline: 30 })),
      dependencies: [
        { id: 'fs', source: 'a', target: 'b', type: 'finish_to_start', lag: 0 },
        { id: 'ff', source: 'a', target: 'b', type: 'finish_to_finish', lag: 1 },
        { id: 'ss', source: 'b', target: 'c', type: 'start_to_start', lag: 2 },
        { id: 'out', source: 'b', target: 'c', type: 'finish_to_start', lag: 0 },
      ],
      resources: [],
    };
    const split = (parallel: boolean) =>
      applyChange(around, { kind: 'split', target: 'b', parameters: { parts: 2, parallel } });
    const drawn = ({ dependencies: all }: PlanProblem) =>
      all.map(({ id, source, target }) => `${id}: ${source} ${target}`);
    expect(drawn(split(false))).toEqual([...['fs: a b/1', 'ff: a b/2', 'ss: b/1 c', 'out: b/2 c', 'b/1>2: b/1 b/2']]);
    expect(drawn(split(true))).toEqual([
      ...['fs/1: a b/1', 'fs/2: a b/2', 'ff/1: a b/1', 'ff/2: a b/2'],
      ...['ss/1: b/1 c', 'ss/2: b/2 c', 'out/1: b/1 c', 'out/2: b/2 c'],
    ]);
    expect(split(false).steps.slice(1, 3)).toMatchObject([
      { id: 'b/1', duration: 3, earliestStart: 1, deadline: undefined },
      { id: 'b/2', duration: 2, earliestStart: undefined, deadline: 30 },
    ]);
    expect(split(true).steps.slice(1, 3)).toMatchObject([{ deadline: 30 }, { earliestStart: 1, deadline: 30 }]);
  });

  it('refuses what is not in the plan', () => {
    const missing: PlanChange = { kind: 'crash', target: 'z', parameters: { duration: 1 } };
    expect(() => applyChange(problem, missing)).toThrow("expected the id of something in the plan, got 'z'");
    const one: PlanChange = { kind: 'split', target: 'b', parameters: { parts: 1, parallel: true } };
    expect(() => applyChange(problem, one)).toThrow('expected two parts or more, got 1');
  });

  it('keeps three points in proportion', () => {
    const estimated = {
      ...problem,
      steps: [{ id: 'a', duration: 6, estimate: { optimistic: 3, mostLikely: 6, pessimistic: 12 } }],
      dependencies: [],
    };
    expect(applyChange(estimated, { kind: 'crash', target: 'a', parameters: { duration: 4 } }).steps[0]).toEqual({
      ...{ id: 'a', duration: 4, estimate: { optimistic: 2, mostLikely: 4, pessimistic: 8 } },
    });
  });
});

test('the whole analysis holds together', () => {
  fc.assert(
    fc.property(problems, fc.integer({ min: 0, max: 40 }), (problem, deadline) => {
      const analysis = analyzePlan(
        { ...problem, deadline },
        { samples: 20, seed: 3, scheduler: schedule, pathLimit: 3 },
      );
      expect(analysis.schedule.horizon).toBe(deadline);
      expect(analysis.schedule.finish).toBe(longestPath(problem));
      expect(BigInt(analysis.criticalPaths.listed.length)).toBe(
        analysis.criticalPaths.count < 3n ? analysis.criticalPaths.count : 3n,
      );
      expect(analysis.monteCarlo.samples).toBe(20);
      expect(analysis.pert.onTimeProbability).not.toBeNull();
      expect(analysis.parallelism.peak).toBeLessThanOrEqual(problem.steps.length);
      expect(analysis.suggestions!.makespan).toBe(schedule(problem));
      const negative = analysis.quality.some(({ check }) => check === 'negative_float');
      expect(negative).toBe(analysis.schedule.finish > deadline);
      expect(analyzePlan(problem, { samples: 5 }).suggestions).toBeNull();
    }),
    { numRuns: 50 },
  );
});

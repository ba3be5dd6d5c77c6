import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import {
  bucketLoad,
  checkQuality,
  findBottleneck,
  findInfeasibilities,
  measureLoad,
  type PlanProblem,
  scoreRisks,
  summarizePlan,
} from '../../../subgraphs/plan/analysis/index.ts';
import { computeSchedule, createNetwork } from '../../../subgraphs/plan/network/index.ts';
import { parseNetwork } from '../network/networks.ts';

const crew = (amount: number) => [{ resourceId: 'crew', amount }];

describe('resource load', () => {
  it('is at every moment the sum of what runs', () => {
    const task = fc.record({ start: fc.nat({ max: 12 }), duration: fc.nat({ max: 6 }), amount: fc.nat({ max: 4 }) });
    fc.assert(
      fc.property(
        fc.array(task, { minLength: 1, maxLength: 10 }),
        fc.integer({ min: 1, max: 6 }),
        (tasks, capacity) => {
          const steps = tasks.map(({ duration, amount }, n) => ({ id: `s${n}`, duration, demands: crew(amount) }));
          const dates = {
            start: tasks.map(({ start }) => start),
            finish: tasks.map((one) => one.start + one.duration),
          };
          const critical = tasks.map((_, n) => n % 2);
          const [load] = measureLoad({ steps, resources: [{ id: 'crew', capacity }] }, dates, critical);
          const first = Math.min(...dates.start);
          const last = Math.max(...dates.finish);
          const running = (time: number) =>
            tasks.filter(({ start, duration }) => start <= time && time < start + duration);
          const useAt = (time: number) => running(time).reduce((sum, { amount }) => sum + amount, 0);
          const moments = Array.from({ length: last - first }, (_, n) => first + n);
          for (const time of moments) {
            const place = load!.profile.times.findLastIndex((change) => change <= time);
            expect(place < 0 ? 0 : load!.profile.values[place]).toBe(useAt(time));
            const over = load!.overAllocations.filter(({ start, end }) => start <= time && time < end);
            expect(over.length).toBe(useAt(time) > capacity ? 1 : 0);
            for (const { stepIds, peak } of over) {
              expect(peak).toBeGreaterThanOrEqual(useAt(time));
              for (const one of running(time)) expect(stepIds).toContain(`s${tasks.indexOf(one)}`);
            }
          }
          expect(load!.peak).toBe(Math.max(0, ...moments.map(useAt)));
          const work = moments.reduce((sum, time) => sum + useAt(time), 0);
          if (work > 0) expect(load!.utilization).toBeCloseTo(work / (capacity * (last - first)), 9);
          expect(load!.criticalUtilization).toBeLessThanOrEqual(load!.utilization + 1e-9);
          for (const [at, { start }] of load!.overAllocations.entries())
            if (at > 0) expect(load!.overAllocations[at - 1]!.end).toBeLessThan(start);
          const excess = load!.overAllocations.reduce((sum, interval) => sum + interval.excess, 0);
          expect(excess).toBe(moments.reduce((sum, time) => sum + Math.max(0, useAt(time) - capacity), 0));
          const buckets = bucketLoad(load!.profile, 4);
          const width = buckets.length === 0 ? 0 : (load!.profile.times.at(-1)! - load!.profile.times[0]!) / 4;
          expect(buckets.reduce((sum, { mean }) => sum + mean * width, 0)).toBeCloseTo(work, 9);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('has its bottleneck where the critical steps use most', () => {
    const steps = [
      { id: 'a', duration: 4, demands: [{ resourceId: 'gpu', amount: 1 }] },
      { id: 'b', duration: 4, demands: crew(2) },
    ];
    const resources = ['gpu', 'crew'].map((id) => ({ id, capacity: 2 }));
    const loads = measureLoad({ steps, resources }, { start: [0, 0], finish: [4, 4] }, [1, 0]);
    expect(findBottleneck(loads)?.resourceId).toBe('gpu');
    expect(
      findBottleneck(measureLoad({ steps, resources }, { start: [0, 0], finish: [4, 4] }, [0, 0]))?.resourceId,
    ).toBe('crew');
    expect(findBottleneck([])).toBeNull();
  });
});

test('risks are scored by the mean of p x i, and ranked', () => {
  const score = scoreRisks([
    { name: 'slip', probability: 0.5, impact: 0.8 },
    { name: 'leak', probability: 0.1, impact: 0.2, status: 'mitigated' },
    { name: 'over', probability: 1, impact: 1, status: 'closed' },
  ]);
  expect(score.exposure).toBeCloseTo(0.42, 12);
  expect(score.score).toBeCloseTo(0.21, 12);
  expect(score.combined).toBeCloseTo(1 - 0.6 * 0.98, 12);
  expect(score.level).toBe('critical');
  expect(score.ranked.map(({ name, level }) => `${name} ${level}`)).toEqual(['slip critical', 'leak low']);
  expect(scoreRisks([])).toMatchObject({ score: 0, combined: 0, level: 'low' });
});

const { steps, dependencies } = parseNetwork('a:2 b:4<a c:1<a d:3<b,c,a');
const problem: PlanProblem = {
  steps: steps.map((step) => ({ ...step, costRate: 10, demands: crew(step.id === 'd' ? 3 : 1) })),
  dependencies,
  resources: [{ id: 'crew', capacity: 3 }],
};

describe('summary', () => {
  it('of a plan that can be done', () => {
    const summary = summarizePlan(problem, { risks: [{ name: 'slip', probability: 0.5, impact: 0.4 }] });
    expect(summary).toMatchObject({
      totalSteps: 4,
      duration: 9,
      cost: 100,
      feasible: true,
      reasons: [],
      criticalStepIds: ['a', 'b', 'd'],
      peaks: [{ resourceId: 'crew', peak: 3, capacity: 3 }],
      bottleneckId: 'crew',
    });
    const { value, schedule, risk, estimates } = summary.confidence;
    expect(risk).toBeCloseTo(0.8, 12);
    expect(estimates).toBe(0.5);
    expect(value).toBeCloseTo(schedule * 0.8 * 0.5, 12);
  });

  it('names every reason why a plan cannot be done', () => {
    const impossible: PlanProblem = {
      ...problem,
      steps: problem.steps.map((step) => ({
        ...step,
        ...(step.id === 'b' ? { deadline: 5, demands: [...crew(4), { resourceId: 'gpu', amount: 1 }] } : {}),
      })),
      deadline: 8,
    };
    const summary = summarizePlan(impossible, { durationRange: { min: 10, max: 100 } });
    expect(summary.feasible).toBe(false);
    expect(summary.confidence.value).toBe(0);
    expect(summary.reasons).toEqual([
      { reason: 'deadline_before_longest_path', deadline: 8, earliestFinish: 9 },
      { reason: 'step_deadline', stepId: 'b', deadline: 5, earliestFinish: 6 },
      { reason: 'demand_above_capacity', stepId: 'b', resourceId: 'crew', amount: 4, capacity: 3 },
      { reason: 'unknown_resource', stepId: 'b', resourceId: 'gpu' },
      { reason: 'work_above_capacity', resourceId: 'crew', earliestFinish: (2 + 16 + 1 + 9) / 3, deadline: 8 },
      { reason: 'duration_out_of_range', duration: 9, min: 10, max: 100 },
    ]);
  });

  it('sees work that does not fit between its first start and the deadline', () => {
    const wide: PlanProblem = {
      steps: ['a', 'b', 'c'].map((id) => ({ id, duration: 4, demands: crew(1) })),
      dependencies: [],
      resources: [{ id: 'crew', capacity: 1 }],
      deadline: 10,
    };
    const network = createNetwork(wide.steps, wide.dependencies);
    expect(findInfeasibilities(wide, computeSchedule(network))).toEqual([
      { reason: 'work_above_capacity', resourceId: 'crew', earliestFinish: 12, deadline: 10 },
    ]);
  });
});

test('quality checks name what is loose, redundant, late or too much, and nothing of a clean plan', () => {
  const network = createNetwork(
    [...steps, { id: 'lost', duration: 1 }, { id: 'late', duration: 9, deadline: 5 }],
    [
      ...dependencies,
      { id: 'lead', source: 'a', target: 'late', type: 'finish_to_start', lag: -1 },
      { id: 'odd', source: 'late', target: 'd', type: 'start_to_finish', lag: 0 },
      { id: 'lagged', source: 'a', target: 'd', type: 'finish_to_start', lag: 4 },
    ],
  );
  const schedule = computeSchedule(network);
  const loads = measureLoad(
    { steps: problem.steps, resources: [{ id: 'crew', capacity: 1 }] },
    { start: schedule.earlyStart, finish: schedule.earlyFinish },
    schedule.critical,
  );
  expect(checkQuality(network, schedule, loads)).toEqual([
    { check: 'isolated', stepIds: ['lost'] },
    { check: 'loose_finish', stepIds: ['late'] },
    { check: 'negative_float', stepIds: ['a', 'late'] },
    { check: 'redundant_dependency', dependencyIds: ['a>d'] },
    { check: 'transitive_dependency', dependencyIds: ['lagged'] },
    { check: 'lead', dependencyIds: ['lead'] },
    { check: 'start_to_finish', dependencyIds: ['odd'] },
    {
      check: 'over_allocation',
      resourceId: 'crew',
      intervals: [
        { start: 2, end: 3, peak: 2, excess: 1, over: 1, stepIds: ['b', 'c'] },
        { start: 6, end: 9, peak: 3, excess: 6, over: 2, stepIds: ['d'] },
      ],
    },
  ]);
  const clean = parseNetwork('a:1 b:2<a c:3<b');
  const chain = createNetwork(clean.steps, clean.dependencies);
  expect(checkQuality(chain, computeSchedule(chain), [])).toEqual([]);
});

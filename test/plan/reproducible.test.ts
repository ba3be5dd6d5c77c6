import { afterAll, beforeAll, expect, test } from 'vitest';
import { newId } from '#shared/ids.ts';
import {
  crashSchedule,
  findParetoFront,
  optimizeSchedule,
  type SchedulingProblem,
} from '../../subgraphs/plan/scheduling/index.ts';
import { alice, openPlanRig, type PlanRig } from './rig.ts';
import { plainProblem } from './scheduling/problems.ts';

let rig: PlanRig;
beforeAll(async () => {
  rig = await openPlanRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const size = 40;
/** Whose shortest schedule is far from its lower bound, so that a search goes on until its limits. */
const problem: SchedulingProblem = plainProblem(
  Array.from({ length: size }, (_, at) => 1 + ((at * 7) % 11)),
  {
    precedences: Array.from({ length: size - 3 }, (_, at) => ({
      ...{ from: at, to: Math.min(size - 1, at + 1 + ((at * 10) % 4)) },
      ...{ type: 'finish_to_start', lag: 0 },
    })),
    resources: [{ capacity: 4 }, { capacity: 3 }],
    demands: Int32Array.from({ length: 2 * size }, (_, at) => (at % 2 === 0 ? 1 + ((at * 10) % 3) : (at * 13) % 3)),
  },
);
/** A clock of which a look costs so much. */
const clock = (stepMs: number) => {
  let at = 0;
  return () => {
    at += stepMs;
    return at;
  };
};

test('what is not paced by time is the same on machines of any speed, as long as time does not end it', () => {
  const run = (stepMs: number, seed = 5) =>
    optimizeSchedule(problem, {
      seed,
      maxSchedules: 600,
      maxMilliseconds: 1_000,
      pacedByTime: false,
      now: clock(stepMs),
    });
  const { elapsedMs: _fast, ...fast } = run(0.000_1) as ReturnType<typeof run> & { elapsedMs: number };
  const { elapsedMs: _slow, ...slow } = run(0.5) as ReturnType<typeof run> & { elapsedMs: number };
  expect(slow).toEqual(fast);
  expect(fast).toMatchObject({ timeLimited: false });
  // Ended by time, and says so.
  const cut = run(20);
  expect(cut).toMatchObject({ timeLimited: true });
  expect((cut as { schedules: number }).schedules).toBeLessThan(600);
});

test('a search that time paces says so, though it makes all its schedules', () => {
  const run = (now: () => number) =>
    optimizeSchedule(problem, { seed: 5, maxSchedules: 300, maxMilliseconds: 1_000, now });
  expect(run(clock(0.000_1))).toMatchObject({ timeLimited: false, schedules: 300 });
  // A slow beginning: a fifth of the time is over with the first schedule.
  let looks = 0;
  const late = () => (looks++ === 0 ? 0 : 200);
  expect(run(late)).toMatchObject({ timeLimited: true, schedules: 300 });
});

test('fronts and crashing tell how many schedules they made, and of time', () => {
  const limits = { seed: 1, maxSchedules: 400, maxMilliseconds: 1_000 };
  const front = (stepMs: number) =>
    findParetoFront(problem, {
      ...limits,
      population: 10,
      generations: 5,
      targets: ['time', 'resource'],
      now: clock(stepMs),
    });
  expect(front(0.000_1)).toMatchObject({ timeLimited: false, schedules: expect.any(Number) });
  expect(front(30)).toMatchObject({ timeLimited: true });
  const crashable = { ...problem, crashOptions: [{ activity: 3, crashDuration: 1, costPerUnitTime: 1 }] };
  const crash = (stepMs: number) =>
    crashSchedule(crashable as never, { ...limits, targetMakespan: 1, now: clock(stepMs) });
  expect(crash(0.000_1)).toMatchObject({ status: 'target_missed', timeLimited: false, schedules: expect.any(Number) });
  expect(crash(2_000)).toMatchObject({ status: 'target_missed', timeLimited: true });
});

test('a caller asks for what is the same everywhere, and gets that or why not', async () => {
  const ids = Array.from({ length: 40 }, () => newId());
  const planId = await rig.createPlan({
    resources: [{ id: 'crew', capacity: 4 }],
    steps: ids.map((id, at) => ({
      ...{ id, description: 's', durationMs: (1 + ((at * 7) % 11)) * 60_000 },
      demands: [{ resourceId: 'crew', amount: 1 + ((at * 5) % 3) }],
      dependsOn: at % 5 === 4 ? [ids[at - 4]] : [],
    })),
  });
  const optimize = (input: object) =>
    rig.field(
      alice,
      `mutation ($input: OptimizePlanInput!) { optimizePlan(input: $input) {
        schedules timeLimited optimal schedule { stepId startMs } userErrors { code path message } } }`,
      { input: { planId, seed: 3, ...input } },
    );
  for (const strategy of ['TIME_OPTIMAL', 'BALANCED']) {
    const asked = { strategy, iterations: 150, maxOptimizationTimeMs: 60_000, reproducible: true };
    const first = await optimize(asked);
    expect(first).toMatchObject({ timeLimited: false, userErrors: [] });
    expect(Number(first['schedules'])).toBeGreaterThan(0);
    expect(await optimize(asked)).toEqual(first);
  }
  const targets = ['TIME', 'RESOURCE'];
  const tooMuch = { targets, iterations: 200_000, maxOptimizationTimeMs: 10 };
  expect(await optimize({ ...tooMuch, reproducible: true })).toMatchObject({
    schedule: null,
    userErrors: [{ code: 'PLANNING_ALGORITHM_ERROR', path: ['input', 'iterations'] }],
  });
  expect(await optimize(tooMuch)).toMatchObject({ timeLimited: true, userErrors: [] });
});

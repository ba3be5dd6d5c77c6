import { expect, test } from 'vitest';
import { free, optimizeSchedule, type SchedulingProblem, unbounded } from '../../../subgraphs/plan/scheduling/index.ts';
import { fixedAt, plainProblem } from './problems.ts';

function infeasibilityOf(problem: SchedulingProblem) {
  const result = optimizeSchedule(problem, { seed: 1, maxSchedules: 200 });
  return result.status === 'infeasible' ? result.infeasibility : null;
}

test('a demand above what the resource ever offers is named', () => {
  const problem = plainProblem([2, 2], { demands: Int32Array.of(1, 3) });
  expect(infeasibilityOf(problem)).toEqual({
    kind: 'demand_over_capacity',
    activity: 1,
    resource: 0,
    demand: 3,
    capacity: 1,
  });
});

test('a demand above what a calendar offers for long enough is named', () => {
  const calendar = [
    { time: 3, capacity: 1 },
    { time: 5, capacity: 2 },
    { time: 8, capacity: 1 },
  ];
  const problem = plainProblem([4], { demands: Int32Array.of(2), resources: [{ capacity: 2, calendar }] });
  expect(infeasibilityOf(problem)).toMatchObject({ kind: 'demand_over_capacity', activity: 0, capacity: 1 });
  expect(infeasibilityOf({ ...problem, durations: Int32Array.of(3) })).toBeNull();
});

test('resources that are never there together are told from those that are too small', () => {
  const problem = plainProblem([2], {
    demands: Int32Array.of(1, 1),
    resources: [
      { capacity: 1, calendar: [{ time: 2, capacity: 0 }] },
      { capacity: 0, calendar: [{ time: 2, capacity: 1 }] },
    ],
  });
  expect(infeasibilityOf(problem)).toEqual({ kind: 'calendar', activity: 0 });
});

test('a cycle of dependencies that asks for time is returned', () => {
  const link = (from: number, to: number) => ({ from, to, type: 'finish_to_start', lag: 0 }) as const;
  const problem = plainProblem([1, 1, 1, 1], { precedences: [link(0, 1), link(1, 2), link(2, 1), link(2, 3)] });
  const found = infeasibilityOf(problem);
  expect(found?.kind === 'cycle' && [...found.activities].sort()).toEqual([1, 2]);
});

test('a cycle that leaves time is a greatest distance, and kept', () => {
  const precedences = [
    { from: 0, to: 1, type: 'start_to_start', lag: 2 },
    { from: 1, to: 0, type: 'start_to_start', lag: -3 },
  ] as const;
  const problem = plainProblem([2, 1, 5], { precedences });
  const result = optimizeSchedule(problem, { seed: 1, maxSchedules: 500 });
  if (result.status === 'infeasible') throw new Error(JSON.stringify(result.infeasibility));
  const distance = result.starts[1]! - result.starts[0]!;
  expect(distance).toBeGreaterThanOrEqual(2);
  expect(distance).toBeLessThanOrEqual(3);
  expect(result.measures.makespan).toBe(8);
});

test('a greatest distance that no list keeps is named, and not called proven', () => {
  const precedences = [
    { from: 0, to: 1, type: 'start_to_start', lag: 0 },
    { from: 1, to: 0, type: 'start_to_start', lag: -1 },
  ] as const;
  expect(infeasibilityOf(plainProblem([4, 4], { precedences }))).toMatchObject({ kind: 'maximal_lag', proven: false });
});

test('a deadline that dependencies forbid is proven unmeetable', () => {
  const problem = plainProblem([3, 4], {
    precedences: [{ from: 0, to: 1, type: 'finish_to_start', lag: 1 }],
    deadlines: Int32Array.of(unbounded, 7),
  });
  expect(infeasibilityOf(problem)).toEqual({
    kind: 'deadline',
    activity: 1,
    deadline: 7,
    earliestFinish: 8,
    proven: true,
  });
});

test('a deadline that resources forbid is missed by the least, with the closest schedule', () => {
  const problem = plainProblem([3, 3], { deadlines: Int32Array.of(5, 5) });
  const result = optimizeSchedule(problem, { seed: 1, maxSchedules: 200 });
  expect(result).toMatchObject({ infeasibility: { kind: 'deadline', deadline: 5, earliestFinish: 6, proven: false } });
  expect(result.status === 'infeasible' && [...result.closest!].sort()).toEqual([0, 3]);
});

test('a running activity that its predecessor does not allow is named', () => {
  const problem = plainProblem([3, 3], {
    precedences: [{ from: 0, to: 1, type: 'finish_to_start', lag: 0 }],
    fixedStarts: Int32Array.of(0, 2),
    demands: Int32Array.of(0, 1),
  });
  expect(infeasibilityOf(problem)).toEqual({ kind: 'fixed_start', activity: 1, fixedStart: 2, earliestStart: 3 });
});

test('a predecessor that only resources hold back is named with the start it missed', () => {
  const problem = plainProblem([2, 2, 2], {
    precedences: [{ from: 1, to: 2, type: 'finish_to_start', lag: 0 }],
    fixedStarts: Int32Array.of(0, free, 3),
    demands: Int32Array.of(1, 1, 0),
  });
  expect(infeasibilityOf(problem)).toEqual({
    kind: 'latest_start',
    activity: 1,
    latestStart: 1,
    earliestStart: 2,
    proven: false,
  });
});

test('running activities that take too much together are named', () => {
  const problem = plainProblem([3, 3], { fixedStarts: fixedAt(2, { 0: 0, 1: 1 }) });
  expect(infeasibilityOf(problem)).toEqual({
    kind: 'fixed_over_capacity',
    activity: 1,
    resource: 0,
    time: 1,
    capacity: 1,
  });
});

test('input of the wrong shape says what was expected', () => {
  expect(infeasibilityOf(plainProblem([1, -1]))).toMatchObject({ path: 'durations[1]', got: '-1' });
  expect(infeasibilityOf(plainProblem([1], { demands: Int32Array.of() }))).toMatchObject({ expected: '1 values' });
  expect(
    infeasibilityOf(plainProblem([1], { precedences: [{ from: 0, to: 4, type: 'finish_to_start', lag: 0 }] })),
  ).toMatchObject({ kind: 'invalid_input', path: 'precedences[0].to', got: '4' });
  const calendar = [
    { time: 4, capacity: 1 },
    { time: 4, capacity: 2 },
  ];
  expect(infeasibilityOf(plainProblem([1], { resources: [{ capacity: 1, calendar }] }))).toMatchObject({
    path: 'resources[0].calendar[1].time',
  });
});

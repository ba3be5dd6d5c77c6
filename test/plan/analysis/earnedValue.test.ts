import { describe, expect, it, test } from 'vitest';
import { type EarnedValueStep, findDeviations, measureEarnedValue } from '../../../subgraphs/plan/analysis/index.ts';

/** The fence of Mulcahy's PMP Exam Prep: four sides in a row, a day and 1,000 each; looked at after three days. */
const fence: EarnedValueStep[] = [
  { stepId: 'side1', progress: 1, actualCost: 1_000, actualStart: 0, actualFinish: 1 },
  { stepId: 'side2', progress: 1, actualCost: 1_200, actualStart: 1, actualFinish: 2.5 },
  { stepId: 'side3', progress: 0.5, actualCost: 600, actualStart: 2.5 },
  { stepId: 'side4', progress: 0, actualCost: 0 },
].map((side, day) => ({ ...side, budget: 1_000, plannedStart: day, plannedFinish: day + 1 }));

describe('the fence after three days', () => {
  const value = measureEarnedValue(fence, { now: 3 });

  it('has the figures of the book', () => {
    expect(value).toMatchObject({
      budgetAtCompletion: 4_000,
      plannedValue: 3_000,
      earnedValue: 2_500,
      actualCost: 2_800,
      costVariance: -300,
      scheduleVariance: -500,
      estimateAtBudgetedRate: 4_300,
      toCompleteIndex: 1.25,
    });
    expect(value.costPerformanceIndex).toBeCloseTo(0.893, 3);
    expect(value.schedulePerformanceIndex).toBeCloseTo(0.833, 3);
    expect(value.estimateAtCompletion).toBeCloseTo(4_480, 6);
    expect(value.estimateToComplete).toBeCloseTo(1_680, 6);
    expect(value.varianceAtCompletion).toBeCloseTo(-480, 6);
    expect(value.estimateAtCostAndSchedule).toBeCloseTo(2_800 + 1_500 / ((2_500 / 2_800) * (2_500 / 3_000)), 6);
    expect(value.toCompleteIndexOfEstimate).toBeCloseTo(1_500 / 1_680, 9);
  });

  it('earned in three days what was planned for two and a half', () => {
    expect(value.earnedSchedule).toBeCloseTo(2.5, 9);
    expect(value.scheduleVarianceTime).toBeCloseTo(-0.5, 9);
    expect(value.schedulePerformanceIndexTime).toBeCloseTo(2.5 / 3, 9);
  });

  it('earns half of what has begun, or nothing, by the other rules', () => {
    expect(measureEarnedValue(fence, { now: 3, rule: 'fifty_fifty' })).toMatchObject({
      plannedValue: 3_500,
      earnedValue: 2_500,
    });
    expect(measureEarnedValue(fence, { now: 3, rule: 'zero_hundred' })).toMatchObject({
      plannedValue: 3_000,
      earnedValue: 2_000,
      earnedSchedule: 2,
    });
  });

  it('departs from its baseline where it does', () => {
    expect(findDeviations(fence, { now: 3 })).toEqual([
      { stepId: 'side2', startDelay: 0, finishDelay: 0.5, costOverrun: 200, progressGap: 0 },
      { stepId: 'side3', startDelay: 0.5, finishDelay: 0.5, costOverrun: 100, progressGap: -0.5 },
    ]);
    expect(findDeviations(fence, { now: 4 }).find(({ stepId }) => stepId === 'side4')).toEqual({
      ...{ stepId: 'side4', startDelay: 1, finishDelay: 1, costOverrun: 0, progressGap: -1 },
    });
  });
});

test('nothing spent or planned leaves the indices undefined', () => {
  const idle = fence.map(({ stepId, budget, plannedStart, plannedFinish }) => ({
    ...{ stepId, budget, plannedStart, plannedFinish, progress: 0, actualCost: 0 },
  }));
  expect(measureEarnedValue(idle, { now: 0 })).toMatchObject({
    plannedValue: 0,
    costPerformanceIndex: null,
    schedulePerformanceIndex: null,
    estimateAtCompletion: null,
    estimateToComplete: null,
    toCompleteIndex: 1,
    schedulePerformanceIndexTime: null,
  });
});

test('a late project ends with SPI 1, and still shows its delay in time', () => {
  const done = fence.map((side) => ({ ...side, progress: 1, actualStart: side.plannedStart, actualFinish: 6 }));
  const value = measureEarnedValue(done, { now: 6 });
  expect(value.schedulePerformanceIndex).toBe(1);
  expect(value.earnedSchedule).toBe(4);
  expect(value.schedulePerformanceIndexTime).toBeCloseTo(4 / 6, 9);
});

test('a milestone earns its budget at once', () => {
  const gate = { stepId: 'gate', budget: 100, plannedStart: 2, plannedFinish: 2, progress: 0, actualCost: 0 };
  expect(measureEarnedValue([gate], { now: 1.9 }).plannedValue).toBe(0);
  expect(measureEarnedValue([gate], { now: 2 }).plannedValue).toBe(100);
});

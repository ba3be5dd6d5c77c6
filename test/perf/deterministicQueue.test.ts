import { expect, test } from 'vitest';
import { probabilityOfWait, quantileOfDelivery } from '../../perf/deterministicQueue.ts';

test('nobody waits as often as the server is idle, and the mean wait is that of Pollaczek and Khinchine', () => {
  for (const serviceMs of [2, 10, 20]) {
    const queue = { ratePerSecond: 30, serviceMs };
    const load = 0.03 * serviceMs;
    expect(probabilityOfWait(queue, 0)).toBeCloseTo(1 - load, 10);
    let meanMs = 0;
    const stepMs = serviceMs / 100;
    for (let ms = stepMs / 2; ms < 20 * serviceMs; ms += stepMs) meanMs += (1 - probabilityOfWait(queue, ms)) * stepMs;
    expect(meanMs / ((load * serviceMs) / (2 * (1 - load)))).toBeCloseTo(1, 2);
  }
});

test('a delivery takes its share of a service where nobody queues, and for ever where more comes than is served', () => {
  expect(quantileOfDelivery({ ratePerSecond: 0.001, serviceMs: 10 }, 0.99)).toBeCloseTo(9.9, 1);
  expect(quantileOfDelivery({ ratePerSecond: 30, serviceMs: 15 }, 0.99)).toBeCloseTo(51.8, 0);
  expect(quantileOfDelivery({ ratePerSecond: 100, serviceMs: 10 }, 0.5)).toBe(Number.POSITIVE_INFINITY);
});

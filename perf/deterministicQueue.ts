/** One server, arrivals of a Poisson process, each served in the same time: M/D/1. */
export interface DeterministicQueue {
  readonly ratePerSecond: number;
  readonly serviceMs: number;
}

/** Places within a service that are looked at for what is done in the course of it. */
const places = 200;

/** Part of the time the server is busy. */
export const utilisation = ({ ratePerSecond, serviceMs }: DeterministicQueue): number =>
  (ratePerSecond * serviceMs) / 1_000;

/** The probability that an arrival waits for at most `waitMs` (A. K. Erlang, 1909). Only for a utilisation below 1. */
export function probabilityOfWait(queue: DeterministicQueue, waitMs: number): number {
  if (waitMs < 0) return 0;
  const perMs = queue.ratePerSecond / 1_000;
  let sum = 0;
  for (let served = 0; served <= Math.floor(waitMs / queue.serviceMs); served += 1) {
    const exponent = perMs * (served * queue.serviceMs - waitMs);
    let term = Math.exp(-exponent);
    for (let factor = 1; factor <= served; factor += 1) term *= exponent / factor;
    sum += term;
  }
  return (1 - utilisation(queue)) * sum;
}

/**
 * Quantile, ms, of the time from an arrival until one of many receivers has its part, where a service is one part after the other:
 * the wait and a uniform share of the service. Infinite where arrivals come faster than they are served.
 */
export function quantileOfDelivery(queue: DeterministicQueue, quantile: number): number {
  if (utilisation(queue) >= 1) return Number.POSITIVE_INFINITY;
  const probabilityOf = (ms: number): number => {
    let sum = 0;
    for (let place = 0; place < places; place += 1)
      sum += probabilityOfWait(queue, ms - ((place + 0.5) / places) * queue.serviceMs);
    return sum / places;
  };
  let [low, high] = [0, queue.serviceMs];
  while (probabilityOf(high) < quantile) high *= 2;
  while (high - low > 0.01) {
    const middle = (low + high) / 2;
    if (probabilityOf(middle) < quantile) low = middle;
    else high = middle;
  }
  return high;
}

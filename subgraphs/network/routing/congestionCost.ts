/** Utilisation from which each slope holds (Fortz and Thorup 2000). */
const bounds = [0, 1 / 3, 2 / 3, 9 / 10, 1, 11 / 10] as const;
const slopes = [1, 3, 10, 70, 500, 5_000] as const;

/** Cost at each bound of a link of capacity 1. */
const costs = bounds.reduce<number[]>((found, bound, at) => {
  found.push(at === 0 ? 0 : found[at - 1]! + slopes[at - 1]! * (bound - bounds[at - 1]!));
  return found;
}, []);

/** Slope of the cost at a load: what one more unit costs. */
export function congestionSlope(load: number, capacity: number): number {
  const utilization = capacity <= 0 ? Number.POSITIVE_INFINITY : load / capacity;
  let at = bounds.length - 1;
  while (utilization < bounds[at]!) at -= 1;
  return slopes[Math.max(0, at)]!;
}

/**
 * What a load costs on a link: convex and piecewise linear in the utilisation, with slopes from 1 on an empty link to
 * 5,000 on one that is full by more than a tenth (Fortz and Thorup 2000).
 */
export function congestionCost(load: number, capacity: number): number {
  if (load <= 0) return 0;
  if (capacity <= 0) return Number.POSITIVE_INFINITY;
  const utilization = load / capacity;
  let at = bounds.length - 1;
  while (utilization < bounds[at]!) at -= 1;
  return capacity * (costs[at]! + slopes[at]! * (utilization - bounds[at]!));
}

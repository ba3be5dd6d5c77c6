import { expect } from 'vitest';
import type { RoutingMeasures } from '../../../subgraphs/network/routing/problem.ts';

/** Nothing that is guarded is worse than before, up to rounding; what is served beside fills no link past its capacity or the fullest. */
export function expectNoWorse(after: RoutingMeasures, before: RoutingMeasures): void {
  const slack = (most: number) => most * (1 + 1e-8) + 1e-9;
  expect(after.unroutedMbps).toBeLessThanOrEqual(slack(before.unroutedMbps));
  const isMoreServed = after.unroutedMbps < before.unroutedMbps - 1e-9;
  expect(after.maxUtilization).toBeLessThanOrEqual(slack(Math.max(before.maxUtilization, isMoreServed ? 1 : 0)));
  // Only relief of the fullest link is worth more congestion elsewhere.
  if (!isMoreServed && after.maxUtilization >= before.maxUtilization * (1 - 1e-9))
    expect(after.congestionCost).toBeLessThanOrEqual(slack(before.congestionCost));
}

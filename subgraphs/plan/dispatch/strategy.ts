import type { ActivityNetwork, Schedule } from '../network/index.ts';
import { type RankOptions, rankSteps } from './rank.ts';

export type DispatchStrategy = 'CRITICAL_PATH' | 'PRIORITY' | 'WEIGHTED_SHORTEST' | 'PLAN_ORDER';

/** The place of each node in the order of dispatch; ties go by the critical path, so that it is total. */
export function rankByStrategy(
  network: ActivityNetwork,
  schedule: Schedule,
  { strategy, priority = [] }: RankOptions & { readonly strategy: DispatchStrategy },
): Int32Array {
  const urgency = rankSteps(network, schedule, { priority });
  if (strategy === 'CRITICAL_PATH') return urgency;
  const { count, duration } = network;
  const levelOf = (node: number) => priority[node] ?? 0;
  // Weight over duration compared crosswise: a milestone divides by nothing.
  const order = {
    PRIORITY: (one: number, other: number) => levelOf(other) - levelOf(one),
    WEIGHTED_SHORTEST: (one: number, other: number) =>
      (levelOf(other) + 1) * duration[one]! - (levelOf(one) + 1) * duration[other]!,
    PLAN_ORDER: (one: number, other: number) => one - other,
  }[strategy];
  const nodes = Array.from({ length: count }, (_, node) => node).sort(
    (one, other) => order(one, other) || urgency[one]! - urgency[other]!,
  );
  const rank = new Int32Array(count);
  for (const [place, node] of nodes.entries()) rank[node] = place;
  return rank;
}

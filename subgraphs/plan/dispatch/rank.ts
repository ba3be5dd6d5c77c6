import type { ActivityNetwork, Schedule } from '../network/index.ts';

export interface RankOptions {
  /** By node; higher goes first. @default all alike */
  readonly priority?: ArrayLike<number> | undefined;
  /** By node, for weighted shortest processing time. @default all 1 */
  readonly weight?: ArrayLike<number> | undefined;
}

/**
 * The place of each node in the order of dispatch: total slack ascending, priority descending, longest remaining path
 * descending, weight over duration descending (Smith 1956), and the order of the plan, so that it is total.
 */
export function rankSteps(
  { count, duration }: ActivityNetwork,
  { totalFloat, longestRemaining }: Schedule,
  { priority, weight }: RankOptions = {},
): Int32Array {
  // Weight over duration compared crosswise: a milestone divides by nothing.
  const ratioOrder = (left: number, right: number): number =>
    (weight?.[right] ?? 1) * duration[left]! - (weight?.[left] ?? 1) * duration[right]!;
  const nodes = Array.from({ length: count }, (_, node) => node).sort(
    (left, right) =>
      totalFloat[left]! - totalFloat[right]! ||
      (priority?.[right] ?? 0) - (priority?.[left] ?? 0) ||
      longestRemaining[right]! - longestRemaining[left]! ||
      ratioOrder(left, right) ||
      left - right,
  );
  const rank = new Int32Array(count);
  for (const [place, node] of nodes.entries()) rank[node] = place;
  return rank;
}

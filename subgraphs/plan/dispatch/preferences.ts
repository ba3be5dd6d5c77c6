import { createIntegerHeap } from '#shared/integerHeap.ts';

/**
 * The ranks with every node behind those it had better come after, and otherwise as they were: of the nodes whose
 * preferred predecessors are placed the lowest comes next (Kahn 1962, with a heap). What holds nodes does not matter here,
 * since only ready ones are looked at in the order of their ranks. The pairs form no cycle.
 */
export function keepPreferences(
  rank: Int32Array,
  preferences: readonly (readonly [earlier: number, later: number])[],
): Int32Array {
  if (preferences.length === 0) return rank;
  const waits = new Int32Array(rank.length);
  const after = new Map<number, number[]>();
  for (const [earlier, later] of preferences) {
    waits[later]! += 1;
    const list = after.get(earlier);
    if (list) list.push(later);
    else after.set(earlier, [later]);
  }
  const free = createIntegerHeap((left, right) => rank[left]! - rank[right]!);
  for (let node = 0; node < rank.length; node += 1) if (waits[node] === 0) free.push(node);
  const kept = new Int32Array(rank.length);
  let place = 0;
  for (let node = free.pop(); node !== undefined; node = free.pop()) {
    kept[node] = place;
    place += 1;
    for (const later of after.get(node) ?? []) {
      waits[later]! -= 1;
      if (waits[later] === 0) free.push(later);
    }
  }
  return kept;
}

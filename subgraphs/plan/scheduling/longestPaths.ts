import type { Arcs } from './arcs.ts';

export type LongestPaths =
  | { readonly cycle: null; readonly values: Int32Array }
  | { readonly cycle: readonly number[]; readonly values: null };

/**
 * The least values that are at least `initial` and, along each arc, at least the value before plus its weight: one pass
 * in `order`, or, where the arcs have cycles (`order` null), Bellman (1958) and Ford (1956).
 */
export function findLongestPaths(initial: Int32Array, arcs: Arcs, order: Int32Array | null): LongestPaths {
  const values = initial.slice();
  if (order !== null) {
    for (const activity of order) relax(activity, arcs, values, null);
    return { cycle: null, values };
  }
  const parents = new Int32Array(initial.length).fill(-1);
  for (let pass = 0; pass <= initial.length; pass += 1) {
    let changed = -1;
    for (let activity = 0; activity < initial.length; activity += 1)
      changed = Math.max(changed, relax(activity, arcs, values, parents));
    if (changed < 0) return { cycle: null, values };
    if (pass === initial.length) return { cycle: traceCycle(changed, parents), values: null };
  }
  return { cycle: null, values };
}

/** Raises the ends of the arcs of one activity; the last one raised, or -1. */
function relax(activity: number, arcs: Arcs, values: Int32Array, parents: Int32Array | null): number {
  let raised = -1;
  for (let at = arcs.offsets[activity]!; at < arcs.offsets[activity + 1]!; at += 1) {
    const end = arcs.ends[at]!;
    const value = values[activity]! + arcs.weights[at]!;
    if (value <= values[end]!) continue;
    values[end] = value;
    if (parents !== null) parents[end] = activity;
    raised = end;
  }
  return raised;
}

function traceCycle(start: number, parents: Int32Array): number[] {
  let inside = start;
  for (let step = 0; step < parents.length; step += 1) inside = parents[inside]!;
  const cycle = [inside];
  for (let at = parents[inside]!; at !== inside; at = parents[at]!) cycle.push(at);
  return cycle.reverse();
}

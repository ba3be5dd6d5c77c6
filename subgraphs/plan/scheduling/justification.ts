import type { Workspace } from './builder.ts';

/**
 * Moves every activity as late as the makespan, its successors and the resources allow, by descending finish: the first
 * half of the double justification of Valls, Ballestin and Quintanilla (2005). The schedule stays feasible at each step.
 */
export function justifyRight(workspace: Workspace, starts: Int32Array): void {
  const { instance, profile, movable, keys, sequence } = workspace;
  const { size, durations, latestStarts } = instance;
  const { offsets, ends, weights } = instance.successors;
  let makespan = 0;
  for (let activity = 0; activity < size; activity += 1) {
    const end = starts[activity]! + durations[activity]!;
    if (end > makespan) makespan = end;
  }
  for (let activity = 0; activity < size; activity += 1)
    keys[activity] = makespan - starts[activity]! - durations[activity]!;
  workspace.sorter.sort(keys, workspace.backwards, sequence);
  for (let place = 0; place < size; place += 1) {
    const activity = sequence[place]!;
    if (movable[activity] === 0) continue;
    const current = starts[activity]!;
    let to = makespan - durations[activity]!;
    if (latestStarts[activity]! < to) to = latestStarts[activity]!;
    for (let at = offsets[activity]!, past = offsets[activity + 1]!; at < past; at += 1) {
      const bound = starts[ends[at]!]! - weights[at]!;
      if (bound < to) to = bound;
    }
    if (to <= current) continue;
    profile.give(activity, current);
    const start = profile.latest(activity, to, current);
    profile.take(activity, start);
    starts[activity] = start;
  }
}

/** Moves every activity as early as its predecessors and the resources allow, by ascending start. */
export function justifyLeft(workspace: Workspace, starts: Int32Array): void {
  const { instance, profile, movable, sequence } = workspace;
  const { size, earliestStarts } = instance;
  const { offsets, ends, weights } = instance.predecessors;
  workspace.sorter.sort(starts, instance.order, sequence);
  for (let place = 0; place < size; place += 1) {
    const activity = sequence[place]!;
    if (movable[activity] === 0) continue;
    const current = starts[activity]!;
    let from = earliestStarts[activity]!;
    for (let at = offsets[activity]!, past = offsets[activity + 1]!; at < past; at += 1) {
      const bound = starts[ends[at]!]! + weights[at]!;
      if (bound > from) from = bound;
    }
    if (from >= current) continue;
    profile.give(activity, current);
    const start = profile.earliest(activity, from);
    profile.take(activity, start);
    starts[activity] = start;
  }
}

import type { Workspace } from './builder.ts';

/** The length of a list for which no schedule was found. */
export const impossible = 2 ** 40;

/**
 * Serial schedule generation (Kelley 1963; Kolisch 1996): each activity of the list at the earliest moment that what is
 * placed before it leaves. The list obeys every arc.
 */
export function generatePlain(workspace: Workspace, list: Int32Array, starts: Int32Array): boolean {
  const { instance, profile, movable } = workspace;
  const { earliestStarts, fixedStarts } = instance;
  const { offsets, ends, weights } = instance.predecessors;
  profile.reset();
  for (let place = 0; place < list.length; place += 1) {
    const activity = list[place]!;
    if (movable[activity] === 0) {
      starts[activity] = fixedStarts[activity]!;
      continue;
    }
    let from = earliestStarts[activity]!;
    for (let at = offsets[activity]!, past = offsets[activity + 1]!; at < past; at += 1) {
      const bound = starts[ends[at]!]! + weights[at]!;
      if (bound > from) from = bound;
    }
    const start = profile.earliest(activity, from);
    if (start < 0) {
      workspace.unplaced = activity;
      return false;
    }
    profile.take(activity, start);
    starts[activity] = start;
  }
  return true;
}

import { arrangeList } from './arrangement.ts';
import type { Workspace } from './builder.ts';
import { generatePlain } from './serialGeneration.ts';

/**
 * Serial generation where arcs below zero (overlaps, maximal lags) may point against the list: an activity that would
 * start too late for one placed before unplaces that one, which then waits, as in Franck, Neumann and Schwindt (2001).
 * After `4 * size` such steps the list is rearranged to obey every arc, where that is possible.
 */
export function generateReversible(workspace: Workspace, list: Int32Array, starts: Int32Array): boolean {
  const { instance, profile, movable } = workspace;
  const { size, fixedStarts } = instance;
  const { offsets, ends, weights } = instance.successors;
  const floors = instance.earliestStarts.slice();
  const places = new Int32Array(size).fill(-1);
  let repairs = 4 * size;
  profile.reset();
  for (let activity = 0; activity < size; activity += 1)
    if (movable[activity] === 0) starts[activity] = fixedStarts[activity]!;
  for (let place = 0; place < size; ) {
    const activity = list[place]!;
    if (movable[activity] === 0) {
      place += 1;
      continue;
    }
    const start = profile.earliest(activity, floorOf(workspace, activity, starts, places, floors));
    if (start < 0) {
      workspace.unplaced = activity;
      return false;
    }
    let back = size;
    for (let at = offsets[activity]!; at < offsets[activity + 1]!; at += 1) {
      const end = ends[at]!;
      const least = start + weights[at]!;
      if (places[end]! < 0 || least <= starts[end]!) continue;
      floors[end] = Math.max(floors[end]!, least);
      back = Math.min(back, places[end]!);
    }
    if (back === size) {
      profile.take(activity, start);
      starts[activity] = start;
      places[activity] = place;
      place += 1;
      continue;
    }
    repairs -= 1;
    if (repairs < 0) {
      workspace.unplaced = activity;
      if (!instance.isAcyclic) return false;
      arrangeList(list, instance.predecessors);
      return generatePlain(workspace, list, starts);
    }
    for (; place > back; place -= 1) {
      const undone = list[place - 1]!;
      if (places[undone]! < 0) continue;
      profile.give(undone, starts[undone]!);
      places[undone] = -1;
    }
  }
  return true;
}

/** The earliest start that the activities placed so far and the fixed ones leave. */
function floorOf(
  { instance, movable }: Workspace,
  activity: number,
  starts: Int32Array,
  places: Int32Array,
  floors: Int32Array,
): number {
  const { offsets, ends, weights } = instance.predecessors;
  let floor = floors[activity]!;
  for (let at = offsets[activity]!; at < offsets[activity + 1]!; at += 1) {
    const end = ends[at]!;
    if (places[end]! >= 0 || movable[end] === 0) floor = Math.max(floor, starts[end]! + weights[at]!);
  }
  return floor;
}

import type { Precedence } from './problem.ts';

/** Arcs grouped by the activity they leave or enter: those of `a` are `offsets[a]..offsets[a + 1]`. */
export interface Arcs {
  readonly offsets: Int32Array;
  /** The activity at the other end. */
  readonly ends: Int32Array;
  /** start(to) - start(from) is at least this. */
  readonly weights: Int32Array;
}

export interface StartArc {
  readonly from: number;
  readonly to: number;
  readonly weight: number;
}

/** Least distance between the starts that a dependency asks for (Bartusch, Moehring and Radermacher 1988). */
export function startDistance({ from, to, type, lag }: Precedence, durations: Int32Array): number {
  switch (type) {
    case 'finish_to_start':
      return durations[from]! + lag;
    case 'start_to_start':
      return lag;
    case 'finish_to_finish':
      return durations[from]! + lag - durations[to]!;
    case 'start_to_finish':
      return lag - durations[to]!;
  }
}

export function groupArcs(size: number, arcs: readonly StartArc[], by: 'from' | 'to'): Arcs {
  const other = by === 'from' ? 'to' : 'from';
  const offsets = new Int32Array(size + 1);
  for (const arc of arcs) offsets[arc[by] + 1]! += 1;
  for (let activity = 0; activity < size; activity += 1) offsets[activity + 1]! += offsets[activity]!;
  const next = offsets.slice();
  const ends = new Int32Array(arcs.length);
  const weights = new Int32Array(arcs.length);
  for (const arc of arcs) {
    const place = next[arc[by]]!++;
    ends[place] = arc[other];
    weights[place] = arc.weight;
  }
  return { offsets, ends, weights };
}

/** The order of Kahn (1962), lowest index first among equals by queue; null where the arcs have a cycle. */
export function orderTopologically(size: number, successors: Arcs): Int32Array | null {
  const open = new Int32Array(size);
  for (const end of successors.ends) open[end]! += 1;
  const order = new Int32Array(size);
  let filled = 0;
  for (let activity = 0; activity < size; activity += 1) if (open[activity] === 0) order[filled++] = activity;
  for (let head = 0; head < filled; head += 1) {
    const activity = order[head]!;
    for (let at = successors.offsets[activity]!; at < successors.offsets[activity + 1]!; at += 1) {
      const end = successors.ends[at]!;
      open[end]! -= 1;
      if (open[end] === 0) order[filled++] = end;
    }
  }
  return filled === size ? order : null;
}

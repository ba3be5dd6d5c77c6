import type { Arcs } from './arcs.ts';

/** Moves predecessors before their successors and else keeps the list. Expects arcs without a cycle. */
export function arrangeList(list: Int32Array, predecessors: Arcs): void {
  const { offsets, ends } = predecessors;
  const placed = new Uint8Array(list.length);
  const stack: number[] = [];
  let place = 0;
  for (const wanted of list.slice()) {
    stack.push(wanted);
    while (stack.length > 0) {
      const activity = stack.at(-1)!;
      let open = -1;
      if (placed[activity] === 0)
        for (let at = offsets[activity]!; at < offsets[activity + 1]!; at += 1)
          if (placed[ends[at]!] === 0) open = ends[at]!;
      if (open >= 0) {
        stack.push(open);
        continue;
      }
      stack.pop();
      if (placed[activity] === 0) list[place++] = activity;
      placed[activity] = 1;
    }
  }
}

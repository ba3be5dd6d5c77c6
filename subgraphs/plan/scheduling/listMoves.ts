import type { Instance } from './instance.ts';
import type { Random } from './random.ts';

/** Random changes of lists that keep what the arcs ask. */
export interface ListMoves {
  /** Moves one activity to another place between its predecessors and successors, at most `reach` places away. */
  shift(list: Int32Array, reach: number): void;
  /** Two-point crossover (Hartmann 1998): the order of the mother outside a random cut, of the father inside. */
  cross(mother: Int32Array, father: Int32Array, child: Int32Array): void;
}

export function createListMoves({ size, listPredecessors, listSuccessors }: Instance, random: Random): ListMoves {
  const places = new Int32Array(size);
  const taken = new Uint8Array(size);
  return {
    shift(list, reach) {
      const place = random.integer(size);
      const activity = list[place]!;
      for (let at = Math.max(0, place - reach); at <= place; at += 1) places[list[at]!] = at;
      for (let at = place + 1; at < size && at <= place + reach; at += 1) places[list[at]!] = at;
      let lowest = Math.max(0, place - reach);
      let highest = Math.min(size - 1, place + reach);
      // Places of activities out of reach are stale, so each is believed only where the list confirms it.
      for (let at = listPredecessors.offsets[activity]!; at < listPredecessors.offsets[activity + 1]!; at += 1) {
        const end = listPredecessors.ends[at]!;
        const found = places[end]!;
        if (found >= lowest && found < place && list[found] === end) lowest = found + 1;
      }
      for (let at = listSuccessors.offsets[activity]!; at < listSuccessors.offsets[activity + 1]!; at += 1) {
        const end = listSuccessors.ends[at]!;
        const found = places[end]!;
        if (found <= highest && found > place && list[found] === end) highest = found - 1;
      }
      const target = lowest + random.integer(highest - lowest + 1);
      if (target > place) list.copyWithin(place, place + 1, target + 1);
      else if (target < place) list.copyWithin(target + 1, target, place);
      list[target] = activity;
    },
    cross(mother, father, child) {
      const first = random.integer(size);
      const last = Math.min(size, first + 1 + random.integer(size));
      taken.fill(0);
      for (let place = 0; place < first; place += 1) taken[mother[place]!] = 1;
      child.set(mother.subarray(0, first));
      let place = first;
      for (let at = 0; place < last; at += 1) {
        const activity = father[at]!;
        if (taken[activity] === 1) continue;
        taken[activity] = 1;
        child[place++] = activity;
      }
      for (let at = first; place < size; at += 1) {
        const activity = mother[at]!;
        if (taken[activity] === 0) child[place++] = activity;
      }
    },
  };
}

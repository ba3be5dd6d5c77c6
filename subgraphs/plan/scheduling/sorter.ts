/** Orders activities by a whole, non-negative key; equal keys keep the order of `base`. */
export interface Sorter {
  sort(keys: Int32Array, base: Int32Array, into: Int32Array): void;
}

/** Counting sort where keys are dense, comparison sort of combined keys where they are not. */
export function createSorter(size: number): Sorter {
  const maxKey = 8 * size + 1_024;
  const counts = new Int32Array(maxKey + 2);
  const combined = new Float64Array(size);
  return {
    sort(keys, base, into) {
      let highest = 0;
      for (let activity = 0; activity < size; activity += 1) {
        const key = keys[activity]!;
        if (key > highest) highest = key;
      }
      if (highest > maxKey) {
        for (let rank = 0; rank < size; rank += 1) combined[rank] = keys[base[rank]!]! * size + rank;
        combined.sort();
        for (let place = 0; place < size; place += 1) into[place] = base[combined[place]! % size]!;
        return;
      }
      for (let key = 0; key <= highest + 1; key += 1) counts[key] = 0;
      for (let activity = 0; activity < size; activity += 1) counts[keys[activity]! + 1]! += 1;
      for (let key = 1; key <= highest; key += 1) counts[key]! += counts[key - 1]!;
      for (let rank = 0; rank < size; rank += 1) {
        const activity = base[rank]!;
        into[counts[keys[activity]!]!++] = activity;
      }
    },
  };
}

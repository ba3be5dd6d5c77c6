import type { Instance } from './instance.ts';

/** Rules that order eligible activities (Kolisch 1996, Alvarez-Valdes and Tamarit 1989). */
export const priorityRules = [
  'latest_finish',
  'latest_start',
  'min_slack',
  'greatest_rank_positional_weight',
  'most_total_successors',
] as const;
export type PriorityRule = (typeof priorityRules)[number];

/** One value per activity, the lowest first. */
export function rankActivities(instance: Instance, rule: PriorityRule): Float64Array {
  const { size, durations, tails, earliestStarts, successors } = instance;
  switch (rule) {
    case 'latest_finish':
      return Float64Array.from(tails, (tail, activity) => durations[activity]! - tail);
    case 'latest_start':
      return Float64Array.from(tails, (tail) => -tail);
    case 'min_slack':
      return Float64Array.from(tails, (tail, activity) => -tail - earliestStarts[activity]!);
    case 'greatest_rank_positional_weight': {
      const values = new Float64Array(size);
      for (let activity = 0; activity < size; activity += 1) {
        values[activity] = -durations[activity]!;
        for (let at = successors.offsets[activity]!; at < successors.offsets[activity + 1]!; at += 1)
          values[activity]! -= durations[successors.ends[at]!]!;
      }
      return values;
    }
    case 'most_total_successors':
      return Float64Array.from(countSuccessors(instance), (count) => -count);
  }
}

/** All activities that an activity precedes, directly or not; above 2,000 activities only a bound from the direct ones. */
function countSuccessors({ size, order, listSuccessors }: Instance): Int32Array {
  const counts = new Int32Array(size);
  const words = size <= 2_000 ? Math.ceil(size / 32) : 0;
  const reached = new Int32Array(size * words);
  for (const activity of order.toReversed()) {
    for (let at = listSuccessors.offsets[activity]!; at < listSuccessors.offsets[activity + 1]!; at += 1) {
      const end = listSuccessors.ends[at]!;
      for (let word = 0; word < words; word += 1) reached[activity * words + word]! |= reached[end * words + word]!;
      if (words > 0) reached[activity * words + (end >> 5)]! |= 1 << (end & 31);
      else counts[activity] = Math.max(counts[activity]! + 1, counts[end]! + 1);
    }
    for (let word = 0; word < words; word += 1) counts[activity]! += countBits(reached[activity * words + word]!);
  }
  return counts;
}

function countBits(word: number): number {
  let rest = word - ((word >>> 1) & 0x55555555);
  rest = (rest & 0x33333333) + ((rest >>> 2) & 0x33333333);
  return (((rest + (rest >>> 4)) & 0x0f0f0f0f) * 0x01010101) >>> 24;
}

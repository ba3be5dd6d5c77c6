import type { Instance } from './instance.ts';
import type { Random } from './random.ts';

/** Draws lists that obey the arcs by regret-biased random sampling (Drexl 1991, Kolisch and Drexl 1996). */
export interface Sampler {
  /** The eligible activity of the lowest priority value first. */
  greedy(priorities: Float64Array, into: Int32Array): void;
  /** Eligible activities with a chance that grows with `(regret + 1) ** bias`, regret scaled to 0..`size`. */
  biased(priorities: Float64Array, bias: number, into: Int32Array): void;
}

export function createSampler(instance: Instance, random: Random): Sampler {
  const { size, listSuccessors } = instance;
  const open = new Int32Array(size);
  const eligible = new Int32Array(size);
  const chances = new Float64Array(size);

  const fill = (into: Int32Array, choose: (count: number) => number): void => {
    let count = 0;
    open.fill(0);
    for (const end of listSuccessors.ends) open[end]! += 1;
    for (let activity = 0; activity < size; activity += 1) if (open[activity] === 0) eligible[count++] = activity;
    for (let place = 0; place < size; place += 1) {
      const at = choose(count);
      const activity = eligible[at]!;
      into[place] = activity;
      eligible[at] = eligible[--count]!;
      for (let arc = listSuccessors.offsets[activity]!; arc < listSuccessors.offsets[activity + 1]!; arc += 1) {
        const end = listSuccessors.ends[arc]!;
        open[end]! -= 1;
        if (open[end] === 0) eligible[count++] = end;
      }
    }
  };

  return {
    greedy(priorities, into) {
      fill(into, (count) => {
        let best = 0;
        for (let at = 1; at < count; at += 1) {
          const difference = priorities[eligible[at]!]! - priorities[eligible[best]!]!;
          if (difference < 0 || (difference === 0 && eligible[at]! < eligible[best]!)) best = at;
        }
        return best;
      });
    },
    biased(priorities, bias, into) {
      let lowest = Number.POSITIVE_INFINITY;
      let highest = Number.NEGATIVE_INFINITY;
      for (const value of priorities) {
        lowest = Math.min(lowest, value);
        highest = Math.max(highest, value);
      }
      const scale = highest > lowest ? size / (highest - lowest) : 0;
      fill(into, (count) => {
        let worst = Number.NEGATIVE_INFINITY;
        for (let at = 0; at < count; at += 1) worst = Math.max(worst, priorities[eligible[at]!]!);
        let total = 0;
        for (let at = 0; at < count; at += 1) {
          total += ((worst - priorities[eligible[at]!]!) * scale + 1) ** bias;
          chances[at] = total;
        }
        const drawn = random.next() * total;
        let at = 0;
        while (at < count - 1 && chances[at]! <= drawn) at += 1;
        return at;
      });
    },
  };
}

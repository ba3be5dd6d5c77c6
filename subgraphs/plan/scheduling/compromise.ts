import type { Target } from './objectives.ts';
import type { ParetoSchedule } from './paretoSearch.ts';

/** What each target counts in a balanced choice; how even the use of resources is stands for reliability. */
export const balancedWeights: Readonly<Record<Target, number>> = { time: 0.4, quality: 0.3, cost: 0.2, resource: 0.1 };

/**
 * The schedule of a front with the least weighted sum of its values, each as a share of the range that its target has on
 * the front (compromise programming, Zeleny 1973). Of equals the first.
 */
export function findCompromise(front: readonly ParetoSchedule[], targets: readonly Target[]): ParetoSchedule {
  const ranges = targets.map((_, at) => {
    const values = front.map((entry) => entry.values[at]!);
    return { least: Math.min(...values), most: Math.max(...values) };
  });
  const distance = ({ values }: ParetoSchedule) =>
    targets.reduce((sum, target, at) => {
      const { least, most } = ranges[at]!;
      return most === least ? sum : sum + (balancedWeights[target] * (values[at]! - least)) / (most - least);
    }, 0);
  return front.reduce((best, entry) => (distance(entry) < distance(best) ? entry : best));
}

import { ownIntervals } from './selfTime.ts';
import { durationOf } from './span.ts';
import { type SpanTree, syntheticSpanId } from './tree.ts';

export interface Concurrency {
  readonly max: number;
  readonly mean: number;
  /** Share of the duration, 0 to 1, in which more than one span worked. */
  readonly parallelShare: number;
}

/** How many spans worked by themselves at a time, by a sweep over when each did. */
export function concurrencyOf({ root, nodes }: SpanTree): Concurrency {
  const working = nodes.filter(({ span }) => span.spanId !== syntheticSpanId);
  const steps = working.flatMap((node) =>
    ownIntervals(node).flatMap(([from, to]): [at: number, change: number][] => [
      [from, 1],
      [to, -1],
    ]),
  );
  // What ends at a moment makes room for what begins then.
  steps.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  let [count, max, sum, parallel, before] = [0, 0, 0, 0, 0];
  for (const [at, change] of steps) {
    sum += count * (at - before);
    if (count > 1) parallel += at - before;
    before = at;
    count += change;
    max = Math.max(max, count);
  }
  const total = durationOf(root.span);
  // Spans that take no time at all have worked one at a time.
  if (total <= 0) return { max: Math.max(max, 1), mean: 1, parallelShare: 0 };
  return { max, mean: sum / total, parallelShare: Math.min(1, parallel / total) };
}

import { type CriticalSection, criticalTimes } from './criticalPath.ts';
import { durationOf, type SpanNode } from './span.ts';
import { syntheticSpanId } from './tree.ts';

export interface Bottleneck {
  readonly node: SpanNode;
  /** Milliseconds of its own on the critical path: at most what the root would end earlier without it. */
  readonly savingMs: number;
  readonly share: number;
}

/** Spans by the time of their own on the critical path, longest first. */
export function bottlenecks(root: SpanNode, path: readonly CriticalSection[], limit = 10): readonly Bottleneck[] {
  const nodes = new Map(path.map(({ node }) => [node.span.spanId, node]));
  const total = durationOf(root.span);
  return [...criticalTimes(path)]
    .filter(([spanId, time]) => time > 0 && spanId !== syntheticSpanId)
    .sort((a, b) => b[1] - a[1])
    .slice(0, limit)
    .map(([spanId, savingMs]) => ({ node: nodes.get(spanId)!, savingMs, share: total > 0 ? savingMs / total : 0 }));
}

import type { SpanNode } from './span.ts';

/** Time a span spent itself: its duration minus the union of its children's intervals within it. */
export function selfTime(node: SpanNode): number {
  return ownIntervals(node).reduce((sum, [from, to]) => sum + to - from, 0);
}

/** When a span was at work itself: what its children leave of it, in order. */
export function ownIntervals({ span, children }: SpanNode): readonly (readonly [from: number, to: number])[] {
  const own: [number, number][] = [];
  let reached = span.start;
  // Children stand by start: one pass makes the union.
  for (const { span: child } of children) {
    const to = Math.min(child.end, span.end);
    if (to <= reached) continue;
    const from = Math.min(Math.max(child.start, reached), span.end);
    if (from > reached) own.push([reached, from]);
    reached = Math.max(from, to);
  }
  if (span.end > reached) own.push([reached, span.end]);
  return own;
}

import { durationOf, type SpanNode } from './span.ts';

/** Time a span spent itself: its duration minus the union of its children's intervals within it. */
export function selfTime({ span, children }: SpanNode): number {
  let covered = 0;
  let reached = span.start;
  // Children stand by start: one pass makes the union.
  for (const { span: child } of children) {
    const from = Math.max(child.start, reached);
    const to = Math.min(child.end, span.end);
    if (to > from) {
      covered += to - from;
      reached = to;
    }
  }
  return durationOf(span) - covered;
}

import { durationOf, type SpanNode } from './span.ts';

/** How a trace would have gone otherwise. */
export interface WhatIf {
  /** Children of one parent that all begin when the first of them does. */
  readonly together?: ReadonlySet<SpanNode>;
  /** Lengths in ms that spans have instead, with all that they call. */
  readonly lengths?: ReadonlyMap<SpanNode, number>;
}

/**
 * Milliseconds by which the root would end earlier. A child begins as long after the last sibling that ended before it as
 * it did, and a parent ends as long after its last child: whatever ended before a span began is taken as waited for, so
 * that a saving is rather told too low.
 */
export function savingOf(root: SpanNode, change: WhatIf): number {
  return Math.max(0, durationOf(root.span) - lengthOf(root, change));
}

function lengthOf(node: SpanNode, change: WhatIf): number {
  const given = change.lengths?.get(node);
  if (given !== undefined) return given;
  const { start, end } = node.span;
  const byEnd = [...node.children].sort((a, b) => a.span.end - b.span.end);
  const ends = new Map<SpanNode, number>();
  // Of what has ended: the latest end as it was, and as it becomes after the start of the parent.
  const joined = { was: start, is: 0 };
  const last = { was: start, is: 0 };
  let next = 0;
  let begun: number | null = null;
  for (const child of node.children) {
    for (; next < byEnd.length; next += 1) {
      const before = byEnd[next]!;
      const ended = ends.get(before);
      if (before.span.end > child.span.start || ended === undefined) break;
      joined.was = Math.max(joined.was, before.span.end);
      joined.is = Math.max(joined.is, ended);
    }
    const joins = change.together?.has(child) ?? false;
    const begins: number = joins && begun !== null ? begun : joined.is + child.span.start - joined.was;
    if (joins) begun ??= begins;
    const until = begins + lengthOf(child, change);
    ends.set(child, until);
    if (child.span.start >= end) continue;
    // What outlasts its parent counts as far as the parent reached.
    const over = Math.max(0, child.span.end - end);
    last.was = Math.max(last.was, child.span.end - over);
    last.is = Math.max(last.is, until - over);
  }
  return last.is + end - last.was;
}

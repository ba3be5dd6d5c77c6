import type { SpanNode } from './span.ts';

export interface CriticalSection {
  readonly node: SpanNode;
  readonly start: number;
  readonly end: number;
}

/**
 * The sections of time, oldest first, that had to pass for the root to end when it did: walking back from its end into the
 * child that finished last, then the one that finished last before that one began (as CRISP, Zhang et al. 2022).
 */
export function criticalPath(root: SpanNode): readonly CriticalSection[] {
  const sections: CriticalSection[] = [];
  const frames = [frameOf(root, root.span.start, root.span.end)];
  while (frames.length > 0) {
    const frame = frames[frames.length - 1]!;
    let child: SpanNode | undefined;
    while (frame.next < frame.byEnd.length) {
      const candidate = frame.byEnd[frame.next]!;
      frame.next += 1;
      const ended = Math.min(candidate.span.end, frame.end);
      if (candidate.span.start < frame.until && ended <= frame.until && ended > frame.from) {
        child = candidate;
        break;
      }
    }
    if (child === undefined) {
      if (frame.until > frame.from) sections.push({ node: frame.node, start: frame.from, end: frame.until });
      frames.pop();
      continue;
    }
    const { start } = child.span;
    // A child that outlasts its parent counts as far as the parent reaches.
    const end = Math.min(child.span.end, frame.end);
    if (frame.until > end) sections.push({ node: frame.node, start: end, end: frame.until });
    const from = Math.max(start, frame.from);
    frame.until = from;
    frames.push(frameOf(child, from, end));
  }
  return sections.reverse();
}

interface Frame {
  readonly node: SpanNode;
  readonly byEnd: readonly SpanNode[];
  readonly from: number;
  readonly end: number;
  until: number;
  next: number;
}

function frameOf(node: SpanNode, from: number, until: number): Frame {
  return { node, byEnd: [...node.children].sort((a, b) => b.span.end - a.span.end), from, end: until, until, next: 0 };
}

/** Milliseconds on the path by span id. */
export function criticalTimes(path: readonly CriticalSection[]): ReadonlyMap<string, number> {
  const times = new Map<string, number>();
  for (const { node, start, end } of path)
    times.set(node.span.spanId, (times.get(node.span.spanId) ?? 0) + end - start);
  return times;
}

import type { AnalysedSpan, SpanNode } from './span.ts';

export const syntheticSpanId = '0000000000000000';

export interface SpanTree {
  readonly root: SpanNode;
  /** True where no single root came: the root stands for what is missing. */
  readonly synthetic: boolean;
  /** Parents that are named and not there. */
  readonly missingParents: readonly string[];
  /** Spans whose parents lead back to themselves; they hang under the root. */
  readonly cyclic: readonly string[];
  /** Every node, parents before children. */
  readonly nodes: readonly SpanNode[];
}

interface Building {
  readonly span: AnalysedSpan;
  parent: Building | null;
  readonly children: Building[];
}

/** Rebuilds the tree: the first report of a span id counts, orphans hang under a synthetic parent, cycles are cut. */
export function buildTree(spans: readonly AnalysedSpan[]): SpanTree | null {
  const byId = new Map<string, Building>();
  for (const span of spans) if (!byId.has(span.spanId)) byId.set(span.spanId, { span, parent: null, children: [] });
  if (byId.size === 0) return null;
  const cyclic = cyclicSpans(byId);
  const missing = new Set<string>();
  const tops: Building[] = [];
  for (const node of byId.values()) {
    const parentId = node.span.parentSpanId;
    const parent = parentId === null || cyclic.has(node.span.spanId) ? undefined : byId.get(parentId);
    if (parent) {
      node.parent = parent;
      parent.children.push(node);
    } else {
      tops.push(node);
      if (parentId !== null && !byId.has(parentId)) missing.add(parentId);
    }
  }
  const single = tops.length === 1 && tops[0]!.span.parentSpanId === null;
  const root = single ? tops[0]! : syntheticRoot(tops);
  const nodes: Building[] = [];
  const waiting = [root];
  while (waiting.length > 0) {
    const node = waiting.pop()!;
    nodes.push(node);
    node.children.sort((a, b) => a.span.start - b.span.start || a.span.end - b.span.end);
    for (let index = node.children.length - 1; index >= 0; index -= 1) waiting.push(node.children[index]!);
  }
  return { root, synthetic: !single, missingParents: [...missing], cyclic: [...cyclic], nodes };
}

/** The members of each cycle; what hangs below one keeps its parent. */
function cyclicSpans(byId: ReadonlyMap<string, Building>): Set<string> {
  const cyclic = new Set<string>();
  const done = new Set<string>();
  for (const start of byId.keys()) {
    const path: string[] = [];
    const onPath = new Set<string>();
    let id: string | null = start;
    while (id !== null && byId.has(id) && !done.has(id) && !onPath.has(id)) {
      path.push(id);
      onPath.add(id);
      id = byId.get(id)!.span.parentSpanId;
    }
    if (id !== null && onPath.has(id)) for (const member of path.slice(path.indexOf(id))) cyclic.add(member);
    for (const member of path) done.add(member);
  }
  return cyclic;
}

function syntheticRoot(tops: readonly Building[]): Building {
  let start = Number.POSITIVE_INFINITY;
  let end = Number.NEGATIVE_INFINITY;
  for (const { span } of tops) {
    start = Math.min(start, span.start);
    end = Math.max(end, span.end);
  }
  const root: Building = {
    span: { spanId: syntheticSpanId, parentSpanId: null, service: '', operation: '', start, end, failed: false },
    parent: null,
    children: [...tops],
  };
  for (const top of tops) top.parent = root;
  return root;
}

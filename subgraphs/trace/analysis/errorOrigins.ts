import type { SpanNode } from './span.ts';
import type { SpanTree } from './tree.ts';

export interface ErrorOrigin {
  readonly node: SpanNode;
  readonly depth: number;
  /** Failed spans above it, nearest first: what the failure reached. */
  readonly blastRadius: readonly SpanNode[];
}

/** Failed spans without a failed child, the deepest first: the first is the suspected origin. */
export function errorOrigins(tree: SpanTree): readonly ErrorOrigin[] {
  const depths = new Map<SpanNode, number>();
  const origins: ErrorOrigin[] = [];
  for (const node of tree.nodes) {
    const depth = node.parent ? depths.get(node.parent)! + 1 : 0;
    depths.set(node, depth);
    if (!node.span.failed || node.children.some((child) => child.span.failed)) continue;
    const blastRadius: SpanNode[] = [];
    for (let above = node.parent; above; above = above.parent) if (above.span.failed) blastRadius.push(above);
    origins.push({ node, depth, blastRadius });
  }
  return origins.sort((a, b) => b.depth - a.depth || a.node.span.start - b.node.span.start);
}

import { quantile } from './quantile.ts';
import { durationOf } from './span.ts';
import type { SpanTree } from './tree.ts';
import { syntheticSpanId } from './tree.ts';

export interface ServiceCall {
  readonly from: string;
  readonly to: string;
  readonly calls: number;
  readonly errors: number;
  readonly p95Ms: number;
}

/** Calls from one service to another. */
export function serviceMap(tree: SpanTree): readonly ServiceCall[] {
  const edges = new Map<string, { from: string; to: string; durations: number[]; errors: number }>();
  for (const { span, parent } of tree.nodes) {
    if (!parent || parent.span.spanId === syntheticSpanId || parent.span.service === span.service) continue;
    const key = JSON.stringify([parent.span.service, span.service]);
    const edge = edges.get(key) ?? { from: parent.span.service, to: span.service, durations: [], errors: 0 };
    edges.set(key, edge);
    edge.durations.push(durationOf(span));
    if (span.failed) edge.errors += 1;
  }
  return [...edges.values()].map(({ from, to, durations, errors }) => ({
    from,
    to,
    calls: durations.length,
    errors,
    p95Ms: quantile(durations, 0.95),
  }));
}

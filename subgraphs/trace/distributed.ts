import { correctClockSkew } from './analysis/clockSkew.ts';
import { serviceMap } from './analysis/serviceMap.ts';
import { type AnalysedSpan, durationOf, type SpanNode } from './analysis/span.ts';
import { buildTree, syntheticSpanId } from './analysis/tree.ts';
import type { TraceSpanRow } from './rows.ts';

/** Spans of one request over all services as one tree; those still running count up to the latest time reported. */
export function assemble(rows: readonly TraceSpanRow[], idOf: (w3cId: string) => string) {
  if (rows.length === 0) return null;
  const times = rows.flatMap(({ startNs, endNs }) => [BigInt(startNs), BigInt(endNs ?? startNs)]);
  const origin = times.reduce((a, b) => (a < b ? a : b));
  const latest = times.reduce((a, b) => (a > b ? a : b));
  const sinceOrigin = (ns: bigint) => Number(ns - origin) / 1e6;
  const byId = new Map<string, TraceSpanRow>();
  for (const row of rows) if (!byId.has(row.spanId)) byId.set(row.spanId, row);
  const { spans, shifts } = correctClockSkew(
    [...byId.values()].map(
      (row): AnalysedSpan => ({
        spanId: row.spanId,
        parentSpanId: row.parentSpanId,
        service: row.service,
        operation: row.name,
        start: sinceOrigin(BigInt(row.startNs)),
        end: sinceOrigin(row.endNs === null ? latest : BigInt(row.endNs)),
        failed: row.status === 'error',
      }),
    ),
  );
  const tree = buildTree(spans)!;
  const edges = serviceMap(tree);
  const depths = new Map<SpanNode, number>();
  const nodes = tree.nodes.filter(({ span }) => span.spanId !== syntheticSpanId);
  let networkMs = 0;
  for (const node of nodes) {
    const { span, parent } = node;
    depths.set(node, parent === null || parent.span.spanId === syntheticSpanId ? 0 : depths.get(parent)! + 1);
    if (parent === null || parent.span.service === span.service) continue;
    if (byId.get(span.spanId)!.kind === 'server' && byId.get(parent.span.spanId)?.kind === 'client')
      networkMs += Math.max(0, durationOf(parent.span) - durationOf(span));
  }
  return {
    services: [...new Set(nodes.map(({ span }) => span.service))].sort(),
    durationMs: durationOf(tree.root.span),
    timeline: nodes.map((node) => ({
      traceId: idOf(byId.get(node.span.spanId)!.traceId),
      spanId: node.span.spanId,
      parentSpanId: node.span.parentSpanId,
      depth: depths.get(node)!,
      service: node.span.service,
      operation: node.span.operation,
      startMs: node.span.start - tree.root.span.start,
      durationMs: durationOf(node.span),
      failed: node.span.failed,
      clockShiftMs: shifts.get(node.span.spanId) ?? 0,
    })),
    serviceMap: [...edges],
    crossServiceCalls: edges.reduce((sum, { calls }) => sum + calls, 0),
    networkMs,
    missingParents: [...tree.missingParents],
    completeness: nodes.length / (nodes.length + tree.missingParents.length),
  };
}

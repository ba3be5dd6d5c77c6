import { bottlenecks } from './analysis/bottlenecks.ts';
import { correctClockSkew } from './analysis/clockSkew.ts';
import { compareRuns, type SimilarRuns } from './analysis/comparison.ts';
import { concurrencyOf } from './analysis/concurrency.ts';
import { criticalPath } from './analysis/criticalPath.ts';
import { errorOrigins } from './analysis/errorOrigins.ts';
import { operationTimes } from './analysis/operationTimes.ts';
import { recommendationsOf } from './analysis/recommendations.ts';
import { gradeOf, scoreOf } from './analysis/score.ts';
import { selfTime } from './analysis/selfTime.ts';
import { serviceMap } from './analysis/serviceMap.ts';
import { type AnalysedSpan, durationOf } from './analysis/span.ts';
import { buildTree, syntheticSpanId } from './analysis/tree.ts';
import type { TraceSpanRow } from './rows.ts';

/** What is known of earlier runs; null where nothing is. */
export interface Earlier {
  /** Median duration of traces of the same name, ms. */
  readonly baselineP50Ms: number | null;
  readonly similar: SimilarRuns | null;
}

/** The span that all others hang below; null where none or several stand at the top. */
export function findRoot(rows: readonly TraceSpanRow[]): TraceSpanRow | null {
  const tops = rows.filter(({ parentSpanId, endNs }) => parentSpanId === null && endNs !== null);
  return tops.length === 1 ? tops[0]! : null;
}

/** Everything the analyses say of a trace; null while none of its spans has ended. */
export function analyse(rows: readonly TraceSpanRow[], { baselineP50Ms, similar }: Earlier) {
  const ended = rows.filter((row) => row.endNs !== null);
  if (ended.length === 0) return null;
  // Nanoseconds since 1970 do not fit a double: those since the first span do.
  const origin = ended.map((row) => BigInt(row.startNs)).reduce((a, b) => (a < b ? a : b));
  const sinceOrigin = (ns: string) => Number(BigInt(ns) - origin) / 1e6;
  const { spans, shifts } = correctClockSkew(
    ended.map(
      (row): AnalysedSpan => ({
        spanId: row.spanId,
        parentSpanId: row.parentSpanId,
        service: row.service,
        operation: row.name,
        start: sinceOrigin(row.startNs),
        end: sinceOrigin(row.endNs!),
        failed: row.status === 'error',
      }),
    ),
  );
  const tree = buildTree(spans)!;
  const { root } = tree;
  const path = criticalPath(root);
  const durationMs = durationOf(root.span);
  // Nobody worked while only the synthetic root, which stands for missing spans, was on the path.
  const idleMs = path
    .filter(({ node }) => node.span.spanId === syntheticSpanId)
    .reduce((sum, { start, end }) => sum + end - start, 0);
  const score = scoreOf({
    durationMs,
    baselineP50Ms,
    failedShare: spans.filter(({ failed }) => failed).length / spans.length,
    idleShare: durationMs > 0 ? idleMs / durationMs : 0,
  });
  const [suspect] = errorOrigins(tree);
  const comparison = similar && !tree.synthetic ? compareRuns(durationMs, spans, similar) : null;
  const unusual = comparison?.unusual ?? [];
  const recommendations = recommendationsOf(tree, { origin: suspect ?? null, unusual });
  return {
    durationMs,
    recommendations: recommendations.map(({ spanIds, evidence, ...recommendation }) => ({
      ...recommendation,
      spanIds: [...spanIds],
      evidence: [...evidence],
    })),
    comparison: comparison && {
      ...comparison,
      deviation: comparison.deviation && { ...comparison.deviation, baselineP50Ms: comparison.p50Ms },
      unusualSpans: unusual.map(({ span, deviation, ...figures }) => ({
        spanId: span.spanId,
        service: span.service,
        operation: span.operation,
        durationMs: figures.durationMs,
        deviation: { ...deviation, baselineP50Ms: figures.baselineP50Ms },
      })),
    },
    concurrency: concurrencyOf(tree),
    operations: [...operationTimes(tree)],
    score,
    grade: gradeOf(score),
    missingParents: [...tree.missingParents],
    cyclicSpans: [...tree.cyclic],
    spans: tree.nodes
      .filter(({ span }) => span.spanId !== syntheticSpanId)
      .map((node) => ({
        spanId: node.span.spanId,
        selfMs: selfTime(node),
        clockShiftMs: shifts.get(node.span.spanId) ?? 0,
      })),
    criticalPath: path.map(({ node, start, end }) => ({
      spanId: node.span.spanId,
      startMs: start - root.span.start,
      endMs: end - root.span.start,
    })),
    bottlenecks: bottlenecks(root, path).map(({ node, savingMs, share }) => ({
      spanId: node.span.spanId,
      service: node.span.service,
      operation: node.span.operation,
      savingMs,
      share,
    })),
    serviceMap: [...serviceMap(tree)],
    suspectedOrigin: suspect
      ? {
          spanId: suspect.node.span.spanId,
          service: suspect.node.span.service,
          operation: suspect.node.span.operation,
          blastRadius: suspect.blastRadius.map(({ span }) => span.spanId),
        }
      : null,
  };
}

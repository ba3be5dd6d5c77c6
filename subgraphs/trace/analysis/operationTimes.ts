import { quantile } from './quantile.ts';
import { selfTime } from './selfTime.ts';
import { durationOf } from './span.ts';
import { type SpanTree, syntheticSpanId } from './tree.ts';

export interface OperationTime {
  readonly service: string;
  readonly operation: string;
  readonly count: number;
  readonly failed: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  /** Of their own, added up. */
  readonly selfMs: number;
}

/** What the operations of a trace took, what took most of the time itself first. */
export function operationTimes({ nodes }: SpanTree): readonly OperationTime[] {
  const groups = Map.groupBy(
    nodes.filter(({ span }) => span.spanId !== syntheticSpanId),
    ({ span: { service, operation } }) => JSON.stringify([service, operation]),
  );
  return [...groups.values()]
    .map((own): OperationTime => {
      const { service, operation } = own[0]!.span;
      const durations = own.map(({ span }) => durationOf(span));
      return {
        service,
        operation,
        count: own.length,
        failed: own.filter(({ span }) => span.failed).length,
        p50Ms: quantile(durations, 0.5),
        p95Ms: quantile(durations, 0.95),
        p99Ms: quantile(durations, 0.99),
        selfMs: own.reduce((sum, node) => sum + selfTime(node), 0),
      };
    })
    .sort((a, b) => b.selfMs - a.selfMs);
}

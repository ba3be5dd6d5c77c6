import type { ReportedSpan } from './otlp/span.ts';

export interface SamplingRule {
  /** Share of the traces that are kept of those that are neither failed nor slow, 0 to 1. */
  readonly rate: number;
  /** What takes as long as this is kept whatever the rate, ms. */
  readonly slowMs: number;
}

/**
 * As OpenTelemetry's TraceIdRatioBased: the last 52 bits of the trace id against the rate, so that every process decides alike
 * without asking, and what a lower rate keeps, a higher one keeps too.
 */
export function isSampled(traceId: string, rate: number): boolean {
  return rate >= 1 || Number.parseInt(traceId.slice(-13), 16) < rate * 2 ** 52;
}

/** A failure or a slow span keeps its trace, and brings one back that was let go. */
export function isKept(span: ReportedSpan, slowMs: number): boolean {
  if (span.status === 'error') return true;
  return span.endNs !== null && BigInt(span.endNs) - BigInt(span.startNs) >= BigInt(Math.round(slowMs * 1e6));
}

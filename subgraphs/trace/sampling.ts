import type { ReportedSpan } from './otlp/span.ts';

export interface SamplingRule {
  /** Share of the traces kept by head sampling, 0 to 1. */
  readonly rate: number;
  /** A span as long as this keeps its trace whatever the rate, ms. */
  readonly slowMs: number;
}

/**
 * Head sampling as OpenTelemetry's TraceIdRatioBased: the last 52 bits of the trace id against the rate, so that every
 * process decides alike without asking.
 */
export function isSampled(traceId: string, rate: number): boolean {
  return rate >= 1 || Number.parseInt(traceId.slice(-13), 16) < rate * 2 ** 52;
}

/** The tail rule: a failure or a slow span keeps its trace. */
export function isKept(span: ReportedSpan, slowMs: number): boolean {
  if (span.status === 'error') return true;
  return span.endNs !== null && BigInt(span.endNs) - BigInt(span.startNs) >= BigInt(Math.round(slowMs * 1e6));
}

/** What the analyses read of a span. Times in milliseconds of one clock per service. */
export interface AnalysedSpan {
  readonly spanId: string;
  readonly parentSpanId: string | null;
  readonly service: string;
  readonly operation: string;
  readonly start: number;
  readonly end: number;
  readonly failed: boolean;
}

export interface SpanNode<Span extends AnalysedSpan = AnalysedSpan> {
  readonly span: Span;
  readonly parent: SpanNode<Span> | null;
  /** By start. */
  readonly children: readonly SpanNode<Span>[];
}

export function durationOf({ start, end }: Pick<AnalysedSpan, 'start' | 'end'>): number {
  return end - start;
}

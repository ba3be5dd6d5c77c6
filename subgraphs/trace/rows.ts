import type { ReportedSpan } from './otlp/span.ts';

export type TraceStatusValue = 'pending' | 'running' | 'completed' | 'failed' | 'cancelled';

export interface TraceRow {
  readonly tenantId: string;
  readonly id: string;
  readonly w3cId: string;
  readonly contextId: string | null;
  readonly planId: string | null;
  readonly name: string;
  readonly status: TraceStatusValue;
  readonly correlationId: string | null;
  readonly tracestate: string | null;
  readonly baggage: string | null;
  readonly startNs: string | null;
  readonly endNs: string | null;
  readonly spanCount: number;
  readonly errorCount: number;
  readonly revision: number;
  readonly createdAt: Date;
  readonly createdBy: string;
  readonly updatedAt: Date;
  readonly finishedAt: Date | null;
}

export interface TraceSpanRow extends ReportedSpan {
  readonly late: boolean;
}

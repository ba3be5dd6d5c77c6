import type { Connection, PageInput } from '#shared/connection.ts';
import type { BaseEventDocument, TraceSegmentDocument } from '../../schema/protocol/index.ts';
import type { AlertRow, AlertRuleRow } from './alerts/rows.ts';
import type { ExecutionEntry, stepsOf } from './execution.ts';
import type { ReportedSpan } from './otlp/span.ts';
import type { TraceCorrelation } from './records/correlate.ts';
import type { RecordedDecision, RecordedError } from './records/read.ts';
import type { StoredSnapshot } from './records/snapshots.ts';
import type { Segment } from './segments.ts';
import type { StoredMetric } from './store/metrics.ts';

export const traceTypes = [
  'execution',
  'monitoring',
  'audit',
  'performance',
  'error',
  'decision',
  'communication',
  'resource',
] as const;
export type TraceTypeValue = (typeof traceTypes)[number];
export type TraceStatusValue = 'pending' | 'running' | 'completed' | 'failed' | 'cancelled';

export const traceSeverities = ['debug', 'info', 'warn', 'error', 'critical'] as const;
export type TraceSeverityValue = (typeof traceSeverities)[number];
export type TraceEventCategoryValue = 'system' | 'user' | 'external' | 'automatic';

export interface TraceRow {
  readonly tenantId: string;
  readonly id: string;
  readonly w3cId: string;
  readonly contextId: string | null;
  readonly planId: string | null;
  readonly taskId: string | null;
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
  readonly type: TraceTypeValue;
  readonly severity: TraceSeverityValue;
  readonly serviceName: string | null;
  readonly tags: readonly string[];
  readonly samplingRate: number;
  /** Whether sampling has still to decide if it is kept. */
  readonly undecided: boolean;
  readonly lostSpans: number;
  readonly archivedAt: Date | null;
  /** As the frozen form has it; null where it says nothing. */
  readonly governance: Readonly<Record<string, unknown>> | null;
}

/** What a frozen trace has beyond the columns, to the letter. */
export interface ProtocolRemainder {
  readonly meta: unknown;
  readonly rootSpan: unknown;
  readonly startedAt?: string;
  readonly finishedAt?: string;
  readonly segments?: readonly TraceSegmentDocument[];
  readonly events?: readonly BaseEventDocument[];
}

/** Something that happened, as another module's event or an importer told it. */
export interface TraceEventRow {
  readonly tenantId: string;
  readonly traceId: string;
  readonly eventId: string;
  readonly type: string;
  readonly source: string;
  readonly category: TraceEventCategoryValue;
  readonly actor: string;
  readonly occurredAt: Date;
  readonly position: string;
  readonly detail: Readonly<Record<string, unknown>>;
}

export type TraceAlertRow = AlertRow;
export type TraceAlertRuleRow = AlertRuleRow;

export interface TraceExecutionRow {
  readonly trace: TraceRow;
  readonly steps: ReturnType<typeof stepsOf>;
  timeline(page: PageInput): Connection<ExecutionEntry>;
}

export type TraceCorrelationRow = TraceCorrelation;
export type TraceDecisionRow = RecordedDecision;
export type TraceErrorRow = RecordedError;
export type TraceSnapshotRow = StoredSnapshot & { readonly changedKeys: readonly string[] | null };
export type TraceSegmentRow = Segment;
export type TraceMetricRow = StoredMetric;

export interface TraceSpanRow extends ReportedSpan {
  readonly late: boolean;
}

/** Entities of other modules that this one adds fields to. */
export interface ContextRow {
  readonly id: string;
}

export interface PlanRow {
  readonly id: string;
}

export interface PlanStepRow {
  readonly planId: string;
  readonly id: string;
}

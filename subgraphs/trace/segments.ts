import type { Sql } from '#shared/sql.ts';
import { type Viewer, visibleCondition } from './access.ts';
import { derivedId } from './ids/traceIds.ts';
import type { TraceRow, TraceSpanRow } from './rows.ts';
import { findSpansWhere } from './store/spans.ts';
import { traceColumns } from './store/traces.ts';

/** A span in the frozen form. */
export interface Segment {
  readonly id: string;
  readonly traceId: string;
  readonly label: string;
  readonly status: Uppercase<ReturnType<typeof statusOf>>;
  readonly stepId: string | null;
  readonly attempt: number | null;
  readonly agentId: string | null;
  readonly startedAt: Date;
  readonly finishedAt: Date | null;
  readonly span: TraceSpanRow;
}

const tracesPerPlan = 20;

/** Its id in the frozen form: an imported one keeps its own. */
export function segmentIdOf(traceId: string, { spanId, service, attributes }: TraceSpanRow): string {
  const imported = service === 'imported' ? attributes['segment.id'] : undefined;
  return typeof imported === 'string' ? imported : derivedId(`segment ${traceId} ${spanId}`);
}

/** Attribute of a span that says of its segment what times and status of a span cannot. */
export const segmentStatusKey = 'segment.status';
const saidStatuses = ['pending', 'cancelled', 'skipped'] as const;

/** What a segment's status is called where no span's times and status say it. */
export function saidStatusOf(status: unknown): (typeof saidStatuses)[number] | null {
  return saidStatuses.find((said) => said === status) ?? null;
}

export function statusOf({ endNs, status, attributes }: TraceSpanRow) {
  const said = saidStatusOf(attributes[segmentStatusKey]);
  if (said !== null) return said;
  if (endNs === null) return 'running';
  return status === 'error' ? 'failed' : 'completed';
}

export function segmentOf(traceId: string, span: TraceSpanRow): Segment {
  const { stepId, attempt, agentId } = span.attributes;
  const text = (value: unknown) => (typeof value === 'string' ? value : null);
  return {
    id: segmentIdOf(traceId, span),
    traceId,
    label: span.name,
    status: statusOf(span).toUpperCase() as Segment['status'],
    stepId: text(stepId),
    attempt: Number.isInteger(attempt) && Math.abs(attempt as number) < 2 ** 31 ? (attempt as number) : null,
    agentId: text(agentId),
    startedAt: dateOf(span.startNs),
    finishedAt: span.endNs === null ? null : dateOf(span.endNs),
    span,
  };
}

const dateOf = (nanoseconds: string) => new Date(Number(BigInt(nanoseconds) / 1_000_000n));

export const stepKey = ({ planId, id }: { readonly planId: string; readonly id: string }) => `${planId}/${id}`;

/** What works on steps in the newest traces of their plans that the viewer sees, the latest first, by `stepKey`. */
export async function findStepSegments(
  sql: Sql,
  { tenantId, viewer }: { readonly tenantId: string; readonly viewer: Viewer | null },
  steps: readonly { readonly planId: string; readonly id: string }[],
): Promise<ReadonlyMap<string, readonly Segment[]>> {
  const plans = [...new Set(steps.map(({ planId }) => planId))];
  const traces = (await sql.unsafe(
    `SELECT t.* FROM unnest($2::uuid[]) AS p(plan) CROSS JOIN LATERAL (
       SELECT ${traceColumns} FROM trace.trace t WHERE t.tenant_id = $1 AND t.plan_id = p.plan
         AND ($3::text[] IS NULL OR ${visibleCondition('t', '$3')})
       ORDER BY t.created_at DESC, t.id DESC LIMIT ${tracesPerPlan}) AS t`,
    [tenantId, plans, viewer as string[] | null],
    { prepare: true },
  )) as unknown as TraceRow[];
  if (traces.length === 0) return new Map();
  const planOf = new Map(traces.map(({ id, planId }) => [id, planId!]));
  const spans = await findSpansWhere(sql, traces, {
    condition: (place) => `detail->'attributes'->>'stepId' = ANY(${place}::text[])`,
    value: [...new Set(steps.map(({ id }) => id))],
  });
  const latestFirst = spans.toSorted((one, two) => (BigInt(one.startNs) < BigInt(two.startNs) ? 1 : -1));
  return Map.groupBy(
    latestFirst.map((span) => segmentOf(span.traceRowId, span)),
    ({ traceId, stepId }) => stepKey({ planId: planOf.get(traceId)!, id: stepId! }),
  );
}

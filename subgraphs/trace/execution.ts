import { type Connection, type CursorValue, createConnection, type PageInput, readPage } from '#shared/connection.ts';
import { PlatformError } from '#shared/errors.ts';
import { recordTypes } from './records/kinds.ts';
import type { TraceEventRow, TraceSpanRow } from './rows.ts';

export type ExecutionEntryKind =
  | 'SPAN_STARTED'
  | 'SPAN_ENDED'
  | 'EVENT'
  | 'ERROR'
  | 'DECISION'
  | 'SNAPSHOT'
  | 'CORRELATION';

export interface ExecutionEntry {
  /** Unique among the entries of the trace. */
  readonly id: string;
  readonly kind: ExecutionEntryKind;
  readonly at: Date;
  /** Milliseconds since the first of all. */
  readonly offsetMs: number;
  readonly spanId: string | null;
  readonly name: string;
  readonly actor: string | null;
  readonly failed: boolean;
  readonly data: Readonly<Record<string, unknown>>;
  /** Nanoseconds since 1970. */
  readonly ns: bigint;
  /** What begins stands before what happens in it, what ends behind. */
  readonly rank: number;
}

type Place = Pick<ExecutionEntry, 'ns' | 'rank' | 'id'>;

type Placed = Omit<ExecutionEntry, 'offsetMs' | 'at'>;

const list = 'traceExecution';
const kinds: Readonly<Record<string, ExecutionEntryKind>> = {
  [recordTypes.error]: 'ERROR',
  [recordTypes.decision]: 'DECISION',
  [recordTypes.snapshot]: 'SNAPSHOT',
  [recordTypes.correlation]: 'CORRELATION',
};

/** Beginning and end of spans and what was told of the trace, as it happened. */
export function timelineOf(
  spans: readonly TraceSpanRow[],
  events: readonly TraceEventRow[],
): readonly ExecutionEntry[] {
  const placed = [...spans.flatMap(entriesOfSpan), ...events.map(entryOfEvent)].sort(inOrder);
  const first = placed[0]?.ns ?? 0n;
  return placed.map((entry) => ({
    ...entry,
    at: new Date(Number(entry.ns / 1_000_000n)),
    offsetMs: Number(entry.ns - first) / 1e6,
  }));
}

function inOrder(a: Place, b: Place): number {
  if (a.ns !== b.ns) return a.ns < b.ns ? -1 : 1;
  return a.rank - b.rank || (a.id < b.id ? -1 : Number(a.id > b.id));
}

function entriesOfSpan(span: TraceSpanRow): readonly Placed[] {
  const { spanId, name, service, startNs, endNs, status, parentSpanId } = span;
  const common = { spanId, name, actor: agentOf(span), failed: status === 'error', data: { service, parentSpanId } };
  const start: Placed = {
    ...common,
    id: `${spanId}/0`,
    kind: 'SPAN_STARTED',
    failed: false,
    ns: BigInt(startNs),
    rank: 0,
  };
  if (endNs === null) return [start];
  return [start, { ...common, id: `${spanId}/1`, kind: 'SPAN_ENDED', ns: BigInt(endNs), rank: 2 }];
}

function entryOfEvent({ eventId, type, occurredAt, actor, detail }: TraceEventRow): Placed {
  const { spanId, name } = detail;
  return {
    id: eventId,
    kind: kinds[type] ?? 'EVENT',
    ns: BigInt(occurredAt.getTime()) * 1_000_000n,
    rank: 1,
    spanId: typeof spanId === 'string' ? spanId : null,
    name: typeof name === 'string' ? name : type,
    actor,
    failed: type === recordTypes.error,
    data: detail,
  };
}

/** A page of the timeline. @throws {VALIDATION_FAILED} {CURSOR_INVALID} */
export function pageOfTimeline(entries: readonly ExecutionEntry[], input: PageInput): Connection<ExecutionEntry> {
  const page = readPage(list, 3, input);
  const from = page.from === null ? null : placeOf(page.from);
  const forward = page.direction === 'forward';
  const behind = entries.filter(
    (entry) => from === null || (forward ? inOrder(entry, from) > 0 : inOrder(entry, from) < 0),
  );
  const rows = (forward ? behind : behind.reverse()).slice(0, page.limit + 1);
  return createConnection(list, page, rows, ({ ns, rank, id }) => [String(ns), rank, id]);
}

function placeOf([ns, rank, id]: readonly CursorValue[]): Place {
  if (typeof ns !== 'string' || !/^\d{1,19}$/.test(ns) || typeof rank !== 'number' || typeof id !== 'string')
    throw new PlatformError('CURSOR_INVALID', 'expected a cursor of this list', { path: ['after'] });
  return { ns: BigInt(ns), rank, id };
}

/** The attempts of each step, by its id, in the order of their first. */
export function stepsOf(spans: readonly TraceSpanRow[]) {
  const attempts = spans.filter(({ attributes }) => typeof attributes['stepId'] === 'string');
  const origin = spans
    .map(({ startNs }) => BigInt(startNs))
    .reduce((a, b) => (a < b ? a : b), BigInt(spans[0]?.startNs ?? 0));
  return [...Map.groupBy(attempts, ({ attributes }) => String(attributes['stepId']))].map(([stepId, own]) => {
    const last = own.at(-1)!;
    const ended = own.filter(({ endNs }) => endNs !== null);
    return {
      stepId,
      attempts: own.length,
      failedAttempts: own.filter(({ status }) => status === 'error').length,
      status:
        last.endNs === null
          ? ('RUNNING' as const)
          : last.status === 'error'
            ? ('FAILED' as const)
            : ('COMPLETED' as const),
      agents: [...new Set(own.flatMap((span) => agentOf(span) ?? []))],
      waitedMs: Number(BigInt(own[0]!.startNs) - origin) / 1e6,
      workedMs: ended.reduce((sum, { startNs, endNs }) => sum + Number(BigInt(endNs!) - BigInt(startNs)) / 1e6, 0),
      spanIds: own.map(({ spanId }) => spanId),
    };
  });
}

function agentOf({ attributes }: TraceSpanRow): string | null {
  const agent = attributes['agentId'];
  return typeof agent === 'string' ? agent : null;
}

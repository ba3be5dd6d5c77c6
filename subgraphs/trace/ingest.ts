import { createBatcher } from '#shared/batch.ts';
import type { RequestScope } from '#shared/context.ts';
import type { EventRow } from '#shared/events.ts';
import {
  findIdempotentResponses,
  type IdempotentCall,
  idempotencyRecord,
  isIdempotencyRace,
} from '#shared/idempotency.ts';
import { newId } from '#shared/ids.ts';
import { appendChange, type Change } from '#shared/outbox.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { findHidden, type Learn, requireVisible } from './access.ts';
import { isLockedTrace } from './governance.ts';
import { traceIdOf } from './ids/traceIds.ts';
import { type Group, openTraces, outcomeOf, type Placed } from './ingestedTraces.ts';
import { graceMs } from './lifecycle.ts';
import type { Live } from './live/live.ts';
import { noSuchTrace } from './noSuchTrace.ts';
import { limits } from './otlp/attributes.ts';
import type { RejectedSpan } from './otlp/readRequest.ts';
import { failureOf, type ReportedSpan } from './otlp/span.ts';
import { tellReported } from './reported.ts';
import type { TraceRow } from './rows.ts';
import type { SamplingRule } from './sampling.ts';
import { writeDetail } from './store/spanDetail.ts';
import { tagsOf } from './store/traces.ts';
import { countSpans, findKnownSpans, handOver, insertSpans, type SpanToWrite } from './store/writeSpans.ts';

export interface IngestItem {
  readonly scope: RequestScope;
  readonly spans: readonly { readonly index: number; readonly span: ReportedSpan }[];
  /** The trace all spans are of; without it each names its own, which is made where it is not there and ends with its root span. */
  readonly traceId: string | null;
  readonly call: IdempotentCall | null;
}

export interface IngestResult {
  readonly accepted: number;
  readonly known: number;
  readonly rejected: readonly RejectedSpan[];
}

/** An item as it waits for its batch. */
interface PlacedItem extends IngestItem {
  /** Whether it is known already that its trace is shown to who reports. */
  readonly isShown: boolean;
}

const unheard = Symbol('unheard');

export interface Ingest {
  /** @throws {NOT_FOUND} for a trace named that is not there, or lies in a private context of others. */
  add(item: IngestItem): Promise<IngestResult>;
  drain(): Promise<void>;
}

/** Stores spans of many calls in one transaction; each call is answered after it has committed. */
export function createIngest(runtime: ModuleRuntime, sampling: SamplingRule, live: Live, learn: Learn): Ingest {
  const reading = runtime.keyedSql ?? runtime.sql;

  async function storeAll(items: readonly IngestItem[]): Promise<readonly (IngestResult | Error)[]> {
    if (items.length === 0) return [];
    const attempt = () => runtime.sql.begin((tx) => store(tx, items, sampling));
    const { results, events, added } = await attempt().catch((error: unknown) => {
      // Another process was first with a key: the second attempt finds its answer.
      if (isIdempotencyRace(error)) return attempt();
      throw error;
    });
    for (const { trace, ...noted } of added) live.note(trace, noted);
    for (const [item, list] of events) await runtime.publisher.published(list, items[item]!.scope);
    return results;
  }

  const batcher = createBatcher<PlacedItem, IngestResult | typeof unheard>({
    maxItems: 500,
    maxDelayMs: 0,
    maxRuns: 2,
    async run(items) {
      const asked = items.flatMap(({ scope: { principal }, traceId, isShown }, at) =>
        traceId === null || isShown ? [] : [{ principal, id: traceId, at }],
      );
      const hidden = new Map([...(await findHidden(reading, asked))].map(([index, how]) => [asked[index]!.at, how]));
      const stored = await storeAll(items.filter((_item, at) => !hidden.has(at)));
      let next = 0;
      return items.map((_item, at) => {
        const how = hidden.get(at);
        if (how === undefined) return stored[next++]!;
        return how === 'hidden' ? noSuchTrace() : unheard;
      });
    },
  });

  return {
    async add(item) {
      const result = await batcher.add({ ...item, isShown: false });
      if (result !== unheard) return result;
      // Asking the graph takes its time: the batch of others does not wait for it.
      await requireVisible(reading, item.scope.principal, [item.traceId!], learn);
      const second = await batcher.add({ ...item, isShown: true });
      if (second === unheard) throw noSuchTrace();
      return second;
    },
    drain: () => batcher.drain(),
  };
}

async function store(tx: SqlTransaction, items: readonly IngestItem[], sampling: SamplingRule) {
  const calls = items.map(({ call }) => call);
  const earlier = await findIdempotentResponses(tx as unknown as Sql, 'trace', calls);
  const firstOf = new Map<string, number>();
  // Repeats of one batch wait for the first of them.
  const sameAs = calls.map((call, at) => {
    if (call === null) return at;
    const key = JSON.stringify([call.tenantId, call.subject, call.key]);
    const first = firstOf.get(key) ?? at;
    firstOf.set(key, first);
    return first;
  });
  const groups = groupByTrace(items, (at) => earlier[at] === undefined && sameAs[at] === at);
  const [{ traces, made }, details] = await Promise.all([
    openTraces(tx, items, [...groups.values()], sampling),
    writeDetails(groups.values()),
  ]);
  const rejected = items.map((): RejectedSpan[] => []);
  const accepted = items.map(() => 0);
  const known = items.map(() => 0);
  const missing = new Set<number>();

  const waiting: (SpanToWrite & { readonly place: Placed; readonly group: Group })[] = [];
  const now = Date.now();
  for (const group of groups.values()) {
    const trace = traces.get(group.key);
    for (const place of group.spans) {
      const reason = refusal(trace, now);
      if (trace && reason === null)
        waiting.push({
          trace,
          span: place.span,
          detail: details.get(place)!,
          late: trace.finishedAt !== null,
          place,
          group,
        });
      else if (!trace && items[place.item]!.traceId !== null) missing.add(place.item);
      else rejected[place.item]!.push({ index: place.index, reason: reason! });
    }
  }
  const stand = await findKnownSpans(
    tx,
    waiting.filter(({ trace }) => trace.spanCount > 0),
  );
  const fresh: typeof waiting = [];
  const sums = new Map<Group, ReportedSpan[]>();
  const seen = new Map<Group, Set<string>>();
  for (const candidate of waiting) {
    const { group, place, trace } = candidate;
    const ids = seen.get(group) ?? new Set(stand.get(group.key));
    seen.set(group, ids);
    const sum = sums.get(group) ?? [];
    if (ids.has(place.span.spanId)) known[place.item]! += 1;
    else if (trace.spanCount + sum.length >= limits.spansPerTrace)
      rejected[place.item]!.push({
        index: place.index,
        reason: `SPAN_LIMIT: the trace holds ${limits.spansPerTrace} spans`,
      });
    else {
      ids.add(place.span.spanId);
      sum.push(place.span);
      sums.set(group, sum);
      accepted[place.item]! += 1;
      fresh.push(candidate);
    }
  }
  const results = items.map((_item, at): IngestResult | Error => {
    const source = sameAs[at]!;
    const before = earlier[at];
    if (before instanceof Error) return before;
    if (before) return before.response as IngestResult;
    if (missing.has(source)) return noSuchTrace();
    return { accepted: accepted[source]!, known: known[source]!, rejected: rejected[source]! };
  });
  async function tell() {
    const counted = await countSpans(
      tx,
      [...sums]
        .filter(([group]) => !made.has(group.key))
        .map(([group, spans]) => ({
          trace: traces.get(group.key)!,
          spans,
          outcome: group.open === null ? failureOf(spans) : outcomeOf(spans),
        })),
    );
    const ownerOf = (row: TraceRow) => groups.get(`${row.tenantId}/${row.id}`)!.spans[0]!.item;
    // Those of one caller are told together.
    const reported = [...Map.groupBy(made.values(), ownerOf)].flatMap(([owner, rows]) =>
      tellReported(newId(), rows).map((event) => ({ owner, event, tenantId: rows[0]!.tenantId })),
    );
    const owners = [...reported.map(({ owner }) => owner), ...counted.map(ownerOf)];
    const ofMade = reported.map(({ owner, event, tenantId }): Change => {
      const { principal, traceparent } = items[owner]!.scope;
      return { tenantId, actor: principal.subject, traceparent, events: [event] };
    });
    const ofCounted = counted.map((row): Change => {
      const { principal, traceparent } = items[ownerOf(row)]!.scope;
      const isEnd = row.finishedAt !== null && traces.get(`${row.tenantId}/${row.id}`)!.finishedAt === null;
      const type = isEnd ? 'trace.ended' : 'trace.spans.added';
      return {
        tenantId: row.tenantId,
        actor: principal.subject,
        traceparent,
        events: [{ streamId: row.id, type, data: { trace: row }, tags: tagsOf(row) }],
      };
    });
    const records = items.flatMap(({ call, scope }, at): Change[] => {
      const result = results[at]!;
      if (call === null || sameAs[at] !== at || earlier[at] !== undefined || result instanceof Error) return [];
      const { tenantId, subject } = scope.principal;
      return [{ tenantId, actor: subject, events: [], idempotency: idempotencyRecord(call, result) }];
    });
    const appended = await appendChange(tx, 'trace', [...ofMade, ...ofCounted, ...records]);
    const events = new Map<number, EventRow[]>();
    appended.forEach((event, at) => {
      const own = events.get(owners[at]!);
      if (own) own.push(event);
      else events.set(owners[at]!, [event]);
    });
    return { counted, events };
  }

  // The server stores the spans while what is told of them is put together.
  const [, { counted, events }] = await Promise.all([insertSpans(tx, fresh), handOver().then(tell)]);
  const rowOf = new Map(counted.map((row) => [`${row.tenantId}/${row.id}`, row]));
  const added = [...sums].map(([{ key }, spans]) => {
    const trace = made.get(key) ?? rowOf.get(key)!;
    const ended = trace.finishedAt !== null && traces.get(key)!.finishedAt === null;
    return { trace, spans, started: made.has(key), ended };
  });
  return { results, events, added };
}

function groupByTrace(items: readonly IngestItem[], counts: (item: number) => boolean): ReadonlyMap<string, Group> {
  const groups = new Map<string, Group>();
  // Ids that are no UUID are hashed: once a trace, not once a span.
  const byHex = new Map<string, string>();
  items.forEach(({ scope, spans, traceId }, item) => {
    if (!counts(item)) return;
    const { tenantId } = scope.principal;
    for (const { index, span } of spans) {
      let id = traceId ?? byHex.get(span.traceId);
      if (id === undefined) {
        id = traceIdOf(span.traceId);
        byHex.set(span.traceId, id);
      }
      const key = `${tenantId}/${id}`;
      let group = groups.get(key);
      if (!group) {
        group = { key, tenantId, traceId: id, spans: [], open: null };
        groups.set(key, group);
      }
      const place: Placed = { item, index, span };
      group.spans.push(place);
      // A span without a parent names the trace best.
      if (traceId === null && (group.open === null || span.parentSpanId === null)) group.open = place;
    }
  });
  return groups;
}

function refusal(trace: TraceRow | undefined, now: number): string | null {
  if (!trace) return 'SAMPLED_OUT: its trace was neither failed nor slow, and not among those the rate keeps';
  if (isLockedTrace(trace)) return 'GOVERNANCE_LOCKED: the trace is locked';
  if (trace.archivedAt !== null) return 'TRACE_CLOSED: the trace is archived';
  if (trace.finishedAt !== null && now - trace.finishedAt.getTime() > graceMs)
    return `TRACE_CLOSED: the trace ended more than ${graceMs / 1_000} s ago`;
  return null;
}

/** Details of all spans, put together while the server looks for their traces. */
async function writeDetails(groups: Iterable<Group>): Promise<ReadonlyMap<Placed, string>> {
  await handOver();
  const details = new Map<Placed, string>();
  for (const { spans } of groups) for (const place of spans) details.set(place, writeDetail(place.span));
  return details;
}

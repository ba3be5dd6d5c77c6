import { plainArray, textArray } from '#shared/arrayLiteral.ts';
import { createBatcher } from '#shared/batch.ts';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
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
import type { Contexts } from './contexts.ts';
import { brokenForm, readPropagation } from './ids/propagation.ts';
import { traceIdHexOf, traceIdOf } from './ids/traceIds.ts';
import type { CreateTrace } from './inputs.ts';
import type { Live } from './live/live.ts';
import { noSuchTrace } from './noSuchTrace.ts';
import { failureOf, type ReportedSpan } from './otlp/span.ts';
import type { TraceRow } from './rows.ts';
import { writeDetail } from './store/spanDetail.ts';
import { arrayText, findTraces, tagsOf, traceColumns } from './store/traces.ts';
import { countSpans, insertSpans } from './store/writeSpans.ts';

export interface OpenItem {
  readonly scope: RequestScope;
  readonly input: CreateTrace;
  /** Stands in the trace from the start. */
  readonly rootSpan: ReportedSpan | null;
  readonly call: IdempotentCall | null;
}

interface Prepared extends OpenItem {
  readonly id: string;
  readonly w3cId: string;
}

const expectedForms = {
  traceparent: 'expected a W3C traceparent',
  b3: 'expected a b3 header that names a span',
  b3Headers: 'expected X-B3 headers that name a span',
  uberTraceId: 'expected a uber-trace-id of Jaeger',
} as const;

/** Opens traces, those asked for at the same time in one transaction. */
export function createOpening(runtime: ModuleRuntime, contexts: Contexts, live: Live) {
  const isSampling = runtime.config.TRACE_SAMPLING_RATE < 1;
  const batcher = createBatcher<Prepared, TraceRow>({
    maxItems: 500,
    maxDelayMs: 0,
    maxRuns: 2,
    async run(items) {
      const unknown = await refusedContexts(items, contexts);
      const attempt = () => runtime.sql.begin((tx) => write(tx, items, { refused: unknown, isSampling }));
      const { results, events, opened } = await attempt().catch((error: unknown) => {
        // Another process was first with a key: the second attempt finds its answer.
        if (isIdempotencyRace(error)) return attempt();
        throw error;
      });
      for (const { trace, rootSpan } of opened)
        live.note(trace, {
          ...{ started: true, ended: trace.finishedAt !== null },
          spans: rootSpan === null ? [] : [rootSpan],
        });
      const scopeOf = new Map(items.map(({ id, scope }) => [id, scope]));
      await Promise.all(events.map((event) => runtime.publisher.published([event], scopeOf.get(event.streamId)!)));
      return results;
    },
  });

  return {
    /** @throws {NOT_FOUND} for the context or the plan, {CONFLICT} where the trace named by the headers is there already. */
    async open(item: OpenItem): Promise<TraceRow> {
      const { input, scope } = item;
      const broken = brokenForm(input);
      if (broken !== null)
        throw new PlatformError('VALIDATION_FAILED', `input.${broken}: ${expectedForms[broken]}`, {
          path: ['input', broken],
        });
      const parent = readPropagation(input)?.reference ?? null;
      if (input.planId != null)
        await contexts.requirePlan(scope.principal, {
          planId: input.planId,
          contextId: input.contextId,
          taskId: input.taskId ?? null,
        });
      const id = parent ? traceIdOf(parent.traceId) : newId();
      return batcher.add({ ...item, id, w3cId: parent?.traceId ?? traceIdHexOf(id) });
    },
    drain: () => batcher.drain(),
  };
}

/** By place: why the context is refused. What the replica has is asked for all in one statement, the rest one by one. */
async function refusedContexts(
  items: readonly Prepared[],
  contexts: Contexts,
): Promise<ReadonlyMap<number, PlatformError>> {
  const references = items.map(({ scope, input }) => ({ tenantId: scope.principal.tenantId, id: input.contextId }));
  const known = await contexts.known(references);
  const refused = new Map<number, PlatformError>();
  await Promise.all(
    references.map(async ({ tenantId, id }, at) => {
      if (known.has(`${tenantId}/${id}`)) return;
      try {
        await contexts.require(items[at]!.scope.principal, id);
      } catch (error) {
        if (!(error instanceof PlatformError)) throw error;
        refused.set(at, error);
      }
    }),
  );
  return refused;
}

async function write(
  tx: SqlTransaction,
  items: readonly Prepared[],
  { refused, isSampling }: { readonly refused: ReadonlyMap<number, PlatformError>; readonly isSampling: boolean },
): Promise<{
  readonly results: readonly (TraceRow | Error)[];
  readonly events: readonly EventRow[];
  readonly opened: readonly { readonly trace: TraceRow; readonly rootSpan: ReportedSpan | null }[];
}> {
  const earlier = await findIdempotentResponses(
    tx as unknown as Sql,
    'trace',
    items.map(({ call }) => call),
  );
  const firstOf = new Map<string, number>();
  const sameAs = items.map(({ call }, at) => {
    if (call === null) return at;
    const key = JSON.stringify([call.tenantId, call.subject, call.key]);
    const first = firstOf.get(key) ?? at;
    firstOf.set(key, first);
    return first;
  });
  const fresh = items.filter((_item, at) => !refused.has(at) && earlier[at] === undefined && sameAs[at] === at);
  const made = new Map((await insertTraces(tx, fresh, isSampling)).map((row) => [`${row.tenantId}/${row.id}`, row]));
  const owner = new Map<string, Prepared>();
  for (const item of fresh) {
    const key = keyOf(item);
    if (made.has(key) && !owner.has(key)) owner.set(key, item);
  }
  const rooted = [...owner].flatMap(([key, { rootSpan }]) => {
    if (rootSpan === null) return [];
    const trace = made.get(key)!;
    const span = { ...rootSpan, traceId: trace.w3cId };
    return [{ trace, span, detail: writeDetail(span), late: false }];
  });
  await insertSpans(tx, rooted);
  for (const row of await countSpans(
    tx,
    rooted.map(({ trace, span }) => ({ trace, spans: [span], outcome: failureOf([span]) })),
  ))
    made.set(`${row.tenantId}/${row.id}`, row);
  const repeated = new Map<string, TraceRow>();
  for (const [at, found] of earlier.entries()) {
    if (!found || found instanceof Error) continue;
    const { tenantId } = items[at]!.scope.principal;
    const [row] = await findTraces(tx, tenantId, [(found.response as { traceId: string }).traceId]);
    if (row) repeated.set(items[at]!.id, row);
  }
  const results = items.map((item, at): TraceRow | Error => {
    const source = items[sameAs[at]!]!;
    const before = earlier[at];
    if (before instanceof Error) return before;
    if (before) return repeated.get(item.id) ?? noSuchTrace();
    const refusal = refused.get(sameAs[at]!);
    if (refusal) return refusal;
    const row = made.get(keyOf(source));
    if (row && owner.get(keyOf(source)) === source) return row;
    return new PlatformError('CONFLICT', 'the trace is there already', { path: ['input', 'traceparent'] });
  });
  const events = await appendChange(
    tx,
    'trace',
    [...owner].map(([key, { scope, call }]): Change => {
      const row = made.get(key)!;
      return {
        tenantId: row.tenantId,
        actor: scope.principal.subject,
        traceparent: scope.traceparent,
        events: ['trace.created', ...(row.finishedAt === null ? [] : ['trace.ended'])].map((type) => ({
          ...{ streamId: row.id, type },
          ...{ data: { trace: row }, tags: tagsOf(row) },
        })),
        audit: [{ action: 'trace.created', resource: 'Trace', resourceId: row.id }],
        idempotency: idempotencyRecord(call, { traceId: row.id }),
      };
    }),
  );
  const opened = [...owner].map(([key, { rootSpan }]) => ({ trace: made.get(key)!, rootSpan }));
  return { results, events, opened };
}

const keyOf = ({ scope, id }: Prepared): string => `${scope.principal.tenantId}/${id}`;

async function insertTraces(
  tx: SqlTransaction,
  items: readonly Prepared[],
  isSampling: boolean,
): Promise<readonly TraceRow[]> {
  if (items.length === 0) return [];
  return (await tx.unsafe(
    `INSERT INTO trace.trace (tenant_id, id, w3c_id, context_id, plan_id, name, status, created_by, tracestate, baggage,
       correlation_id, type, severity, service_name, tags, sampling_rate, task_id, undecided)
     SELECT a, b, c, d, e, f, q, g, h, i, j, k, l, m, n::text[], o, p, r
     FROM unnest($1::text::text[], $2::text::uuid[], $3::text::text[], $4::text::uuid[], $5::text::uuid[], $6::text::text[], $7::text::text[],
       $8::text::text[], $9::text::text[], $10::text::text[], $11::text::text[], $12::text::text[], $13::text::text[], $14::text::text[], $15::text::float8[],
       $16::text::uuid[], $17::text::text[], $18::text::boolean[]) AS t(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r)
     ON CONFLICT DO NOTHING RETURNING ${traceColumns}`,
    [
      textArray(items.map(({ scope }) => scope.principal.tenantId)),
      plainArray(items.map(({ id }) => id)),
      plainArray(items.map(({ w3cId }) => w3cId)),
      plainArray(items.map(({ input }) => input.contextId)),
      plainArray(items.map(({ input }) => input.planId ?? null)),
      textArray(items.map(({ input }) => input.name)),
      textArray(items.map(({ scope }) => scope.principal.subject)),
      textArray(items.map(({ input }) => input.tracestate ?? null)),
      textArray(items.map(({ input }) => input.baggage ?? null)),
      textArray(items.map(({ input }) => input.correlationId ?? null)),
      textArray(items.map(({ input }) => input.type)),
      textArray(items.map(({ input }) => input.severity ?? null)),
      textArray(items.map(({ input, rootSpan }) => input.serviceName ?? rootSpan?.service ?? null)),
      textArray(items.map(({ input }) => arrayText(input.tags ?? []))),
      plainArray(items.map(({ input }) => input.samplingRate ?? 1)),
      plainArray(items.map(({ input }) => input.taskId ?? null)),
      plainArray(items.map(({ input }) => (input.begin ? 'running' : 'pending'))),
      // Whoever says at which rate it keeps traces has chosen among them already.
      plainArray(items.map(({ input }) => isSampling && input.samplingRate == null)),
    ],
    { prepare: true },
  )) as unknown as TraceRow[];
}

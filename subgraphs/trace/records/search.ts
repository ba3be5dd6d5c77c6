import { z } from 'zod';
import { readChildPage } from '#shared/childPages.ts';
import { createConnection, type PageInput } from '#shared/connection.ts';
import type { RequestScope } from '#shared/context.ts';
import type { Sql } from '#shared/sql.ts';
import { id, parseInput, text } from '#shared/validation.ts';
import { noteListAccess, viewerOf, visibleCondition } from '../access.ts';
import type { TraceEventRow } from '../rows.ts';
import { historyColumns } from '../store/history.ts';
import { errorKinds, recordTypes } from './kinds.ts';
import { toDecision, toError } from './read.ts';

const dayMs = 86_400_000;
/** An event may be told as of up to a minute later than it is written. */
const aheadMs = 60_000;

const line = text({ min: 1, max: 255 }).nullish();
const share = z.number().min(0).max(1).nullish();
const searchQuery = text({ min: 1, max: 1_000 }).nullish();
const time = { from: z.date().nullish(), to: z.date().nullish() };
const place = { traceId: id.nullish(), contextId: id.nullish(), planId: id.nullish() };
const decisionFilter = z.object({
  ...{ ...place, ...time },
  decisionPoint: line,
  selected: line,
  decidedBy: line,
  minConfidence: share,
  maxConfidence: share,
  againstScore: z.boolean().nullish(),
});
const errorFilter = z.object({
  ...{ ...place, ...time },
  code: line,
  type: z
    .array(z.string().toLowerCase().pipe(z.enum(errorKinds)))
    .max(10)
    .nullish(),
  recoverable: z.boolean().nullish(),
  recordedBy: line,
});

/** Whether an option had a higher score than the one that was chosen. What an importer wrote may have any form. */
const leftABetterOne = `EXISTS (SELECT FROM jsonb_path_query(h.detail, '$.options[*].score', '{}', true) AS score,
  jsonb_path_query(h.detail, '$.options[*] ? (@.option == $selected).score', jsonb_build_object('selected', h.detail->'selected'), true) AS chosen
  WHERE jsonb_typeof(score) = 'number' AND jsonb_typeof(chosen) = 'number' AND score > chosen)`;
const confidence = `CASE WHEN jsonb_typeof(h.detail->'confidence') = 'number' THEN (h.detail->>'confidence')::float8 END`;

type Given = PageInput & { readonly query?: string | null | undefined; readonly filter?: unknown };
type Place = z.output<z.ZodObject<typeof place & typeof time>>;

/** Conditions on records h; only what is asked for stands there, so that each search gets its own plan. */
class Selection {
  readonly parameters: unknown[] = [];
  readonly conditions: string[];

  constructor({ principal }: RequestScope, type: string, filter: Place, query: string | null) {
    // The type is written out: the indexes are of these types alone.
    this.conditions = [`h.tenant_id = ${this.bind(principal.tenantId)}`, `h.source = 'trace' AND h.type = '${type}'`];
    const from = filter.from ?? new Date(Date.now() - dayMs);
    this.add(from.toISOString(), (at) => `h.occurred_at >= ${at}::text::timestamptz`);
    this.add(
      new Date(from.getTime() - aheadMs).toISOString(),
      // Partitions are of days of writing: older ones are left out by it.
      (at) => `h.recorded_at >= ${at}::text::timestamptz`,
    );
    this.add(filter.to?.toISOString(), (at) => `h.occurred_at < ${at}::text::timestamptz`);
    this.add(
      query,
      (words) =>
        `jsonb_to_tsvector('simple', h.detail, '["string"]') @@ websearch_to_tsquery('simple', ${words}::text)`,
    );
    this.add(filter.traceId, (at) => `h.trace_id = ${at}::uuid`);
    const viewer = viewerOf(principal);
    this.addTrace(viewer, (at) => visibleCondition('t', at));
    this.addTrace(filter.contextId, (at) => `t.context_id = ${at}::uuid`);
    this.addTrace(filter.planId, (at) => `t.plan_id = ${at}::uuid`);
  }

  bind(value: unknown): string {
    return `$${this.parameters.push(value)}`;
  }

  add(value: unknown, condition: (at: string) => string): void {
    if (value != null) this.conditions.push(condition(this.bind(value)));
  }

  addTrace(value: unknown, condition: (at: string) => string): void {
    this.add(
      value,
      (at) =>
        `EXISTS (SELECT FROM trace.trace t WHERE t.tenant_id = h.tenant_id AND t.id = h.trace_id AND ${condition(at)})`,
    );
  }
}

/** What was recorded of traces that the caller sees, over all of them. */
export function createRecordSearch(sql: Sql) {
  async function search<Row extends { readonly id: string; readonly occurredAt: Date }>(
    list: string,
    scope: RequestScope,
    selection: Selection,
    { input, read }: { readonly input: PageInput; read(event: TraceEventRow): Row | null },
  ) {
    const page = readChildPage({ list, sort: [{ type: 'timestamptz' }, { type: 'bigint' }] }, input);
    await noteListAccess(sql, scope);
    const [at, behind] = (page.from ?? [null, null]) as readonly [string | null, string | null];
    if (at !== null)
      selection.conditions.push(
        `(h.occurred_at, h.position) < (${selection.bind(at)}::text::timestamptz, ${selection.bind(behind)}::text::bigint)`,
      );
    const events = (await sql.unsafe(
      `SELECT ${historyColumns} FROM trace.history h WHERE ${selection.conditions.join(' AND ')}
       ORDER BY h.occurred_at DESC, h.position DESC LIMIT ${page.limit + 1}`,
      selection.parameters as never[],
      { prepare: true },
    )) as unknown as TraceEventRow[];
    const whole = createConnection(list, page, events, (event) => [event.occurredAt.toISOString(), event.position]);
    // What an importer gave the type and not the form of a record is none, and leaves its place empty.
    const edges = whole.edges.flatMap(({ cursor, node: event }) => {
      const node = read(event);
      return node === null ? [] : [{ cursor, node }];
    });
    return { edges, nodes: edges.map(({ node }) => node), pageInfo: whole.pageInfo };
  }

  return {
    /** Newest first. @throws {CURSOR_INVALID} {VALIDATION_FAILED} */
    async decisions(scope: RequestScope, { query: words, filter: given, ...input }: Given) {
      const filter = parseInput(decisionFilter, given ?? {}, ['filter']);
      const query = parseInput(searchQuery, words, ['query']) ?? null;
      const selection = new Selection(scope, recordTypes.decision, filter, query);
      selection.add(filter.decisionPoint, (at) => `h.detail->>'decisionPoint' = ${at}`);
      selection.add(filter.selected, (at) => `h.detail->>'selected' = ${at}`);
      selection.add(filter.decidedBy, (at) => `h.actor = ${at}`);
      selection.add(filter.minConfidence, (at) => `${confidence} >= ${at}::float8`);
      selection.add(filter.maxConfidence, (at) => `${confidence} <= ${at}::float8`);
      selection.add(filter.againstScore, (at) => `${leftABetterOne} = ${at}::boolean`);
      return search('traceDecisions', scope, selection, { input, read: toDecision });
    },

    /** Newest first. @throws {CURSOR_INVALID} {VALIDATION_FAILED} */
    async errors(scope: RequestScope, { query: words, filter: given, ...input }: Given) {
      const filter = parseInput(errorFilter, given ?? {}, ['filter']);
      const query = parseInput(searchQuery, words, ['query']) ?? null;
      const selection = new Selection(scope, recordTypes.error, filter, query);
      selection.add(filter.code, (at) => `h.detail->>'code' = ${at}`);
      selection.add(filter.type, (at) => `h.detail->>'type' = ANY(${at}::text[])`);
      selection.add(filter.recoverable, (at) => `h.detail->'recoverable' = to_jsonb(${at}::boolean)`);
      selection.add(filter.recordedBy, (at) => `h.actor = ${at}`);
      return search('traceErrors', scope, selection, { input, read: toError });
    },
  };
}

import { createConnection, type PageInput, readPage } from '#shared/connection.ts';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { IdempotentCall } from '#shared/idempotency.ts';
import type { ModuleRuntime, StartedModule } from '#shared/subgraph.ts';
import { parseInput } from '#shared/validation.ts';
import { analyse } from './analyse.ts';
import { quantile } from './analysis/quantile.ts';
import { createHistory } from './history/follow.ts';
import { createIngest, type IngestResult } from './ingest.ts';
import * as inputs from './inputs.ts';
import { createLifecycle, noSuchTrace, type Outcome } from './lifecycle.ts';
import { readExportRequest } from './otlp/readRequest.ts';
import { writeExportRequest } from './otlp/writeRequest.ts';
import type { TraceRow } from './rows.ts';
import { historyKey, listHistory } from './store/history.ts';
import { findSpans } from './store/spans.ts';
import { findTraces, listTraces, type TraceListFilter, traceKey } from './store/traces.ts';
import { createUpkeep } from './upkeep.ts';

export type TraceService = ReturnType<typeof createTraceService>;

const dayMs = 86_400_000;
const maxSpansPerCall = 1_000;

export function createTraceService(runtime: ModuleRuntime) {
  const { sql } = runtime;
  const ingest = createIngest(runtime);
  const lifecycle = createLifecycle(runtime);
  const history = createHistory(runtime);
  const upkeep = createUpkeep(runtime);

  function callOf(
    { principal: { tenantId, subject } }: RequestScope,
    key: string | null | undefined,
    operation: string,
    input: unknown,
  ): IdempotentCall | null {
    if (key == null) return null;
    return { tenantId, subject, key: parseInput(inputs.idempotency, key, ['idempotencyKey']), operation, input };
  }

  async function find(scope: RequestScope, traceId: string): Promise<TraceRow | null> {
    const [row] = await findTraces(sql, scope.principal.tenantId, [parseInput(inputs.traceId, traceId, ['traceId'])]);
    scope.readTags.add(`Trace:${traceId}`);
    return row ?? null;
  }

  return {
    sql,
    find,
    async events(trace: TraceRow, input: PageInput) {
      const page = readPage('trace events', 2, input);
      if (page.from !== null && !isHistoryKey(page.from))
        throw new PlatformError('CURSOR_INVALID', 'expected a cursor of this list', { path: ['after'] });
      return createConnection('trace events', page, await listHistory(sql, trace.tenantId, trace.id, page), historyKey);
    },
    jobs: () => ({ sweep: () => upkeep.sweep() }),
    sweep: upkeep.sweep,

    /** Follows the other modules until it is closed. */
    async start(): Promise<StartedModule> {
      const consumers = runtime.config.TRACE_HISTORY ? await history.follow() : [];
      return {
        async close() {
          await Promise.all(consumers.map((consumer) => consumer.close()));
          await ingest.drain();
        },
      };
    },

    async list(scope: RequestScope, filter: Omit<TraceListFilter, 'from'> & { from: Date | null }, input: PageInput) {
      const page = readPage('traces', 2, input);
      if (filter.contextId !== null) parseInput(inputs.traceId, filter.contextId, ['filter', 'contextId']);
      if (filter.planId !== null) parseInput(inputs.traceId, filter.planId, ['filter', 'planId']);
      const from = filter.from ?? new Date(Date.now() - dayMs);
      scope.readTags.add('traces');
      const rows = await listTraces(sql, scope.principal.tenantId, { ...filter, from }, page);
      return createConnection('traces', page, rows, traceKey);
    },

    async analysis(scope: RequestScope, traceId: string) {
      const trace = await find(scope, traceId);
      if (!trace) return null;
      const [spans, earlier] = await Promise.all([findSpans(sql, trace), earlierDurations(trace)]);
      return analyse(spans, earlier.length === 0 ? null : quantile(earlier, 0.5));
    },

    async exportOtlp(scope: RequestScope, traceId: string) {
      const trace = await find(scope, traceId);
      return trace ? writeExportRequest(await findSpans(sql, trace)) : null;
    },

    create(scope: RequestScope, input: unknown, idempotencyKey: string | null | undefined) {
      const parsed = parseInput(inputs.createTrace, input);
      return lifecycle.create(scope, parsed, callOf(scope, idempotencyKey, 'createTrace', parsed));
    },

    end(
      scope: RequestScope,
      input: { traceId: string; outcome: Outcome; expectedVersion: number | null },
      idempotencyKey: string | null | undefined,
    ) {
      parseInput(inputs.traceId, input.traceId, ['traceId']);
      return lifecycle.end(scope, input, callOf(scope, idempotencyKey, 'endTrace', input));
    },

    /** @throws {VALIDATION_FAILED} naming the first span that breaks a rule; nothing is stored then. */
    async addSpans(
      scope: RequestScope,
      traceId: string,
      given: readonly { readonly service: string; readonly message: Readonly<Record<string, unknown>> }[],
    ): Promise<IngestResult> {
      const trace = await find(scope, traceId);
      if (!trace) throw noSuchTrace();
      if (given.length < 1 || given.length > maxSpansPerCall)
        throw new PlatformError('VALIDATION_FAILED', `spans: expected 1 to ${maxSpansPerCall}, got ${given.length}`, {
          path: ['spans'],
        });
      const spans = given.map(({ service, message }, index) => {
        const { spans, rejected } = readExportRequest({
          resourceSpans: [
            {
              resource: { attributes: [{ key: 'service.name', value: { stringValue: service } }] },
              scopeSpans: [{ spans: [{ ...message, traceId: trace.w3cId }] }],
            },
          ],
        });
        if (rejected.length > 0)
          throw new PlatformError('VALIDATION_FAILED', `spans.${index}.${rejected[0]!.reason}`, {
            path: ['spans', index],
          });
        return { index, span: spans[0]! };
      });
      return ingest.add({ scope, spans, open: false });
    },

    async ingestOtlp(scope: RequestScope, request: unknown): Promise<IngestResult> {
      const { spans, rejected } = readExportRequest(request);
      const refused = new Set(rejected.map(({ index }) => index));
      let index = -1;
      const placed = spans.map((span) => {
        do index += 1;
        while (refused.has(index));
        return { index, span };
      });
      if (placed.length === 0) return { accepted: 0, known: 0, rejected };
      const result = await ingest.add({ scope, spans: placed, open: true });
      return { ...result, rejected: [...rejected, ...result.rejected].sort((a, b) => a.index - b.index) };
    },
  };

  function isHistoryKey([at, position]: readonly unknown[]): boolean {
    return typeof at === 'string' && !Number.isNaN(Date.parse(at)) && /^\d{1,18}$/.test(String(position));
  }

  /** Durations of traces of the same name made in the day before, ms. */
  async function earlierDurations(trace: TraceRow): Promise<readonly number[]> {
    const rows = (await sql.unsafe(
      `SELECT ((end_ns - start_ns) / 1e6)::float8 AS ms FROM trace.trace
       WHERE tenant_id = $1 AND name = $2 AND id <> $3 AND finished_at IS NOT NULL AND end_ns IS NOT NULL
         AND created_at < $4::text::timestamptz AND created_at >= $4::text::timestamptz - interval '24 hours'
       ORDER BY created_at DESC LIMIT 1000`,
      [trace.tenantId, trace.name, trace.id, trace.createdAt.toISOString()],
    )) as unknown as { ms: number }[];
    return rows.map(({ ms }) => ms);
  }
}

import { createConnection, type PageInput, readPage } from '#shared/connection.ts';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { Sql } from '#shared/sql.ts';
import { parseInput } from '#shared/validation.ts';
import { findRestricted, keepVisible, type Learn, noteListAccess, viewerOf } from './access.ts';
import { baselineOf, deviationOf } from './analysis/baseline.ts';
import { assemble } from './distributed.ts';
import { isTraceIdHex, paddedTraceId, traceIdOf } from './ids/traceIds.ts';
import * as inputs from './inputs.ts';
import type { TraceRow } from './rows.ts';
import { findEarlierDurations, findOperationFigures, findTotals } from './store/figures.ts';
import { linkingTo } from './store/links.ts';
import { findSampledOutCounts } from './store/sampling.ts';
import { findSpansOf } from './store/spans.ts';
import {
  findTraces,
  listTraces,
  type TraceListFilter,
  type TraceSortValue,
  traceColumns,
  traceKey,
} from './store/traces.ts';

const dayMs = 86_400_000;
const maxGathered = 20;
const maxRelated = 20;

export type GivenFilter = Omit<TraceListFilter, 'from' | 'tenantId' | 'viewer'> & { readonly from: Date | null };
export type TraceNames = { readonly [Name in 'traceId' | 'externalTraceId' | 'correlationId']: string | null };
export type Relation = 'LINK' | 'CORRELATION' | 'PLAN' | 'CONTEXT';

/** Questions over more than one trace. */
export function createQueries(sql: Sql, learn: Learn) {
  function readFilter({ principal }: RequestScope, filter: GivenFilter): TraceListFilter {
    if (filter.contextId !== null) parseInput(inputs.traceId, filter.contextId, ['filter', 'contextId']);
    if (filter.planId !== null) parseInput(inputs.traceId, filter.planId, ['filter', 'planId']);
    if (filter.taskId !== null) parseInput(inputs.traceId, filter.taskId, ['filter', 'taskId']);
    for (const name of ['correlationId', 'service', 'operation', 'text'] as const)
      if (filter[name] !== null) parseInput(inputs.filterText, filter[name], ['filter', name]);
    filter.tags?.forEach((tag, at) => void parseInput(inputs.tag, tag, ['filter', 'tags', at]));
    if (filter.attribute !== null) parseInput(inputs.attributeFilter, filter.attribute, ['filter', 'attribute']);
    const from = filter.from ?? new Date(Date.now() - dayMs);
    return { ...filter, from, tenantId: principal.tenantId, viewer: viewerOf(principal) };
  }

  async function named({ principal: { tenantId } }: RequestScope, names: TraceNames): Promise<readonly TraceRow[]> {
    const given = Object.values(names).filter((name) => name !== null);
    if (given.length !== 1)
      throw new PlatformError('VALIDATION_FAILED', 'expected one of traceId, externalTraceId and correlationId', {
        path: ['traceId'],
      });
    if (names.traceId !== null)
      return findTraces(sql, tenantId, [parseInput(inputs.traceId, names.traceId, ['traceId'])]);
    if (names.externalTraceId !== null) {
      const given = names.externalTraceId.toLowerCase();
      const hex = paddedTraceId(given) ?? given;
      if (!isTraceIdHex(hex))
        throw new PlatformError('VALIDATION_FAILED', 'externalTraceId: expected 16 or 32 hex digits, not all zero', {
          path: ['externalTraceId'],
        });
      return findTraces(sql, tenantId, [traceIdOf(hex)]);
    }
    parseInput(inputs.filterText, names.correlationId, ['correlationId']);
    return (await sql.unsafe(
      `SELECT ${traceColumns} FROM trace.trace WHERE tenant_id = $1 AND correlation_id = $2
       ORDER BY created_at DESC, id DESC LIMIT ${maxGathered}`,
      [tenantId, names.correlationId],
    )) as unknown as TraceRow[];
  }

  async function relatedTo(
    { principal: { tenantId } }: RequestScope,
    traces: readonly TraceRow[],
    linked: readonly string[],
  ): Promise<readonly { traceId: string; reason: Relation }[]> {
    const ids = traces.map(({ id }) => id);
    const others = (column: 'contextId' | 'planId' | 'correlationId') =>
      [...new Set(traces.map((trace) => trace[column]))].filter((value) => value !== null);
    return (await sql.unsafe(
      `SELECT r.id AS "traceId", r.reason FROM (
         SELECT 1 AS rank, 'LINK' AS reason, id FROM trace.trace WHERE tenant_id = $1 AND id = ANY($3::uuid[])
         UNION ALL (SELECT 1, 'LINK', l.trace_id FROM unnest($7::text[]) AS w(id) CROSS JOIN LATERAL (${linkingTo('w.id', maxRelated)}) AS l)
         UNION ALL (SELECT 2, 'CORRELATION', id FROM trace.trace WHERE tenant_id = $1 AND correlation_id = ANY($4::text[])
           ORDER BY created_at DESC LIMIT ${maxRelated})
         UNION ALL (SELECT 3, 'PLAN', id FROM trace.trace WHERE tenant_id = $1 AND plan_id = ANY($5::uuid[])
           AND context_id = ANY($6::uuid[]) ORDER BY created_at DESC LIMIT ${maxRelated})
         UNION ALL (SELECT 4, 'CONTEXT', id FROM trace.trace WHERE tenant_id = $1 AND context_id = ANY($6::uuid[])
           ORDER BY created_at DESC LIMIT ${maxRelated})
       ) AS r WHERE r.id <> ALL($2::uuid[]) ORDER BY r.rank, r.id`,
      [
        ...[tenantId, ids, [...linked], others('correlationId'), others('planId'), others('contextId')],
        traces.map(({ w3cId }) => w3cId),
      ],
      { prepare: true },
    )) as unknown as { traceId: string; reason: Relation }[];
  }

  return {
    async list(scope: RequestScope, filter: GivenFilter, sort: TraceSortValue, input: PageInput) {
      const name = `traces.${sort}`;
      const page = readPage(name, 2, input);
      await noteListAccess(sql, scope);
      const rows = await listTraces(sql, readFilter(scope, filter), sort, page);
      return createConnection(name, page, rows, traceKey(sort));
    },

    async distributed(scope: RequestScope, names: TraceNames) {
      const candidates = await named(scope, names);
      const ids = candidates.map(({ id }) => id);
      const traces = await keepVisible(sql, scope, ids, { read: Promise.resolve(candidates), learn });
      await noteListAccess(sql, scope);
      const spans = await findSpansOf(sql, scope.principal.tenantId, traces);
      const idOf = new Map(traces.map((trace) => [trace.w3cId, trace.id]));
      const whole = assemble(spans, (w3cId) => idOf.get(w3cId)!);
      if (!whole) return null;
      const linked = [...new Set(spans.flatMap(({ links }) => links.map(({ traceId }) => traceIdOf(traceId))))];
      const around = await relatedTo(scope, traces, linked);
      const restricted = await findRestricted(
        sql,
        scope.principal,
        around.map(({ traceId }) => traceId),
      );
      const found = around.filter(({ traceId }) => restricted.get(traceId) !== true);
      const first = new Map<string, Relation>();
      for (const { traceId, reason } of found) if (!first.has(traceId)) first.set(traceId, reason);
      const related = [...first].map(([traceId, reason]) => ({ traceId, reason }));
      const samplingRate = Math.min(...traces.map((trace) => trace.samplingRate));
      return { ...whole, traces: [...traces], related, samplingRate };
    },

    async analyseMany(scope: RequestScope, given: GivenFilter) {
      const filter = readFilter(scope, given);
      await noteListAccess(sql, scope);
      const { traces, operations } = await findOperationFigures(sql, filter);
      const earlier = await findEarlierDurations(sql, filter, operations, filter.from);
      const spanCount = operations.reduce((sum, { count }) => sum + count, 0);
      const errors = operations.reduce((sum, operation) => sum + operation.errors, 0);
      return {
        traceCount: traces,
        spanCount,
        errorRate: spanCount === 0 ? 0 : errors / spanCount,
        operations: operations.map(({ errors: failed, ...figures }, at) => {
          const baseline = baselineOf(earlier[at]!);
          const deviation = baseline && deviationOf(figures.p50Ms, baseline);
          return {
            ...figures,
            errorRate: failed / figures.count,
            deviation: deviation && { ...deviation, baselineP50Ms: baseline.median },
          };
        }),
      };
    },

    async statistics(scope: RequestScope, filter: GivenFilter) {
      await noteListAccess(sql, scope);
      const read = readFilter(scope, filter);
      const [totals, sampledOut] = await Promise.all([findTotals(sql, read), findSampledOutCounts(sql, read)]);
      return { ...totals, sampledOut };
    },
  };
}

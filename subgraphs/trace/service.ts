import type { PageInput } from '#shared/connection.ts';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { readOverride } from '#shared/governanceOverride.ts';
import type { IdempotentCall } from '#shared/idempotency.ts';
import { createOnce } from '#shared/once.ts';
import type { ModuleRuntime, StartedModule } from '#shared/subgraph.ts';
import { parseInput } from '#shared/validation.ts';
import { keepVisible } from './access.ts';
import { createAlerts } from './alerts/alerts.ts';
import { createAlertEvaluation } from './alerts/evaluation.ts';
import { createAlertRules } from './alerts/rules.ts';
import { analyse, findRoot } from './analyse.ts';
import { quantile } from './analysis/quantile.ts';
import { followApprovals } from './approvals.ts';
import { createContexts } from './contexts.ts';
import { createHealth } from './health.ts';
import { createHistory } from './history/follow.ts';
import { createIngest, type IngestItem, type IngestResult } from './ingest.ts';
import * as inputs from './inputs.ts';
import { createLifecycle, type Outcome } from './lifecycle.ts';
import { createLive } from './live/live.ts';
import { createMetrics } from './metrics.ts';
import { createOpening } from './opening.ts';
import { readExportRequest } from './otlp/readRequest.ts';
import type { ReportedSpan } from './otlp/span.ts';
import { writeExportRequest } from './otlp/writeRequest.ts';
import { createQueries } from './queries.ts';
import { createRecording } from './records/recording.ts';
import { createRecordSearch } from './records/search.ts';
import { listSnapshots, type SnapshotSearch } from './records/snapshots.ts';
import { createRemoval } from './removal.ts';
import type { TraceRow } from './rows.ts';
import { createSpanChanges, type SpanChange, type SpanPatch } from './spanChanges.ts';
import { sweepRollups } from './store/rollups.ts';
import { findEarlierRuns, findSimilarRuns } from './store/similarRuns.ts';
import { findSpans } from './store/spans.ts';
import { findTraces } from './store/traces.ts';
import { createTraceChanges, type TraceTarget } from './traceChanges.ts';
import { createUpkeep } from './upkeep.ts';

type GivenKey = string | null | undefined;

export type TraceService = ReturnType<typeof createTraceService>;

const maxSpansPerCall = 1_000;
const maxTracesPerCall = 100;
const maxMetricsPerCall = 1_000;
/** Stands where the trace is named by the call: any that is well-formed. */
const placeholderTraceId = '1'.repeat(32);

/** A span as an OTLP message, beside it the name of its service. */
export interface GivenSpan {
  readonly service: string;
  readonly message: Readonly<Record<string, unknown>>;
}

function requireCount(name: string, count: number, max: number): void {
  if (count < 1 || count > max)
    throw new PlatformError('VALIDATION_FAILED', `${name}: expected 1 to ${max}, got ${count}`, { path: [name] });
}

/** @throws {VALIDATION_FAILED} */
function readGivenSpan({ service, message }: GivenSpan, path: readonly (string | number)[]): ReportedSpan {
  const { spans, rejected } = readExportRequest({
    resourceSpans: [
      {
        resource: { attributes: [{ key: 'service.name', value: { stringValue: service } }] },
        scopeSpans: [{ spans: [{ ...message, traceId: placeholderTraceId }] }],
      },
    ],
  });
  if (rejected.length > 0)
    throw new PlatformError('VALIDATION_FAILED', `${path.join('.')}.${rejected[0]!.reason}`, { path });
  return spans[0]!;
}

/** The trace that a change is about, with what is to open its lock; `override` is absent where nothing was given. */
interface GivenTarget {
  readonly traceId: string;
  readonly expectedVersion: number | null;
  readonly override?: unknown;
}

export function createTraceService(runtime: ModuleRuntime) {
  const { sql, keyedSql = sql } = runtime;
  const contexts = createContexts(runtime);
  const live = createLive(runtime);
  const { TRACE_SAMPLING_RATE: rate, TRACE_SLOW_MS: slowMs } = runtime.config;
  const ingest = createIngest(runtime, { rate, slowMs }, live, contexts.learn);
  const opening = createOpening(runtime, contexts, live);
  const once = createOnce('trace', runtime);
  const lifecycle = createLifecycle(runtime, once, live);
  const changeSpan = createSpanChanges(lifecycle.change);
  const changes = createTraceChanges(lifecycle.change);
  const recording = createRecording(runtime, { change: lifecycle.change, once, find, callOf, analysisOf });
  const metrics = createMetrics(runtime, lifecycle.change);
  const queries = createQueries(sql, contexts.learn);
  const removal = createRemoval(once);
  const history = createHistory(runtime);
  const upkeep = createUpkeep(runtime);
  const alertRules = createAlertRules(runtime, once);
  const alerts = createAlerts(runtime, once);
  const sweep = async () => {
    await upkeep.sweep();
    await sweepRollups(sql, runtime.config);
    await alerts.sweepAlerts();
  };

  function callOf(
    { principal: { tenantId, subject } }: RequestScope,
    key: GivenKey,
    operation: string,
    input: unknown,
  ): IdempotentCall | null {
    if (key == null) return null;
    return { tenantId, subject, key: parseInput(inputs.idempotency, key, ['idempotencyKey']), operation, input };
  }

  async function claimOf(
    { principal }: RequestScope,
    { traceId, expectedVersion, override }: GivenTarget,
  ): Promise<TraceTarget> {
    const target = { type: 'TRACE', id: traceId, noun: 'trace' } as const;
    return { traceId, expectedVersion, claim: await readOverride(runtime, principal, { target, override }) };
  }

  async function find(scope: RequestScope, traceId: string): Promise<TraceRow | null> {
    const ids = [parseInput(inputs.traceId, traceId, ['traceId'])];
    const read = findTraces(sql, scope.principal.tenantId, ids);
    const [row] = await keepVisible(keyedSql, scope, ids, { read, learn: contexts.learn });
    scope.readTags.add(`Trace:${traceId}`);
    return row ?? null;
  }

  /** @param options.withSimilar whether it is set beside similar runs: without, there is no comparison. */
  async function analysisOf(scope: RequestScope, traceId: string, { withSimilar }: { readonly withSimilar: boolean }) {
    const trace = await find(scope, traceId);
    if (!trace) return null;
    const hours = runtime.config.TRACE_BASELINE_HOURS;
    const [spans, earlier] = await Promise.all([findSpans(sql, trace), findEarlierRuns(sql, trace, hours)]);
    const root = withSimilar ? findRoot(spans) : null;
    return analyse(spans, {
      baselineP50Ms: earlier.length === 0 ? null : quantile(earlier, 0.5),
      similar: root && (await findSimilarRuns(sql, trace, root, { spans, hours })),
    });
  }

  return {
    sql,
    keyedSql,
    learn: contexts.learn,
    find,
    search: createRecordSearch(sql),

    async snapshotsOf(scope: RequestScope, search: SnapshotSearch, page: PageInput) {
      parseInput(inputs.traceId, search.contextId, ['contextId']);
      if (search.capturedBy !== null) parseInput(inputs.filterText, search.capturedBy, ['capturedBy']);
      return listSnapshots(sql, scope, search, page);
    },
    jobs: () => ({ sweep }),
    sweep,

    /** Follows the other modules until it is closed. */
    async follow(): Promise<StartedModule> {
      const consumers = [
        await contexts.follow(),
        await followApprovals(runtime),
        ...(runtime.config.TRACE_HISTORY ? await history.follow() : []),
        ...(runtime.config.TRACE_ALERTS ? [await createAlertEvaluation(runtime).follow()] : []),
      ];
      return {
        async close() {
          await Promise.all(consumers.map((consumer) => consumer.close()));
          await Promise.all([ingest.drain(), opening.drain()]);
          await live.close();
        },
      };
    },
    spansOf: (trace: TraceRow) => findSpans(sql, trace),
    drain: async () => {
      await Promise.all([ingest.drain(), opening.drain()]);
    },
    ...queries,
    ...recording,
    health: createHealth(runtime),
    rules: alertRules.rules,
    alerts: alerts.alerts,
    configureAlert(scope: RequestScope, input: unknown, expectedVersion: number | null, key: GivenKey) {
      const call = (parsed: unknown) => callOf(scope, key, 'configureAlert', parsed);
      return alertRules.configure(scope, input, expectedVersion, call);
    },
    removeAlertRule(scope: RequestScope, ruleId: string, expectedVersion: number | null, key: GivenKey) {
      const call = callOf(scope, key, 'deleteTraceAlertRule', { ruleId, expectedVersion });
      return alertRules.removeRule(scope, ruleId, expectedVersion, call);
    },
    acknowledgeAlert: (scope: RequestScope, alertId: string, key: GivenKey) =>
      alerts.acknowledge(scope, alertId, callOf(scope, key, 'acknowledgeTraceAlert', { alertId })),

    analysis: analysisOf,

    async exportOtlp(scope: RequestScope, traceId: string) {
      const trace = await find(scope, traceId);
      return trace ? writeExportRequest(await findSpans(sql, trace)) : null;
    },

    create(scope: RequestScope, input: unknown, idempotencyKey: GivenKey) {
      const parsed = parseInput(inputs.createTrace, input);
      return opening.open({
        scope,
        input: parsed,
        rootSpan: null,
        call: callOf(scope, idempotencyKey, 'createTrace', parsed),
      });
    },

    /** Each trace by itself: what was refused stands as an error in its place. */
    async createMany(scope: RequestScope, given: readonly unknown[], idempotencyKey: GivenKey) {
      requireCount('inputs', given.length, maxTracesPerCall);
      const results = await Promise.allSettled(
        given.map(async (input, at) => {
          const parsed = parseInput(inputs.createTrace, input, ['inputs', at]);
          const call = callOf(scope, idempotencyKey, 'createTraces', parsed);
          return opening.open({
            scope,
            input: parsed,
            rootSpan: null,
            call: call && { ...call, key: `${call.key}#${at}` },
          });
        }),
      );
      return results.map((result): TraceRow | PlatformError => {
        if (result.status === 'fulfilled') return result.value;
        if (result.reason instanceof PlatformError) return result.reason;
        throw result.reason;
      });
    },

    start(scope: RequestScope, input: unknown, root: GivenSpan, idempotencyKey: GivenKey) {
      const parsed = parseInput(inputs.createTrace, input);
      const rootSpan = readGivenSpan(root, ['rootSpan']);
      const call = callOf(scope, idempotencyKey, 'startTrace', { input: parsed, rootSpan });
      return opening.open({ scope, input: parsed, rootSpan, call });
    },

    async performance(scope: RequestScope, traceId: string, range: Parameters<typeof metrics.performance>[1]) {
      const trace = await find(scope, traceId);
      return trace ? metrics.performance(trace, range) : null;
    },
    anomalies: metrics.anomalies,

    recordMetrics(scope: RequestScope, traceId: string, given: readonly unknown[], idempotencyKey: GivenKey) {
      parseInput(inputs.traceId, traceId, ['traceId']);
      requireCount('metrics', given.length, maxMetricsPerCall);
      const call = callOf(scope, idempotencyKey, 'recordMetrics', { traceId, metrics: given });
      return metrics.record(scope, traceId, given, call);
    },

    changeSpan(scope: RequestScope, target: SpanChange, patch: SpanPatch, operation: string, idempotencyKey: GivenKey) {
      parseInput(inputs.traceId, target.traceId, ['traceId']);
      return changeSpan(scope, target, patch, callOf(scope, idempotencyKey, operation, { ...target, ...patch }));
    },

    async archive(scope: RequestScope, target: GivenTarget, archived: boolean, idempotencyKey: GivenKey) {
      parseInput(inputs.traceId, target.traceId, ['traceId']);
      const operation = archived ? 'archiveTrace' : 'unarchiveTrace';
      const call = callOf(scope, idempotencyKey, operation, target);
      return changes.archive(scope, await claimOf(scope, target), archived, call);
    },

    async update(scope: RequestScope, target: GivenTarget, given: unknown, idempotencyKey: GivenKey) {
      parseInput(inputs.traceId, target.traceId, ['traceId']);
      const patch = parseInput(inputs.patchTrace, given, ['patch']);
      const call = callOf(scope, idempotencyKey, 'updateTrace', { ...target, patch });
      return changes.update(scope, await claimOf(scope, target), patch, call);
    },

    async remove(
      scope: RequestScope,
      traceIds: readonly string[],
      { expectedVersion, override }: Omit<GivenTarget, 'traceId'>,
      idempotencyKey: GivenKey,
    ) {
      requireCount('traceIds', traceIds.length, maxTracesPerCall);
      traceIds.forEach((id, at) => void parseInput(inputs.traceId, id, ['traceIds', at]));
      const call = callOf(scope, idempotencyKey, 'deleteTraces', {
        ...{ traceIds, expectedVersion },
        ...(override === undefined ? {} : { override }),
      });
      const { claim = null } = await claimOf(scope, { traceId: traceIds[0]!, expectedVersion, override });
      return removal(scope, traceIds, { expectedVersion, claim }, call);
    },

    async end(scope: RequestScope, input: GivenTarget & { readonly outcome: Outcome }, idempotencyKey: GivenKey) {
      parseInput(inputs.traceId, input.traceId, ['traceId']);
      const { claim = null, ...target } = await claimOf(scope, input);
      const call = callOf(scope, idempotencyKey, 'endTrace', input);
      return lifecycle.end(scope, { ...target, outcome: input.outcome, claim }, call);
    },

    /** @throws {VALIDATION_FAILED} naming the first span that breaks a rule; nothing is stored then. {NOT_FOUND} */
    async addSpans(
      scope: RequestScope,
      traceId: string,
      given: readonly GivenSpan[],
      idempotencyKey: GivenKey,
    ): Promise<IngestResult> {
      parseInput(inputs.traceId, traceId, ['traceId']);
      requireCount('spans', given.length, maxSpansPerCall);
      const spans = given.map((span, index) => ({ index, span: readGivenSpan(span, ['spans', index]) }));
      return ingest.add({ scope, spans, traceId, call: callOf(scope, idempotencyKey, 'addSpans', { traceId, spans }) });
    },

    async ingestOtlp(scope: RequestScope, request: unknown, idempotencyKey?: GivenKey): Promise<IngestResult> {
      const { spans, rejected } = readExportRequest(request);
      const refused = new Set(rejected.map(({ index }) => index));
      let index = -1;
      const placed = spans.map((span) => {
        do index += 1;
        while (refused.has(index));
        return { index, span };
      });
      if (placed.length === 0) return { accepted: 0, known: 0, rejected };
      const call = callOf(scope, idempotencyKey, 'ingestOtlp', request);
      const item: IngestItem = { scope, spans: placed, traceId: null, call };
      const result = await ingest.add(item);
      return { ...result, rejected: [...rejected, ...result.rejected].sort((a, b) => a.index - b.index) };
    },
  };
}

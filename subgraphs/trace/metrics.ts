import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { IdempotentCall } from '#shared/idempotency.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput } from '#shared/validation.ts';
import { noteListAccess, requireVisible, viewerOf } from './access.ts';
import { type AnomalySeverity, type AnomalyType, anomalyOf } from './analysis/anomaly.ts';
import { type Baseline, baselineOf } from './analysis/baseline.ts';
import * as inputs from './inputs.ts';
import { type ChangeTrace, requireTaking } from './lifecycle.ts';
import { noSuchTrace } from './noSuchTrace.ts';
import type { TraceRow } from './rows.ts';
import { denialsMetric, failuresMetric, findSecurityAnomalies, type SecuritySearch } from './security.ts';
import { findEarlierMetrics, findMetricFigures, findMetrics, insertMetrics } from './store/metrics.ts';
import { findRolledFigures, rawFrom } from './store/rollups.ts';
import { begun, lockTrace, traceColumns } from './store/traces.ts';

const stepSeconds = { second: 1, minute: 60, hour: 3_600, day: 86_400 } as const;
export type Granularity = keyof typeof stepSeconds;
const maxSteps = 1_440;
const maxAnomalies = 100;
const hourMs = 3_600_000;

export interface TimeRange {
  readonly from: Date | null;
  readonly to: Date | null;
}

export interface AnomalySearch extends TimeRange {
  readonly traceId: string | null;
  readonly metric: string | null;
  readonly type: readonly AnomalyType[] | null;
  readonly severity: readonly AnomalySeverity[] | null;
}

const ranks: Readonly<Record<AnomalySeverity, number>> = { CRITICAL: 0, HIGH: 1, MEDIUM: 2, LOW: 3 };

/** How far apart anomalies of a trace may lie to be told together, ms. */
const affectedWithinMs = 300_000;

/** Beside each, the metrics of its trace that were off at the same time, its own first. */
function withAffected<Found extends { readonly traceId: string; readonly metric: string; readonly at: Date }>(
  anomalies: readonly Found[],
): readonly (Found & { readonly affectedMetrics: string[] })[] {
  const byTrace = Map.groupBy(anomalies, ({ traceId }) => traceId);
  return anomalies.map((anomaly) => {
    const { traceId, metric, at } = anomaly;
    const near = byTrace
      .get(traceId)!
      .filter((other) => Math.abs(other.at.getTime() - at.getTime()) <= affectedWithinMs);
    return { ...anomaly, affectedMetrics: [...new Set([metric, ...near.map((other) => other.metric)])] };
  });
}

/** Figures that are reported of traces, and what they say. */
export function createMetrics({ sql, config }: ModuleRuntime, change: ChangeTrace) {
  /** As anomalies of metrics: what is told by itself has no baseline. */
  async function securityAnomalies(search: SecuritySearch & Pick<AnomalySearch, 'metric' | 'type'>) {
    if (search.type !== null && !search.type.includes('SECURITY_ANOMALY')) return [];
    if (search.metric !== null && search.metric !== denialsMetric && search.metric !== failuresMetric) return [];
    const found = await findSecurityAnomalies(sql, search);
    return found
      .filter(({ metric }) => search.metric === null || metric === search.metric)
      .map(({ recommendations, ...anomaly }) => ({
        ...anomaly,
        type: 'SECURITY_ANOMALY' as const,
        unit: null,
        recommendations: [...recommendations],
        method: null,
        score: null,
        baselineP50: null,
      }));
  }

  return {
    /** @throws {VALIDATION_FAILED} {NOT_FOUND} {INVALID_STATE} where the trace ended more than a minute ago. */
    async record(scope: RequestScope, traceId: string, given: readonly unknown[], call: IdempotentCall | null) {
      const metrics = given.map((metric, at) => {
        const { at: taken, ...rest } = parseInput(inputs.metric, metric, ['metrics', at]);
        const ageMs = Date.now() - (taken ?? new Date()).getTime();
        if (ageMs > config.TRACE_METRIC_DAYS * 24 * hourMs || ageMs < -60_000)
          throw new PlatformError(
            'VALIDATION_FAILED',
            `metrics.${at}.at: expected a time of the last ${config.TRACE_METRIC_DAYS} days`,
            { path: ['metrics', at, 'at'] },
          );
        return {
          ...{ ...rest, unit: rest.unit ?? null, dimensions: rest.dimensions ?? {} },
          ...{ windowMs: rest.windowMs ?? null, at: taken ?? new Date() },
        };
      });
      return change(scope, call, 'trace.metrics.recorded', async (tx) => {
        const trace = await lockTrace(tx, scope.principal.tenantId, traceId);
        if (!trace) throw noSuchTrace();
        await requireVisible(tx, scope.principal, [traceId]);
        requireTaking(trace);
        const ordinals = await insertMetrics(tx, trace, metrics);
        const [row] = (await tx.unsafe(
          `UPDATE trace.trace SET revision = revision + 1, updated_at = now(), status = ${begun} WHERE tenant_id = $1 AND id = $2 RETURNING ${traceColumns}`,
          [trace.tenantId, trace.id],
          { prepare: true },
        )) as unknown as TraceRow[];
        return { trace: row!, told: { metrics: ordinals }, noted: { metrics } };
      });
    },

    /** @throws {VALIDATION_FAILED} for a range that is empty or has too many steps. */
    async performance(
      trace: TraceRow,
      range: TimeRange & { readonly granularity: Granularity; readonly metrics: readonly string[] | null },
    ) {
      const step = stepSeconds[range.granularity];
      const to = range.to ?? new Date();
      const begun = Math.min(trace.createdAt.getTime(), Number(BigInt(trace.startNs ?? '0') / 1_000_000n) || Infinity);
      const from = range.from ?? new Date(Math.max(begun, to.getTime() - maxSteps * step * 1_000));
      const steps = (to.getTime() - from.getTime()) / 1_000 / step;
      if (steps <= 0 || steps > maxSteps)
        throw new PlatformError(
          'VALIDATION_FAILED',
          `timeRange: expected up to ${maxSteps} steps of a ${range.granularity}, got ${Math.ceil(steps)}`,
          { path: ['timeRange'] },
        );
      range.metrics?.forEach((name, at) => void parseInput(inputs.filterText, name, ['metrics', at]));
      const asked = { from, to, step, names: range.metrics };
      const keptFrom = rawFrom(config.TRACE_METRIC_DAYS);
      const figures =
        from < keptFrom
          ? await findRolledFigures(sql, trace, asked, config)
          : await findMetricFigures(sql, trace, asked);
      return {
        points: figures.points.map((point) => ({ ...point, at: new Date(point.at) })),
        aggregates: figures.aggregates.map(({ slope: _slope, determination: _share, ...sums }) => sums),
        trends: figures.aggregates.map(({ metric, count, slope, determination }) => {
          const explained = count >= 3 && slope !== null && slope !== 0 && (determination ?? 0) >= 0.5;
          return {
            metric,
            direction: explained ? (slope > 0 ? ('RISING' as const) : ('FALLING' as const)) : ('STEADY' as const),
            slopePerHour: (slope ?? 0) * 3_600,
            determination: determination ?? 0,
          };
        }),
      };
    },

    async anomalies(scope: RequestScope, given: AnomalySearch) {
      if (given.traceId !== null) parseInput(inputs.traceId, given.traceId, ['filter', 'traceId']);
      if (given.metric !== null) parseInput(inputs.filterText, given.metric, ['filter', 'metric']);
      await noteListAccess(sql, scope);
      const to = given.to ?? new Date();
      const { tenantId } = scope.principal;
      const search = {
        ...given,
        tenantId,
        viewer: viewerOf(scope.principal),
        from: given.from ?? new Date(to.getTime() - hourMs),
        to,
      };
      const values = await findMetrics(sql, search);
      const names = [...new Set(values.map(({ name }) => name))];
      const earlier = await findEarlierMetrics(sql, search, names, config.TRACE_BASELINE_HOURS);
      const baselines = new Map<string, Baseline | null>();
      for (const [key, numbers] of earlier) baselines.set(key, baselineOf(numbers));
      const wanted = ({ type, severity }: { type: AnomalyType; severity: AnomalySeverity }) =>
        (given.type?.includes(type) ?? true) && (given.severity?.includes(severity) ?? true);
      const ofMetrics = values.flatMap((row) => {
        const baseline = baselines.get(`${row.name}/${row.unit ?? ''}`) ?? null;
        const found = anomalyOf(row, baseline);
        if (found === null) return [];
        const { deviation, recommendations, ...anomaly } = found;
        const { name, ...place } = row;
        return [
          {
            ...place,
            ...anomaly,
            metric: name,
            recommendations: [...recommendations],
            method: deviation?.method ?? null,
            score: deviation?.score ?? null,
            baselineP50: baseline?.median ?? null,
          },
        ];
      });
      const found = withAffected([...ofMetrics, ...(await securityAnomalies(search))]);
      return found
        .filter(wanted)
        .sort(
          (a, b) =>
            ranks[a.severity] - ranks[b.severity] ||
            Math.abs(b.score ?? 0) - Math.abs(a.score ?? 0) ||
            b.at.getTime() - a.at.getTime(),
        )
        .slice(0, maxAnomalies);
    },
  };
}

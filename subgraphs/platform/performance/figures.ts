import type { Sql } from '#shared/sql.ts';
import { computeSteps } from '../monitoring/compute.ts';
import { queryMetric, type Range, readGroups } from '../monitoring/reading.ts';

/** Histogram of the time that operations took at the gateway, ms, by root field; what came of the response cache is not in it. */
export const operationMetric = 'mplp_operation_ms';

export interface OperationFigures {
  readonly operation: string;
  readonly count: number;
  readonly meanMs: number;
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
}

const whole = ({ fromMs, stepMs, steps }: Range): Range => ({ fromMs, stepMs: stepMs * steps, steps: 1 });

/** What was measured of each operation within the range, or of one. */
export async function findOperations(
  sql: Sql,
  tenantId: string,
  range: Range,
  operation: string | null = null,
): Promise<readonly OperationFigures[]> {
  const labels: Record<string, string> = operation === null ? {} : { operation };
  const query = { metric: operationMetric, fn: 'INCREASE' as const, labels, by: ['operation'], dividedBy: null };
  const one = whole(range);
  const { groups } = await readGroups(sql, tenantId, query, one);
  return groups.flatMap(({ labels: named, series }) => {
    const of = (fn: 'INCREASE' | 'MEAN' | 'P50' | 'P90' | 'P95' | 'P99') =>
      computeSteps(series, { ...one, fn })[0] ?? null;
    const count = of('INCREASE');
    if (count === null || count <= 0) return [];
    return {
      operation: named[0]?.[1] ?? '',
      count,
      meanMs: of('MEAN') ?? 0,
      p50Ms: of('P50') ?? 0,
      p90Ms: of('P90') ?? 0,
      p95Ms: of('P95') ?? 0,
      p99Ms: of('P99') ?? 0,
    };
  });
}

/** One figure over the whole range; null where nothing was measured. */
export async function findFigure(
  sql: Sql,
  tenantId: string,
  range: Range,
  {
    metric,
    fn,
    labels = {},
    dividedBy = null,
  }: {
    metric: string;
    fn: 'AVG' | 'MAX' | 'INCREASE' | 'LAST';
    labels?: Record<string, string>;
    dividedBy?: string | null;
  },
): Promise<number | null> {
  const [series] = await queryMetric(sql, tenantId, { metric, fn, labels, by: [], dividedBy }, whole(range));
  return series?.points[0]?.value ?? null;
}

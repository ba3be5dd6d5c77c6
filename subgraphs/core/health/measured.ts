import type { Sql } from '#shared/sql.ts';
import { findMeasured, type Measured, nothing } from '../metrics/reads.ts';
import { platformTenant } from '../settings.ts';
import type { Component, ComponentStatus } from './health.ts';

/** What was measured lately, by what it says of the platform. */
export interface HealthMetric {
  readonly name: string;
  /** Null where too little was measured. */
  readonly value: number | null;
  readonly unit: 'ms' | 'ratio';
  /** From here on it is degraded, and unhealthy. */
  readonly degradedFrom: number;
  readonly unhealthyFrom: number;
  /** Measurements that it is made of. */
  readonly count: number;
}

const windowMs = 5 * 60_000;
/** Of fewer calls a share says nothing. */
const minCalls = 20;

/** Figures of the last five minutes out of what all processes measured. */
export function metricsOf(measured: ReadonlyMap<string, Measured>): readonly HealthMetric[] {
  const of = (series: string): Measured => measured.get(series) ?? nothing;
  const calls = of('step.service');
  const [wait, pool, busy, slots] = [of('step.wait'), of('pool.wait'), of('worker.busy'), of('worker.slots')];
  const mean = ({ count, mean: value }: Measured) => (count === 0 ? null : value);
  return [
    {
      name: 'steps.broken',
      value: calls.count < minCalls ? null : of('step.broken').count / calls.count,
      unit: 'ratio',
      degradedFrom: 0.05,
      unhealthyFrom: 0.25,
      count: calls.count,
    },
    // The bound of a step in the guide, and five times that.
    { name: 'steps.wait', value: mean(wait), unit: 'ms', degradedFrom: 500, unhealthyFrom: 2_500, count: wait.count },
    { name: 'database.wait', value: mean(pool), unit: 'ms', degradedFrom: 50, unhealthyFrom: 250, count: pool.count },
    // What the guide allows of a processor.
    {
      name: 'workers.load',
      value: slots.mean === 0 ? null : busy.mean / slots.mean,
      unit: 'ratio',
      degradedFrom: 0.8,
      unhealthyFrom: 0.98,
      count: slots.count,
    },
  ];
}

export async function readMetrics(sql: Sql, nowMs: number): Promise<readonly HealthMetric[]> {
  const stretch = {
    tenantId: platformTenant,
    from: new Date(nowMs - windowMs).toISOString(),
    // The database's clock says when something was stored.
    until: new Date(nowMs + 1_000).toISOString(),
  };
  return metricsOf(await findMeasured(sql, stretch));
}

/** Metrics as components, so that they count in the whole. What was not measured is no ill. */
export function componentsOf(
  metrics: readonly HealthMetric[],
  responseMs: number,
): readonly Omit<Component, 'uptime'>[] {
  return metrics.map(({ name, value, unit, degradedFrom, unhealthyFrom }): Omit<Component, 'uptime'> => {
    const status: ComponentStatus =
      value === null || value < degradedFrom ? 'healthy' : value < unhealthyFrom ? 'degraded' : 'unhealthy';
    const shown = unit === 'ms' ? `${Math.round(value ?? 0)} ms` : `${Math.round(1_000 * (value ?? 0)) / 10} %`;
    return {
      name: `measured.${name}`,
      status,
      responseMs,
      detail: status === 'healthy' ? null : `${shown} over the last ${windowMs / 60_000} minutes`,
    };
  });
}

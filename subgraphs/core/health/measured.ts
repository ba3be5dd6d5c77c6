import type { Sql } from '#shared/sql.ts';
import { subgraphNames } from '../../names.ts';
import { findMeasured, type Measured, nothing } from '../metrics/reads.ts';
import { callSeries } from '../metrics/recorder.ts';
import { platformTenant } from '../settings.ts';
import type { Component, ComponentStatus, HealthAlert } from './health.ts';

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

/** What one look at the measurements says. */
export interface HealthReading {
  readonly metrics: readonly HealthMetric[];
  /** By component, of those that enough was called of. */
  readonly errorRates: ReadonlyMap<string, number>;
}

/** Shares of the calls of steps that broke, by module and of all. */
export function errorRatesOf(measured: ReadonlyMap<string, Measured>): ReadonlyMap<string, number> {
  const rates = new Map<string, number>();
  for (const name of subgraphNames) {
    const { count, mean } = measured.get(callSeries(name)) ?? nothing;
    if (count >= minCalls) rates.set(`module.${name}`, mean);
  }
  const [calls, broken] = [measured.get('step.service') ?? nothing, measured.get('step.broken') ?? nothing];
  if (calls.count >= minCalls) rates.set('workflow.calls', broken.count / calls.count);
  return rates;
}

/** Figures that have passed a threshold. */
export function alertsOf(metrics: readonly HealthMetric[]): readonly HealthAlert[] {
  return metrics.flatMap(({ name: metric, value, unit, degradedFrom, unhealthyFrom }): HealthAlert[] => {
    if (value === null || value < degradedFrom) return [];
    const isCritical = value >= unhealthyFrom;
    const threshold = isCritical ? unhealthyFrom : degradedFrom;
    return [{ metric, severity: isCritical ? 'critical' : 'warning', value, threshold, unit }];
  });
}

export async function readMetrics(sql: Sql, nowMs: number): Promise<HealthReading> {
  const stretch = {
    tenantId: platformTenant,
    from: new Date(nowMs - windowMs).toISOString(),
    // The database's clock says when something was stored.
    until: new Date(nowMs + 1_000).toISOString(),
  };
  const measured = await findMeasured(sql, stretch);
  return { metrics: metricsOf(measured), errorRates: errorRatesOf(measured) };
}

/** Metrics as components, so that they count in the whole. What was not measured is no ill. */
export function componentsOf(
  metrics: readonly HealthMetric[],
  responseMs: number,
): readonly Omit<Component, 'uptime' | 'errorRate'>[] {
  return metrics.map(({ name, value, unit, degradedFrom, unhealthyFrom }): Omit<Component, 'uptime' | 'errorRate'> => {
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

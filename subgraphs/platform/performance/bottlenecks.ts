import type { BudgetState } from './budgets.ts';
import type { FigureQuery, Figures } from './figures.ts';

export interface Bottleneck {
  readonly kind: string;
  readonly subject: string;
  readonly severity: 'MEDIUM' | 'HIGH' | 'CRITICAL';
  readonly value: number;
  readonly threshold: number;
  readonly description: string;
}

interface ResourceRule {
  readonly kind: string;
  readonly metric: string;
  readonly fn: 'AVG' | 'MAX';
  readonly threshold: number;
  readonly severity: Bottleneck['severity'];
  readonly unit: string;
}

/** The protocol's rules (CPU > 0.8 high, memory > 0.9 critical, network latency > 100 ms medium), and the event loop's. */
const rules: readonly ResourceRule[] = [
  { kind: 'CPU', metric: 'mplp_cpu_percent', fn: 'AVG', threshold: 80, severity: 'HIGH', unit: '%' },
  { kind: 'MEMORY', metric: 'mplp_system_memory_percent', fn: 'MAX', threshold: 90, severity: 'CRITICAL', unit: '%' },
  { kind: 'HEAP', metric: 'mplp_heap_percent', fn: 'MAX', threshold: 90, severity: 'CRITICAL', unit: '%' },
  { kind: 'NETWORK', metric: 'mplp_network_latency_ms', fn: 'AVG', threshold: 100, severity: 'MEDIUM', unit: ' ms' },
  {
    kind: 'EVENT_LOOP',
    metric: 'nodejs_eventloop_lag_p99_seconds',
    fn: 'AVG',
    threshold: 0.1,
    severity: 'HIGH',
    unit: ' s',
  },
];

const weight = { CRITICAL: 3, HIGH: 2, MEDIUM: 1 } as const;

/** Figures that bottlenecks are found by. */
export const bottleneckFigures: readonly FigureQuery[] = rules;

/** What holds the platform up in a range, the gravest first. */
export function findBottlenecks(figures: Figures, budgets: readonly BudgetState[]): readonly Bottleneck[] {
  const resources = rules.flatMap((rule): readonly Bottleneck[] => {
    const { kind, metric, threshold, severity, unit } = rule;
    const value = figures.of(rule);
    if (value === null || value <= threshold) return [];
    const description = `${metric} is ${Number(value.toPrecision(4))}${unit}, over ${threshold}${unit}`;
    return [{ kind, subject: metric, severity, value, threshold, description }];
  });
  const operations = budgets
    .filter(({ status }) => status === 'VIOLATED')
    .map(
      ({ id, operation, p95Ms, maxMs }): Bottleneck => ({
        kind: 'OPERATION',
        subject: operation!,
        severity: p95Ms! > 2 * maxMs ? 'HIGH' : 'MEDIUM',
        value: p95Ms!,
        threshold: maxMs,
        description: `${id}: p95 of ${operation} is ${Math.round(p95Ms!)} ms, its bound ${maxMs} ms`,
      }),
    );
  return [...resources, ...operations].toSorted(
    (one, two) => weight[two.severity] - weight[one.severity] || two.value / two.threshold - one.value / one.threshold,
  );
}

import { type Baseline, type Deviation, deviationOf } from './baseline.ts';

export type AnomalyType =
  | 'PERFORMANCE_DEGRADATION'
  | 'RESOURCE_EXHAUSTION'
  | 'ERROR_SPIKE'
  | 'UNUSUAL_PATTERN'
  | 'SECURITY_ANOMALY';
export type AnomalySeverity = 'LOW' | 'MEDIUM' | 'HIGH' | 'CRITICAL';

export interface Anomaly {
  readonly type: AnomalyType;
  readonly severity: AnomalySeverity;
  /** 0 to 1: how much of a baseline speaks for it. */
  readonly confidence: number;
  readonly deviation: Deviation | null;
  readonly rootCause: string;
  readonly recommendations: readonly string[];
}

interface Rule {
  readonly type: AnomalyType;
  readonly reason: string;
  readonly advice: string;
}

const latencyUnits = new Set(['ns', 'us', 'ms', 's']);
/** Values the baseline must have before a relative threshold says anything. */
const minBaseline = 3;

/** Thresholds: latency +50 %, throughput -30 %, errors +200 % of the median before, CPU 90 %, memory 95 %. */
function brokenRule(name: string, unit: string | null, value: number, baseline: Baseline | null): Rule | null {
  const lower = name.toLowerCase();
  const exhausted = (what: string, limit: number): Rule | null =>
    value >= limit
      ? {
          type: 'RESOURCE_EXHAUSTION',
          reason: `${what} at ${value} %, threshold ${limit} %`,
          advice: `give ${name} more room or fewer tasks`,
        }
      : null;
  if (unit === '%' && lower.includes('cpu')) return exhausted('CPU', 90);
  if (unit === '%' && lower.includes('memory')) return exhausted('memory', 95);
  if (baseline === null || baseline.count < minBaseline || baseline.median <= 0) return null;
  const change = value / baseline.median - 1;
  const reason = `${(change * 100).toFixed(0)} % against the median of ${baseline.median} before`;
  if (lower.includes('error') && change >= 2)
    return { type: 'ERROR_SPIKE', reason, advice: 'look at the suspected origin of the traces that failed' };
  if (lower.includes('throughput') && change <= -0.3)
    return { type: 'PERFORMANCE_DEGRADATION', reason, advice: 'look for what the work waits for on the critical path' };
  if (latencyUnits.has(unit ?? '') && change >= 0.5)
    return { type: 'PERFORMANCE_DEGRADATION', reason, advice: 'look at the bottlenecks of the trace' };
  return null;
}

/** What is wrong with a value; null where it breaks no threshold and lies where the time before lets expect it. */
export function anomalyOf(
  { name, unit, value }: { readonly name: string; readonly unit: string | null; readonly value: number },
  baseline: Baseline | null,
): Anomaly | null {
  const deviation = baseline === null ? null : deviationOf(value, baseline);
  const rule = brokenRule(name, unit, value, baseline);
  if (rule === null && !deviation?.anomalous) return null;
  const distance = Math.abs(deviation?.score ?? 0);
  const count = baseline?.count ?? 0;
  return {
    type: rule?.type ?? 'UNUSUAL_PATTERN',
    severity: severityOf(rule, distance),
    // A threshold that needs no baseline is certain of what it measures.
    confidence: rule?.type === 'RESOURCE_EXHAUSTION' ? 1 : count / (count + 10),
    deviation,
    rootCause: `${name}: ${rule?.reason ?? `${distance.toFixed(1)} deviations from the median of ${baseline!.median} before`}`,
    recommendations: [rule?.advice ?? `compare the trace with one in which ${name} was usual`],
  };
}

function severityOf(rule: Rule | null, distance: number): AnomalySeverity {
  if (distance >= 10) return 'CRITICAL';
  if (distance >= 7 || rule?.type === 'RESOURCE_EXHAUSTION') return 'HIGH';
  return distance >= 5 || rule !== null ? 'MEDIUM' : 'LOW';
}

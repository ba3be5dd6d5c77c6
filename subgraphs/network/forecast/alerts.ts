import { log10OfUpperTail } from '../detection/phi.ts';
import { type ForecastPoint, forecast } from './holtWinters.ts';

export const alertKinds = ['capacity', 'latency', 'errors', 'failure'] as const;
export type AlertKind = (typeof alertKinds)[number];

/** What is to be expected of a network and should not be. */
export interface NetworkAlertValue {
  readonly kind: AlertKind;
  /** Value that is expected, and the one it is held against: utilisation, ms, share of losses, nodes. */
  readonly expected: number;
  readonly threshold: number;
  /** Probability that the threshold is reached then. */
  readonly probability: number;
  /** Steps from the last value on, from 1. */
  readonly steps: number;
}

export type AlertSeries = Readonly<Record<AlertKind, readonly number[]>>;

/** Values of the present, so to say: what latency and errors are held against, a day of quarters of an hour. */
export const dayOfBuckets = 96;
/** How far it is looked ahead: an hour. */
export const stepsAhead = 4;
/** With less nothing is said. */
const minValues = 12;

interface Rule {
  /** Null where there is nothing to hold it against. */
  readonly threshold: (values: readonly number[]) => number | null;
  /** Probability from which it is raised, and below which it ends. */
  readonly raisedFrom: number;
  readonly heldFrom: number;
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
const aboveUsual = (factor: number) => (values: readonly number[]) => {
  const usual = mean(values.slice(-dayOfBuckets));
  return usual > 0 ? usual * factor : null;
};

/** The thresholds of the alpha documentation: capacity 0.8, latency +20 %, errors +10 %, a failure as likely as 0.3. */
const rules: Readonly<Record<AlertKind, Rule>> = {
  capacity: { threshold: () => 0.8, raisedFrom: 0.5, heldFrom: 0.3 },
  latency: { threshold: aboveUsual(1.2), raisedFrom: 0.5, heldFrom: 0.3 },
  errors: { threshold: aboveUsual(1.1), raisedFrom: 0.5, heldFrom: 0.3 },
  // Half a node: one that cannot be reached is one.
  failure: { threshold: () => 0.5, raisedFrom: 0.3, heldFrom: 0.2 },
};

/** Probability that a normally distributed forecast reaches a threshold; its interval holds 95 of 100 values. */
export function probabilityOf({ value, upper }: ForecastPoint, threshold: number): number {
  const deviation = (upper - value) / 1.959964;
  if (deviation <= 0) return value >= threshold ? 1 : 0;
  return 10 ** log10OfUpperTail((threshold - value) / deviation);
}

/** What is to be expected within the next hour; what stands already is held longer than it takes to be raised. */
export function alertsOf(series: AlertSeries, standing: readonly AlertKind[]): readonly NetworkAlertValue[] {
  return alertKinds.flatMap((kind): NetworkAlertValue[] => {
    const values = series[kind];
    const { threshold: thresholdOf, raisedFrom, heldFrom } = rules[kind];
    const threshold = values.length < minValues ? null : thresholdOf(values);
    const found = threshold === null ? null : forecast(values, stepsAhead, dayOfBuckets);
    if (threshold === null || found === null) return [];
    const wanted = standing.includes(kind) ? heldFrom : raisedFrom;
    for (const [at, point] of found.points.entries()) {
      const probability = probabilityOf(point, threshold);
      if (probability >= wanted) return [{ kind, expected: point.value, threshold, probability, steps: at + 1 }];
    }
    return [];
  });
}

import { type BudgetRow, isLatencyRow, type LatencyRow } from './budgets.ts';
import type { Measurement } from './measurement.ts';

/**
 * `holds` and `missed` compare with the bound; `wrong answers` and `invalid` say that there is nothing to compare;
 * `not measured` is what a row without a measurement always is.
 */
export type VerdictKind = 'holds' | 'missed' | 'wrong answers' | 'invalid' | 'not measured';

export interface RowVerdict {
  readonly kind: VerdictKind;
  readonly reason: string;
}

/** Part of the operations of a latency row that may fail. A throughput row allows none. */
const maxErrorShare = 0.01;
/** Part of what an open load asked for, up to its rate, that must have been answered for its latencies to count. */
const minReachedShare = 0.95;

const figure = (value: number): string =>
  value >= 100 ? value.toFixed(0) : value >= 1 ? value.toFixed(1) : value.toFixed(3);

function judgeLatency(measurement: Measurement, { max_ms: maxMs, load: { hold } }: LatencyRow): RowVerdict {
  const { latency } = measurement;
  const maxP99Ms = hold?.p99Ms ?? maxMs * 2;
  const serverUs = measurement.cpu?.serverUs ?? 0;
  if (!latency || latency.count === 0) return { kind: 'not measured', reason: 'no operation was timed' };
  if (latency.p95Ms > maxMs) return { kind: 'missed', reason: `p95 ${figure(latency.p95Ms)} ms over ${maxMs} ms` };
  if (latency.p99Ms > maxP99Ms)
    return { kind: 'missed', reason: `p99 ${figure(latency.p99Ms)} ms over ${maxP99Ms} ms` };
  if (hold && serverUs > hold.serverUs)
    return {
      kind: 'missed',
      reason: `${figure(serverUs)} us of the server's CPU an operation over ${hold.serverUs} us`,
    };
  return { kind: 'holds', reason: `p95 ${figure(latency.p95Ms)} ms of ${maxMs} ms` };
}

function judgeThroughput(measurement: Measurement, min: number, unit: string): RowVerdict {
  if (measurement.achieved === undefined) return { kind: 'not measured', reason: 'no rate was measured' };
  const kind = measurement.achieved >= min ? 'holds' : 'missed';
  return { kind, reason: `${figure(measurement.achieved)} of ${min} ${unit}` };
}

/** Judges a measurement by its row; without one the row is not measured, whatever else is known. */
export function judge(row: BudgetRow, measurement: Measurement | undefined): RowVerdict {
  if (!measurement) return { kind: 'not measured', reason: 'no scenario has measured it' };
  if (measurement.wrong > 0)
    return { kind: 'wrong answers', reason: `${measurement.wrong} wrong: ${measurement.wrongExamples[0] ?? ''}` };
  const errorCount = Object.values(measurement.errors).reduce((sum, times) => sum + times, 0);
  const allowed = isLatencyRow(row) ? measurement.operations * maxErrorShare : 0;
  if (errorCount > allowed) {
    const codes = Object.entries(measurement.errors).map(([code, times]) => `${code} ${times}`);
    return { kind: 'missed', reason: `errors: ${codes.join(', ')}` };
  }
  const verdict = compare(row, measurement);
  // Late clients only make figures worse: what holds in spite of them holds.
  const excuse = verdict.kind === 'missed' ? clientsAtFault(row, measurement) : undefined;
  return excuse === undefined ? verdict : { kind: 'invalid', reason: excuse };
}

/** Why a missed bound may be the clients' doing: they were saturated, or late by more than half of the bound itself. */
function clientsAtFault(row: BudgetRow, measurement: Measurement): string | undefined {
  if (measurement.invalid !== undefined) return measurement.invalid;
  const lateMs = measurement.clientLag?.p99Ms ?? 0;
  if (!isLatencyRow(row) || lateMs <= row.max_ms / 2) return undefined;
  return `the clients were ${figure(lateMs)} ms late at p99, the bound is ${row.max_ms} ms`;
}

function compare(row: BudgetRow, measurement: Measurement): RowVerdict {
  const { targetPerSecond, achievedPerSecond } = measurement;
  if (isLatencyRow(row) && typeof targetPerSecond === 'number' && achievedPerSecond !== undefined) {
    const askedPerSecond = Math.min(targetPerSecond, measurement.askedPerSecond ?? targetPerSecond);
    if (achievedPerSecond < askedPerSecond * minReachedShare) {
      return {
        kind: 'missed',
        reason: `${figure(achievedPerSecond)} of ${figure(askedPerSecond)} operations a second were answered`,
      };
    }
  }
  return isLatencyRow(row) ? judgeLatency(measurement, row) : judgeThroughput(measurement, row.min, row.unit);
}

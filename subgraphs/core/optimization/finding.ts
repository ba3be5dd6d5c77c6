import type { Sql } from '#shared/sql.ts';
import type { Bottleneck, Guard, OptimizationChange, Times } from './rows.ts';

/** What a look at one part of the system came to. */
export interface Finding {
  readonly observations: number;
  readonly bottlenecks: readonly Bottleneck[];
  /** Each with the guards it is watched by. */
  readonly changes: readonly { readonly change: OptimizationChange; readonly guards: readonly Guard[] }[];
}

export interface Search {
  readonly sql: Sql;
  readonly tenantId: string;
  /** ISO. */
  readonly from: string;
  readonly until: string;
  /** Mean wait that is short enough, ms; null for a twentieth of the service. */
  readonly targetWaitMs: number | null;
  readonly minGain: number;
  /** By performance.now(). */
  readonly deadlineMs: number;
}

/** Mean wait that is short enough: what was asked for, else a twentieth of the time of what waits. */
export const targetOf = ({ targetWaitMs }: Search, serviceMs: number): number => targetWaitMs ?? serviceMs / 20;

export const gainOf = ({ waitMs, serviceMs }: Pick<Times, 'waitMs' | 'serviceMs'>, predictedWaitMs: number): number =>
  waitMs + serviceMs === 0 ? 0 : Math.max(0, waitMs - predictedWaitMs) / (waitMs + serviceMs);

/** Numbers from the one after `from` on, each a quarter above the one before, `to` the last. */
export function* upwards(from: number, to: number): Generator<number> {
  for (let value = from; value < to; ) {
    value = Math.min(to, Math.max(value + 1, Math.round(value * 1.25)));
    yield value;
  }
}

/** The first candidate whose wait is short enough; else the smallest within a hundredth of the best. */
export function choose(
  candidates: Iterable<number>,
  waitOf: (candidate: number) => number,
  { targetMs, deadlineMs }: { readonly targetMs: number; readonly deadlineMs: number },
): { readonly value: number; readonly waitMs: number } | null {
  const seen: { readonly value: number; readonly waitMs: number }[] = [];
  for (const value of candidates) {
    if (performance.now() > deadlineMs) break;
    const waitMs = waitOf(value);
    if (waitMs <= targetMs) return { value, waitMs };
    seen.push({ value, waitMs });
  }
  const best = Math.min(...seen.map(({ waitMs }) => waitMs));
  return seen.find(({ waitMs }) => waitMs <= best * 1.01) ?? null;
}

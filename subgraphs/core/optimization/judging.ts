import type { SqlTransaction } from '#shared/sql.ts';
import { findMeasured, type Measured, measuredOf, nothing } from '../metrics/reads.ts';
import { platformTenant } from '../settings.ts';
import { measurePlaces } from './places.ts';
import type { Guard, OptimizationChange, OptimizationRow, Times } from './rows.ts';

/** Observations after a change from which it is judged, and below which a guard says nothing. */
export const fewestObservations = 5;
/** One-sided 5 % of the normal distribution. */
const surely = 1.645;

/** What was measured since a change was made, by the metric and the object it is of. */
export type Since = (metric: string, target: string | null) => Measured;

export async function measureSince(
  tx: SqlTransaction,
  { tenantId, changes, guards, appliedAt }: OptimizationRow,
  until: string,
): Promise<Since> {
  const from = appliedAt!;
  const found = new Map<string, Measured>();
  const key = (metric: string, target: string | null) => `${metric} ${target ?? ''}`;
  const platform = await findMeasured(tx, { tenantId: platformTenant, from, until });
  for (const [series, measured] of platform) found.set(key(series, null), measured);
  const [failed, service] = [platform.get('step.failed'), platform.get('step.service') ?? nothing];
  found.set(
    key('step.failed', null),
    measuredOf({ count: service.count, sum: failed?.count ?? 0, squares: failed?.count ?? 0 }),
  );
  for (const id of new Set(changes.flatMap(({ knob, target }) => (knob === 'workflow.executions' ? [target!] : [])))) {
    const measured = await measurePlaces(tx, { tenantId, from, until }, id);
    found.set(key('execution.wait', id), measured.wait);
    found.set(key('execution.run', id), measured.run);
    found.set(key('execution.failed', id), measured.failed);
  }
  if (guards.some(({ metric }) => metric === 'allocation.queue')) {
    const [row] = (await tx.unsafe(
      `SELECT count(*)::int AS count FROM core.allocation WHERE tenant_id = $1 AND status = 'queued'`,
      [tenantId],
      { prepare: true },
    )) as unknown as [{ count: number }];
    found.set(key('allocation.queue', null), { count: fewestObservations, mean: row.count, variance: 0 });
  }
  return (metric, target) => found.get(key(metric, target)) ?? nothing;
}

/** A guard with what was measured; it is breached where it lies above its limit, and surely above what it was (Welch). */
export function watch(guard: Guard, after: Measured): Guard {
  const spread = Math.sqrt(after.variance / Math.max(1, after.count) + guard.variance / Math.max(1, guard.count));
  const breached =
    after.count >= fewestObservations &&
    after.mean > guard.limit &&
    (spread === 0 || (after.mean - guard.before) / spread > surely);
  return { ...guard, after: after.count === 0 ? null : after.mean, breached };
}

/** Waits and services of what a change is about, since it was made. */
export function timesSince({ knob, target, before }: OptimizationChange, since: Since): Times {
  if (knob === 'allocation.node') {
    const { mean } = since('allocation.queue', null);
    // Of those that waited, the part that still does.
    return { count: fewestObservations, waitMs: (before!.waitMs * mean) / Math.max(1, before!.count), serviceMs: 0 };
  }
  const [wait, service] =
    knob === 'workflow.executions'
      ? [since('execution.wait', target), since('execution.run', target)]
      : [since('step.wait', null), since('step.service', null)];
  return { count: Math.min(wait.count, service.count), waitMs: wait.mean, serviceMs: service.mean };
}

/** Part of the mean time that is gone; below 0 where it has grown. */
export function gainBetween(before: Times, after: Times): number {
  const [was, is] = [before.waitMs + before.serviceMs, after.waitMs + after.serviceMs];
  return was === 0 ? 0 : (was - is) / was;
}

export interface Judgement {
  readonly status: 'applied' | 'kept' | 'returned';
  readonly guards: readonly Guard[];
  readonly changes: readonly OptimizationChange[];
  readonly measuredGain: number | null;
  readonly reason: string | null;
}

/**
 * What becomes of changes that were made. A guard that is breached takes them back at once; when the time has come they
 * stay where they gained what was asked for. Where too little has happened to tell they are given twice the time more,
 * and then taken back too.
 */
export function judge(
  { changes, guards, minGain, appliedAt, judgeAt }: OptimizationRow,
  since: Since,
  nowMs: number,
): Judgement {
  const watched = guards.map((guard) => watch(guard, since(guard.metric, guard.target)));
  const after = changes.map((change) => timesSince(change, since));
  const measured = changes.map((change, at) =>
    after[at]!.count < fewestObservations
      ? change
      : { ...change, measuredGain: gainBetween(change.before!, after[at]!) },
  );
  const told = measured.filter(({ measuredGain }) => measuredGain !== null);
  const measuredGain = meanGain(told, ({ measuredGain: gain }) => gain!);
  const so = (status: Judgement['status'], reason: string | null): Judgement => ({
    ...{ status, reason, guards: watched, changes: measured },
    measuredGain: told.length === 0 ? null : measuredGain,
  });
  const breached = watched.find((guard) => guard.breached === true);
  if (breached)
    return so(
      'returned',
      `${breached.metric} is ${round(breached.after!)}, above its limit of ${round(breached.limit)}`,
    );
  const [madeMs, judgeMs] = [Date.parse(appliedAt!), Date.parse(judgeAt!)];
  if (nowMs < judgeMs) return so('applied', null);
  if (told.length < measured.length) {
    if (nowMs < judgeMs + 2 * (judgeMs - madeMs)) return so('applied', null);
    return so('returned', 'too little happened to tell what it did');
  }
  return measuredGain >= minGain
    ? so('kept', null)
    : so(
        'returned',
        `it gained ${round(measuredGain * 100)} % of the time, expected at least ${round(minGain * 100)} %`,
      );
}

const round = (value: number) => Math.round(value * 100) / 100;

/** Mean of gains, each by the time that it is a part of. */
export function meanGain(
  changes: readonly OptimizationChange[],
  gainOf: (change: OptimizationChange) => number,
): number {
  const weightOf = ({ before }: OptimizationChange) =>
    Math.max(1e-9, before!.count * (before!.waitMs + before!.serviceMs));
  const total = changes.reduce((sum, change) => sum + weightOf(change), 0);
  return total === 0 ? 0 : changes.reduce((sum, change) => sum + gainOf(change) * weightOf(change), 0) / total;
}

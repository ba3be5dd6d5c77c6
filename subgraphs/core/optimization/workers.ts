import { findMeasured, findWindows, measuredOf, nothing } from '../metrics/reads.ts';
import { platformTenant, settingNames, type WorkerSettings } from '../settings.ts';
import { choose, type Finding, gainOf, type Search, targetOf, upwards } from './finding.ts';
import { forecastWait } from './queueing.ts';
import type { Guard, OptimizationChange, Times } from './rows.ts';

export interface WorkerSearch extends Search {
  readonly settings: WorkerSettings;
  readonly maxSlots: number | null;
  /** Width of the windows that the forecast goes through, ms. */
  readonly widthMs: number;
}

const shortestPollMs = 20;
const shortestLeaseMs = 3_000;
const mostWindows = 6_000;

/** Steps wait for a place among those that a worker runs, for its next look, and for leases of workers that are gone. */
export async function searchWorkers(search: WorkerSearch): Promise<Finding> {
  const { sql, from, until, settings, maxSlots, minGain, deadlineMs } = search;
  const spanMs = Date.parse(until) - Date.parse(from);
  const stretch = { tenantId: platformTenant, from, until };
  const [measured, windows, recent] = await Promise.all([
    findMeasured(sql, stretch),
    findWindows(sql, stretch, Math.max(search.widthMs, spanMs / mostWindows)),
    findMeasured(sql, { ...stretch, from: new Date(Date.parse(until) - 3 * search.widthMs).toISOString() }),
  ]);
  const of = (series: string) => measured.get(series) ?? nothing;
  const [wait, service, failed, lapsed, pool, loop] = [
    'step.wait',
    'step.service',
    'step.failed',
    'step.lapsed',
    'pool.wait',
    'loop.delay',
  ].map(of) as [typeof nothing, typeof nothing, typeof nothing, typeof nothing, typeof nothing, typeof nothing];
  if (service.count === 0) return { observations: 0, bottlenecks: [], changes: [] };
  const processes = Math.max(1, recent.get('worker.slots')?.instances ?? 1);
  const variation = service.mean === 0 ? 0 : service.variance / service.mean ** 2;
  const now = forecastWait(windows, settings.slots * processes, variation);
  const before: Times = { count: service.count, waitMs: wait.mean, serviceMs: service.mean };
  const failures = measuredOf({ count: service.count, sum: failed.count, squares: failed.count });
  const guards: Guard[] = [
    { ...guardOf('step.service', service), limit: service.mean * 1.25 + 5 },
    { ...guardOf('step.failed', failures), limit: failures.mean + 0.05 },
    { ...guardOf('pool.wait', pool), limit: pool.mean * 3 + 20 },
  ];
  const bottlenecks = [
    {
      ...{ resource: 'worker.slots', targetId: null, utilization: now.utilization, errors: failures.mean },
      saturation: (wait.count * wait.mean) / spanMs,
      ...{ meanWaitMs: wait.mean, meanServiceMs: service.mean },
      blame: wait.mean + service.mean === 0 ? 0 : wait.mean / (wait.mean + service.mean),
    },
  ];
  const targetMs = targetOf(search, service.mean);
  const found: OptimizationChange[] = [];
  const change = (name: string, values: { readonly from: number; readonly to: number }, more: object) =>
    found.push({
      ...{ knob: name, target: null, from: String(values.from), to: String(values.to) },
      ...{ measuredGain: null, before, model: '', predictedGain: 0, reason: null, ...more },
    });
  if (wait.mean > targetMs && now.waitMs >= 0.3 * wait.mean) {
    // What the model says of the present tells how far it is off.
    const scale = Math.min(5, Math.max(0.2, wait.mean / now.waitMs));
    const waitOf = (slots: number) => forecastWait(windows, slots * processes, variation).waitMs * scale;
    const best = choose(upwards(settings.slots, maxSlots ?? Math.min(1_000, settings.slots * 4)), waitOf, {
      targetMs,
      deadlineMs,
    });
    if (best !== null)
      change(
        settingNames.slots,
        { from: settings.slots, to: best.value },
        {
          model: 'M/M/c',
          predictedGain: gainOf(before, best.waitMs),
          reason: `steps wait ${Math.round(wait.mean)} ms for a place; ${Math.round(best.waitMs)} ms are predicted`,
        },
      );
  }
  const residualMs = wait.mean - now.waitMs;
  if (
    wait.mean > targetMs &&
    residualMs > 0.3 * wait.mean &&
    now.utilization < 0.7 &&
    settings.pollMs > shortestPollMs
  ) {
    const pollMs = Math.max(shortestPollMs, Math.round(settings.pollMs / 4));
    // No queue explains it: it is the time until somebody looks.
    const predicted = now.waitMs + (residualMs * pollMs) / settings.pollMs;
    change(
      settingNames.pollMs,
      { from: settings.pollMs, to: pollMs },
      {
        model: 'residual wait',
        predictedGain: gainOf(before, predicted),
        reason: `${Math.round(residualMs)} ms of the wait are no queue's`,
      },
    );
  }
  if (lapsed.count > 0 && settings.leaseMs > shortestLeaseMs) {
    const leaseMs = Math.max(shortestLeaseMs, Math.round(loop.mean * 20), Math.round(settings.leaseMs / 3));
    const lostMs = lapsed.count * settings.leaseMs;
    const total = lostMs + wait.count * wait.mean + service.count * service.mean;
    if (leaseMs < settings.leaseMs)
      change(
        settingNames.leaseMs,
        { from: settings.leaseMs, to: leaseMs },
        {
          model: 'time to notice',
          predictedGain: (lapsed.count * (settings.leaseMs - leaseMs)) / total,
          reason: `${lapsed.count} leases lapsed, each noticed after ${settings.leaseMs} ms`,
        },
      );
  }
  return {
    ...{ observations: service.count, bottlenecks },
    changes: found.filter(({ predictedGain }) => predictedGain >= minGain).map((one) => ({ change: one, guards })),
  };
}

const guardOf = (
  metric: string,
  { mean, count, variance }: { readonly mean: number; readonly count: number; readonly variance: number },
) => ({ metric, target: null, before: mean, count, variance, after: null, breached: null });

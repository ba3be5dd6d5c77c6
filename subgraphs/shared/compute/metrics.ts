import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { ComputeObserver } from '../computePool.ts';

const bucketsMs = [1, 5, 10, 50, 100, 500, 1_000, 2_000, 5_000, 30_000];

/** What the compute pool does, as metrics. */
export function createComputeMetrics(registry: Registry): ComputeObserver {
  const registers = [registry];
  const tasks = new Counter({
    name: 'mplp_compute_tasks_total',
    help: 'Tasks of the compute pool that ended',
    labelNames: ['lane', 'task', 'outcome'],
    registers,
  });
  const waitMs = new Histogram({
    name: 'mplp_compute_wait_ms',
    help: 'Time a task waited for a thread, ms',
    labelNames: ['lane'],
    buckets: bucketsMs,
    registers,
  });
  const runMs = new Histogram({
    name: 'mplp_compute_run_ms',
    help: 'Time a task took in its thread, ms',
    labelNames: ['lane', 'task'],
    buckets: bucketsMs,
    registers,
  });
  const load = new Gauge({
    name: 'mplp_compute_tasks',
    help: 'Tasks that wait or run',
    labelNames: ['lane', 'state'],
    registers,
  });
  const threads = new Gauge({ name: 'mplp_compute_threads', help: 'Compute threads alive', registers });
  return {
    finished({ lane, name, outcome, waitedMs, ranMs }) {
      tasks.inc({ lane, task: name, outcome });
      waitMs.observe({ lane }, waitedMs);
      if (ranMs > 0) runMs.observe({ lane, task: name }, ranMs);
    },
    load(lane, waiting, running) {
      load.set({ lane, state: 'waiting' }, waiting);
      load.set({ lane, state: 'running' }, running);
    },
    threads: (count) => threads.set(count),
  };
}

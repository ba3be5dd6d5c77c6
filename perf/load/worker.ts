/** A process of clients: started by `runLoad`, never by hand. */
import type { FromWorker, ToWorker, WorkerSpec } from './messages.ts';
import { createRandom } from './random.ts';
import { runWorkload } from './runWorkload.ts';
import type { CreateWorkload, Workload } from './workload.ts';

function tell(message: FromWorker): void {
  process.send?.(message);
}

async function loadWorkload(spec: WorkerSpec): Promise<Workload> {
  const module: { createWorkload?: CreateWorkload<unknown> } = await import(spec.workload);
  if (typeof module.createWorkload !== 'function')
    throw new Error(`expected ${spec.workload} to export createWorkload`);
  return await module.createWorkload(spec.params, {
    seed: spec.seed,
    worker: spec.worker,
    workers: spec.workers,
    random: createRandom(spec.seed + 7_919 * (spec.worker + 1)),
  });
}

let go: () => void = () => {};

async function run(spec: WorkerSpec): Promise<void> {
  const started = new Promise<void>((resolve) => {
    go = resolve;
  });
  const workload = await loadWorkload(spec);
  tell({ type: 'ready' });
  await started;
  const report = await runWorkload({
    workload,
    ...(spec.url === undefined ? {} : { url: spec.url }),
    arrival: spec.arrival,
    warmupMs: spec.warmupMs,
    durationMs: spec.durationMs,
    connections: spec.connections,
    timeoutMs: spec.timeoutMs,
    order: spec.order,
    random: createRandom(spec.seed + 104_729 * (spec.worker + 1)),
    onWindow: (phase) => tell({ type: 'window', phase }),
    onProgress: (fraction) => tell({ type: 'progress', fraction }),
  });
  await workload.close?.();
  tell({ type: 'report', report });
}

// One load after the other: the parent prepares the next when it has the report of this one.
process.on('message', (message: ToWorker) => {
  if (message.type === 'go') return go();
  run(message.spec).catch((error: unknown) => {
    tell({ type: 'failed', message: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  });
});
// The parent ends the process by disconnecting, when it has read the last message.
process.on('disconnect', () => process.exit(0));

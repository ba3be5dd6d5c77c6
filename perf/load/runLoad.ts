import type { ChildProcess } from 'node:child_process';
import { endChild } from './childProcess.ts';
import { type ClientProcesses, newClientProcesses } from './clientProcesses.ts';
import { combineReports, type LoadResult, type WorkerReport } from './loadResult.ts';
import type { FromWorker, ToWorker, WorkerSpec } from './messages.ts';
import type { Arrival } from './runWorkload.ts';

export interface LoadOptions {
  /** Module that exports `createWorkload`. It is loaded in the clients' process, not here. */
  readonly workload: URL;
  /** Plain data handed to `createWorkload`. */
  readonly params?: unknown;
  /** GraphQL endpoint; without it the workload's operations are calls of their own (service boundary). */
  readonly url?: string;
  /** The rate or concurrency is that of all workers together. */
  readonly arrival: Arrival;
  /** @default 2 */
  readonly warmupSeconds?: number;
  readonly durationSeconds: number;
  /** Connections of all workers together, open loop; closed loop uses one per concurrent operation. @default 64 */
  readonly connections?: number;
  /** @default 10_000 */
  readonly timeoutMs?: number;
  /** `each` takes the operations in turn instead of by weight, so that a short run has them all. @default 'mix' */
  readonly order?: 'mix' | 'each';
  /** @default 1 */
  readonly seed?: number;
  /** Client processes. @default 1 */
  readonly workers?: number;
  /** Where the processes come from and go to. @default new ones, that end with the load */
  readonly clients?: ClientProcesses;
  /** Called as the measured window opens and closes: the moment to read counters of the server. */
  readonly onWindow?: (phase: 'start' | 'end') => void;
  readonly onProgress?: (fraction: number) => void;
}

function shareArrival(arrival: Arrival, workers: number, worker: number): Arrival {
  if (arrival.kind === 'open') return { ...arrival, ratePerSecond: arrival.ratePerSecond / workers };
  const base = Math.floor(arrival.concurrency / workers);
  return { ...arrival, concurrency: base + (worker < arrival.concurrency % workers ? 1 : 0) };
}

function specFor(options: LoadOptions, workers: number, worker: number): WorkerSpec {
  return {
    workload: options.workload.href,
    params: options.params,
    ...(options.url === undefined ? {} : { url: options.url }),
    arrival: shareArrival(options.arrival, workers, worker),
    warmupMs: (options.warmupSeconds ?? 2) * 1000,
    durationMs: options.durationSeconds * 1000,
    connections: Math.max(1, Math.ceil((options.connections ?? 64) / workers)),
    timeoutMs: options.timeoutMs ?? 10_000,
    order: options.order ?? 'mix',
    seed: options.seed ?? 1,
    worker,
    workers,
  };
}

/** Hears the child until `wanted` comes. @throws {Error} when it fails or goes before */
function expectMessage<Type extends FromWorker['type']>(
  child: ChildProcess,
  wanted: Type,
  onOther: (message: FromWorker) => void,
): Promise<Extract<FromWorker, { type: Type }>> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null): void =>
      reject(new Error(`a client process ended before its report (exit code ${code})`));
    const isWanted = (message: FromWorker): message is Extract<FromWorker, { type: Type }> => message.type === wanted;
    function onMessage(message: FromWorker): void {
      if (message.type === 'failed') {
        child.off('exit', onExit);
        reject(new Error(`a client process failed: ${message.message}`));
      } else if (isWanted(message)) {
        child.off('message', onMessage);
        child.off('exit', onExit);
        resolve(message);
      } else onOther(message);
    }
    child.on('message', onMessage);
    child.once('exit', onExit);
  });
}

/**
 * Puts a workload on the server from processes of its own and returns what came of it.
 * @throws {Error} when a client process fails; wrong answers and errors are counted, not thrown
 */
export async function runLoad(options: LoadOptions): Promise<LoadResult> {
  const workers = options.workers ?? 1;
  const clients = options.clients ?? newClientProcesses;
  const children = Array.from({ length: workers }, () => clients.take(options.workload));
  let whole = false;
  const send = (child: ChildProcess, message: ToWorker): boolean => child.send(message);
  try {
    const ready = children.map((child) => expectMessage(child, 'ready', () => {}));
    children.forEach((child, worker) => {
      send(child, { type: 'prepare', spec: specFor(options, workers, worker) });
    });
    await Promise.all(ready);
    const reports = children.map(async (child, worker): Promise<WorkerReport> => {
      const { report } = await expectMessage(child, 'report', (message) => {
        if (worker !== 0) return;
        if (message.type === 'window') options.onWindow?.(message.phase);
        if (message.type === 'progress') options.onProgress?.(message.fraction);
      });
      return report;
    });
    for (const child of children) send(child, { type: 'go' });
    const reported = await Promise.all(reports);
    whole = true;
    return combineReports(reported, {
      targetPerSecond: options.arrival.kind === 'open' ? options.arrival.ratePerSecond : null,
      spin: options.arrival.kind === 'open' && options.arrival.wake === 'spin',
    });
  } finally {
    await Promise.all(children.map((child) => (whole ? clients.giveBack(options.workload, child) : endChild(child))));
  }
}

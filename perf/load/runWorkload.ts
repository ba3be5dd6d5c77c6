import { runArrivals } from './arrivals.ts';
import { monotonicMs } from './clock.ts';
import { createExecutor } from './executor.ts';
import { createHistogram } from './histogram.ts';
import type { WorkerReport } from './loadResult.ts';
import type { Random } from './random.ts';
import { createWeightedSampler } from './sampler.ts';
import { createTally, type Outcome } from './tally.ts';
import type { Operation, Workload } from './workload.ts';

export type Arrival =
  | {
      readonly kind: 'open';
      readonly ratePerSecond: number;
      /** @default 'poisson' */
      readonly gaps?: 'poisson' | 'constant';
      /** @default 'timer' */
      readonly wake?: 'timer' | 'spin';
    }
  | { readonly kind: 'closed'; readonly concurrency: number };

export interface RunOptions {
  readonly workload: Workload;
  readonly url?: string;
  readonly arrival: Arrival;
  readonly warmupMs: number;
  readonly durationMs: number;
  readonly connections: number;
  readonly timeoutMs: number;
  readonly order: 'mix' | 'each';
  readonly random: Random;
  readonly onWindow: (phase: 'start' | 'end') => void;
  readonly onProgress?: (fraction: number) => void;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/**
 * Drives the mix for warm-up and window and waits for the answers still out. Open loop: latency counts from the moment
 * the operation was due, so a stall of the server shows in everything that was due meanwhile (no coordinated omission;
 * Gil Tene, 2013). Closed loop: from the moment it was sent.
 */
export async function runWorkload(options: RunOptions): Promise<WorkerReport> {
  const { arrival, random, workload } = options;
  const { operations } = workload;
  const mix = createWeightedSampler(operations.map((operation) => operation.weight));
  let turn = 0;
  const choose = (): Operation =>
    operations[options.order === 'each' ? turn++ % operations.length : mix.sample(random)]!;
  const connections = arrival.kind === 'closed' ? arrival.concurrency : options.connections;
  const executor = await createExecutor({
    ...(options.url === undefined ? {} : { url: options.url }),
    connections,
    timeoutMs: options.timeoutMs,
  });
  const tally = createTally(operations);
  const lag = createHistogram();
  const acknowledged: [string, number][] = [];
  const firstMs = monotonicMs();
  const startMs = firstMs + options.warmupMs;
  const endMs = startMs + options.durationMs;
  /** Operations of the window that are still out, with the time they count from. */
  const open = new Map<number, { operation: Operation; fromMs: number }>();
  let nextId = 0;
  let started = 0;
  let answeredInWindow = 0;
  let out = 0;
  let ended = false;

  function launch(operation: Operation, fromMs: number, after: () => void): void {
    const measured = fromMs >= startMs && fromMs < endMs;
    const id = nextId++;
    if (measured) {
      started += 1;
      open.set(id, { operation, fromMs });
    }
    out += 1;
    executor.start(operation, random, (outcome: Outcome, key) => {
      const nowMs = monotonicMs();
      out -= 1;
      if (ended) return;
      if (key !== undefined) acknowledged.push([key, nowMs]);
      if (nowMs >= startMs && nowMs < endMs) answeredInWindow += 1;
      if (measured) {
        open.delete(id);
        tally.record(operation, nowMs - fromMs, outcome);
      }
      after();
    });
  }

  let cpuAtStart = process.cpuUsage();
  let cpuMs = 0;
  setTimeout(() => {
    cpuAtStart = process.cpuUsage();
    workload.windowOpens?.();
    options.onWindow('start');
  }, options.warmupMs);
  const windowEnd = new Promise<void>((resolve) => {
    setTimeout(() => {
      const used = process.cpuUsage(cpuAtStart);
      cpuMs = (used.user + used.system) / 1000;
      options.onWindow('end');
      resolve();
    }, options.warmupMs + options.durationMs);
  });
  const progress = setInterval(() => options.onProgress?.((monotonicMs() - firstMs) / (endMs - firstMs)), 250);

  const idle = (): void => {};
  if (arrival.kind === 'open') {
    await runArrivals({
      ratePerSecond: arrival.ratePerSecond,
      gaps: arrival.gaps ?? 'poisson',
      wake: arrival.wake ?? 'timer',
      random,
      startMs: firstMs,
      endMs,
      arrive(dueMs, nowMs) {
        if (dueMs >= startMs) lag.record(nowMs - dueMs);
        launch(choose(), dueMs, idle);
      },
    });
  } else {
    const again = (): void => {
      if (monotonicMs() < endMs) launch(choose(), monotonicMs(), againSoon);
    };
    // A synchronous service operation would otherwise call itself until the stack ends.
    const againSoon = (): void => {
      setImmediate(again);
    };
    for (let i = 0; i < arrival.concurrency; i += 1) again();
    await sleep(Math.max(0, endMs - monotonicMs()));
  }

  await windowEnd;
  const giveUpMs = monotonicMs() + options.timeoutMs;
  while (out > 0 && monotonicMs() < giveUpMs) await sleep(5);
  ended = true;
  for (const { operation, fromMs } of open.values())
    tally.record(operation, monotonicMs() - fromMs, { errorCode: 'TIMEOUT' });
  clearInterval(progress);
  executor.close();
  return {
    windowMs: options.durationMs,
    started,
    answeredInWindow,
    latency: tally.latency.toData(),
    lag: lag.toData(),
    operations: tally.operations(),
    wrongExamples: tally.wrongExamples,
    cpuMs,
    acknowledged,
    facts: workload.facts?.() ?? {},
  };
}

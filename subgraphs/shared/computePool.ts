import { toError } from './compute/answer.ts';
import { createLanes, type Lane, laneNames } from './compute/lanes.ts';
import { createThreads } from './compute/threads.ts';
import { PlatformError } from './errors.ts';
import type { Logger } from './telemetry.ts';

export type { Lane } from './compute/lanes.ts';

export interface ComputeRunOptions {
  /** `interactive` when a caller waits for it, else `background`. */
  readonly lane: Lane;
  /** Takes the task back: one that runs is stopped together with its thread. */
  readonly signal?: AbortSignal | undefined;
  /** Time for waiting and running together, ms. @default no limit */
  readonly timeoutMs?: number;
}

export type ComputeOutcome = 'done' | 'failed' | 'cancelled' | 'timeout' | 'refused';

/** Told what the pool does. */
export interface ComputeObserver {
  finished(task: {
    readonly lane: Lane;
    readonly name: string;
    readonly outcome: ComputeOutcome;
    readonly waitedMs: number;
    readonly ranMs: number;
  }): void;
  load(lane: Lane, waiting: number, running: number): void;
  threads(count: number): void;
}

export interface ComputePool {
  /**
   * Calls an export of a module in a thread of its own. Input and result are copied (structured clone).
   * @throws what the export throws; a PlatformError keeps its code, path and details.
   * @throws {UNAVAILABLE} when the lane is full or the pool closed. @throws {DEADLINE_EXCEEDED} after `timeoutMs`.
   * @throws {INTERNAL_ERROR} when the thread dies. @throws the signal's reason once it is aborted.
   */
  run<Output>(moduleUrl: URL, exportName: string, input: unknown, options: ComputeRunOptions): Promise<Output>;
  /** Threads alive now. */
  threadCount(): Promise<number>;
  /** Refuses what waits and runs, and ends the threads. */
  close(): Promise<void>;
}

export interface ComputePoolOptions {
  readonly maxThreads: number;
  /** Waiting tasks of each lane at most. @default 1,000 */
  readonly maxWaiting?: number;
  /** Time after which a thread without work ends, ms. @default 10,000 */
  readonly idleMs?: number;
  /** Heap of one thread at most, MB; beyond it the thread dies, not the process. @default 512 */
  readonly maxHeapMb?: number;
  readonly logger: Logger;
  readonly observer?: ComputeObserver | undefined;
}

interface Task {
  readonly lane: Lane;
  readonly name: string;
  readonly startedMs: number;
  ranFromMs: number | null;
  readonly abort: AbortController;
  readonly begin: () => void;
  /** Ends it for its caller, whatever its thread does. */
  readonly stop: (outcome: ComputeOutcome, error: unknown) => void;
}

/** Threads for work that would hold up the event loop. One per process; nothing of it exists before it is used. */
export function createComputePool(options: ComputePoolOptions): ComputePool {
  const { maxThreads, logger, observer } = options;
  const lanes = createLanes<Task>({ maxRunning: maxThreads, maxWaiting: options.maxWaiting ?? 1_000 });
  const threads = createThreads({
    maxThreads,
    idleMs: options.idleMs ?? 10_000,
    maxHeapMb: options.maxHeapMb ?? 512,
    logger,
    onCount: (count) => observer?.threads(count),
  });
  const running = new Set<Task>();
  let closed = false;

  function report(): void {
    for (const lane of laneNames) observer?.load(lane, lanes.waitingIn(lane), lanes.runningIn(lane));
  }

  function pump(): void {
    for (let task = lanes.take(); task !== null; task = lanes.take()) {
      running.add(task);
      task.begin();
    }
    report();
  }

  function run<Output>(
    moduleUrl: URL,
    exportName: string,
    input: unknown,
    { lane, signal, timeoutMs }: ComputeRunOptions,
  ): Promise<Output> {
    return new Promise<Output>((resolve, reject) => {
      let settled = false;
      let timer: NodeJS.Timeout | null = null;
      const settle = (outcome: ComputeOutcome, act: () => void) => {
        if (settled) return;
        settled = true;
        if (timer) clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        const nowMs = performance.now();
        const ranFromMs = task.ranFromMs ?? nowMs;
        const times = { waitedMs: ranFromMs - task.startedMs, ranMs: nowMs - ranFromMs };
        observer?.finished({ lane, name: exportName, outcome, ...times });
        act();
      };
      const task: Task = {
        lane,
        name: exportName,
        startedMs: performance.now(),
        ranFromMs: null,
        abort: new AbortController(),
        begin() {
          task.ranFromMs = performance.now();
          void threads
            .run({ module: moduleUrl.href, exportName, input }, task.abort.signal)
            .then(
              (answer) => {
                if ('failure' in answer) settle('failed', () => reject(toError(answer.failure)));
                else settle('done', () => resolve(answer.value as Output));
              },
              (error: unknown) => settle('failed', () => reject(threadFailure(error))),
            )
            .finally(() => {
              running.delete(task);
              lanes.release(lane);
              pump();
            });
        },
        stop(outcome, error) {
          settle(outcome, () => reject(error));
          if (!lanes.remove(lane, task)) task.abort.abort(error);
          else report();
        },
      };
      const onAbort = () => task.stop('cancelled', signal?.reason);
      if (signal?.aborted) return settle('cancelled', () => reject(signal.reason));
      if (closed) return settle('refused', () => reject(closedError()));
      if (!lanes.add(lane, task)) return settle('refused', () => reject(fullError(lane)));
      signal?.addEventListener('abort', onAbort, { once: true });
      if (timeoutMs !== undefined) {
        timer = setTimeout(
          () =>
            task.stop(
              'timeout',
              new PlatformError('DEADLINE_EXCEEDED', `${exportName} was not done within ${timeoutMs} ms`),
            ),
          timeoutMs,
        );
      }
      pump();
    });
  }

  return {
    run,
    threadCount: () => threads.count(),
    async close() {
      closed = true;
      for (const task of [...lanes.allWaiting(), ...running]) task.stop('refused', closedError());
      await threads.close();
    },
  };
}

function closedError(): PlatformError {
  return new PlatformError('UNAVAILABLE', 'the process is shutting down', { retryAfterMs: 1_000 });
}

function fullError(lane: Lane): PlatformError {
  return new PlatformError('UNAVAILABLE', `too much ${lane} work is waiting`, { retryAfterMs: 1_000 });
}

/** Out of memory, a thread that ended by itself, or something that cannot be copied between threads. */
function threadFailure(cause: unknown): PlatformError {
  return new PlatformError(
    'INTERNAL_ERROR',
    `the compute thread gave no answer: ${cause instanceof Error ? cause.message : String(cause)}`,
    { cause },
  );
}

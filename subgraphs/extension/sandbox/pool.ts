import { readFile } from 'node:fs/promises';
import { PlatformError } from '#shared/errors.ts';
import { failureOf, type SandboxOutcome } from './messages.ts';
import { type SandboxThread, startThread, type ThreadCall } from './thread.ts';
import { type WasmModule, webAssembly } from './webAssembly.ts';

export interface SandboxJob extends ThreadCall {
  /** Whose share of the threads it takes: calls of one owner never hold them all. */
  readonly owner: string;
}

export type SandboxRun = Awaited<ReturnType<SandboxThread['run']>>;

export interface SandboxPoolOptions {
  /** Threads kept ready once there is anything to run. */
  readonly minThreads: number;
  /** Threads at most, while calls wait. */
  readonly maxThreads: number;
  /** Calls that may wait for a thread. @default 1,000 */
  readonly maxWaiting?: number;
  /** Time after which a thread beyond `minThreads` ends, ms. @default 30,000 */
  readonly idleMs?: number;
}

/** Threads for code that nobody here wrote. A pool of its own: nothing else runs in it, and each can be ended. */
export interface SandboxPool {
  /** @throws {UNAVAILABLE} when too many calls wait, or the pool is closed. */
  run(job: SandboxJob): Promise<SandboxRun>;
  /** Starts the threads that are kept ready, and waits for them. */
  warm(): Promise<void>;
  /** Lets go of sandboxes everywhere; a call that runs goes on to its end. */
  forget(keys: readonly string[]): void;
  /** Ends the threads that run calls of a sandbox; answers how many calls came to an end so. */
  kill(key: string): number;
  readonly threadCount: number;
  readonly waitingCount: number;
  close(): Promise<void>;
}

/** How long calls wait before another thread is started for them, ms. */
const growAfterMs = 100;

interface Waiting {
  readonly job: SandboxJob;
  readonly resolve: (run: SandboxRun) => void;
  readonly reject: (error: unknown) => void;
  readonly timer: NodeJS.Timeout;
}

let compiled: Promise<WasmModule> | null = null;

/** The interpreter, compiled once in a process; threads share the code. */
function compileInterpreter(): Promise<WasmModule> {
  compiled ??= readFile(new URL(import.meta.resolve('@jitl/quickjs-wasmfile-release-sync/wasm'))).then((bytes) =>
    webAssembly.compile(bytes),
  );
  return compiled;
}

export function createSandboxPool(options: SandboxPoolOptions): SandboxPool {
  const { minThreads, maxThreads, maxWaiting = 1_000, idleMs = 30_000 } = options;
  const threads = new Set<SandboxThread>();
  const running = new Map<string, number>();
  /** Threads that stay free for the other owners; of a single thread nothing can. */
  const ownerShare = Math.max(1, maxThreads - 1);
  let waiting: Waiting[] = [];
  let wasm: WasmModule | null = null;
  let closed = false;
  let growing: NodeJS.Timeout | null = null;

  function addThread(): SandboxThread {
    const thread = startThread({
      wasm: wasm!,
      onReady: pump,
      onGone() {
        threads.delete(thread);
        // The next call does not wait for a thread to start.
        if (!closed && threads.size < minThreads) addThread();
        pump();
      },
    });
    threads.add(thread);
    return thread;
  }

  async function prepare(): Promise<void> {
    wasm ??= await compileInterpreter();
    while (!closed && threads.size < minThreads) addThread();
  }

  /** A free thread, rather one that holds the sandbox. */
  function threadFor(key: string): SandboxThread | null {
    const free = [...threads].filter(({ isFree }) => isFree);
    return free.find((thread) => thread.holds(key)) ?? free[0] ?? null;
  }

  /** One more thread where calls have waited for a while: many at once would take the cores from those that run. */
  function growLater(): void {
    if (growing !== null || closed || threads.size >= maxThreads) return;
    growing = setTimeout(() => {
      growing = null;
      const isStarting = [...threads].some(({ isReady }) => !isReady);
      if (waiting.length === 0 || closed) return;
      if (!isStarting && threads.size < maxThreads) addThread();
      growLater();
    }, growAfterMs);
    growing.unref();
  }

  function pump(): void {
    if (closed || wasm === null) return;
    const left: Waiting[] = [];
    for (const [at, entry] of waiting.entries()) {
      const { owner, key } = entry.job;
      const thread = (running.get(owner) ?? 0) < ownerShare ? threadFor(key) : null;
      if (thread === null) {
        left.push(entry);
        if (![...threads].some(({ isFree }) => isFree)) {
          left.push(...waiting.slice(at + 1));
          break;
        }
      } else void start(entry, thread);
    }
    waiting = left;
    if (waiting.length > 0) growLater();
  }

  async function start({ job, resolve, timer }: Waiting, thread: SandboxThread): Promise<void> {
    clearTimeout(timer);
    running.set(job.owner, (running.get(job.owner) ?? 0) + 1);
    const run = await thread.run(job);
    const left = running.get(job.owner)! - 1;
    if (left === 0) running.delete(job.owner);
    else running.set(job.owner, left);
    resolve(run);
    pump();
  }

  const sweeper = setInterval(() => {
    const before = performance.now() - idleMs;
    for (const thread of [...threads])
      if (threads.size > minThreads && thread.isFree && thread.idleSinceMs < before) {
        threads.delete(thread);
        void thread.end();
      }
  }, 5_000);
  sweeper.unref();

  return {
    async run(job) {
      if (wasm === null) await prepare();
      if (closed) throw new PlatformError('UNAVAILABLE', 'the process is shutting down', { retryAfterMs: 1_000 });
      if (waiting.length >= maxWaiting)
        throw new PlatformError('UNAVAILABLE', 'too many calls of extensions are waiting', { retryAfterMs: 1_000 });
      return new Promise<SandboxRun>((resolve, reject) => {
        const entry: Waiting = {
          job,
          resolve,
          reject,
          // Whoever could not start within the time of the call gets no answer in time any more.
          timer: setTimeout(() => {
            waiting = waiting.filter((other) => other !== entry);
            resolve({ outcome: lateOutcome, killed: false });
          }, job.timeoutMs),
        };
        waiting.push(entry);
        pump();
      });
    },
    async warm() {
      await prepare();
      await Promise.all([...threads].map(({ settled }) => settled));
    },
    forget(keys) {
      for (const thread of threads) thread.forget(keys);
    },
    kill(key) {
      const stuck = [...threads].filter((thread) => thread.runs(key));
      for (const thread of stuck) void thread.end();
      return stuck.length;
    },
    get threadCount() {
      return threads.size;
    },
    get waitingCount() {
      return waiting.length;
    },
    async close() {
      closed = true;
      clearInterval(sweeper);
      if (growing !== null) clearTimeout(growing);
      for (const { timer, reject } of waiting) {
        clearTimeout(timer);
        reject(new PlatformError('UNAVAILABLE', 'the process is shutting down', { retryAfterMs: 1_000 }));
      }
      waiting = [];
      await Promise.all([...threads].map((thread) => thread.end()));
    },
  };
}

const lateOutcome: SandboxOutcome = {
  ok: false,
  failure: failureOf('timeout', 'no thread was free within the time limit', 'waiting'),
  cpuMs: 0,
  memoryBytes: 0,
  hostCalls: 0,
  logs: [],
};

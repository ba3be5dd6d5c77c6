import { Worker } from 'node:worker_threads';
import {
  type CallMessage,
  type DoneMessage,
  type FromThread,
  failureOf,
  type HostCallMessage,
  type SandboxOutcome,
  type ToThread,
} from './messages.ts';
import type { WasmModule } from './webAssembly.ts';

/** Time a thread gets beyond the call's own limit before it is ended, ms: the interpreter stops itself as a rule. */
const graceMs = 250;
/** Time an interpreter may take to be there on a busy machine, ms. */
const makingMs = 2_000;
/** Sandboxes a thread keeps for the next call. */
const maxGuests = 16;
/** Heap of a thread beside the sandboxes' own memory, MB. */
const maxHeapMb = 64;

export interface ThreadCall extends Omit<CallMessage, 'type' | 'call' | 'source' | 'unload'> {
  readonly source: NonNullable<CallMessage['source']>;
  /** Answers a host call with JSON; what it rejects with is told to the guest. */
  readonly answer: (operation: string, payload: string) => Promise<string>;
}

/** One thread with sandboxes in it. It runs one call at a time. */
export interface SandboxThread {
  /** Whether it takes calls by now: to start one takes tenths of a second. */
  readonly isReady: boolean;
  /** Resolves once it takes calls, or is gone. */
  readonly settled: Promise<void>;
  readonly isFree: boolean;
  readonly idleSinceMs: number;
  holds(key: string): boolean;
  /** Whether a call of the sandbox is under way. */
  runs(key: string): boolean;
  /** Never rejects: what goes wrong is an outcome. `killed` when the thread had to be ended. */
  run(call: ThreadCall): Promise<{ readonly outcome: SandboxOutcome; readonly killed: boolean }>;
  forget(keys: readonly string[]): void;
  end(): Promise<void>;
}

export interface SandboxThreadOptions {
  readonly wasm: WasmModule;
  /** Called once it takes calls. */
  readonly onReady: () => void;
  /** Called once it is gone, however that came. */
  readonly onGone: () => void;
}

const nothing = { cpuMs: 0, memoryBytes: 0, hostCalls: 0, logs: [] } as const;

/** Starts a thread. It reads no environment and gets nothing but messages. */
export function startThread({ wasm, onReady, onGone }: SandboxThreadOptions): SandboxThread {
  const worker = new Worker(new URL('./worker.ts', import.meta.url), {
    workerData: { wasm },
    env: {},
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: maxHeapMb },
  });
  /** Held sandboxes, the least recently used first. */
  const keys = new Set<string>();
  let calls = 0;
  let idleSinceMs = performance.now();
  let gone = false;
  let ready = false;
  const { promise: settled, resolve: settle } = Promise.withResolvers<void>();
  let running: {
    readonly id: number;
    readonly call: ThreadCall;
    readonly startedMs: number;
    readonly settle: (outcome: SandboxOutcome, killed: boolean) => void;
  } | null = null;

  const post = (message: ToThread): void => worker.postMessage(message);

  async function answer({ call, host, operation, payload }: HostCallMessage): Promise<void> {
    if (running?.id !== call) return;
    const { answer: ask } = running.call;
    const reply = (ok: boolean, value: string) => {
      if (!gone && running?.id === call) post({ type: 'answer', call, host, ok, value });
    };
    try {
      reply(true, await ask(operation, payload));
    } catch (error) {
      const { name, message } = error instanceof Error ? error : new Error(String(error));
      const code = error instanceof Error && 'code' in error ? String(error.code) : 'HOST_FAILED';
      reply(false, JSON.stringify({ name, message, code }));
    }
  }

  function done({ call, outcome, kept }: DoneMessage): void {
    if (running?.id !== call) return;
    const { settle: answered, call: ran } = running;
    if (!kept) keys.delete(ran.key);
    running = null;
    idleSinceMs = performance.now();
    answered(outcome, false);
  }

  worker.on('message', (message: FromThread) => {
    if (message.type === 'done') done(message);
    else if (message.type === 'host') void answer(message);
    else {
      ready = true;
      settle();
      onReady();
    }
  });
  // Its exit follows.
  worker.on('error', () => {});
  worker.once('exit', () => {
    gone = true;
    settle();
    if (running !== null) {
      const { settle: answered, startedMs } = running;
      running = null;
      const failure = failureOf('crashed', 'the thread of the sandbox has ended');
      answered({ ...nothing, cpuMs: performance.now() - startedMs, ok: false, failure }, true);
    }
    onGone();
  });
  worker.unref();

  return {
    settled,
    get isReady() {
      return ready;
    },
    get isFree() {
      return ready && running === null && !gone;
    },
    get idleSinceMs() {
      return idleSinceMs;
    },
    holds: (key) => keys.has(key),
    runs: (key) => running?.call.key === key,
    run(call) {
      calls += 1;
      const id = calls;
      const isHeld = keys.delete(call.key);
      keys.add(call.key);
      const unload = [...keys].slice(0, Math.max(0, keys.size - maxGuests));
      for (const key of unload) keys.delete(key);
      return new Promise((resolve) => {
        const startedMs = performance.now();
        const timer = setTimeout(
          () => {
            const failure = failureOf('timeout', 'the sandbox did not stop at its time limit');
            running?.settle({ ...nothing, cpuMs: performance.now() - startedMs, ok: false, failure }, true);
            running = null;
            gone = true;
            void worker.terminate();
          },
          (isHeld ? call.timeoutMs : makingMs + 2 * call.timeoutMs) + graceMs,
        );
        running = {
          id,
          call,
          startedMs,
          settle(outcome, killed) {
            clearTimeout(timer);
            resolve({ outcome, killed });
          },
        };
        const { answer: _answer, source, ...rest } = call;
        post({ type: 'call', call: id, ...rest, source: isHeld ? null : source, unload });
      });
    },
    forget(list) {
      const held = list.filter((key) => keys.delete(key));
      if (held.length > 0 && !gone) post({ type: 'unload', keys: held });
    },
    async end() {
      gone = true;
      await worker.terminate();
    },
  };
}

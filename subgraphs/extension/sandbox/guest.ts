import releaseSync from '@jitl/quickjs-wasmfile-release-sync';
import {
  type CustomizeVariantOptions,
  newQuickJSWASMModuleFromVariant,
  newVariant,
  type QuickJSContext,
  type QuickJSDeferredPromise,
  type QuickJSHandle,
  type QuickJSSyncVariant,
} from 'quickjs-emscripten-core';
import { bootstrap } from './bootstrap.ts';
import {
  type FailureKind,
  failureOf,
  type SandboxFailure,
  type SandboxLimits,
  type SandboxLog,
  type SandboxOutcome,
  type SandboxSource,
} from './messages.ts';
import { type WasmModule, webAssembly } from './webAssembly.ts';

/** Its types take it for a CommonJS package; what is loaded is the variant itself. */
const variant = releaseSync as unknown as QuickJSSyncVariant;
const maxLogs = 100;
const jobsAtOnce = 32;
const pageBytes = 65_536;
/** What the interpreter itself takes before a bundle is in it. */
const basePages = 256;

/** One call of a method. */
export interface GuestCall {
  /** Null where only the making of the guest counts. */
  readonly method: string | null;
  readonly parameters: string;
  readonly context: string;
  readonly timeoutMs: number;
  /** Hands a host call on; its answer comes through `answer`. */
  readonly ask: (host: number, operation: string, payload: string) => void;
}

export interface Guest {
  /** Runs one call; a guest runs one at a time. What it leaves may be unfit for another: see `isFit`. */
  run(call: GuestCall): Promise<SandboxOutcome>;
  answer(host: number, ok: boolean, value: string): void;
  /** What it took to evaluate the bundle and look for its methods. */
  readonly initMs: number;
  /** False after a call that was stopped or left something running. */
  readonly isFit: boolean;
}

/** Why the interpreter is being stopped; QuickJS asks every 10,000 steps or so. */
interface Guard {
  deadlineMs: number;
  reason: 'timeout' | 'quota' | null;
}

class GuestError extends Error {
  readonly failure: SandboxFailure;
  constructor(failure: SandboxFailure) {
    super(failure.message);
    this.failure = failure;
  }
}

/**
 * A QuickJS runtime with a bundle in it: no module loader, no clock but Date, nothing of Node. All that crosses is text.
 *
 * Each has a WebAssembly memory of its own, whose maximum is the memory limit: QuickJS cannot count what it allocates
 * when compiled to WASM (seen: 248 MiB under a limit of 16). Nothing is disposed of one by one: an interpreter that was
 * interrupted may have lost count of its objects, and a memory that nobody holds goes with all that is in it.
 * @throws {GuestError} with kind `load`, or what stopped the evaluation
 */
export async function createGuest(
  wasm: WasmModule,
  source: SandboxSource,
  limits: SandboxLimits,
  timeoutMs: number,
): Promise<Guest> {
  const memory = new webAssembly.Memory({
    initial: basePages,
    maximum: basePages + Math.ceil(limits.memoryBytes / pageBytes),
  });
  const module = await newQuickJSWASMModuleFromVariant(
    newVariant(variant, { wasmModule: wasm, wasmMemory: memory } as CustomizeVariantOptions),
  );
  // What the interpreter takes to be there is not the bundle's time.
  const guard: Guard = { deadlineMs: performance.now() + timeoutMs, reason: null };
  const runtime = module.newRuntime();
  runtime.setMaxStackSize(limits.stackBytes);
  runtime.setInterruptHandler(() => {
    if (guard.reason === null && performance.now() >= guard.deadlineMs) guard.reason = 'timeout';
    return guard.reason !== null;
  });
  const context = runtime.newContext();
  const open = new Map<number, QuickJSDeferredPromise>();
  let logs: SandboxLog[] = [];
  let hostCalls = 0;
  let nextHost = 0;
  let ask: GuestCall['ask'] | null = null;
  let wake: (() => void) | null = null;
  let isFit = true;
  let cpuMs = 0;

  /** Time of the guest itself. */
  function timed<Value>(work: () => Value): Value {
    const from = performance.now();
    try {
      return work();
    } finally {
      cpuMs += performance.now() - from;
    }
  }

  const host = context.newFunction('host', (operation, payload) => {
    hostCalls += 1;
    if (hostCalls > limits.maxHostCalls || open.size >= limits.maxOpenHostCalls) {
      // Whoever floods is stopped, not told: a loop that catches errors would go on for its whole time.
      guard.reason = 'quota';
      throw new Error('too many host calls');
    }
    const promise = context.newPromise();
    const id = nextHost;
    nextHost += 1;
    open.set(id, promise);
    ask?.(id, context.getString(operation), context.getString(payload));
    return promise.handle.dup();
  });
  const log = context.newFunction('log', (level, text) => {
    if (logs.length < maxLogs) logs.push({ level: context.getString(level), text: context.getString(text) });
  });

  function failureIn(error: QuickJSHandle): SandboxFailure {
    if (guard.reason !== null) return stopped(guard.reason);
    const name = textOf(context, error, 'name');
    const message = textOf(context, error, 'message');
    if (name === 'InternalError' && message === 'out of memory')
      return failureOf('memory', 'the memory limit is reached');
    if (
      /^(InternalError|RangeError)$/.test(name) &&
      /stack (size )?(overflow|exceeded)|Maximum call stack/.test(message)
    )
      return failureOf('stack', 'the stack limit is reached');
    return { kind: 'thrown', name: name || 'Error', message: message || 'unknown', code: null };
  }

  function unwrap(result: ReturnType<QuickJSContext['callFunction']>, kind: FailureKind | null = null): QuickJSHandle {
    if (!result.error) return result.value;
    const failure = failureIn(result.error);
    result.error.dispose();
    throw new GuestError(kind !== null && failure.kind === 'thrown' ? { ...failure, kind } : failure);
  }

  function stopped(reason: 'timeout' | 'quota'): SandboxFailure {
    return reason === 'timeout'
      ? failureOf('timeout', 'the time limit is reached')
      : failureOf(
          'quota',
          `more than ${limits.maxHostCalls} host calls, or ${limits.maxOpenHostCalls} unanswered ones`,
        );
  }

  /** Lets promises of the guest go on as far as they can. */
  function pump(): void {
    timed(() => {
      // An interruption rejects a promise like any error, and may be caught so: between a few jobs the guard is asked too.
      while (runtime.hasPendingJob()) {
        const result = runtime.executePendingJobs(jobsAtOnce);
        const failure = result.error ? failureIn(result.error) : null;
        result.error?.dispose();
        if (failure !== null && failure.kind !== 'thrown') throw new GuestError(failure);
        if (guard.reason === null && performance.now() >= guard.deadlineMs) guard.reason = 'timeout';
        if (guard.reason !== null) throw new GuestError(stopped(guard.reason));
      }
    });
    if (guard.reason !== null) throw new GuestError(stopped(guard.reason));
  }

  function load(): { readonly invoke: QuickJSHandle } {
    using booted = unwrap(context.evalCode(bootstrap, 'bootstrap.js'));
    using maxOutput = context.newNumber(limits.maxOutputCharacters);
    using maxHost = context.newNumber(limits.maxHostCharacters);
    using api = unwrap(context.callFunction(booted, context.undefined, host, log, maxOutput, maxHost));
    using evaluated = unwrap(
      timed(() => context.evalCode(source.bundle, 'bundle.js', { type: 'module' })),
      'load',
    );
    pump();
    using namespace = settledNamespace(evaluated);
    using bind = context.getProp(api, 'bind');
    using name = context.newString(source.mainClass);
    unwrap(
      timed(() => context.callFunction(bind, context.undefined, namespace, name)),
      'load',
    ).dispose();
    using missing = context.getProp(api, 'missing');
    using names = context.newString(JSON.stringify(source.methods));
    using lacking = unwrap(context.callFunction(missing, context.undefined, names), 'load');
    const absent = context.getString(lacking);
    if (absent !== '') throw new GuestError(failureOf('load', `the bundle lacks methods: ${absent}`, 'MissingMethod'));
    return { invoke: context.getProp(api, 'invoke') };
  }

  /** A module that awaits at its top answers a promise of its exports. */
  function settledNamespace(evaluated: QuickJSHandle): QuickJSHandle {
    const state = context.getPromiseState(evaluated);
    if (state.type === 'fulfilled') return state.notAPromise === true ? evaluated.dup() : state.value;
    if (state.type === 'rejected') {
      const failure = failureIn(state.error);
      state.error.dispose();
      throw new GuestError(failure.kind === 'thrown' ? { ...failure, kind: 'load' } : failure);
    }
    throw new GuestError(failureOf('load', 'the bundle waits for something at its top level'));
  }

  const loadedFromMs = performance.now();
  const { invoke } = load();
  const initMs = performance.now() - loadedFromMs;

  async function execute({ method, parameters, context: given }: GuestCall): Promise<string> {
    if (method === null) return 'null';
    const promise = timed(() => {
      using name = context.newString(method);
      using first = context.newString(parameters);
      using second = context.newString(given);
      return unwrap(context.callFunction(invoke, context.undefined, name, first, second));
    });
    try {
      for (;;) {
        pump();
        const state = context.getPromiseState(promise);
        if (state.type === 'fulfilled') {
          using value = state.value;
          return context.getString(value);
        }
        if (state.type === 'rejected') {
          using error = state.error;
          throw new GuestError(failureIn(error));
        }
        if (open.size === 0) throw new GuestError(failureOf('stalled', 'the method waits for what never comes'));
        await nextAnswer(guard.deadlineMs);
      }
    } finally {
      promise.dispose();
    }
  }

  function nextAnswer(until: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => {
          wake = null;
          guard.reason = 'timeout';
          reject(new GuestError(stopped('timeout')));
        },
        Math.max(1, until - performance.now()),
      );
      wake = () => {
        clearTimeout(timer);
        wake = null;
        resolve();
      };
    });
  }

  return {
    initMs,
    get isFit() {
      return isFit;
    },
    async run(call) {
      Object.assign(guard, { deadlineMs: performance.now() + call.timeoutMs, reason: null });
      [logs, hostCalls, cpuMs, ask] = [[], 0, 0, call.ask];
      // What a call leaves is found out before the next one may see it.
      isFit = false;
      const usage = () => ({ cpuMs, memoryBytes: memory.buffer.byteLength, hostCalls, logs });
      try {
        const result = readResult(await execute(call));
        const isSound = result.ok || result.failure.kind === 'thrown' || result.failure.kind === 'output';
        isFit = isSound && open.size === 0 && !runtime.hasPendingJob();
        return { ...usage(), ...result };
      } catch (error) {
        if (!(error instanceof GuestError)) throw error;
        return { ...usage(), ok: false, failure: error.failure };
      } finally {
        ask = null;
        if (call.method === null) isFit = true;
      }
    },
    answer(id, ok, value) {
      const promise = open.get(id);
      if (!promise) return;
      open.delete(id);
      try {
        if (ok) {
          using text = context.newString(value);
          promise.resolve(text);
        } else {
          const { name, message, code } = JSON.parse(value) as { name: string; message: string; code: string };
          using error = context.newError({ name, message });
          using codeText = context.newString(code);
          context.setProp(error, 'code', codeText);
          promise.reject(error);
        }
      } finally {
        promise.dispose();
      }
      wake?.();
    },
  };
}

export function guestFailure(error: unknown): SandboxFailure | null {
  return error instanceof GuestError ? error.failure : null;
}

/** A property as text, without running what the guest may have put there. */
function textOf(context: QuickJSContext, error: QuickJSHandle, name: string): string {
  using value = context.getProp(error, name);
  return context.typeof(value) === 'string' ? context.getString(value).slice(0, 2_000) : '';
}

/** What `invoke` answers: a value, an error, or that the value is too large. */
function readResult(
  text: string,
): { readonly ok: true; readonly value: string } | { readonly ok: false; readonly failure: SandboxFailure } {
  if (text === 'null') return { ok: true, value: 'null' };
  // The value itself is not parsed here: it is JSON that the guest's own JSON.stringify wrote.
  if (text.startsWith('{"value":')) return { ok: true, value: text.slice(9, -1) };
  const { error, tooLarge } = JSON.parse(text) as {
    readonly error?: { readonly name: string; readonly message: string; readonly code: string | null };
    readonly tooLarge?: number;
  };
  if (tooLarge !== undefined)
    return { ok: false, failure: failureOf('output', `the result has ${tooLarge} characters`) };
  const { name, message, code } = error!;
  if (name === 'InternalError' && message === 'out of memory')
    return { ok: false, failure: failureOf('memory', 'the memory limit is reached') };
  if (/^(InternalError|RangeError)$/.test(name) && /stack/.test(message))
    return { ok: false, failure: failureOf('stack', 'the stack limit is reached') };
  return { ok: false, failure: { kind: 'thrown', name, message, code } };
}

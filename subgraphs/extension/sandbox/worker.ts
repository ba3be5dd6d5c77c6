import { parentPort, workerData } from 'node:worker_threads';
import { keepCompiled } from '#shared/compileCache.ts';
import type { Guest } from './guest.ts';
import type { CallMessage, FromThread, SandboxOutcome, ToThread } from './messages.ts';
import type { WasmModule } from './webAssembly.ts';

// Before the interpreter is loaded, so that what V8 made of it is kept for the next thread.
keepCompiled();
const { createGuest, guestFailure } = await import('./guest.ts');
/** Compiled once in the process. */
const { wasm } = workerData as { readonly wasm: WasmModule };
const port = parentPort!;
const send = (message: FromThread): void => port.postMessage(message);
const guests = new Map<string, Guest>();
let running: { readonly call: number; readonly guest: Guest } | null = null;

function unload(keys: readonly string[]): void {
  for (const key of keys) guests.delete(key);
}

async function run(message: CallMessage): Promise<void> {
  const { call, key, source, limits, timeoutMs } = message;
  const startedMs = performance.now();
  unload(message.unload);
  let outcome: SandboxOutcome;
  let guest = guests.get(key);
  try {
    let initMs = 0;
    if (guest === undefined) {
      guest = await createGuest(wasm, source!, limits, timeoutMs);
      guests.set(key, guest);
      initMs = guest.initMs;
    }
    running = { call, guest };
    const ran = await guest.run({
      method: message.method,
      parameters: message.parameters,
      context: message.context,
      timeoutMs,
      ask: (host, operation, payload) => send({ type: 'host', call, host, operation, payload }),
    });
    outcome = { ...ran, initMs };
  } catch (error) {
    const failure = guestFailure(error);
    // Anything else is a fault of the interpreter: nothing in this thread can be trusted any more.
    if (failure === null) throw error;
    outcome = { ok: false, failure, cpuMs: performance.now() - startedMs, memoryBytes: 0, hostCalls: 0, logs: [] };
  }
  running = null;
  const kept = guest?.isFit ?? false;
  if (!kept) unload([key]);
  send({ type: 'done', call, outcome, kept });
}

port.on('message', (message: ToThread) => {
  if (message.type === 'call') void run(message);
  else if (message.type === 'unload') unload(message.keys);
  else if (running?.call === message.call) running.guest.answer(message.host, message.ok, message.value);
});
send({ type: 'ready' });

/** What bounds one call. */
export interface SandboxLimits {
  /** Memory beyond what the interpreter itself takes, bytes. */
  readonly memoryBytes: number;
  /** Stack of the guest, bytes. */
  readonly stackBytes: number;
  /** JSON of a result, characters at most. */
  readonly maxOutputCharacters: number;
  /** Calls of host functions within one call of a method. */
  readonly maxHostCalls: number;
  /** Host calls that may be unanswered at the same time. */
  readonly maxOpenHostCalls: number;
  /** JSON of one host call, characters at most. */
  readonly maxHostCharacters: number;
}

export const defaultLimits: SandboxLimits = Object.freeze({
  memoryBytes: 16 * 1_048_576,
  stackBytes: 256 * 1_024,
  maxOutputCharacters: 1_048_576,
  maxHostCalls: 100,
  maxOpenHostCalls: 16,
  maxHostCharacters: 65_536,
});

/** What a sandbox is made of. */
export interface SandboxSource {
  /** An ES module that imports nothing. */
  readonly bundle: string;
  /** Export that carries the methods: an object, or a class that is made once. */
  readonly mainClass: string;
  /** Methods that have to be there. */
  readonly methods: readonly string[];
}

/** To the thread: one call, with the source where the thread does not hold the sandbox. */
export interface CallMessage {
  readonly type: 'call';
  readonly call: number;
  readonly key: string;
  readonly source: SandboxSource | null;
  readonly limits: SandboxLimits;
  /** Null only makes the sandbox and looks whether its methods are there. */
  readonly method: string | null;
  readonly parameters: string;
  readonly context: string;
  /** For the method, and as much again for the bundle where it is evaluated first, ms. */
  readonly timeoutMs: number;
  /** Sandboxes to let go of first. */
  readonly unload: readonly string[];
}

/** To the thread: the answer to a host call, as JSON. */
export interface HostAnswerMessage {
  readonly type: 'answer';
  readonly call: number;
  readonly host: number;
  readonly ok: boolean;
  readonly value: string;
}

export type ToThread = CallMessage | HostAnswerMessage | { readonly type: 'unload'; readonly keys: readonly string[] };

/** Why a call came to nothing. */
export type FailureKind =
  /** The method threw: it is there and answered so. */
  | 'thrown'
  | 'timeout'
  | 'memory'
  | 'stack'
  | 'output'
  | 'quota'
  /** A promise that nothing can settle any more. */
  | 'stalled'
  /** The bundle cannot be evaluated or lacks a method. */
  | 'load'
  /** The thread is gone. */
  | 'crashed';

export interface SandboxFailure {
  readonly kind: FailureKind;
  readonly name: string;
  readonly message: string;
  /** What the method gave its error as `code`. */
  readonly code: string | null;
}

export interface SandboxLog {
  readonly level: string;
  readonly text: string;
}

export interface SandboxUsage {
  /** Time the guest itself ran, ms. */
  readonly cpuMs: number;
  /** Memory of the sandbox at its highest, the interpreter's own 16 MiB included, bytes. */
  readonly memoryBytes: number;
  readonly hostCalls: number;
  /** Time to evaluate the bundle and look for its methods, ms; 0 where the sandbox was there. */
  readonly initMs?: number;
}

export type SandboxOutcome = SandboxUsage & {
  readonly logs: readonly SandboxLog[];
} & ({ readonly ok: true; readonly value: string } | { readonly ok: false; readonly failure: SandboxFailure });

export interface DoneMessage {
  readonly type: 'done';
  readonly call: number;
  readonly outcome: SandboxOutcome;
  /** False where the sandbox was let go of with the call. */
  readonly kept: boolean;
}

export interface HostCallMessage {
  readonly type: 'host';
  readonly call: number;
  readonly host: number;
  readonly operation: string;
  readonly payload: string;
}

export type FromThread = DoneMessage | HostCallMessage | { readonly type: 'ready' };

export function failureOf(kind: FailureKind, message: string, name = kind as string): SandboxFailure {
  return { kind, name, message, code: null };
}

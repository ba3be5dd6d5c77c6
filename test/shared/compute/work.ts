import { threadId } from 'node:worker_threads';
import { PlatformError } from '#shared/errors.ts';

/** Work for the pool's tests; `gate` is a shared array that a test opens. */
export interface Gate {
  readonly gate: SharedArrayBuffer;
  readonly value?: unknown;
}

export function threadOf(): number {
  return threadId;
}

export function double(value: number): number {
  return value * 2;
}

/** Says that it runs and blocks its thread, as a computation would, until the gate opens. */
export function hold({ gate, value }: Gate): unknown {
  const words = new Int32Array(gate);
  Atomics.add(words, 1, 1);
  Atomics.notify(words, 1);
  while (Atomics.load(words, 0) === 0) Atomics.wait(words, 0, 0, 1_000);
  return value;
}

/** Writes its number into the order of execution. */
export function note({ gate, value }: Gate): void {
  const words = new Int32Array(gate);
  words[Atomics.add(words, 1, 1) + 2] = value as number;
}

/** Never ends and counts as it goes: a stopped thread is seen by the count standing still. */
export function spin({ gate }: Gate): never {
  const words = new Int32Array(gate);
  for (;;) Atomics.add(words, 1, 1);
}

export function refuse(): never {
  throw new PlatformError('VALIDATION_FAILED', 'expected less', {
    path: ['input', 'steps', 3],
    details: { limit: 100 },
  });
}

export function stumble(): never {
  throw new RangeError('out of range');
}

export function devour(): number {
  const kept: number[][] = [];
  for (;;) kept.push(Array.from({ length: 100_000 }, (_, index) => index * 1.5));
}

export function leave(): void {
  process.exit(3);
}

export function uncloneable(): unknown {
  return () => 1;
}

export function environment(): readonly string[] {
  return Object.keys(process.env);
}

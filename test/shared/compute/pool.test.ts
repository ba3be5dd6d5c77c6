import { threadId } from 'node:worker_threads';
import fc from 'fast-check';
import pino from 'pino';
import { afterEach, describe, expect, it } from 'vitest';
import { createLanes, type Lane } from '#shared/compute/lanes.ts';
import {
  type ComputeObserver,
  type ComputePool,
  type ComputePoolOptions,
  createComputePool,
} from '#shared/computePool.ts';

const work = new URL('./work.ts', import.meta.url);
const open: ComputePool[] = [];

type Finished = Parameters<ComputeObserver['finished']>[0];

function createPool(options: Partial<ComputePoolOptions> = {}) {
  const finished: Finished[] = [];
  const threads: number[] = [];
  const pool = createComputePool({
    maxThreads: 1,
    logger: pino({ level: 'silent' }),
    observer: { finished: (task) => finished.push(task), load: () => {}, threads: (count) => threads.push(count) },
    ...options,
  });
  open.push(pool);
  return { pool, finished, threads };
}

function createGate(length = 64) {
  const gate = new SharedArrayBuffer(length * 4);
  const words = new Int32Array(gate);
  return {
    gate,
    words,
    open() {
      Atomics.store(words, 0, 1);
      Atomics.notify(words, 0);
    },
    /** Resolves once so many `hold`s run. */
    async entered(count = 1) {
      while (Atomics.load(words, 1) < count) await new Promise((resolve) => setTimeout(resolve, 2));
    },
  };
}

const background = { lane: 'background' } as const;
const interactive = { lane: 'interactive' } as const;

afterEach(async () => {
  await Promise.all(open.splice(0).map((pool) => pool.close()));
});

describe('compute pool', () => {
  it('runs an export in a thread of its own and copies what it answers', async () => {
    const { pool, finished } = createPool();
    expect(await pool.run(work, 'double', 21, interactive)).toBe(42);
    expect(await pool.run(work, 'threadOf', null, interactive)).not.toBe(threadId);
    expect(finished.map(({ lane, name, outcome }) => [lane, name, outcome])).toEqual([
      ['interactive', 'double', 'done'],
      ['interactive', 'threadOf', 'done'],
    ]);
  });

  it('has no thread before there is work and none after idling', async () => {
    const { pool, threads } = createPool({ maxThreads: 2, idleMs: 30 });
    expect(await pool.threadCount()).toBe(0);
    await pool.run(work, 'double', 1, background);
    expect(await pool.threadCount()).toBe(1);
    while ((await pool.threadCount()) > 0) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(await pool.run(work, 'double', 2, background)).toBe(4);
    expect(threads).toContain(0);
  });

  it('lets interactive work go first and keeps a thread of several free of background work', async () => {
    const { pool } = createPool({ maxThreads: 2 });
    const held = createGate();
    const order = createGate();
    const first = pool.run(work, 'hold', { gate: held.gate }, background);
    await held.entered();
    const second = pool.run(work, 'note', { gate: order.gate, value: 2 }, background);
    const others = [1, 1, 1].map((value) => pool.run(work, 'note', { gate: order.gate, value }, interactive));
    await Promise.all(others);
    expect([...order.words.slice(2, 6)]).toEqual([1, 1, 1, 0]);
    held.open();
    await Promise.all([first, second]);
    expect([...order.words.slice(2, 6)]).toEqual([1, 1, 1, 2]);
  });

  it('hands on a platform error with its code, path and details, and any other with its name', async () => {
    const { pool, finished } = createPool();
    await expect(pool.run(work, 'refuse', null, interactive)).rejects.toMatchObject({
      name: 'PlatformError',
      code: 'VALIDATION_FAILED',
      message: 'expected less',
      path: ['input', 'steps', 3],
      details: { limit: 100 },
      status: 422,
    });
    await expect(pool.run(work, 'stumble', null, interactive)).rejects.toMatchObject({
      name: 'RangeError',
      message: 'out of range',
    });
    await expect(pool.run(work, 'nowhere', null, interactive)).rejects.toMatchObject({ code: 'INTERNAL_ERROR' });
    expect(finished.map(({ outcome }) => outcome)).toEqual(['failed', 'failed', 'failed']);
  });

  it.each(['devour', 'leave', 'uncloneable'])('a thread lost to %s fails its task alone', async (name) => {
    const { pool } = createPool({ maxHeapMb: 32 });
    await expect(pool.run(work, name, null, interactive)).rejects.toMatchObject({ code: 'INTERNAL_ERROR' });
    expect(await pool.run(work, 'double', 4, interactive)).toBe(8);
  });

  it('stops a computation that does not yield when its signal is aborted', async () => {
    const { pool, finished } = createPool();
    const { gate, words, entered } = createGate();
    const abort = new AbortController();
    const running = pool.run(work, 'spin', { gate }, { ...background, signal: abort.signal });
    await entered();
    abort.abort(new Error('not wanted any more'));
    await expect(running).rejects.toThrow('not wanted any more');
    // The next task gets a thread although the old one would never have ended.
    expect(await pool.run(work, 'double', 1, background)).toBe(2);
    const stoodAt = Atomics.load(words, 1);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(Atomics.load(words, 1)).toBe(stoodAt);
    expect(finished.map(({ outcome }) => outcome)).toEqual(['cancelled', 'done']);
  });

  it('takes back what still waits without touching what runs', async () => {
    const { pool } = createPool();
    const { gate, entered, open: release } = createGate();
    const running = pool.run(work, 'hold', { gate, value: 'kept' }, background);
    await entered();
    const abort = new AbortController();
    const waiting = pool.run(work, 'double', 1, { ...background, signal: abort.signal });
    abort.abort(new Error('changed my mind'));
    await expect(waiting).rejects.toThrow('changed my mind');
    await expect(
      pool.run(work, 'double', 1, { ...background, signal: AbortSignal.abort(new Error('too late')) }),
    ).rejects.toThrow('too late');
    release();
    expect(await running).toBe('kept');
  });

  it('ends what takes longer than it may, waiting or running', async () => {
    const { pool, finished } = createPool();
    const { gate } = createGate();
    const running = pool.run(work, 'hold', { gate }, { ...background, timeoutMs: 300 });
    const waiting = pool.run(work, 'double', 1, { ...background, timeoutMs: 20 });
    await expect(waiting).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED', retryable: true });
    await expect(running).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    expect(await pool.run(work, 'double', 3, background)).toBe(6);
    expect(finished.map(({ outcome }) => outcome)).toEqual(['timeout', 'timeout', 'done']);
  });

  it('refuses what its queue cannot hold, each lane by itself', async () => {
    const { pool, finished } = createPool({ maxWaiting: 2 });
    const { gate, entered, open: release } = createGate();
    const running = pool.run(work, 'hold', { gate }, background);
    await entered();
    const waiting = [1, 2].map((value) => pool.run(work, 'double', value, background));
    await expect(pool.run(work, 'double', 3, background)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      retryAfterMs: 1_000,
    });
    const other = pool.run(work, 'double', 4, interactive);
    release();
    expect(await Promise.all([...waiting, other, running])).toEqual([2, 4, 8, undefined]);
    expect(finished.filter(({ outcome }) => outcome === 'refused')).toHaveLength(1);
  });

  it('refuses what runs and waits when it closes, and everything after', async () => {
    const { pool } = createPool();
    const { gate, entered } = createGate();
    const tasks = [pool.run(work, 'hold', { gate }, background), pool.run(work, 'double', 1, background)];
    const answers = Promise.allSettled(tasks);
    await entered();
    await pool.close();
    const closing = { reason: { code: 'UNAVAILABLE', message: 'the process is shutting down' } };
    expect(await answers).toMatchObject([closing, closing]);
    await expect(pool.run(work, 'double', 1, background)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  it('shows its threads nothing of the environment', async () => {
    const { pool } = createPool();
    expect(await pool.run(work, 'environment', null, background)).toEqual([]);
  });
});

describe('lanes', () => {
  it('never run more than there are places, lose nothing, and starve nobody', () => {
    const step = fc.oneof(
      fc.record({ add: fc.constantFrom<Lane>('interactive', 'background') }),
      fc.record({ finish: fc.nat() }),
    );
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4 }), fc.array(step, { maxLength: 200 }), (maxRunning, steps) => {
        const lanes = createLanes<{ lane: Lane; id: number }>({ maxRunning, maxWaiting: 1_000 });
        const running: { lane: Lane; id: number }[] = [];
        const begun: { lane: Lane; id: number }[] = [];
        let ids = 0;
        let overtaken = 0;
        const pump = () => {
          for (;;) {
            const waits = lanes.waitingIn('background') > 0;
            const task = lanes.take();
            if (!task) break;
            overtaken = waits && task.lane === 'interactive' ? overtaken + 1 : 0;
            running.push(task);
            begun.push(task);
          }
          expect(running.length).toBeLessThanOrEqual(maxRunning);
          const inBackground = running.filter(({ lane }) => lane === 'background').length;
          expect(inBackground).toBeLessThanOrEqual(Math.max(1, maxRunning - 1));
          if (inBackground < Math.max(1, maxRunning - 1)) expect(overtaken).toBeLessThanOrEqual(8 + maxRunning);
        };
        const finish = (at: number) => {
          const [task] = running.splice(at % running.length, 1);
          lanes.release(task!.lane);
        };
        for (const entry of steps) {
          if ('add' in entry) lanes.add(entry.add, { lane: entry.add, id: ids++ });
          else if (running.length > 0) finish(entry.finish);
          pump();
        }
        while (running.length > 0) {
          finish(0);
          pump();
        }
        expect(begun).toHaveLength(ids);
        for (const lane of ['interactive', 'background'] as const) {
          const order = begun.filter((task) => task.lane === lane).map(({ id }) => id);
          expect(order).toEqual(order.toSorted((a, b) => a - b));
        }
      }),
    );
  });
});

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  defaultLimits,
  type SandboxLimits,
  type SandboxOutcome,
} from '../../../subgraphs/extension/sandbox/messages.ts';
import { createSandboxPool, type SandboxJob, type SandboxPool } from '../../../subgraphs/extension/sandbox/pool.ts';

const bundle = `export class Main {
  count = 0;
  add({ a, b }) { return a + b; }
  counted() { this.count += 1; return this.count; }
  loop() { while (1); }
  caught() { for (;;) { try { while (1); } catch {} } }
  async awaiting() { for (;;) { try { for (;;) await null; } catch {} } }
  bomb() { const all = []; for (;;) all.push(new Array(10_000).fill(1)); }
  text() { const all = []; for (;;) all.push('x'.repeat(1_000_000) + all.length); }
  deep() { return this.deep() + 1; }
  parse() { let text = ''; for (let i = 0; i < 200_000; i += 1) text += '['; return JSON.parse(text); }
  async reach() {
    const outer = ({}).constructor.constructor('return this')();
    const tried = [];
    const attempt = (code) => { try { tried.push(String(({}).constructor.constructor('return ' + code)())); } catch (error) { tried.push(error.name); } };
    for (const code of ['typeof process', 'typeof require', 'typeof fetch', 'typeof WebAssembly', 'typeof Worker', 'typeof setTimeout', 'typeof mplp.call.constructor("return process")']) attempt(code);
    try { await import('node:fs'); tried.push('imported'); } catch (error) { tried.push(error.name); }
    try { tried.push(String(mplp.call.constructor.constructor('return typeof process')())); } catch (error) { tried.push(error.name); }
    return { outer: Object.keys(outer).sort(), tried };
  }
  pollute() {
    Object.prototype.polluted = 'yes';
    Array.prototype.push = () => { throw new Error('mine'); };
    JSON.stringify = () => '"forged"';
    Promise.prototype.then = function () { return this; };
    try { mplp.call = () => 'mine'; } catch {}
    try { globalThis.mplp = null; } catch {}
    return { polluted: ({}).polluted };
  }
  async ask(p) { return mplp.call('echo', p); }
  async refused() { try { await mplp.call('forbidden', {}); } catch (error) { return [error.name, error.code]; } }
  async flood() { for (let i = 0; i < 1e6; i += 1) { try { await mplp.call('echo', i); } catch {} } }
  async promises() { const all = []; for (let i = 0; i < 1e6; i += 1) { try { all.push(mplp.call('echo', i)); } catch {} } return Promise.all(all); }
  never() { return new Promise(() => {}); }
  big() { return 'x'.repeat(3_000_000); }
  hugeAsk() { return mplp.call('echo', 'x'.repeat(100_000)); }
  left() { mplp.call('slow', 1); return 'gone on'; }
  fail() { const error = new RangeError('no such thing'); error.code = 'NO_SUCH_THING'; throw error; }
  getter() { return { get value() { while (1); } }; }
  throwing() { throw { get name() { throw 1; }, get message() { while (1); } }; }
  log() { for (let i = 0; i < 1_000; i += 1) console.log('line', { i }, 'y'.repeat(10_000)); }
}`;

let pool: SandboxPool;
beforeAll(async () => {
  pool = createSandboxPool({ minThreads: 2, maxThreads: 3 });
  await pool.warm();
});
afterAll(() => pool.close());

const limits: SandboxLimits = { ...defaultLimits, memoryBytes: 8 * 1_048_576 };

function job(method: string | null, parameters: unknown = {}, more: Partial<SandboxJob> = {}): SandboxJob {
  return {
    key: 'one',
    owner: 'one',
    source: { bundle, mainClass: 'Main', methods: ['add'] },
    limits,
    method,
    parameters: JSON.stringify(parameters),
    context: '{}',
    timeoutMs: 400,
    async answer(operation, payload) {
      if (operation === 'forbidden') throw Object.assign(new Error('not granted'), { code: 'PERMISSION_VIOLATION' });
      if (operation === 'slow') await new Promise((resolve) => setTimeout(resolve, 50));
      return payload;
    },
    ...more,
  };
}

const call = async (method: string | null, parameters?: unknown, more?: Partial<SandboxJob>): Promise<SandboxOutcome> =>
  (await pool.run(job(method, parameters, { timeoutMs: 3_000, ...more }))).outcome;

function kindOf(outcome: SandboxOutcome): string {
  return outcome.ok ? `ok ${outcome.value.slice(0, 60)}` : outcome.failure.kind;
}

describe('what an extension may try', () => {
  it.each([
    ['loop', 'timeout'],
    ['caught', 'timeout'],
    ['awaiting', 'timeout'],
    ['getter', 'timeout'],
    ['bomb', 'memory'],
    ['text', 'memory'],
    ['deep', 'stack'],
    ['flood', 'quota'],
    ['promises', 'quota'],
    ['never', 'stalled'],
    ['big', 'output'],
  ])('%s is stopped by its %s limit, and the next call finds a sound sandbox', async (method, kind) => {
    const timeoutMs = kind === 'timeout' ? 400 : 10_000;
    const outcome = await call(method, {}, { timeoutMs });
    expect(kindOf(outcome)).toBe(kind);
    // No more than the limit and what a memory takes to grow by a step.
    expect(outcome.memoryBytes).toBeLessThanOrEqual(limits.memoryBytes + 16 * 1_048_576);
    expect(kindOf(await call('add', { a: 1, b: 2 }))).toBe('ok 3');
  });

  it('host calls are counted, and those over the quota reach nobody', async () => {
    let asked = 0;
    const answer = async (_operation: string, payload: string) => {
      asked += 1;
      return payload;
    };
    expect(kindOf(await call('flood', {}, { answer }))).toBe('quota');
    expect(asked).toBe(limits.maxHostCalls);
    asked = 0;
    expect(kindOf(await call('promises', {}, { answer }))).toBe('quota');
    expect(asked).toBeLessThanOrEqual(limits.maxOpenHostCalls);
  });

  it('reaches nothing but the language, its log and the broker', async () => {
    const outcome = await call('reach', {}, { key: 'reach' });
    const { outer, tried } = JSON.parse(outcome.ok ? outcome.value : 'null') as { outer: string[]; tried: string[] };
    expect(outer).toEqual(['console', 'mplp']);
    expect(tried.slice(0, 6)).toEqual(Array(6).fill('undefined'));
    expect(tried.slice(6)).toEqual(['function', 'ReferenceError', 'undefined']);
  });

  it('pollutes nothing beyond itself: neither the host, nor another extension, nor how it is called itself', async () => {
    expect(kindOf(await call('pollute', {}, { key: 'polluter' }))).toBe('ok {"polluted":"yes"}');
    expect(kindOf(await call('add', { a: 20, b: 22 }, { key: 'polluter' }))).toBe('ok 42');
    expect(kindOf(await call('add', { a: 1, b: 1 }, { key: 'neighbour' }))).toBe('ok 2');
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
    expect([1, 2].concat([3])).toEqual([1, 2, 3]);
  });

  it('a payload that breaks when it is read fails the call alone', async () => {
    expect(kindOf(await call('throwing', {}, { timeoutMs: 400 }))).toMatch(/timeout|thrown/);
    expect(kindOf(await call('hugeAsk'))).toBe('thrown');
    expect(kindOf(await call('parse'))).toMatch(/stack|thrown/);
    expect(kindOf(await call('add', { a: '__proto__', b: 1 }))).toBe('ok "__proto__1"');
  });

  it('errors keep name and code, refusals of the host reach the method', async () => {
    const outcome = await call('fail');
    expect(outcome.ok === false && outcome.failure).toEqual({
      kind: 'thrown',
      name: 'RangeError',
      message: 'no such thing',
      code: 'NO_SUCH_THING',
    });
    expect(kindOf(await call('ask', { a: [1, null, 'é\u0000'] }))).toBe(
      `ok ${JSON.stringify({ a: [1, null, 'é\u0000'] })}`,
    );
    expect(kindOf(await call('refused'))).toBe('ok ["Error","PERMISSION_VIOLATION"]');
  });

  it('logs are bounded in number and length', async () => {
    const { logs } = await call('log');
    expect(logs).toHaveLength(100);
    expect(Math.max(...logs.map(({ text }) => text.length))).toBeLessThanOrEqual(2_000);
  });

  it('a bundle that loops, imports or lacks a method is refused when it is made', async () => {
    const load = (text: string) =>
      call(null, {}, { key: text, source: { bundle: text, mainClass: 'Main', methods: ['add'] }, timeoutMs: 400 });
    expect(kindOf(await load('while (1);'))).toBe('timeout');
    expect(kindOf(await load('import fs from "node:fs"; export const Main = {};'))).toBe('load');
    expect(kindOf(await load('export const Main = ;'))).toBe('load');
    expect(kindOf(await load('export const Main = {};'))).toBe('load');
    expect(kindOf(await load('export const Other = { add() {} };'))).toBe('load');
    expect(kindOf(await load('await new Promise(() => {}); export const Main = { add() {} };'))).toBe('load');
    expect(kindOf(await load('await null; export const Main = { add: () => 5 };'))).toBe('ok null');
  });
});

describe('the pool', () => {
  it('calls of others go on while one extension loops in all the threads it can get', async () => {
    const loops = Array.from({ length: 8 }, () => pool.run(job('loop', {}, { key: 'looper', owner: 'looper' })));
    const others = await Promise.all(
      Array.from({ length: 20 }, (_, a) =>
        call('add', { a, b: 1 }, { key: 'other', owner: 'other', timeoutMs: 3_000 }),
      ),
    );
    expect(others.map(kindOf)).toEqual(Array.from({ length: 20 }, (_, a) => `ok ${a + 1}`));
    // Some wait for a thread longer than they may run.
    for (const { outcome } of await Promise.all(loops)) expect(kindOf(outcome)).toBe('timeout');
    expect(pool.waitingCount).toBe(0);
  });

  it('a sandbox keeps its state from call to call, until it is forgotten or left something running', async () => {
    const own = createSandboxPool({ minThreads: 1, maxThreads: 1 });
    const run = async (method: string) => kindOf((await own.run(job(method, {}, { timeoutMs: 3_000 }))).outcome);
    expect([await run('counted'), await run('counted')]).toEqual(['ok 1', 'ok 2']);
    own.forget(['one']);
    expect(await run('counted')).toBe('ok 1');
    // Its host call is answered after the method has ended: nobody may meet what follows.
    expect([await run('counted'), await run('left'), await run('counted')]).toEqual(['ok 2', 'ok "gone on"', 'ok 1']);
    await own.close();
  });

  it('sandboxes that were let go of leave no memory behind', async () => {
    const own = createSandboxPool({ minThreads: 1, maxThreads: 1 });
    const many = async (from: number) => {
      for (let n = from; n < from + 60; n += 1)
        await own.run(job(n % 2 === 0 ? 'left' : 'never', {}, { key: `k${n}`, timeoutMs: 3_000 }));
      return process.memoryUsage().rss;
    };
    const before = await many(0);
    const after = await many(60);
    // A memory of 16 MiB each: leaked, sixty of them would be 960.
    expect(after - before).toBeLessThan(300 * 1_048_576);
    await own.close();
  });

  it('a thread that does not stop is ended; its call is told so and the pool goes on', async () => {
    const own = createSandboxPool({ minThreads: 1, maxThreads: 1 });
    // A native step that the interpreter cannot be asked to stop in.
    const text =
      'export const Main = { add: () => /(a+)+$/.test("a".repeat(34) + "b") || new Array(2e7).fill(0).sort().length };';
    const stuck = await own.run(
      job(
        'add',
        {},
        {
          key: 'stuck',
          source: { bundle: text, mainClass: 'Main', methods: ['add'] },
          timeoutMs: 300,
          limits: { ...limits, memoryBytes: 512 * 1_048_576 },
        },
      ),
    );
    expect(kindOf(stuck.outcome)).toBe('timeout');
    expect(kindOf((await own.run(job('add', { a: 1, b: 2 }, { timeoutMs: 5_000 }))).outcome)).toBe('ok 3');
    await own.close();
  });

  it('refuses what would wait too long a queue, and everything once it is closed', async () => {
    const own = createSandboxPool({ minThreads: 1, maxThreads: 1, maxWaiting: 2 });
    await own.warm();
    const first = own.run(job('loop'));
    const waiting = [own.run(job('add', { a: 1, b: 1 })), own.run(job('add', { a: 1, b: 1 }))];
    await expect(own.run(job('add'))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await Promise.all([first, ...waiting]);
    await own.close();
    await expect(own.run(job('add'))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });
});

import { performance } from 'node:perf_hooks';
import { defaultLimits } from '../../subgraphs/extension/sandbox/messages.ts';
import { createSandboxPool, type SandboxJob } from '../../subgraphs/extension/sandbox/pool.ts';
import { figure } from '../figure.ts';
import { createHistogram } from '../load/histogram.ts';
import { tellFigures } from './tellFigures.ts';

/**
 * What a sandbox costs: `node perf/probes/sandbox.ts [calls, default 2000]`. Meant: a warm call within 5 ms at p95 over the
 * bare function. Prints the bare function in Node, a warm call of it through the pool, one with a host call, a cold one
 * (its sandbox is made first), and one of a thread that was just started.
 */
const calls = Number(process.argv[2] ?? 2_000);
const text = 'the quick brown fox jumps over the lazy dog '.repeat(20);
const bundle = `export const Main = {
  count({ text }) { const seen = {}; for (const word of text.split(' ')) seen[word] = (seen[word] ?? 0) + 1; return seen; },
  async ask({ text }) { await mplp.call('echo', text.length); return Main.count({ text }); },
};`;

function count({ text: given }: { readonly text: string }): Record<string, number> {
  const seen: Record<string, number> = {};
  for (const word of given.split(' ')) seen[word] = (seen[word] ?? 0) + 1;
  return seen;
}

const job = (method: string, key = 'warm'): SandboxJob => ({
  key,
  owner: key,
  source: { bundle, mainClass: 'Main', methods: ['count'] },
  limits: defaultLimits,
  method,
  parameters: JSON.stringify({ text }),
  context: '{}',
  timeoutMs: 5_000,
  answer: async (_operation, payload) => payload,
});

async function measure(name: string, times: number, work: (n: number) => unknown): Promise<number> {
  const histogram = createHistogram();
  for (let n = 0; n < times; n += 1) {
    const from = performance.now();
    await work(n);
    histogram.record(performance.now() - from);
  }
  const { p50Ms, p95Ms, p99Ms } = histogram.summary();
  console.log(
    `${name.padEnd(34)} p50 ${p50Ms.toFixed(3)}  p95 ${p95Ms.toFixed(3)}  p99 ${p99Ms.toFixed(3)} ms  (${times})`,
  );
  return p95Ms;
}

const pool = createSandboxPool({ minThreads: 2, maxThreads: 4 });
// The pool keeps no process alive.
const alive = setInterval(() => {}, 60_000);
await pool.warm();
const run = async (method: string, key?: string): Promise<void> => {
  const { outcome } = await pool.run(job(method, key));
  if (!outcome.ok) throw new Error(outcome.failure.message);
};
await measure('warming up', 200, () => run('count'));
const bare = await measure('the bare function', calls, () =>
  JSON.stringify(count(JSON.parse(JSON.stringify({ text })))),
);
const warm = await measure('a warm call', calls, () => run('count'));
await measure('a warm call that asks the host', calls, () => run('ask'));
await measure('a cold call', Math.min(100, calls), (n) => run('count', `cold-${n}`));
console.log(`over the bare function, p95: ${(warm - bare).toFixed(3)} ms; meant: below 5`);
tellFigures(
  figure('warm call in the sandbox, over the bare function', warm - bare, 'ms p95', {
    below: 5,
    note: `${calls} calls, one after the other; perf/probes/sandbox.ts`,
  }),
);
await pool.close();
clearInterval(alive);

import { expect, test } from 'vitest';
import { keepClientProcesses } from '../../perf/load/clientProcesses.ts';
import { runLoad } from '../../perf/load/runLoad.ts';
import { type FixtureFaults, startFixture } from './fixtures/startFixture.ts';

const echo = new URL('./fixtures/echoWorkload.ts', import.meta.url);
const service = new URL('./fixtures/serviceWorkload.ts', import.meta.url);

type Options = Omit<Parameters<typeof runLoad>[0], 'workload' | 'url' | 'params'>;

async function loadFixture(faults: FixtureFaults, options: Options): ReturnType<typeof runLoad> {
  const fixture = await startFixture(faults);
  try {
    return await runLoad({ workload: echo, params: { items: 1_000 }, url: fixture.server.url, ...options });
  } finally {
    await fixture.stop();
  }
}

test('an open loop reaches its rate, mixes by weight and finds right answers right', async () => {
  const result = await loadFixture(
    {},
    { arrival: { kind: 'open', ratePerSecond: 500 }, warmupSeconds: 0.3, durationSeconds: 2 },
  );
  // Poisson: 1,000 expected, standard deviation 32.
  expect(result.started).toBeGreaterThan(850);
  expect(result.started).toBeLessThan(1_150);
  expect(result.latency.count).toBe(result.started);
  expect({ errors: result.errors, wrong: result.wrong }).toEqual({ errors: {}, wrong: 0 });
  const { item, add } = result.operations;
  expect(add!.latency.count / result.started).toBeGreaterThan(0.02);
  expect(add!.latency.count / result.started).toBeLessThan(0.09);
  expect(item!.latency.count + add!.latency.count).toBe(result.started);
  expect(result.clientCpuUsPerOperation).toBeGreaterThan(0);
});

test('a wrong answer is counted as wrong, an error by its code', async () => {
  const result = await loadFixture(
    { wrongFrom: 500, errorFrom: 900 },
    { arrival: { kind: 'closed', concurrency: 4 }, warmupSeconds: 0, durationSeconds: 0.5 },
  );
  expect(result.wrong).toBeGreaterThan(0);
  expect(result.errors['NOT_FOUND']).toBeGreaterThan(0);
  expect(Object.keys(result.errors)).toEqual(['NOT_FOUND']);
  expect(result.wrongExamples.length).toBeGreaterThan(0);
  // Zipf over 1,000: ln(2) / H(1000) = 9 % lie beyond 500.
  expect((result.wrong + result.errorCount) / result.latency.count).toBeLessThan(0.2);
});

test('chunked answers and connections the server closes are no errors', async () => {
  const result = await loadFixture(
    { chunked: true, closeEvery: 50 },
    { arrival: { kind: 'closed', concurrency: 8 }, warmupSeconds: 0, durationSeconds: 0.5 },
  );
  expect({ errors: result.errors, wrong: result.wrong }).toEqual({ errors: {}, wrong: 0 });
  expect(result.latency.count).toBeGreaterThan(50);
});

test('two workers share the rate and their counts add up', async () => {
  const result = await loadFixture(
    {},
    {
      arrival: { kind: 'open', ratePerSecond: 400, gaps: 'constant' },
      warmupSeconds: 0,
      durationSeconds: 1,
      workers: 2,
    },
  );
  expect(result.started).toBeGreaterThanOrEqual(396);
  expect(result.started).toBeLessThanOrEqual(400);
});

test('a stall shows in everything that was due meanwhile: no coordinated omission', async () => {
  // The server stands still for 400 ms of every second: two fifths of the arrivals fall into it.
  const faults = { stallMs: 400, stallEveryMs: 600 };
  const open = await loadFixture(faults, {
    arrival: { kind: 'open', ratePerSecond: 200, gaps: 'constant' },
    warmupSeconds: 0.2,
    durationSeconds: 3,
  });
  const closed = await loadFixture(faults, {
    arrival: { kind: 'closed', concurrency: 1 },
    warmupSeconds: 0.2,
    durationSeconds: 3,
  });
  // Due evenly over the stall, they wait 0 to 400 ms.
  expect(open.latency.p95Ms).toBeGreaterThan(250);
  expect(open.latency.maxMs).toBeGreaterThan(350);
  // One caller that waits for its answer meets a stall once and reports hundreds of quick answers around it.
  expect(closed.latency.p95Ms).toBeLessThan(open.latency.p95Ms / 2);
  expect(open.errors).toEqual({});
});

test('what is not answered is counted as TIMEOUT with the time it waited', async () => {
  const result = await loadFixture(
    { stallMs: 1_500, stallEveryMs: 700 },
    {
      arrival: { kind: 'open', ratePerSecond: 50 },
      warmupSeconds: 0,
      durationSeconds: 1,
      timeoutMs: 300,
      connections: 2,
    },
  );
  expect(result.errors['TIMEOUT']).toBeGreaterThan(0);
  expect(result.latency.count).toBe(result.started);
  expect(result.latency.maxMs).toBeGreaterThan(300);
});

test('operations at the service boundary run in the worker; what they throw is counted by code', async () => {
  const result = await runLoad({
    workload: service,
    params: { failEvery: 10 },
    arrival: { kind: 'open', ratePerSecond: 400, wake: 'spin' },
    warmupSeconds: 0.2,
    durationSeconds: 1,
  });
  const { quick, slow } = result.operations;
  // The fastest of each: how late a busy machine makes the others is not what is tested.
  expect(quick!.latency.minMs).toBeLessThan(1);
  expect(slow!.latency.minMs).toBeGreaterThanOrEqual(4);
  expect(Object.keys(result.errors)).toEqual(['UNAVAILABLE']);
  expect(result.wrongExamples[0]).toContain('the service refused');
});

test('kept client processes run the next load of their workload; one whose load failed is not kept', async () => {
  const kept = keepClientProcesses();
  const taken: (number | undefined)[] = [];
  const clients: typeof kept = {
    ...kept,
    take(workload) {
      const child = kept.take(workload);
      taken.push(child.pid);
      return child;
    },
  };
  const arrival = { kind: 'closed', concurrency: 2 } as const;
  const service_ = { workload: service, params: { failEvery: 1_000_000 }, arrival, warmupSeconds: 0, clients };
  try {
    const first = await runLoad({ ...service_, durationSeconds: 0.2 });
    const second = await runLoad({ ...service_, durationSeconds: 0.2 });
    for (const { errors, latency } of [first, second]) {
      expect(errors).toEqual({});
      expect(latency.count).toBeGreaterThan(0);
    }
    await expect(
      runLoad({
        workload: echo,
        params: { items: 1 },
        url: 'http://127.0.0.1:1/',
        arrival,
        durationSeconds: 1,
        clients,
      }),
    ).rejects.toThrow('ECONNREFUSED');
    expect(taken[1]).toBe(taken[0]);
    expect(taken[2]).not.toBe(taken[0]);
    expect(() => process.kill(taken[2]!, 0)).toThrow('ESRCH');
  } finally {
    await kept.close();
  }
  expect(() => process.kill(taken[0]!, 0)).toThrow('ESRCH');
});

test('a workload that cannot be made fails the load with its reason', async () => {
  const missing = new URL('./fixtures/startFixture.ts', import.meta.url);
  await expect(
    runLoad({ workload: missing, arrival: { kind: 'closed', concurrency: 1 }, durationSeconds: 1 }),
  ).rejects.toThrow('to export createWorkload');
});

test('a server that is not there fails the load', async () => {
  await expect(
    runLoad({
      workload: echo,
      params: { items: 10 },
      url: 'http://127.0.0.1:1/graphql',
      arrival: { kind: 'closed', concurrency: 1 },
      durationSeconds: 1,
    }),
  ).rejects.toThrow('ECONNREFUSED');
});

import { expect, test } from 'vitest';
import { type FanOutResult, openSubscribers } from '../../perf/load/openSubscribers.ts';
import { runLoad } from '../../perf/load/runLoad.ts';
import { type FixtureFaults, fixtureStream, startFixture } from './fixtures/startFixture.ts';

const module = new URL('./fixtures/sendWorkload.ts', import.meta.url);

async function fanOut(
  faults: FixtureFaults,
  lastSequence: (sent: number) => number = (sent) => sent,
): Promise<{ sent: number; result: FanOutResult }> {
  const fixture = await startFixture(faults);
  try {
    const subscribers = await openSubscribers({
      subscriptions: module,
      wsUrl: fixture.server.wsUrl,
      sockets: 40,
      workers: 2,
    });
    subscribers.beginWindow();
    const load = await runLoad({
      workload: module,
      url: fixture.server.url,
      arrival: { kind: 'open', ratePerSecond: 60 },
      warmupSeconds: 0,
      durationSeconds: 1,
    });
    expect(load.acknowledged.size).toBe(load.started);
    await new Promise((resolve) => setTimeout(resolve, 100));
    const result = await subscribers.finish({
      acknowledged: load.acknowledged,
      committed: await fixture.server.takeCommits(),
      lastSequences: new Map([[fixtureStream, lastSequence(load.started)]]),
    });
    return { sent: load.started, result };
  } finally {
    await fixture.stop();
  }
}

test('every socket gets every message once, timed from its commit and from both ends of its mutation', async () => {
  const { sent, result } = await fanOut({});
  expect(result).toMatchObject({
    subscribed: 40,
    received: sent * 40,
    gaps: 0,
    duplicates: 0,
    missing: 0,
    silent: 0,
    closed: {},
    errors: {},
  });
  expect(result.sinceCommitted.count).toBe(sent * 40);
  expect(result.sinceCreated.count).toBe(sent * 40);
  expect(result.sinceAcknowledged.count).toBe(sent * 40);
  expect(result.sinceCreated.p50Ms).toBeLessThan(100);
});

test('a message left out is a gap at every socket, one sent twice a duplicate', async () => {
  const { result } = await fanOut({ dropSequence: 10, repeatSequence: 20 });
  expect(result).toMatchObject({ gaps: 40, duplicates: 40, missing: 0 });
});

test('what was never committed has no time since then', async () => {
  const { sent, result } = await fanOut({ uncommittedSequence: 5 });
  expect(result).toMatchObject({ received: sent * 40, sinceCommitted: { count: (sent - 1) * 40 } });
});

test('a tail that never came is missing', async () => {
  const { result } = await fanOut({}, (sent) => sent + 3);
  expect(result).toMatchObject({ gaps: 0, missing: 120 });
});

test('sockets that get nothing are silent, and a refused one fails', async () => {
  const fixture = await startFixture();
  try {
    const subscribers = await openSubscribers({ subscriptions: module, wsUrl: fixture.server.wsUrl, sockets: 3 });
    expect(await subscribers.finish()).toMatchObject({ received: 0, silent: 3 });
  } finally {
    await fixture.stop();
  }
  await expect(openSubscribers({ subscriptions: module, wsUrl: fixture.server.wsUrl, sockets: 3 })).rejects.toThrow(
    'ECONNREFUSED',
  );
});

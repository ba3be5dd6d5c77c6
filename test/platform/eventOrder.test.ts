import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createAddressGuard } from '#shared/addressGuard.ts';
import { partitionOf } from '../../subgraphs/platform/events/partitioning.ts';
import { postWebhook } from '../../subgraphs/platform/webhooks/post.ts';
import { eventCalls } from './eventCalls.ts';
import { startReceiver } from './receiver.ts';
import { type Json, openPlatformRig, type PlatformRig, principal, until } from './rig.ts';

let rig: PlatformRig;
let second: PlatformRig;
beforeAll(async () => {
  const env = { WEBHOOK_NETWORKS: '127.0.0.0/8,::1', EVENT_LEASE_MS: '5000' };
  rig = await openPlatformRig({ env });
  second = await openPlatformRig({ env, databaseUrl: rig.databaseUrl });
});
afterAll(async () => {
  await second[Symbol.asyncDispose]();
  await rig[Symbol.asyncDispose]();
});

describe('order', () => {
  it('of each key is kept, whatever the partitions, batches, failures and instances', async () => {
    const { publish, subscribe, deliveries } = eventCalls(() => rig);
    let runs = 0;
    const scenario = fc.record({
      keys: fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 20, maxLength: 60 }),
      partitions: fc.constantFrom(1, 3, 100),
      batchSize: fc.constantFrom(1, 4),
      failEvery: fc.constantFrom(0, 3, 5),
    });
    await fc.assert(
      fc.asyncProperty(scenario, async ({ keys, partitions, batchSize, failEvery }) => {
        let calls = 0;
        const accepted: Json[] = [];
        await using receiver = await startReceiver(({ deliveries: list }) => {
          calls += 1;
          if (failEvery > 0 && calls % failEvery === 0) return 503;
          accepted.push(...list);
          return 200;
        });
        runs += 1;
        const who = principal('ann', `ordered-${runs}`);
        const options = {
          target: 'WEBHOOK',
          url: receiver.url,
          partitions,
          batchSize,
          maxRetry: 10,
          retryDelayMs: 100,
        };
        await subscribe(who, options);
        // In pieces, by both instances' rigs in turn.
        for (let from = 0; from < keys.length; from += 7)
          await publish(
            who,
            keys
              .slice(from, from + 7)
              .map((key, at) => ({ type: 'order.placed', payload: { n: from + at }, orderingKey: `k${key}` })),
          );
        await until(
          async () => new Set(accepted.map(({ event }) => event.id)).size,
          (count) => count === keys.length,
        );
        const byKey = Map.groupBy(accepted, ({ orderingKey }) => orderingKey);
        for (const list of byKey.values()) {
          const seen = list.map(({ event }) => event.payload.n);
          expect(seen).toEqual(seen.toSorted((one: number, two: number) => one - two));
          expect(new Set(list.map(({ partition }) => partition)).size).toBe(1);
        }
        await until(
          () => deliveries(who, { status: ['PENDING', 'SENT'] }),
          (list) => list.length === 0,
        );
      }),
      { numRuns: 8 },
    );
  });

  it('is by consistent hashing: a partition more moves keys to it alone', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), fc.integer({ min: 1, max: 99 }), (key, count) => {
        const [before, after] = [partitionOf(key, count), partitionOf(key, count + 1)];
        expect(before).toBeGreaterThanOrEqual(0);
        expect(before).toBeLessThan(count);
        expect([before, count]).toContain(after);
      }),
    );
    const loads = new Array<number>(100).fill(0);
    for (let n = 0; n < 50_000; n += 1) loads[partitionOf(`key ${n}`, 100)]! += 1;
    expect(Math.min(...loads)).toBeGreaterThan(400);
    expect(Math.max(...loads)).toBeLessThan(600);
  });
});

describe('addresses of webhooks', () => {
  it.each([
    '127.0.0.1',
    '10.1.2.3',
    '172.31.255.255',
    '192.168.0.1',
    '169.254.169.254',
    '100.64.0.1',
    '0.0.0.0',
    '224.0.0.1',
    '255.255.255.255',
    '::1',
    '::',
    'fc00::1',
    'fe80::1',
    '::ffff:127.0.0.1',
    '::ffff:8.8.8.8',
    '64:ff9b::7f00:1',
    '2002:7f00:1::',
    'ff02::1',
    'example.org',
  ])('%s is none', (address) => expect(createAddressGuard().isAllowed(address)).toBe(false));

  it.each(['8.8.8.8', '172.32.0.1', '2606:4700::1111'])('%s is one', (address) =>
    expect(createAddressGuard().isAllowed(address)).toBe(true),
  );

  it('are refused in every spelling of the URL', async () => {
    const guard = createAddressGuard();
    for (const url of [
      'http://127.0.0.1/',
      'http://[::1]/',
      'http://2130706433/',
      'http://0x7f.1/',
      'http://localhost:80/',
      'http://a.localhost/',
      'http://[::ffff:7f00:1]/',
      'http://metadata.internal/',
    ])
      expect([url, await guard.findHostProblem(url)]).toEqual([url, expect.stringContaining('expected a public')]);
    expect(await guard.findHostProblem('http://8.8.8.8/')).toBeNull();
    expect(await createAddressGuard(['127.0.0.0/8']).findHostProblem('http://127.0.0.1/')).toBeNull();
  });

  it('are refused at the subscription, and at the connection', async () => {
    await using guarded = await openPlatformRig({ databaseUrl: rig.databaseUrl });
    const { subscribe } = eventCalls(() => guarded);
    const { userErrors } = await subscribe(principal('ann', 'guarded'), {
      target: 'WEBHOOK',
      url: 'http://169.254.169.254/latest',
    });
    expect(userErrors).toMatchObject([{ code: 'VALIDATION_FAILED', path: ['input', 'url'] }]);
    const call = { secret: null, body: '{}', headers: {}, guard: createAddressGuard() };
    await expect(postWebhook({ ...call, url: 'http://127.0.0.1:1/' })).rejects.toThrow('expected a public address');
    // A name whose address changed after it was looked at.
    await expect(postWebhook({ ...call, url: 'http://localhost:1/' })).rejects.toThrow('expected a public address');
  });
});

import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { alice, codes, type NetworkRig, openNetworkRig, setNodeStatus, terminate } from './rig.ts';

let rig: NetworkRig;
beforeAll(async () => {
  rig = await openNetworkRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

/** Four nodes, each joined to each by more than a total of 100 Mbps leaves of use. */
const mesh = (config: Readonly<Record<string, unknown>>) =>
  rig.open(
    'abcd',
    ['ab', 'ac', 'ad', 'bc', 'bd', 'cd'].map((ends) => [ends, { capacityMbps: 10_000 }] as const),
    { config },
  );
const patch = `mutation ($id: ID!, $config: NetworkConfigInput) { updateNetwork(networkId: $id, patch: { config: $config }) { network { config { totalBandwidthMbps } } userErrors { code message path } } }`;
const route = `query ($n: ID!, $a: ID!, $b: ID!, $mbps: Float!) { networkRoute(networkId: $n, source: $a, target: $b, requirements: { bandwidthMbps: $mbps }) { residualMbps } }`;
const health = `query ($n: ID!) { networkHealth(networkId: $n) { totalUtilization components { name level } } }`;

interface Total {
  readonly total: number;
  readonly usable: number;
  readonly limits: Readonly<Record<string, number>>;
  readonly kept: Readonly<Record<string, number>>;
  /** By the open connections' own rows. */
  readonly held: Readonly<Record<string, number>>;
}

async function totalOf(networkId: string): Promise<Total | null> {
  const [row] = await rig.sql<
    Total[]
  >`SELECT total_kbps::float8 AS total, usable_kbps::float8 AS usable, class_limits AS limits,
    json_build_object('real_time', reserved_real_time, 'interactive', reserved_interactive, 'bulk', reserved_bulk, 'management', reserved_management) AS kept,
    (SELECT json_object_agg(name, coalesce(kbps, 0)) FROM unnest(ARRAY['real_time', 'interactive', 'bulk', 'management']) AS name
     LEFT JOIN (SELECT traffic_class, sum(bandwidth_kbps) AS kbps FROM network.connection WHERE network_id = ${networkId} AND closed_at IS NULL GROUP BY 1) c
       ON c.traffic_class = name) AS held
    FROM network.bandwidth WHERE network_id = ${networkId}`;
  return row ?? null;
}

test('connections get no more together than the total leaves their class, whatever links have', async () => {
  // Of 100 Mbps 80 are usable; interactive has 30 % of them, 36 with the burst.
  const net = await mesh({ totalBandwidthMbps: 100 });
  const open = (bandwidthMbps: number, trafficClass = 'INTERACTIVE', target = 'b') =>
    rig.connect(net.networkId, net.id('a'), net.id(target), { requirements: { bandwidthMbps }, trafficClass });
  expect(codes(await open(36))).toEqual([]);
  const refused = await open(0.001, 'INTERACTIVE', 'c');
  expect(codes(refused)).toEqual(['INSUFFICIENT_BANDWIDTH']);
  expect(refused['infeasibility']).toEqual({
    kind: 'TOTAL',
    linkIds: [],
    nodeIds: [],
    capacityMbps: 0,
    demandedMbps: 0.001,
  });
  // Real time may burst to 48, of which the others leave 44; what holds nothing is always let in.
  expect(codes(await open(44.1, 'REAL_TIME', 'd'))).toEqual(['INSUFFICIENT_BANDWIDTH']);
  const real = await open(44, 'REAL_TIME', 'd');
  expect(codes(real)).toEqual([]);
  expect(codes(await open(0))).toEqual([]);
  const ways = { n: net.networkId, a: net.id('b'), b: net.id('c') };
  expect(await rig.field(alice, route, { ...ways, mbps: 1 })).toBeNull();
  expect(await rig.field(alice, health, { n: net.networkId })).toMatchObject({ totalUtilization: 0.8 });
  await rig.field(alice, terminate, { id: real['connection']!['id'] });
  expect(codes(await open(44, 'REAL_TIME', 'd'))).toEqual([]);
});

test('a total is set, raised and taken away as long as what is open fits', async () => {
  const net = await mesh({});
  const open = (bandwidthMbps: number) =>
    rig.connect(net.networkId, net.id('a'), net.id('b'), { requirements: { bandwidthMbps } });
  const set = (totalBandwidthMbps: number) =>
    rig.field(alice, patch, { id: net.networkId, config: { totalBandwidthMbps } });
  const first = await open(50);
  expect(codes(await set(100))).toEqual(['CONFLICT']);
  expect(await set(200)).toMatchObject({ network: { config: { totalBandwidthMbps: 200 } }, userErrors: [] });
  // Of 200 Mbps interactive has 72 with the burst; what was open before counts.
  expect(codes(await open(22.1))).toEqual(['INSUFFICIENT_BANDWIDTH']);
  expect(codes(await open(22))).toEqual([]);
  expect(codes(await set(150))).toEqual(['CONFLICT']);
  await rig.field(alice, terminate, { id: first['connection']!['id'] });
  expect(codes(await set(150))).toEqual([]);
  expect(codes(await set(0))).toEqual([]);
  expect(codes(await open(1_000))).toEqual([]);
});

test('property: whatever is opened, closed and lost at once, the total is never exceeded and nothing of it is lost', async () => {
  const classes = ['REAL_TIME', 'INTERACTIVE', 'BULK', 'MANAGEMENT'] as const;
  const step = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constant('open' as const),
        mbps: fc.integer({ min: 0, max: 30 }),
        at: fc.nat(5),
        trafficClass: fc.constantFrom(...classes),
        failover: fc.boolean(),
      }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('close' as const), at: fc.nat(20) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('fall' as const), at: fc.nat(3) }) },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant('bound' as const), mbps: fc.constantFrom(0, 40, 70, 100, 140) }),
    },
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(step, { minLength: 1, maxLength: 6 }), { minLength: 2, maxLength: 4 }),
      async (rounds) => {
        const net = await mesh({ totalBandwidthMbps: 100 });
        const ends = ['ab', 'ac', 'ad', 'bc', 'bd', 'cd'];
        const opened: string[] = [];
        for (const round of rounds) {
          await Promise.all(
            round.map(async (one) => {
              if (one.kind === 'open') {
                const [source, target] = [...ends[one.at]!] as [string, string];
                const { connection } = await rig.connect(net.networkId, net.id(source), net.id(target), {
                  requirements: { bandwidthMbps: one.mbps, failoverSupport: one.failover },
                  trafficClass: one.trafficClass,
                });
                if (connection) opened.push(String(connection['id']));
              } else if (one.kind === 'close') {
                const id = opened[one.at % Math.max(1, opened.length)];
                if (id !== undefined) await rig.field(alice, terminate, { id });
              } else if (one.kind === 'bound')
                await rig.field(alice, patch, { id: net.networkId, config: { totalBandwidthMbps: one.mbps } });
              else
                for (const status of ['INACTIVE', 'ACTIVE'])
                  await rig.field(alice, setNodeStatus, {
                    networkId: net.networkId,
                    nodeId: net.id('abcd'[one.at]!),
                    status,
                  });
            }),
          );
          const total = await totalOf(net.networkId);
          if (total !== null) {
            const { usable, limits, kept, held } = total;
            expect(kept).toEqual(held);
            expect(Object.values(held).reduce((sum, kbps) => sum + kbps, 0)).toBeLessThanOrEqual(usable);
            for (const [name, kbps] of Object.entries(held)) expect(kbps).toBeLessThanOrEqual(limits[name]!);
          }
          expect(await rig.reserved(net.networkId)).toEqual(await rig.held(net.networkId));
        }
      },
    ),
    { numRuns: 12 },
  );
});

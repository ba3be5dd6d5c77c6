import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type AlertSeries, alertsOf, probabilityOf } from '../../subgraphs/network/forecast/alerts.ts';
import { createRandom } from '../../subgraphs/network/graph/random.ts';
import { alice, type NetworkRig, openNetworkRig } from './rig.ts';

const flat = (value: number, length = 40) => Array.from({ length }, () => value);
const calm: AlertSeries = { capacity: flat(0.3), latency: flat(10), errors: flat(0.01), failure: flat(0) };
const kindsOf = (series: Partial<AlertSeries>, standing: Parameters<typeof alertsOf>[1] = []) =>
  alertsOf({ ...calm, ...series }, standing).map(({ kind }) => kind);
const rising = (from: number, by: number, length = 40) => Array.from({ length }, (_, at) => from + by * at);

describe('what is likely within the hour', () => {
  test('nothing where all goes on as it was, and nothing out of too little', () => {
    expect(kindsOf({})).toEqual([]);
    expect(kindsOf({ capacity: flat(0.95, 11) })).toEqual([]);
    expect(kindsOf({ latency: [], errors: [] })).toEqual([]);
    expect(kindsOf({ errors: flat(0) })).toEqual([]);
  });

  test('a trend is told before it is there, with when', () => {
    const [alert] = alertsOf({ ...calm, capacity: rising(0.385, 0.01) }, []);
    // The last value is 0.775, the third from now on 0.805.
    expect(alert).toMatchObject({ kind: 'capacity', threshold: 0.8, steps: 3 });
    expect(alert!.expected).toBeCloseTo(0.805, 6);
    expect(kindsOf({ capacity: rising(0.3, 0.01) })).toEqual([]);
    expect(kindsOf({ latency: [...flat(10, 36), 11, 12, 13, 14] })).toEqual(['latency']);
    expect(kindsOf({ failure: [...flat(0, 30), ...flat(1, 10)] })).toEqual(['failure']);
  });

  test('what stands is held below what raises it', () => {
    const random = createRandom(7);
    let held = 0;
    for (let run = 0; run < 200; run += 1) {
      const level = 0.72 + 0.1 * random();
      const capacity = Array.from({ length: 60 }, () => level + 0.1 * (random() - 0.5));
      const [raised, standing] = [kindsOf({ capacity }), kindsOf({ capacity }, ['capacity'])];
      if (raised.includes('capacity')) expect(standing).toContain('capacity');
      else if (standing.includes('capacity')) held += 1;
    }
    expect(held).toBeGreaterThan(5);
  });

  test('the probability is that of the forecast interval: a half at the value, a fortieth at its upper bound', () => {
    fc.assert(
      fc.property(
        fc.double({ min: -50, max: 50, noNaN: true }),
        fc.double({ min: 0.1, max: 20, noNaN: true }),
        (value, spread) => {
          const point = { value, lower: value - spread, upper: value + spread };
          expect(probabilityOf(point, value)).toBeCloseTo(0.5, 6);
          expect(probabilityOf(point, value + spread)).toBeCloseTo(0.025, 3);
          expect(probabilityOf(point, value - spread)).toBeCloseTo(0.975, 3);
          expect(probabilityOf(point, value - 100 * spread)).toBe(1);
        },
      ),
    );
    const sure = { value: 1, lower: 1, upper: 1 };
    expect([probabilityOf(sure, 1), probabilityOf(sure, 1.1)]).toEqual([1, 0]);
  });
});

describe('networks', () => {
  let rig: NetworkRig;
  beforeAll(async () => {
    rig = await openNetworkRig();
  });
  afterAll(() => rig[Symbol.asyncDispose]());

  /** A figure for each quarter of an hour of the last ten hours, the last one first. */
  const past = (networkId: string, utilization: string) =>
    rig.sql.unsafe(
      `INSERT INTO network.sample (tenant_id, network_id, created_at, max_utilization, mean_utilization, connections, unreachable_nodes)
       SELECT 'one', $1, date_bin('15 minutes', now(), 'epoch') - at * interval '15 minutes', ${utilization}, 0, 0, 0 FROM generate_series(1, 40) AS at
       ON CONFLICT (tenant_id, network_id, created_at) DO UPDATE SET max_utilization = EXCLUDED.max_utilization`,
      [networkId],
    );
  const alertsOfNetwork = async (id: string) =>
    (
      await rig.field(
        alice,
        'query ($id: ID!) { network(networkId: $id) { version alerts { kind expected threshold probability expectedAt raisedAt } } }',
        { id },
      )
    )['alerts']!;
  const told = (id: string) =>
    rig.events.flatMap(({ streamId, type, data }) =>
      streamId === id && type === 'network.alerts.changed'
        ? [{ raised: data['raised'], cleared: data['cleared'] }]
        : [],
    );

  test('an alert is raised once, kept while it holds, and ends; others are left alone', async () => {
    const [net, other] = [await rig.open('ab', [['ab']]), await rig.open('ab', [['ab']])];
    await past(net.networkId, '0.785 - at * 0.01');
    await past(other.networkId, '0.2');
    expect(await rig.service.foresight.run()).toBe(1);
    const [alert] = (await alertsOfNetwork(net.networkId)).map((one) => one);
    expect(alert).toMatchObject({ kind: 'CAPACITY', threshold: 0.8 });
    expect(Number(alert!['probability'])).toBeGreaterThan(0.5);
    expect(Date.parse(String(alert!['expectedAt']))).toBeGreaterThan(Date.parse(String(alert!['raisedAt'])));
    expect((await alertsOfNetwork(other.networkId)).length).toBe(0);
    expect(await rig.service.foresight.run()).toBe(0);
    const [kept] = (await alertsOfNetwork(net.networkId)).map((one) => one);
    expect(kept!['raisedAt']).toBe(alert!['raisedAt']);
    expect(told(net.networkId)).toEqual([{ raised: ['capacity'], cleared: [] }]);
    await past(net.networkId, '0.2');
    expect(await rig.service.foresight.run()).toBe(1);
    expect((await alertsOfNetwork(net.networkId)).length).toBe(0);
    expect(told(net.networkId).at(-1)).toEqual({ raised: [], cleared: ['capacity'] });
  });

  test('what goes out of service has none', async () => {
    const net = await rig.open('ab', [['ab']]);
    await past(net.networkId, '0.9');
    await rig.service.foresight.run();
    expect((await alertsOfNetwork(net.networkId)).length).toBe(1);
    await rig.field(alice, 'mutation ($id: ID!) { retireNetwork(networkId: $id) { userErrors { code } } }', {
      id: net.networkId,
    });
    await rig.service.foresight.run();
    expect((await alertsOfNetwork(net.networkId)).length).toBe(0);
  });
});

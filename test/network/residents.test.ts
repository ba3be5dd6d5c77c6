import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { alice, bob, codes, type NetworkRig, openNetworkRig, setNodeStatus } from './rig.ts';

let rig: NetworkRig;
beforeAll(async () => {
  rig = await openNetworkRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const errors = 'userErrors { code message path }';

describe('what lives on it', () => {
  test('services are found by what they can do, nearest first, while they are alive', async () => {
    const net = await rig.open('abc', [
      ['ab', { latencyMs: 1 }],
      ['bc', { latencyMs: 1 }],
    ]);
    const register = (node: string, input = {}) =>
      rig.field(
        bob,
        `mutation ($input: RegisterServiceInput!) { registerService(input: $input) { service { id } ${errors} } }`,
        {
          input: {
            networkId: net.networkId,
            name: 'planner',
            providerNodeId: net.id(node),
            endpoints: [{ host: 'x', port: 80, protocol: 'HTTP' }],
            capabilities: ['plan'],
            ...input,
          },
        },
      );
    const ids = Object.fromEntries(
      await Promise.all(['b', 'c'].map(async (node) => [node, (await register(node))['service']!['id']])),
    );
    expect((await register('b'))['service']!['id']).toBe(ids['b']);
    const discover = async (query = {}) =>
      (
        await rig.field(
          alice,
          'query ($query: NetworkServiceQuery!) { discoverServices(query: $query) { latencyMs service { id } } }',
          { query: { networkId: net.networkId, ...query } },
        )
      ).map((match) => [match['service']!['id'], match['latencyMs']]);
    expect(await discover({ near: net.id('a') })).toEqual([
      [ids['b'], 1],
      [ids['c'], 2],
    ]);
    expect(await discover({ near: net.id('c'), capabilities: ['plan'], version: '^1.0' })).toEqual([
      [ids['c'], 0],
      [ids['b'], 1],
    ]);
    expect(await discover({ capabilities: ['other'] })).toEqual([]);
    expect(await discover({ version: '>=2' })).toEqual([]);
    const firsts = async (balancing: string) => (await discover({ balancing })).map(([id]) => id);
    const [turn, next, again] = [await firsts('ROUND_ROBIN'), await firsts('ROUND_ROBIN'), await firsts('ROUND_ROBIN')];
    expect(next).toEqual([...turn].reverse());
    expect(again).toEqual(turn);
    await rig.sql`UPDATE network.node SET open_connections = 3 WHERE id = ${net.id('b')}`;
    expect(await firsts('LEAST_CONNECTIONS')).toEqual([ids['c'], ids['b']]);
    await register('c', { weight: 0 });
    expect(await firsts('WEIGHTED')).toEqual([ids['b'], ids['c']]);
    expect((await firsts('RANDOM')).sort()).toEqual(Object.values(ids).sort());
    await register('c');
    await rig.sql`UPDATE network.node SET open_connections = 0 WHERE id = ${net.id('b')}`;
    await rig.field(alice, setNodeStatus, { networkId: net.networkId, nodeId: net.id('c'), status: 'UNREACHABLE' });
    expect((await discover()).map(([id]) => id)).toEqual([ids['b']]);
    const listed = await rig.field(
      alice,
      'query ($networkId: ID!) { network(networkId: $networkId) { services { id status } } }',
      { networkId: net.networkId },
    );
    expect(new Map(listed['services']!.map(({ id, status }) => [id, status]))).toEqual(
      new Map([
        [ids['b'], 'ACTIVE'],
        [ids['c'], 'UNREACHABLE'],
      ]),
    );
    await rig.sql`UPDATE network.service SET expires_at = now() - interval '1 second' WHERE id = ${String(ids['b'])}`;
    expect(await discover()).toEqual([]);
    expect(await rig.service.services.expire()).toBe(1);
    expect(rig.events.at(-1)).toMatchObject({ type: 'service.expired', streamId: net.networkId });
  });

  test('messages reach whom they are for, are acknowledged once, and end with their time', async () => {
    const net = await rig.open('abc', [
      ['ab', { latencyMs: 1 }],
      ['bc', { latencyMs: 1 }],
    ]);
    const fields = 'message { messageId recipients acknowledged status }';
    const send = (input = {}) =>
      rig.field(
        alice,
        `mutation ($input: SendNetworkMessageInput!) { sendNetworkMessage(input: $input) { ${fields} ${errors} } }`,
        {
          input: { networkId: net.networkId, senderId: net.id('a'), payload: { hello: 1 }, ...input },
        },
      );
    const acknowledge = (messageId: unknown, node: string) =>
      rig.field(
        alice,
        `mutation ($id: ID!, $node: ID!) { acknowledgeNetworkMessage(messageId: $id, nodeId: $node) { ${fields} ${errors} } }`,
        { id: messageId, node: net.id(node) },
      );
    const broadcast = (await send({ strategy: 'BROADCAST' }))['message']!;
    expect(broadcast['recipients']).toEqual([net.id('b'), net.id('c')]);
    expect(codes(await acknowledge(broadcast['messageId'], 'a'))).toEqual(['VALIDATION_FAILED']);
    for (const node of ['b', 'b'])
      expect((await acknowledge(broadcast['messageId'], node))['message']).toMatchObject({
        status: 'SENT',
        acknowledged: [net.id('b')],
      });
    expect((await acknowledge(broadcast['messageId'], 'c'))['message']).toMatchObject({ status: 'DELIVERED' });
    const any = (await send({ strategy: 'ANYCAST', recipients: [net.id('c'), net.id('b')] }))['message']!;
    expect(any['recipients']).toEqual([net.id('b')]);
    await rig.sql`UPDATE network.message SET expires_at = now() - interval '1 second' WHERE id = ${String(any['messageId'])}`;
    expect(await rig.service.messages.expire()).toBe(1);
    expect(codes(await acknowledge(any['messageId'], 'b'))).toEqual(['INVALID_STATE']);
    expect(codes(await send())).toEqual(['VALIDATION_FAILED']);
    await send({ recipients: [net.id('b')], reliability: 'BEST_EFFORT' });
    expect(rig.events.at(-1)).toMatchObject({ type: 'message.passed' });
    await rig.field(alice, setNodeStatus, { networkId: net.networkId, nodeId: net.id('b'), status: 'UNREACHABLE' });
    expect(codes(await send({ recipients: [net.id('c')] }))).toEqual(['NO_PATH']);
  });

  test('figures are taken once a minute, and what is to come follows from them', async () => {
    const net = await rig.open('ab', [['ab', { capacityMbps: 100 }]]);
    await rig.connect(net.networkId, net.id('a'), net.id('b'), { requirements: { bandwidthMbps: 20 } });
    await rig.service.samples.sample();
    await rig.service.samples.sample();
    const rows = await rig.sql<
      { used: number; connections: number }[]
    >`SELECT max_utilization AS used, connections FROM network.sample WHERE network_id = ${net.networkId}`;
    expect(rows.map((row) => ({ ...row }))).toContainEqual({ used: 0.2, connections: 1 });
    expect(rows.length).toBeLessThanOrEqual(2);
    await rig.sql`INSERT INTO network.sample SELECT 'one', ${net.networkId}, date_trunc('minute', now()) - at * interval '1 minute', 0.2 - at * 0.001, 0, NULL, NULL, 1, 0 FROM generate_series(2, 40) AS at`;
    const forecast = await rig.field(
      alice,
      'query ($id: ID!) { networkForecast(networkId: $id, steps: 3) { observed points { value lower upper } } }',
      { id: net.networkId },
    );
    expect(Number(forecast['observed'])).toBeGreaterThanOrEqual(40);
    expect(forecast['points']!.map(({ value }) => Number(value)).every((value) => value > 0.195 && value < 0.21)).toBe(
      true,
    );
    expect(rig.events.some(({ type, streamId }) => type === 'metrics.sampled' && streamId === net.networkId)).toBe(
      true,
    );
  });
});

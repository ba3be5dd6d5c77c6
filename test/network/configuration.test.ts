import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createReservations } from '../../subgraphs/network/reservations.ts';
import { wayCosts } from '../../subgraphs/network/routing/wayCosts.ts';
import { createTopology } from '../../subgraphs/network/topology.ts';
import { alice, bob, codes, type Json, type NetworkRig, openNetworkRig, readNetwork, setNodeStatus } from './rig.ts';

let rig: NetworkRig;
beforeAll(async () => {
  rig = await openNetworkRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const weights = { latency: 0, jitter: 0, loss: 0, failure: 0, cost: 0, energy: 0, zoneChange: 0, preference: 0 };
const setConfig = `mutation ($n: ID!, $patch: NetworkPatch!) { updateNetwork(networkId: $n, patch: $patch) { network { config { routing routingWeights { energy } backupPaths balancing discovery discoveryRefreshMs } governance { lifecyclePhase locked } } userErrors { code path } } }`;
const configure = (n: string, config: unknown) => rig.field(alice, setConfig, { n, patch: { config } });

describe('ways by energy, by security zones and by figures of one’s own', () => {
  /** Two ways from a to d: over b fast and hungry, over c slow, sparing and in the zone of the ends. */
  async function two() {
    const net = await rig.open('abcd', [
      ['ab', { latencyMs: 1, energyPerGb: 9 }],
      ['bd', { latencyMs: 1, energyPerGb: 9 }],
      ['ac', { latencyMs: 5, energyPerGb: 2 }],
      ['cd', { latencyMs: 5, energyPerGb: 2 }],
    ]);
    const zone = `mutation ($n: ID!, $id: ID!, $zone: String!) { updateNetworkNode(networkId: $n, nodeId: $id, patch: { location: { securityZone: $zone } }) { userErrors { code } } }`;
    for (const name of 'abcd')
      await rig.field(alice, zone, { n: net.networkId, id: net.id(name), zone: name === 'b' ? 'outside' : 'inside' });
    return net;
  }
  test('each takes the way that it names', async () => {
    const net = await two();
    const wayBy = async (requirements: unknown) => {
      const made = await rig.connect(net.networkId, net.id('a'), net.id('d'), { requirements });
      expect(codes(made)).toEqual([]);
      return net.wayOf(made['connection']!['path']!);
    };
    expect(await wayBy({})).toBe('abd');
    expect(await wayBy({ routing: 'ENERGY_AWARE' })).toBe('acd');
    expect(await wayBy({ routing: 'SECURITY_AWARE' })).toBe('acd');
    expect(await wayBy({ routing: 'CUSTOM', routingWeights: { energy: 1 } })).toBe('acd');
    expect(await wayBy({ routing: 'CUSTOM', routingWeights: { energy: 0.1, latency: 1 } })).toBe('abd');
    // Limits are kept whatever a way is chosen by.
    expect(await wayBy({ routing: 'ENERGY_AWARE', latencyMaxMs: 3 })).toBe('abd');
  });

  test('of the network where a connection names none; CUSTOM without weights is refused and nothing stored', async () => {
    const net = await two();
    expect(codes(await configure(net.networkId, { routing: 'CUSTOM' }))).toEqual(['VALIDATION_FAILED']);
    expect(codes(await configure(net.networkId, { routingWeights: {} }))).toEqual(['VALIDATION_FAILED']);
    const refused = await rig.connect(net.networkId, net.id('a'), net.id('d'), { requirements: { routing: 'CUSTOM' } });
    expect(codes(refused)).toEqual(['VALIDATION_FAILED']);
    expect(Object.values(await rig.held(net.networkId))).toEqual([0, 0, 0, 0]);
    expect(await configure(net.networkId, { routing: 'CUSTOM', routingWeights: { energy: 2 } })).toMatchObject({
      network: { config: { routing: 'CUSTOM', routingWeights: { energy: 2 } } },
    });
    const made = await rig.connect(net.networkId, net.id('a'), net.id('d'));
    expect(net.wayOf(made['connection']!['path']!)).toBe('acd');
  });

  test('CUSTOM by one figure alone orders links as the way of that figure does', () => {
    const figures = fc.record({
      latencyMs: fc.integer({ min: 1, max: 50 }),
      energyPerGb: fc.nat(50),
      costPerGb: fc.nat(50),
    });
    fc.assert(
      fc.property(fc.array(figures, { minLength: 2, maxLength: 12 }), (list) => {
        const nodes = ['a', 'b'].map((id) => ({ id, status: 'active' as const, resources: null }));
        const links = list.map((one, at) => ({
          ...{
            id: `l${at}`,
            sourceId: 'a',
            targetId: 'b',
            direction: 'bidirectional' as const,
            status: 'active' as const,
          },
          ...{ ...one, jitterMs: 0, lossRate: 0, reliability: 1, capacityKbps: 1_000 },
        }));
        const topology = createTopology(nodes, links);
        const nothing = new Float64Array(list.length);
        const config = {
          reserveShare: 0,
          burst: 1,
          classShares: { realTime: 1, interactive: 0, bulk: 0, management: 0 },
        };
        const reservations = createReservations(
          topology.capacityKbps,
          { real_time: nothing, interactive: nothing, bulk: nothing, management: nothing },
          { ...config, maxConnections: 1, phiThreshold: 8, hotSpotUtilization: 0.8 },
        );
        const request = { bandwidthKbps: 1, trafficClass: 'real_time' as const };
        const costs = (algorithm: 'COST_AWARE' | 'ENERGY_AWARE' | 'CUSTOM', own?: object) => [
          ...wayCosts(topology, algorithm, reservations, {
            ...request,
            requirements: { routingWeights: { ...weights, ...own } },
          }),
        ];
        expect(costs('CUSTOM', { cost: 1 })).toEqual(costs('COST_AWARE'));
        expect(costs('CUSTOM', { energy: 1 })).toEqual(costs('ENERGY_AWARE'));
      }),
    );
  });
});

test('as many ways beside its own as are asked for, no link in two of them, also after a failure', async () => {
  const net = await rig.open('abcdef', [
    ...(['ab', 'bf', 'ac', 'cf', 'ad', 'df', 'ae', 'ef'] as const).map(
      (ends, at) => [ends, { latencyMs: 1 + Math.floor(at / 2) }] as const,
    ),
  ]);
  const shape = `query ($id: ID!) { networkConnection(connectionId: $id) { path { linkId nodeId nextHop } backupPaths { reserved hops { linkId nodeId nextHop } } requirements { backupPaths } } }`;
  const read = (id: string) => rig.field(alice, shape, { id });
  const open = async (requirements: unknown) => {
    const made = await rig.connect(net.networkId, net.id('a'), net.id('f'), { requirements });
    expect(codes(made)).toEqual([]);
    return String(made['connection']!['id']);
  };
  const waysOf = (one: Json) => [one['path']!, ...one['backupPaths']!.map((way) => way['hops']!)];
  const ids = [await open({ backupPaths: 3, failoverSupport: true, bandwidthMbps: 1 }), await open({ backupPaths: 0 })];
  const [many, none] = [await read(ids[0]!), await read(ids[1]!)];
  expect(waysOf(many).map((hops) => net.wayOf(hops))).toEqual(['abf', 'acf', 'adf', 'aef']);
  expect(many['backupPaths']!.map(({ reserved }) => reserved)).toEqual([true, false, false]);
  expect(waysOf(none)).toHaveLength(1);
  expect(await read(await open({}))).toMatchObject({ requirements: { backupPaths: 1 }, backupPaths: [{}] });
  await rig.field(alice, setNodeStatus, { networkId: net.networkId, nodeId: net.id('b'), status: 'INACTIVE' });
  const after = waysOf(await read(ids[0]!));
  expect(after.map((hops) => net.wayOf(hops))).toEqual(['acf', 'adf', 'aef']);
  const links = after.flatMap((hops) => hops.map(({ linkId }) => String(linkId)));
  expect(new Set(links).size).toBe(links.length);
  expect(await rig.reserved(net.networkId)).toEqual(await rig.held(net.networkId));
});

test('who stands in is the first of the backup nodes, the one of the fewest connections, or nobody', async () => {
  for (const [mode, ends] of [
    ['ACTIVE_PASSIVE', ['c', 'c', 'c', 'c']],
    ['ACTIVE_ACTIVE', ['c', 'd', 'c', 'd']],
    ['NONE', ['b', 'b', 'b', 'b']],
  ] as const) {
    const net = await rig.open('abcd', [['ab'], ['ac'], ['ad']]);
    const patch = `mutation ($n: ID!, $id: ID!, $patch: NetworkNodePatch!) { updateNetworkNode(networkId: $n, nodeId: $id, patch: $patch) { network { nodes { id failover { mode } } } userErrors { code } } }`;
    const failover = { mode, backupNodes: [net.id('c'), net.id('d')] };
    const changed = await rig.field(alice, patch, { n: net.networkId, id: net.id('b'), patch: { failover } });
    expect(changed['network']!['nodes']!.find(({ id }) => String(id) === net.id('b'))).toMatchObject({
      failover: { mode },
    });
    const ids: string[] = [];
    for (let at = 0; at < 4; at += 1)
      ids.push(String((await rig.connect(net.networkId, net.id('a'), net.id('b')))['connection']!['id']));
    await rig.field(alice, setNodeStatus, { networkId: net.networkId, nodeId: net.id('b'), status: 'UNREACHABLE' });
    const found = await Promise.all(
      ids.map((id) =>
        rig.field(
          alice,
          'query ($id: ID!) { networkConnection(connectionId: $id) { status destination { nodeId } } }',
          { id },
        ),
      ),
    );
    expect(found.map((one) => String(one['destination']!['nodeId']))).toEqual(ends.map((name) => net.id(name)));
    expect(new Set(found.map(({ status }) => String(status)))).toEqual(
      new Set([mode === 'NONE' ? 'FAILED' : 'ESTABLISHED']),
    );
  }
});

describe('services by the network’s way of discovery', () => {
  const register = `mutation ($input: RegisterServiceInput!) { registerService(input: $input) { service { id expiresAt } userErrors { code } } }`;
  const discover = 'query ($query: NetworkServiceQuery!) { discoverServices(query: $query) { service { name } } }';
  const registerAs = (who: typeof alice, net: { networkId: string; id: (name: string) => string }, input: object) =>
    rig.field(who, register, {
      input: {
        ...{ networkId: net.networkId, providerNodeId: net.id('a') },
        ...{ endpoints: [{ host: 'one.example', port: 1, protocol: 'TCP' }], ...input },
      },
    });

  test('DYNAMIC ones are renewed, STATIC ones are the operator’s and stay, HYBRID has both', async () => {
    const net = await rig.open('ab', [['ab']]);
    const dynamic = await registerAs(bob, net, { name: 'dynamic' });
    const lives = Date.parse(String(dynamic['service']!['expiresAt'])) - Date.now();
    expect(lives).toBeGreaterThan(50_000);
    expect(lives).toBeLessThanOrEqual(60_000);
    await configure(net.networkId, { discovery: 'STATIC', discoveryRefreshMs: 1_000 });
    await expect(registerAs(bob, net, { name: 'refused' })).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    expect(await registerAs(alice, net, { name: 'static' })).toMatchObject({ service: { expiresAt: null } });
    await configure(net.networkId, { discovery: 'HYBRID' });
    expect(await registerAs(alice, net, { name: 'stays' })).toMatchObject({ service: { expiresAt: null } });
    const renewed = await registerAs(alice, net, { name: 'timed', ttlMs: 2_000 });
    expect(renewed['service']!['expiresAt']).not.toBeNull();
    const short = await registerAs(bob, net, { name: 'short' });
    expect(Date.parse(String(short['service']!['expiresAt'])) - Date.now()).toBeLessThanOrEqual(3_000);
    await rig.sql`UPDATE network.service SET expires_at = now() - interval '1 second' WHERE network_id = ${net.networkId} AND expires_at IS NOT NULL`;
    await rig.service.services.expire();
    const found = await rig.field(alice, discover, { query: { networkId: net.networkId } });
    expect(found.map((one) => String(one['service']!['name'])).sort()).toEqual(['static', 'stays']);
  });

  test('a query that names no order is answered by the network’s', async () => {
    const net = await rig.open('ab', [['ab']]);
    for (const name of ['one', 'two']) await registerAs(bob, net, { name });
    await configure(net.networkId, { balancing: 'ROUND_ROBIN' });
    const first = async () =>
      String(
        (await rig.field(alice, discover, { query: { networkId: net.networkId } })).map(
          (one) => one['service']!['name'],
        )[0],
      );
    const turns = [await first(), await first(), await first()];
    expect(turns[0]).toBe(turns[2]);
    expect(turns[1]).not.toBe(turns[0]);
  });
});

test('governance is told and kept in the frozen form; whom it locks out changes nothing', async () => {
  const net = await rig.open('ab', [['ab']]);
  const patch = (governance: unknown) => rig.field(alice, setConfig, { n: net.networkId, patch: { governance } });
  expect(await patch({ lifecyclePhase: 'operations', locked: true })).toMatchObject({
    network: { governance: { lifecyclePhase: 'operations', locked: true } },
  });
  expect((await rig.field(alice, readNetwork, { id: net.networkId }))['document']!['governance']).toEqual({
    ...{ lifecyclePhase: 'operations', locked: true },
  });
  expect(codes(await patch({ locked: false }))).toEqual(['GOVERNANCE_LOCKED']);
});

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newId } from '#shared/ids.ts';
import {
  alice,
  bob,
  codes,
  type Json,
  type NetworkRig,
  openNetworkRig,
  readConnection,
  readNetwork,
  setNodeStatus,
  stranger,
  terminate,
} from './rig.ts';

let rig: NetworkRig;
beforeAll(async () => {
  rig = await openNetworkRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

/** Two ways from a to d: a fast one over b, a slow one over c. */
const diamond = (figures: Readonly<Record<string, unknown>> = { capacityMbps: 100 }) =>
  rig.open('abcd', [
    ['ab', { latencyMs: 1, ...figures }],
    ['bd', { latencyMs: 1, ...figures }],
    ['ac', { latencyMs: 5, ...figures }],
    ['cd', { latencyMs: 5, ...figures }],
  ]);

const expectConsistent = async (networkId: string) =>
  expect(await rig.reserved(networkId)).toEqual(await rig.held(networkId));

describe('admission', () => {
  test('takes the way of least latency, reserves every hop, and gives all of it back', async () => {
    const net = await diamond();
    const { connection, userErrors } = await rig.connect(net.networkId, net.id('a'), net.id('d'), {
      requirements: { bandwidthMbps: 10, latencyMaxMs: 4 },
    });
    expect(userErrors).toEqual([]);
    expect(connection).toMatchObject({
      status: 'ESTABLISHED',
      predicted: { latencyMs: 2, hops: 2 },
      qualityScore: 50,
      backupPaths: [],
    });
    expect(net.wayOf(connection!['path']!)).toBe('abd');
    expect(await rig.reserved(net.networkId)).toMatchObject({ [net.link('ab')]: 10_000, [net.link('ac')]: 0 });
    const closed = await rig.field(alice, terminate, { id: connection!['id'] });
    expect(closed['connection']).toMatchObject({ status: 'CLOSED', version: 2 });
    expect(Object.values(await rig.reserved(net.networkId))).toEqual([0, 0, 0, 0]);
    const nodes = (await rig.field(alice, readNetwork, { id: net.networkId }))['nodes']!;
    expect(nodes.map((node) => node['openConnections'])).toEqual([0, 0, 0, 0]);
    expect(codes(await rig.field(alice, terminate, { id: connection!['id'] }))).toEqual(['CONNECTION_CLOSED']);
  });

  test('a way is chosen by what the routing names, of the connection or else of the network, within the same limits', async () => {
    const net = await rig.open('abcd', [
      ['ab', { latencyMs: 1, capacityMbps: 100, costPerGb: 3, lossRate: 0.01, weight: 0.5 }],
      ['bd', { latencyMs: 1, capacityMbps: 100, costPerGb: 3, lossRate: 0.01, weight: 0.5 }],
      ['ac', { latencyMs: 2, capacityMbps: 100, costPerGb: 1 }],
      ['cd', { latencyMs: 2, capacityMbps: 100, costPerGb: 1 }],
    ]);
    const wayBy = async (requirements: Record<string, unknown>) => {
      const { connection, userErrors } = await rig.connect(net.networkId, net.id('a'), net.id('d'), { requirements });
      return userErrors!.length > 0 ? userErrors![0]!['code'] : net.wayOf(connection!['path']!);
    };
    expect(await wayBy({})).toBe('abd');
    for (const routing of ['COST_AWARE', 'QUALITY_AWARE', 'PRIORITY_BASED'])
      expect([routing, await wayBy({ routing })]).toEqual([routing, 'acd']);
    // The limits hold, whatever is sought.
    expect(await wayBy({ routing: 'COST_AWARE', latencyMaxMs: 3 })).toBe('abd');
    // Empty, the fast way costs less; with a third of it taken, another Mbps on it costs three times as much.
    expect(await wayBy({ routing: 'LOAD_BALANCED', bandwidthMbps: 20 })).toBe('abd');
    expect(await wayBy({ routing: 'LOAD_BALANCED', bandwidthMbps: 15 })).toBe('acd');
    const update = `mutation ($id: ID!) { updateNetwork(networkId: $id, patch: { config: { routing: COST_AWARE } }) { network { config { routing } } userErrors { code } } }`;
    expect(await rig.field(alice, update, { id: net.networkId })).toMatchObject({
      network: { config: { routing: 'COST_AWARE' } },
      userErrors: [],
    });
    expect(await wayBy({})).toBe('acd');
    expect(await wayBy({ routing: 'SHORTEST_PATH' })).toBe('abd');
    const route = `query ($n: ID!, $a: ID!, $d: ID!) { networkRoute(networkId: $n, source: $a, target: $d) { hops { nextHop } } }`;
    const found = await rig.field(alice, route, { n: net.networkId, a: net.id('a'), d: net.id('d') });
    expect(found['hops']!.map(({ nextHop }) => nextHop)).toEqual([net.id('c'), net.id('d')]);
    await expectConsistent(net.networkId);
  });

  test('a class takes what its share, the burst and the reserve leave it, and not a bit more', async () => {
    // Of 100 Mbps 80 are usable; interactive has 30 % of them, 36 with the burst.
    const net = await rig.open('ab', [['ab', { capacityMbps: 100 }]]);
    const open = (bandwidthMbps: number, trafficClass = 'INTERACTIVE') =>
      rig.connect(net.networkId, net.id('a'), net.id('b'), { requirements: { bandwidthMbps }, trafficClass });
    expect(codes(await open(36.001))).toEqual(['INSUFFICIENT_BANDWIDTH']);
    expect(codes(await open(36))).toEqual([]);
    expect(codes(await open(0.001))).toEqual(['INSUFFICIENT_BANDWIDTH']);
    // Real time may burst to 48, of which the others leave 44.
    const refused = await open(44.5, 'REAL_TIME');
    expect(codes(refused)).toEqual(['INSUFFICIENT_BANDWIDTH']);
    expect(refused['infeasibility']).toMatchObject({
      linkIds: [net.link('ab')],
      capacityMbps: 44,
      demandedMbps: 44.5,
    });
    expect(codes(await open(44, 'REAL_TIME'))).toEqual([]);
    await expectConsistent(net.networkId);
  });

  test('a second way is reserved where failover is asked for, and none is invented', async () => {
    const net = await diamond();
    const { connection } = await rig.connect(net.networkId, net.id('a'), net.id('d'), {
      requirements: { bandwidthMbps: 5, failoverSupport: true },
    });
    expect(connection!['backupPaths']!.map((backup) => [backup['reserved'], net.wayOf(backup['hops']!)])).toEqual([
      [true, 'acd'],
    ]);
    expect(Object.values(await rig.reserved(net.networkId))).toEqual([5_000, 5_000, 5_000, 5_000]);
    const line = await rig.open('ab', [['ab']]);
    const alone = await rig.connect(line.networkId, line.id('a'), line.id('b'), {
      requirements: { bandwidthMbps: 5, failoverSupport: true },
    });
    expect(codes(alone)).toEqual(['QOS_UNSATISFIABLE']);
    expect(Object.values(await rig.reserved(line.networkId))).toEqual([0]);
  });

  test('what is refused says why', async () => {
    const net = await rig.open('abc', [['ab', { latencyMs: 9, jitterMs: 2, lossRate: 0.1, reliability: 0.9 }], ['bc']]);
    const ask = async (requirements: Readonly<Record<string, unknown>>) =>
      codes(await rig.connect(net.networkId, net.id('a'), net.id('b'), { requirements }));
    expect(await ask({ latencyMaxMs: 8 })).toEqual(['QOS_UNSATISFIABLE']);
    expect(await ask({ jitterMaxMs: 1 })).toEqual(['QOS_UNSATISFIABLE']);
    expect(await ask({ packetLossMax: 0.05 })).toEqual(['QOS_UNSATISFIABLE']);
    expect(await ask({ reliability: 0.95 })).toEqual(['QOS_UNSATISFIABLE']);
    expect(await ask({ latencyMaxMs: 9, jitterMaxMs: 2, packetLossMax: 0.1, reliability: 0.9 })).toEqual([]);
    expect(await ask({ bandwidthMbps: -1 })).toEqual(['VALIDATION_FAILED']);
    expect(codes(await rig.connect(net.networkId, net.id('a'), net.id('a')))).toEqual(['VALIDATION_FAILED']);
    expect(codes(await rig.connect(net.networkId, net.id('a'), newId()))).toEqual(['NOT_FOUND']);
    expect(codes(await rig.connect(newId(), net.id('a'), net.id('b')))).toEqual(['NOT_FOUND']);
    await rig.field(alice, setNodeStatus, { networkId: net.networkId, nodeId: net.id('b'), status: 'UNREACHABLE' });
    expect(codes(await rig.connect(net.networkId, net.id('a'), net.id('b')))).toEqual(['NODE_UNREACHABLE']);
    expect(codes(await rig.connect(net.networkId, net.id('a'), net.id('c')))).toEqual(['NO_PATH']);
    const draft = await rig.open('ab', [['ab']], { provision: false });
    expect(codes(await rig.connect(draft.networkId, draft.id('a'), draft.id('b')))).toEqual(['NETWORK_NOT_ACTIVE']);
  });

  test('a node takes no more connections than it may', async () => {
    const [a, b] = [newId(), newId()];
    const payload = await rig.create({
      topologyType: 'OTHER',
      provision: true,
      nodes: [{ id: a, resources: { maxConnections: 2 } }, { id: b }],
      links: [{ sourceId: a, targetId: b }],
    });
    const networkId = String(payload['network']!['id']);
    const answers = await Promise.all(Array.from({ length: 6 }, () => rig.connect(networkId, a, b)));
    expect(answers.flatMap(codes)).toEqual(Array(4).fill('MAX_CONNECTIONS'));
  });

  test('a hundred that race for room for twelve: twelve win, nothing is oversubscribed, nothing is lost', async () => {
    // Interactive may hold 36 of 100 Mbps on each of the two ways: six connections of 6 each.
    const net = await diamond();
    const answers = await Promise.all(
      Array.from({ length: 100 }, () =>
        rig
          .connect(net.networkId, net.id('a'), net.id('d'), { requirements: { bandwidthMbps: 6 } })
          .catch((error: { code: string }) => error.code),
      ),
    );
    const won = answers.filter((answer): answer is Json => typeof answer !== 'string' && codes(answer).length === 0);
    const refused = answers.filter((answer) => typeof answer !== 'string' && codes(answer).length > 0) as Json[];
    expect(won.length).toBe(12);
    expect(new Set(refused.flatMap(codes))).toEqual(new Set(['INSUFFICIENT_BANDWIDTH']));
    expect(Object.values(await rig.reserved(net.networkId))).toEqual([36_000, 36_000, 36_000, 36_000]);
    await expectConsistent(net.networkId);
    await Promise.all(won.map((answer) => rig.field(alice, terminate, { id: answer['connection']!['id'] })));
    expect(Object.values(await rig.reserved(net.networkId))).toEqual([0, 0, 0, 0]);
  }, 60_000);

  test('a repeated key opens one connection; closing is for who opened it, or an operator', async () => {
    const net = await diamond();
    // All that the class has on either way: a repeat finds no room, and needs none.
    const input = { idempotencyKey: 'once', requirements: { bandwidthMbps: 36, failoverSupport: true } };
    const [one, other] = [
      await rig.connect(net.networkId, net.id('a'), net.id('d'), input),
      await rig.connect(net.networkId, net.id('a'), net.id('d'), input),
    ];
    expect(other['connection']!['id']).toBe(one['connection']!['id']);
    const id = one['connection']!['id'];
    await expect(rig.field(bob, terminate, { id })).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    expect(codes(await rig.field(stranger, terminate, { id }))).toEqual(['NOT_FOUND']);
    expect(await rig.field(stranger, readConnection, { id })).toBe(null);
    await expectConsistent(net.networkId);
  });
});

describe('failover', () => {
  test('a node that is down is stood in for by the first of its backup nodes that is up and has room', async () => {
    const net = await rig.open('abcde', [['ab'], ['ac'], ['ad'], ['ae']]);
    const patch = `mutation ($n: ID!, $id: ID!, $patch: NetworkNodePatch!) { updateNetworkNode(networkId: $n, nodeId: $id, patch: $patch) { userErrors { code message } } }`;
    const change = (id: string, given: unknown) =>
      rig.field(alice, patch, { n: net.networkId, id: net.id(id), patch: given });
    const backupNodes = [net.id('c'), net.id('d')];
    expect(
      codes(await change('b', { failover: { heartbeatIntervalMs: 1_000, timeoutMs: 5_000, backupNodes } })),
    ).toEqual([]);
    expect(codes(await change('d', { agentId: 'stand-in', resources: { maxConnections: 1 } }))).toEqual([]);
    const setStatus = (id: string, status: string) =>
      rig.field(alice, setNodeStatus, { networkId: net.networkId, nodeId: net.id(id), status });
    await setStatus('c', 'INACTIVE');
    const open = async (priority: number, target: string) =>
      String(
        (
          await rig.connect(net.networkId, net.id('a'), net.id(target), {
            priority,
            requirements: { bandwidthMbps: 5 },
          })
        )['connection']!['id'],
      );
    const [urgent, other, beside] = [await open(9, 'b'), await open(1, 'b'), await open(5, 'e')];
    expect(await setStatus('b', 'UNREACHABLE')).toMatchObject({ rerouted: [urgent], lost: [other], degraded: [] });
    const ends = `query ($id: ID!) { networkConnection(connectionId: $id) { status destination { nodeId agentId } path { nodeId nextHop } } }`;
    const read = (id: string) => rig.field(alice, ends, { id });
    const moved = await read(urgent);
    expect(moved).toMatchObject({ status: 'ESTABLISHED', destination: { nodeId: net.id('d'), agentId: 'stand-in' } });
    expect(net.wayOf(moved['path']!)).toBe('ad');
    expect(await read(other)).toMatchObject({ status: 'FAILED', destination: { nodeId: net.id('b') } });
    expect(await read(beside)).toMatchObject({ status: 'ESTABLISHED', destination: { nodeId: net.id('e') } });
    const { nodes } = await rig.field(alice, readNetwork, { id: net.networkId });
    expect(Object.fromEntries(nodes!.map(({ name, openConnections }) => [String(name), openConnections]))).toEqual({
      ...{ a: 2, b: 0, c: 0, d: 1, e: 1 },
    });
    await expectConsistent(net.networkId);
  });

  test('onto the reserved way at once, others by urgency over what is left, the rest is lost', async () => {
    const net = await diamond();
    const open = async (bandwidthMbps: number, priority: number, failoverSupport = false) =>
      String(
        (
          await rig.connect(net.networkId, net.id('a'), net.id('d'), {
            priority,
            requirements: { bandwidthMbps, failoverSupport },
          })
        )['connection']!['id'],
      );
    const safe = await open(10, 1, true);
    const low = await open(20, 2);
    const high = await open(5, 9);
    const repaired = await rig.field(alice, setNodeStatus, {
      networkId: net.networkId,
      nodeId: net.id('b'),
      status: 'UNREACHABLE',
    });
    // The slow way holds 36: 10 are the reserved one's, 5 the urgent one's, 20 fit too.
    expect(repaired).toMatchObject({ switched: [safe], degraded: [safe], rerouted: [high, low], lost: [] });
    const read = (id: string) => rig.field(alice, readConnection, { id });
    for (const id of [safe, low, high]) expect(net.wayOf((await read(id))['path']!)).toBe('acd');
    expect(await read(safe)).toMatchObject({ status: 'DEGRADED', backupPaths: [] });
    await expectConsistent(net.networkId);
    // What was degraded is made whole again once it can be.
    await rig.field(alice, setNodeStatus, { networkId: net.networkId, nodeId: net.id('b'), status: 'ACTIVE' });
    expect(await read(safe)).toMatchObject({ status: 'ESTABLISHED', backupPaths: [{ reserved: true }] });
    await expectConsistent(net.networkId);
    const lost = await rig.field(alice, setNodeStatus, {
      networkId: net.networkId,
      nodeId: net.id('d'),
      status: 'INACTIVE',
    });
    expect([...(lost['lost'] as unknown as string[])].sort()).toEqual([safe, low, high].sort());
    expect(Object.values(await rig.reserved(net.networkId))).toEqual([0, 0, 0, 0]);
    expect(await read(low)).toMatchObject({ status: 'FAILED', statusReason: 'an end is down' });
  });

  test('who finds no room with its bandwidth is lost, the less urgent first', async () => {
    const net = await diamond();
    const ids: string[] = [];
    for (const priority of [1, 9]) {
      const { connection } = await rig.connect(net.networkId, net.id('a'), net.id('d'), {
        priority,
        requirements: { bandwidthMbps: 18 },
      });
      ids.push(String(connection!['id']));
    }
    // A third one holds half of the slow way.
    await rig.connect(net.networkId, net.id('a'), net.id('c'), { requirements: { bandwidthMbps: 18 } });
    const repaired = await rig.field(alice, setNodeStatus, {
      networkId: net.networkId,
      nodeId: net.id('b'),
      status: 'INACTIVE',
    });
    expect(repaired).toMatchObject({ rerouted: [ids[1]], lost: [ids[0]] });
    await expectConsistent(net.networkId);
  });

  test('silence by the rhythm of the heartbeats is found, told by an event, and mended', async () => {
    const net = await diamond();
    const { connection } = await rig.connect(net.networkId, net.id('a'), net.id('d'), {
      requirements: { bandwidthMbps: 10, failoverSupport: true },
    });
    const beat = (nodeId: string) =>
      rig.field(
        bob,
        'mutation ($networkId: ID!, $nodeId: ID!) { networkHeartbeat(networkId: $networkId, nodeId: $nodeId, load: 0.5) { at userErrors { code } } }',
        { networkId: net.networkId, nodeId },
      );
    expect(codes(await beat(net.id('b')))).toEqual([]);
    expect(codes(await beat(net.id('c')))).toEqual([]);
    expect(codes(await beat(newId()))).toEqual(['NOT_FOUND']);
    expect(await rig.service.heartbeats.sweep()).toBe(0);
    // Two seconds of silence after a rhythm of one second, as if they had passed.
    await rig.sql`UPDATE network.heartbeat SET last_at = clock_timestamp() - interval '2 seconds', intervals_ms = array_fill(1000::float8, ARRAY[20]) WHERE node_id = ${net.id('b')}`;
    const told = rig.events.length;
    expect(await rig.service.heartbeats.sweep()).toBe(1);
    const types = rig.events.slice(told).map(({ type }) => type);
    expect(types).toContain('node.status.changed');
    expect(types).toContain('connection.degraded');
    const after = await rig.field(alice, readConnection, { id: connection!['id'] });
    expect(net.wayOf(after['path']!)).toBe('acd');
    expect(await rig.service.heartbeats.sweep()).toBe(0);
    // It is heard again: up again, and the second way is back.
    expect(codes(await beat(net.id('b')))).toEqual([]);
    const nodes = (await rig.field(alice, readNetwork, { id: net.networkId }))['nodes']!;
    expect(nodes.map((node) => node['status'])).toEqual(['ACTIVE', 'ACTIVE', 'ACTIVE', 'ACTIVE']);
    expect(await rig.field(alice, readConnection, { id: connection!['id'] })).toMatchObject({ status: 'ESTABLISHED' });
    await expectConsistent(net.networkId);
    const health = await rig.field(
      alice,
      'query ($id: ID!) { networkHealth(networkId: $id) { overall nodesUp nodesDown connectionsOpen suspicions { nodeId phi } } }',
      { id: net.networkId },
    );
    expect(health).toMatchObject({ nodesUp: 4, nodesDown: 0, connectionsOpen: 1 });
    expect(health['suspicions']!.length).toBe(2);
  });
});

import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newId } from '#shared/ids.ts';
import { afterCalls, type Circuit, closedCircuit, stateOf } from '../../subgraphs/network/detection/circuit.ts';
import { alice, bob, codes, type NetworkRig, openNetworkRig, readConnection, stranger } from './rig.ts';

describe('a circuit by itself', () => {
  const config = { failures: 3, windowMs: 1_000, openMs: 100 };
  const fail = (circuit: Circuit, now: number, failed = 1) =>
    afterCalls(circuit, { succeeded: 0, failed }, now, config);

  test('opens at the third failure within the window, lets one through after its time, and stays open longer if that fails', () => {
    const twice = fail(fail(closedCircuit, 0), 500);
    expect(stateOf(twice, 500)).toBe('closed');
    expect(stateOf(fail(twice, 1_600), 1_600)).toBe('closed');
    const open = fail(twice, 900);
    expect([899 + 100, 1_000].map((now) => stateOf(open, now))).toEqual(['open', 'half_open']);
    const again = fail(open, 1_000);
    expect([1_199, 1_200].map((now) => stateOf(again, now))).toEqual(['open', 'half_open']);
    expect(stateOf(afterCalls(again, { succeeded: 1, failed: 0 }, 1_200, config), 1_200)).toBe('closed');
  });

  test('what is let through closes it if nothing ill is said of it in time', () => {
    const trying = { ...fail(closedCircuit, 0, 3), trialUntil: 300 };
    expect([299, 300].map((now) => stateOf(trying, now))).toEqual(['trying', 'closed']);
    expect(stateOf(fail(trying, 200), 200)).toBe('open');
    // Closed by itself, it counts from the beginning.
    expect(stateOf(fail(trying, 400), 400)).toBe('closed');
  });

  test('property: it is open only after as many failures in a row as are named, and never for longer than sixteen times', () => {
    const calls = fc.array(
      fc.record({ ms: fc.integer({ min: 0, max: 400 }), failed: fc.nat(2), succeeded: fc.nat(2) }),
    );
    fc.assert(
      fc.property(calls, (list) => {
        let [circuit, now, inRow] = [closedCircuit as Circuit, 0, 0];
        for (const { ms, failed, succeeded } of list) {
          now += ms;
          const wasLetThrough = stateOf(circuit, now) !== 'open';
          if (wasLetThrough && failed + succeeded > 0) inRow = failed > succeeded ? inRow + failed : 0;
          circuit = afterCalls(circuit, { succeeded, failed }, now, config);
          if (circuit.openedAt !== null) expect(inRow).toBeGreaterThanOrEqual(config.failures);
          expect(circuit.failedAt.length).toBeLessThanOrEqual(config.failures);
          expect((circuit.retryAt ?? now) - (circuit.openedAt ?? now)).toBeLessThanOrEqual(16 * config.openMs);
        }
      }),
    );
  });
});

describe('in a network', () => {
  let rig: NetworkRig;
  beforeAll(async () => {
    rig = await openNetworkRig();
  });
  afterAll(() => rig[Symbol.asyncDispose]());

  const circuit = 'node { id circuit { state failures openings reason openedAt retryAt } } userErrors { code path }';
  const report = `mutation ($n: ID!, $id: ID!, $ok: Int! = 0, $failed: Int! = 0, $key: String) { reportNetworkNodeCalls(networkId: $n, nodeId: $id, succeeded: $ok, failed: $failed, reason: "timeout", idempotencyKey: $key) { ${circuit} } }`;
  const reset = `mutation ($n: ID!, $id: ID!) { resetNetworkNodeCircuit(networkId: $n, nodeId: $id) { ${circuit} } }`;
  const register = `mutation ($input: RegisterServiceInput!) { registerService(input: $input) { service { id } userErrors { code } } }`;
  const discover = `query ($n: ID!) { discoverServices(query: { networkId: $n }) { service { providerNodeId } } }`;
  const health = `query ($n: ID!) { networkHealth(networkId: $n) { openCircuits components { name level } } }`;
  const send = `mutation ($input: SendNetworkMessageInput!) { sendNetworkMessage(input: $input) { message { recipients } userErrors { code } } }`;

  /** Two ways from a to d: a fast one over b, a slow one over c. */
  const diamond = (openMs = 60_000) =>
    rig.open(
      'abcd',
      [
        ['ab', { latencyMs: 1 }],
        ['bd', { latencyMs: 1 }],
        ['ac', { latencyMs: 5 }],
        ['cd', { latencyMs: 5 }],
      ],
      { config: { circuit: { failures: 3, windowMs: 60_000, openMs } } },
    );
  const told = (networkId: string, type: string) =>
    rig.events.filter((event) => event.streamId === networkId && event.type === type);

  test('a node that fails gets no new connections and is not found; what is open stays; a reset ends it', async () => {
    const net = await diamond();
    const connect = (target: string) => rig.connect(net.networkId, net.id('a'), net.id(target));
    const wayTo = async (target: string) => net.wayOf((await connect(target))['connection']!['path']!);
    for (const name of ['b', 'c'])
      await rig.field(alice, register, {
        input: {
          networkId: net.networkId,
          name: 'mail',
          providerNodeId: net.id(name),
          endpoints: [{ host: 'x', port: 1, protocol: 'TCP' }],
        },
      });
    expect(await wayTo('d')).toBe('abd');
    const call = { n: net.networkId, id: net.id('b') };
    expect(await rig.field(bob, report, { ...call, failed: 2, key: 'calls-1' })).toMatchObject({
      node: { circuit: { state: 'CLOSED', failures: 2, reason: 'timeout' } },
    });
    // A repeat counts nothing.
    expect(await rig.field(bob, report, { ...call, failed: 2, key: 'calls-1' })).toMatchObject({
      node: { circuit: { state: 'CLOSED', failures: 2 } },
    });
    expect(await rig.field(bob, report, { ...call, failed: 1 })).toMatchObject({
      node: { circuit: { state: 'OPEN', failures: 3, openings: 1 } },
    });
    expect(told(net.networkId, 'node.circuit.opened')).toHaveLength(1);
    expect(await wayTo('d')).toBe('acd');
    const refused = await connect('b');
    expect(codes(refused)).toEqual(['NODE_UNREACHABLE']);
    expect(refused['userErrors']![0]).toMatchObject({ retryable: true, path: ['input', 'destination', 'nodeId'] });
    const found = await rig.field(alice, discover, { n: net.networkId });
    expect(found.map(({ service }) => service!['providerNodeId'])).toEqual([net.id('c')]);
    const any = { networkId: net.networkId, senderId: net.id('a'), strategy: 'ANYCAST', payload: 1 };
    expect(await rig.field(alice, send, { input: { ...any, recipients: [net.id('b'), net.id('c')] } })).toMatchObject({
      message: { recipients: [net.id('c')] },
    });
    expect(await rig.field(alice, health, { n: net.networkId })).toMatchObject({ openCircuits: [net.id('b')] });
    const open =
      await rig.sql`SELECT id FROM network.connection WHERE network_id = ${net.networkId} AND status = 'established'`;
    expect(open).toHaveLength(2);
    await expect(rig.field(bob, reset, call)).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    expect(await rig.field(alice, reset, call)).toMatchObject({ node: { circuit: { state: 'CLOSED', failures: 0 } } });
    expect(told(net.networkId, 'node.circuit.closed')).toHaveLength(1);
    expect(await wayTo('d')).toBe('abd');
  });

  test('after its time exactly one of many is let through, and what is told of that one decides', async () => {
    const net = await diamond(1_000);
    const call = { n: net.networkId, id: net.id('b') };
    const state = async (variables: Record<string, unknown>) =>
      (await rig.field(bob, report, { ...call, ...variables }))['node']!['circuit']!['state'];
    expect(await state({ failed: 3 })).toBe('OPEN');
    const read = `query ($id: ID!) { network(networkId: $id) { nodes { id circuit { state } } } }`;
    const stateNow = async () =>
      (await rig.field(alice, read, { id: net.networkId }))['nodes']!.find(
        (node) => String(node['id']) === net.id('b'),
      )['circuit']!['state'];
    await expect.poll(stateNow, { interval: 20, timeout: 10_000 }).toBe('HALF_OPEN');
    const opened = await Promise.all(
      Array.from({ length: 6 }, () => rig.connect(net.networkId, net.id('a'), net.id('d'))),
    );
    const ways = opened.map(({ connection }) => net.wayOf(connection!['path']!));
    expect(ways.filter((way) => way === 'abd')).toHaveLength(1);
    expect(ways.filter((way) => way === 'acd')).toHaveLength(5);
    expect(await state({ failed: 1 })).toBe('OPEN');
    await expect.poll(stateNow, { interval: 20, timeout: 10_000 }).toBe('HALF_OPEN');
    expect(await state({ ok: 1 })).toBe('CLOSED');
  });

  /** Three ways from a to d, over b, over c and the slowest over e. */
  const threeWays = () =>
    rig.open(
      'abcde',
      [
        ['ab', { latencyMs: 1 }],
        ['bd', { latencyMs: 1 }],
        ['ac', { latencyMs: 5 }],
        ['cd', { latencyMs: 5 }],
        ['ae', { latencyMs: 9 }],
        ['ed', { latencyMs: 9 }],
      ],
      { config: { circuit: { failures: 3, windowMs: 60_000, openMs: 60_000 } } },
    );
  const drop = `mutation ($n: ID!, $l: ID!) { removeNetworkLink(networkId: $n, linkId: $l) { switched rerouted degraded lost avoidedNodes overOpenCircuits userErrors { code } } }`;
  const wayNow = async (net: Awaited<ReturnType<typeof threeWays>>, id: unknown) =>
    net.wayOf((await rig.field(alice, readConnection, { id }))['path']!);

  test('repairs lead around a node whose circuit is open, and say where nothing does', async () => {
    const net = await threeWays();
    const { connection } = await rig.connect(net.networkId, net.id('a'), net.id('d'));
    expect(net.wayOf(connection!['path']!)).toBe('abd');
    await rig.field(bob, report, { n: net.networkId, id: net.id('c'), failed: 3 });
    const around = await rig.field(alice, drop, { n: net.networkId, l: net.link('ab') });
    expect(around).toMatchObject({
      ...{ rerouted: [connection!['id']], degraded: [], lost: [] },
      ...{ avoidedNodes: [net.id('c')], overOpenCircuits: [] },
    });
    expect(await wayNow(net, connection!['id'])).toBe('aed');
    expect(told(net.networkId, 'connection.rerouted')).toMatchObject([
      { data: { avoidedNodes: [net.id('c')], overOpenCircuit: false } },
    ]);
    const through = await rig.field(alice, drop, { n: net.networkId, l: net.link('ae') });
    expect(through).toMatchObject({ rerouted: [connection!['id']], overOpenCircuits: [connection!['id']], lost: [] });
    expect(await wayNow(net, connection!['id'])).toBe('acd');
  });

  test('limits count for more than circuits, and of two ways the one around an open one is used', async () => {
    const net = await threeWays();
    const requirements = { bandwidthMbps: 1, failoverSupport: true, latencyMaxMs: 12 };
    const { connection: strict } = await rig.connect(net.networkId, net.id('a'), net.id('d'), { requirements });
    const loose = { ...requirements, latencyMaxMs: 100 };
    const { connection: free } = await rig.connect(net.networkId, net.id('a'), net.id('d'), { requirements: loose });
    await rig.field(bob, report, { n: net.networkId, id: net.id('c'), failed: 3 });
    const moved = await rig.field(alice, drop, { n: net.networkId, l: net.link('ab') });
    expect(await wayNow(net, strict!['id'])).toBe('acd');
    expect(moved['overOpenCircuits']).toContain(strict!['id']);
    // Of its two ways one passes the open circuit: that is the one in reserve.
    expect(await wayNow(net, free!['id'])).toBe('aed');
    expect(moved['overOpenCircuits']).not.toContain(free!['id']);
    expect(moved['lost']).toEqual([]);
    expect(await rig.reserved(net.networkId)).toEqual(await rig.held(net.networkId));
  });

  test('better routes are not sought over open circuits', async () => {
    const net = await threeWays();
    await rig.field(bob, report, { n: net.networkId, id: net.id('b'), failed: 3 });
    const { connection } = await rig.connect(net.networkId, net.id('a'), net.id('d'), {
      requirements: { bandwidthMbps: 10 },
    });
    expect(net.wayOf(connection!['path']!)).toBe('acd');
    const optimize = `mutation ($n: ID!) { optimizeRoutes(input: { networkId: $n, apply: true, timeBudgetMs: 200, goals: { latency: 1, throughput: 1, balance: 0, cost: 0 } }) { optimization { avoidedNodes changes { connectionId } } userErrors { code } } }`;
    expect(await rig.field(alice, optimize, { n: net.networkId })).toMatchObject({
      optimization: { avoidedNodes: [net.id('b')], changes: [] },
    });
    expect(await wayNow(net, connection!['id'])).toBe('acd');
    await rig.field(alice, reset, { n: net.networkId, id: net.id('b') });
    expect(await rig.field(alice, optimize, { n: net.networkId })).toMatchObject({
      optimization: { avoidedNodes: [], changes: [{ connectionId: connection!['id'] }] },
    });
    expect(await wayNow(net, connection!['id'])).toBe('abd');
  });

  test('a node that is lost again and again is left alone as well', async () => {
    const net = await diamond();
    const beat = `mutation ($n: ID!, $id: ID!) { networkHeartbeat(networkId: $n, nodeId: $id) { userErrors { code } } }`;
    const call = { n: net.networkId, id: net.id('b') };
    for (let time = 0; time < 3; time += 1) {
      await rig.field(alice, beat, call);
      await rig.sql`UPDATE network.heartbeat SET last_at = last_at - interval '1 hour' WHERE node_id = ${net.id('b')}`;
      await rig.service.heartbeats.sweep();
    }
    await rig.field(alice, beat, call);
    expect(told(net.networkId, 'node.circuit.opened')).toMatchObject([
      { data: { nodeId: net.id('b'), reason: 'no heartbeat' } },
    ]);
    expect(net.wayOf((await rig.connect(net.networkId, net.id('a'), net.id('d')))['connection']!['path']!)).toBe('acd');
  });

  test('it is the network’s own, of nodes that are there, and counts only calls', async () => {
    const net = await diamond();
    const call = { n: net.networkId, id: net.id('b'), failed: 1 };
    expect(codes(await rig.field(stranger, report, call))).toEqual(['NOT_FOUND']);
    expect(codes(await rig.field(alice, report, { ...call, id: newId() }))).toEqual(['NOT_FOUND']);
    expect(codes(await rig.field(alice, report, { ...call, failed: 0 }))).toEqual(['VALIDATION_FAILED']);
    expect(codes(await rig.field(alice, report, { ...call, failed: -1 }))).toEqual(['VALIDATION_FAILED']);
  });
});

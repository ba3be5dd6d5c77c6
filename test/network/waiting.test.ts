import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ConnectionStatusValue } from '../../subgraphs/network/rows.ts';
import { mayMove } from '../../subgraphs/network/waiting.ts';
import {
  alice,
  codes,
  establish,
  type Json,
  type NetworkRig,
  openNetworkRig,
  readConnection,
  setNodeStatus,
  stranger,
  terminate,
} from './rig.ts';

let rig: NetworkRig;
beforeAll(async () => {
  rig = await openNetworkRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const line = (config: Readonly<Record<string, unknown>> = {}) =>
  rig.open('ab', [['ab', { capacityMbps: 100 }]], { config: { reserveShare: 0, burst: 10, ...config } });
const asked = (bandwidthMbps: number, more: Readonly<Record<string, unknown>> = {}) => ({
  requirements: { bandwidthMbps },
  ...more,
});
const look = async (connection: Json) =>
  rig.field(alice, readConnection, { id: connection['connection']!['id'] }) as Promise<Json>;
const close = (connection: Json) => rig.field(alice, terminate, { id: connection['connection']!['id'] });
const openAtEnds = async (networkId: string) =>
  (await rig.sql`SELECT open_connections AS open FROM network.node WHERE network_id = ${networkId} ORDER BY name`).map(
    ({ open }) => Number(open),
  );
/** Makes the time of what waits pass. */
const late = (networkId: string) =>
  rig.sql`UPDATE network.connection SET wait_until = now() - interval '1 second' WHERE network_id = ${networkId} AND wait_until IS NOT NULL`;

/** What was told of a connection, type and status, each a move that there is. */
function toldOf(connection: Json): readonly string[] {
  const id = String(connection['connection']!['id']);
  const told = rig.events
    .map(({ type, data }) => ({
      type,
      row: data['connection'] as { id: string; status: ConnectionStatusValue } | undefined,
    }))
    .filter(({ row }) => row?.id === id)
    .map(({ type, row }) => ({ type, status: row!.status }));
  for (const [at, { status }] of told.entries()) {
    const before = told[at - 1]?.status;
    if (before !== undefined && before !== status)
      expect([before, status, mayMove(before, status)]).toEqual([before, status, true]);
  }
  return told.map(({ type, status }) => `${type} ${status}`);
}

describe('a request that finds no room', () => {
  test('waits as long as it says, holds nothing, and is established as soon as there is room', async () => {
    const net = await line();
    const connect = (mbps: number, more: Readonly<Record<string, unknown>> = {}) =>
      rig.connect(net.networkId, net.id('a'), net.id('b'), asked(mbps, more));
    const first = await connect(80);
    expect(codes(await connect(40))).toEqual(['INSUFFICIENT_BANDWIDTH']);
    const low = await connect(40, { waitMs: 60_000, priority: 1 });
    const high = await connect(40, { waitMs: 60_000, priority: 9 });
    expect(low).toMatchObject({
      userErrors: [],
      connection: {
        status: 'REQUESTED',
        path: [],
        qualityScore: 0,
        statusReason: expect.stringContaining('left at most'),
      },
    });
    expect(await openAtEnds(net.networkId)).toEqual([1, 1]);
    expect(await rig.service.queue.sweep()).toBe(2);
    expect(await look(high)).toMatchObject({ status: 'REQUESTED' });
    await close(first);
    await rig.service.queue.sweep();
    expect([await look(high), await look(low)]).toMatchObject([
      { status: 'ESTABLISHED', statusReason: null, path: [{ hop: 1 }] },
      { status: 'ESTABLISHED', path: [{ hop: 1 }] },
    ]);
    expect(toldOf(high)).toEqual([
      'connection.requested requested',
      'connection.establishing establishing',
      'connection.established established',
    ]);
    expect(Object.values(await rig.reserved(net.networkId))).toEqual([80_000]);
    expect(await rig.held(net.networkId)).toEqual(await rig.reserved(net.networkId));
    expect(await openAtEnds(net.networkId)).toEqual([2, 2]);
    expect(await rig.service.queue.sweep()).toBe(0);
  });

  test('the greater priority is served first; who waited too long has failed, who leaves gives nothing back', async () => {
    const net = await line();
    const connect = (mbps: number, more: Readonly<Record<string, unknown>> = {}) =>
      rig.connect(net.networkId, net.id('a'), net.id('b'), asked(mbps, more));
    const first = await connect(100);
    const low = await connect(60, { waitMs: 60_000, priority: 1 });
    const high = await connect(60, { waitMs: 60_000, priority: 9 });
    const left = await connect(60, { waitMs: 60_000 });
    expect(await close(left)).toMatchObject({ connection: { status: 'CLOSED' }, userErrors: [] });
    expect(Object.values(await rig.reserved(net.networkId))).toEqual([100_000]);
    expect(await openAtEnds(net.networkId)).toEqual([1, 1]);
    await close(first);
    await rig.service.queue.sweep();
    expect([await look(high), await look(low)]).toMatchObject([{ status: 'ESTABLISHED' }, { status: 'REQUESTED' }]);
    await late(net.networkId);
    await rig.service.queue.sweep();
    expect(await look(low)).toMatchObject({ status: 'FAILED' });
    expect(toldOf(low)).toEqual(['connection.requested requested', 'connection.lost failed']);
    expect(codes(await close(low))).toEqual(['CONNECTION_CLOSED']);
    expect(Object.values(await rig.reserved(net.networkId))).toEqual([60_000]);
    expect(await openAtEnds(net.networkId)).toEqual([1, 1]);
  });

  test('what would not fit on the empty network is refused, as are times out of bounds; a key asks once', async () => {
    const net = await line();
    const connect = (mbps: number, more: Readonly<Record<string, unknown>>) =>
      rig.connect(net.networkId, net.id('a'), net.id('b'), asked(mbps, more));
    expect(codes(await connect(101, { waitMs: 60_000 }))).toEqual(['INSUFFICIENT_BANDWIDTH']);
    expect(codes(await connect(1, { waitMs: 3_600_001 }))).toEqual(['VALIDATION_FAILED']);
    await connect(100, {});
    const once = await connect(1, { waitMs: 60_000, idempotencyKey: 'wait-once' });
    expect(await connect(1, { waitMs: 60_000, idempotencyKey: 'wait-once' })).toMatchObject({
      connection: { id: once['connection']!['id'] },
    });
    const input = {
      networkId: net.networkId,
      source: { nodeId: net.id('a') },
      destination: { nodeId: net.id('b') },
      waitMs: 1_000,
    };
    expect(codes(await rig.field(stranger, establish, { input }))).toEqual(['NOT_FOUND']);
    expect(await rig.sql`SELECT 1 FROM network.connection WHERE network_id = ${net.networkId}`).toHaveLength(2);
  });

  test('looks at the same time, and requests beside them, put none of it in twice and nothing past its limit', async () => {
    const net = await line();
    const connect = (mbps: number) =>
      rig.connect(net.networkId, net.id('a'), net.id('b'), asked(mbps, { waitMs: 60_000 }));
    const first = await connect(100);
    const waiting = await Promise.all(Array.from({ length: 8 }, () => connect(20)));
    await close(first);
    await Promise.all([...Array.from({ length: 4 }, () => rig.service.queue.sweep()), connect(20), connect(20)]);
    for (const _ of [1, 2, 3]) await rig.service.queue.sweep();
    const statuses =
      await rig.sql`SELECT status, count(*)::int AS count FROM network.connection WHERE network_id = ${net.networkId} AND closed_at IS NULL GROUP BY 1`;
    expect(Object.fromEntries(statuses.map(({ status, count }) => [status, count]))).toMatchObject({ established: 5 });
    expect(Object.values(await rig.reserved(net.networkId))).toEqual([100_000]);
    expect(await rig.held(net.networkId)).toEqual(await rig.reserved(net.networkId));
    expect(await openAtEnds(net.networkId)).toEqual([5, 5]);
    for (const one of waiting) toldOf(one);
  });
});

test('what a process that died was about to reserve is left to the next look; a network that is retired closes what waits', async () => {
  const net = await line();
  const connect = (mbps: number, more: Readonly<Record<string, unknown>> = {}) =>
    rig.connect(net.networkId, net.id('a'), net.id('b'), asked(mbps, more));
  const first = await connect(100);
  const [half, other] = [await connect(60, { waitMs: 60_000 }), await connect(60, { waitMs: 60_000 })];
  await rig.sql`UPDATE network.connection SET status = 'establishing', version = version + 1 WHERE id = ${String(half['connection']!['id'])}`;
  await close(first);
  await rig.service.queue.sweep();
  expect([await look(half), await look(other)]).toMatchObject([{ status: 'ESTABLISHED' }, { status: 'REQUESTED' }]);
  const retire =
    'mutation ($id: ID!) { retireNetwork(networkId: $id) { network { status } userErrors { code message } } }';
  expect(await rig.field(alice, retire, { id: net.networkId })).toMatchObject({
    network: { status: 'RETIRED' },
    userErrors: [],
  });
  expect([await look(half), await look(other)]).toMatchObject([{ status: 'CLOSED' }, { status: 'CLOSED' }]);
  const waiting =
    await rig.sql`SELECT 1 FROM network.connection WHERE network_id = ${net.networkId} AND wait_until IS NOT NULL`;
  expect(waiting).toHaveLength(0);
  expect(await openAtEnds(net.networkId)).toEqual([0, 0]);
});

describe('a connection that loses its way', () => {
  const setNode = (net: Awaited<ReturnType<typeof line>>, name: string, status: string) =>
    rig.field(alice, setNodeStatus, { networkId: net.networkId, nodeId: net.id(name), status });

  test('waits for another where it asked to, holding nothing, and is on it as soon as there is one', async () => {
    const net = await rig.open('abc', [
      ['ab', { capacityMbps: 100 }],
      ['bc', { capacityMbps: 100 }],
    ]);
    const requirements = { bandwidthMbps: 10, rerouteMs: 60_000 };
    const patient = await rig.connect(net.networkId, net.id('a'), net.id('c'), { requirements });
    const hasty = await rig.connect(net.networkId, net.id('a'), net.id('c'), { requirements: { bandwidthMbps: 10 } });
    expect(await setNode(net, 'b', 'UNREACHABLE')).toMatchObject({ lost: [hasty['connection']!['id']] });
    expect([await look(patient), await look(hasty)]).toMatchObject([
      { status: 'REROUTING', path: [], statusReason: 'no way with its bandwidth is left' },
      { status: 'FAILED' },
    ]);
    expect(Object.values(await rig.reserved(net.networkId))).toEqual([0, 0]);
    expect(await openAtEnds(net.networkId)).toEqual([0, 0, 0]);
    await rig.service.queue.sweep();
    expect(await look(patient)).toMatchObject({ status: 'REROUTING' });
    await setNode(net, 'b', 'ACTIVE');
    await rig.service.queue.sweep();
    expect(await look(patient)).toMatchObject({ status: 'ESTABLISHED', path: [{ hop: 1 }, { hop: 2 }] });
    expect(toldOf(patient)).toEqual([
      'connection.established established',
      'connection.rerouting rerouting',
      'connection.rerouted established',
    ]);
    expect(Object.values(await rig.reserved(net.networkId))).toEqual([10_000, 10_000]);
    expect(await openAtEnds(net.networkId)).toEqual([1, 0, 1]);
  });

  test('fails when its time is over, and closes with its network, giving nothing back twice', async () => {
    const net = await rig.open('ab', [['ab', { capacityMbps: 100 }]], {
      config: { totalBandwidthMbps: 100, reserveShare: 0, burst: 10 },
    });
    const requirements = { bandwidthMbps: 10, rerouteMs: 60_000 };
    const open = () => rig.connect(net.networkId, net.id('a'), net.id('b'), { requirements });
    const [one, other] = [await open(), await open()];
    await setNode(net, 'b', 'UNREACHABLE');
    expect([await look(one), await look(other)]).toMatchObject([
      { status: 'REROUTING', statusReason: 'an end is down' },
      { status: 'REROUTING' },
    ]);
    const total = async () =>
      Number(
        (
          await rig.sql`SELECT reserved_interactive AS held FROM network.bandwidth WHERE network_id = ${net.networkId}`
        )[0]!['held'],
      );
    expect(await total()).toBe(0);
    await close(one);
    await late(net.networkId);
    await rig.service.queue.sweep();
    expect(await look(other)).toMatchObject({ status: 'FAILED', statusReason: 'an end is down' });
    expect(await total()).toBe(0);
    expect(await openAtEnds(net.networkId)).toEqual([0, 0]);
    expect(toldOf(other)).toEqual([
      'connection.established established',
      'connection.rerouting rerouting',
      'connection.lost failed',
    ]);
  });
});

import { createServer, type Server } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newId } from '#shared/ids.ts';
import { alice, codes, createNetwork, type NetworkRig, openNetworkRig, stranger } from './rig.ts';

let rig: NetworkRig;
let closed: NetworkRig;
let server: Server;
let port: number;
const accepted: string[] = [];

beforeAll(async () => {
  [rig, closed] = await Promise.all([openNetworkRig({ NETWORK_PROBE_NETWORKS: '127.0.0.1/32' }), openNetworkRig()]);
  server = createServer((socket) => {
    accepted.push(String(socket.remoteAddress));
    socket.on('error', () => {}).resume();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as { port: number }).port;
});
afterAll(async () => {
  await Promise.all([rig[Symbol.asyncDispose](), closed[Symbol.asyncDispose]()]);
  await new Promise((resolve) => server.close(resolve));
});

const fields = 'probe { reachable address elapsedMs error at } userErrors { code message path }';
const probe = `mutation ($n: ID!, $id: ID!, $ms: Int! = 1000, $key: String) { probeNetworkNode(networkId: $n, nodeId: $id, timeoutMs: $ms, idempotencyKey: $key) { node { id probe { reachable } } ${fields} } }`;

/** Two nodes, the second with an address. */
async function joined(on: NetworkRig, address: unknown) {
  const [a, b] = [newId(), newId()];
  const made = await on.field(alice, createNetwork, {
    input: {
      ...{ contextId: on.contextId, name: 'reached for', topologyType: 'OTHER', provision: true },
      nodes: [{ id: a }, { id: b, address }],
      links: [{ sourceId: a, targetId: b }],
    },
  });
  return { n: String(made['network']!['id']), a, b };
}
const at = (host: string, protocol = 'TCP', given = port) => ({ host, port: given, protocol });

test('a node that answers is reached at the address that was looked at; it is kept, told and not done twice', async () => {
  const { n, b } = await joined(rig, at('127.0.0.1'));
  const before = accepted.length;
  const call = { n, id: b, key: 'probe-1' };
  const first = await rig.field(alice, probe, call);
  expect(first).toMatchObject({ userErrors: [], probe: { reachable: true, address: '127.0.0.1', error: null } });
  expect(await rig.field(alice, probe, call)).toEqual(first);
  await expect.poll(() => accepted.length).toBe(before + 1);
  expect(rig.events.filter(({ streamId, type }) => streamId === n && type === 'node.probed')).toHaveLength(1);
});

test('nobody there is an answer, no error', async () => {
  const { n, b } = await joined(rig, at('127.0.0.1', 'TCP', 1));
  expect(await rig.field(alice, probe, { n, id: b })).toMatchObject({
    node: { probe: { reachable: false } },
    probe: { reachable: false, error: 'ECONNREFUSED' },
  });
});

test('of a secure address the handshake is part of the way: a silent one is given up in time', async () => {
  const { n, b } = await joined(rig, at('127.0.0.1', 'HTTPS'));
  expect(await rig.field(alice, probe, { n, id: b, ms: 100 })).toMatchObject({
    probe: { reachable: false, error: 'no answer in time' },
  });
});

describe('what the operator does not permit is never reached for', () => {
  test.each<readonly [string, readonly [string, string]]>([
    ['an address beside the permitted one', ['127.0.0.2', 'TCP']],
    ['the form of it in IPv6', ['::ffff:127.0.0.1', 'TCP']],
    ['another spelling of it', ['0x7f000001.example.invalid', 'TCP']],
    ['the address of the cloud’s metadata', ['169.254.169.254', 'TCP']],
    ['a name that leads elsewhere', ['no-such-host.invalid', 'TCP']],
    ['a protocol that nobody answers', ['127.0.0.1', 'UDP']],
    ['no address', ['', '']],
  ])('%s', async (_name, [host, protocol]) => {
    const { n, b } = await joined(rig, host === '' ? null : at(host, protocol));
    const before = accepted.length;
    expect(codes(await rig.field(alice, probe, { n, id: b }))).toEqual(['PROBE_REFUSED']);
    expect(accepted).toHaveLength(before);
    expect(rig.events.filter(({ streamId, type }) => streamId === n && type === 'node.probed')).toEqual([]);
  });

  test('anything at all where no address is permitted', async () => {
    const { n, b } = await joined(closed, at('127.0.0.1'));
    expect(codes(await closed.field(alice, probe, { n, id: b }))).toEqual(['PROBE_REFUSED']);
  });
});

test('it needs the right to operate, a node of the network, and a time within its bounds', async () => {
  const { n, b } = await joined(rig, at('127.0.0.1'));
  expect(codes(await rig.field(stranger, probe, { n, id: b }))).toEqual(['NOT_FOUND']);
  expect(codes(await rig.field(alice, probe, { n, id: newId() }))).toEqual(['NOT_FOUND']);
  expect(codes(await rig.field(alice, probe, { n, id: b, ms: 60_000 }))).toEqual(['VALIDATION_FAILED']);
});

test('a connection that asks for it is opened only to where somebody answers', async () => {
  const input = { probe: true };
  const there = await joined(rig, at('127.0.0.1'));
  expect(codes(await rig.connect(there.n, there.a, there.b, input))).toEqual([]);
  const gone = await joined(rig, at('127.0.0.1', 'TCP', 1));
  expect(codes(await rig.connect(gone.n, gone.a, gone.b, input))).toEqual(['NODE_UNREACHABLE']);
  expect(codes(await rig.connect(gone.n, gone.a, gone.b))).toEqual([]);
  const foreign = await joined(rig, at('127.0.0.2'));
  expect(codes(await rig.connect(foreign.n, foreign.a, foreign.b, input))).toEqual(['PROBE_REFUSED']);
  const [{ count }] =
    (await rig.sql`SELECT count(*)::int AS count FROM network.connection WHERE network_id = ${foreign.n}`) as unknown as [
      { count: number },
    ];
  expect(count).toBe(0);
});

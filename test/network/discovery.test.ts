import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readConfig } from '#shared/config.ts';
import { isPermitted } from '../../subgraphs/network/discovery/nameServer.ts';
import { openNameServer } from '../support/nameServer.ts';
import { alice, bob, codes, type NetworkRig, openNetworkRig, stranger } from './rig.ts';

type Net = Awaited<ReturnType<NetworkRig['open']>>;

const seek = `mutation ($input: SeekServicesInput!) { seekServices(input: $input) { seekId matches { service { name providerNodeId endpoints { host port } capabilities weight serviceVersion } } unknownHosts userErrors { code path } } }`;
const register = `mutation ($input: RegisterServiceInput!) { registerService(input: $input) { service { id } userErrors { code } } }`;
const discover =
  'query ($query: NetworkServiceQuery!) { discoverServices(query: $query) { service { networkId providerNodeId } } }';
const mail = { endpoints: [{ host: 'x.example', port: 25, protocol: 'TCP' }], name: 'mail' };

let server: Awaited<ReturnType<typeof openNameServer>>;
let rig: NetworkRig;
beforeAll(async () => {
  const at = (target: string, priority: number, weight = 5) => ({ priority, weight, port: 25, target });
  server = await openNameServer({
    '_mail._tcp.nodes.example': {
      srv: [at('B.nodes.example', 10), at('a.nodes.example', 20), at('elsewhere.example', 10)],
      txt: ['version=2.1.0', 'capabilities=send, list'],
    },
  });
  rig = await openNetworkRig({ NETWORK_DISCOVERY_DOMAINS: 'nodes.example', NETWORK_NAME_SERVERS: server.address });
});
afterAll(async () => {
  await rig?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
});

const open = (config: object, contextId?: string) =>
  rig.open('ab', [['ab']], { config, ...(contextId !== undefined && { contextId }) });
const ask = (who: typeof alice, net: Net, more: object = {}, query: object = { name: 'mail' }) =>
  rig.field(who, seek, { input: { query: { networkId: net.networkId, ...query }, ...more } });
const registerAt = (net: Net, node: string, more: object = {}) =>
  rig.field(bob, register, { input: { ...mail, networkId: net.networkId, providerNodeId: net.id(node), ...more } });

describe('by a registry', () => {
  test('services of all networks of the context are found, on nodes that are up; of others none', async () => {
    const [one, two, other] = [await open({ discovery: 'REGISTRY' }), await open({}), await rig.open('ab', [['ab']])];
    await rig.sql`UPDATE network.network SET context_id = gen_random_uuid() WHERE id = ${other.networkId}`;
    for (const net of [one, two, other]) await registerAt(net, 'a');
    const found = async (net: Net) =>
      (await rig.field(alice, discover, { query: { networkId: net.networkId, name: 'mail' } })).map(({ service }) =>
        String(service!['networkId']),
      );
    expect((await found(one)).sort()).toEqual([one.networkId, two.networkId].sort());
    expect(await found(two)).toEqual([two.networkId]);
    await rig.sql`UPDATE network.node SET status = 'unreachable' WHERE network_id = ${two.networkId}`;
    expect(await found(one)).toEqual([one.networkId]);
    expect(codes(await ask(alice, one))).toEqual(['INVALID_STATE']);
  });
});

describe('by asking whoever listens', () => {
  test('what is sought is told, who registers meanwhile has answered, again where it has before; then all is told at once', async () => {
    const net = await open({ discovery: 'BROADCAST' });
    for (const node of ['a', 'b']) await registerAt(net, node);
    const sought = ask(bob, net, { waitMs: 5_000, first: 1, idempotencyKey: 'seek-1' });
    const told = () =>
      rig.events.filter(({ type, streamId }) => type === 'service.sought' && streamId === net.networkId);
    await expect.poll(told, { interval: 10, timeout: 5_000 }).toHaveLength(1);
    await registerAt(net, 'b');
    const answer = await sought;
    expect(answer['matches']!.map(({ service }) => service!['providerNodeId'])).toEqual([net.id('b')]);
    expect(told()).toMatchObject([{ data: { seek: { id: answer['seekId'], name: 'mail' } } }]);
    expect((await ask(bob, net, { waitMs: 0 }))['matches']).toEqual([]);
    // A repeat asks nobody.
    expect((await ask(bob, net, { waitMs: 5_000, first: 1, idempotencyKey: 'seek-1' }))['seekId']).toBe(
      answer['seekId'],
    );
    expect(told()).toHaveLength(2);
    expect(codes(await ask(bob, net, { waitMs: 5_001 }))).toEqual(['VALIDATION_FAILED']);
    expect(codes(await ask(stranger, net))).toEqual(['NOT_FOUND']);
  });
});

describe('by a name server', () => {
  const dns = (discoveryDomain: string) => ({ discovery: 'DNS', discoveryDomain });
  const addressed = async (domain: string) => {
    const net = await open(dns(domain));
    for (const node of ['a', 'b'])
      await rig.sql`UPDATE network.node SET address = ${rig.sql.json({ host: `${node}.Nodes.example`, port: 25, protocol: 'TCP' })} WHERE id = ${net.id(node)}`;
    return net;
  };

  test('what it says of nodes is registered, those of the least priority first; what is no node’s is told, not kept', async () => {
    const net = await addressed('nodes.example');
    const answer = await ask(alice, net);
    expect(answer['userErrors']).toEqual([]);
    const byNode = new Map(answer['matches']!.map(({ service }) => [String(service!['providerNodeId']), service]));
    expect(byNode.get(net.id('b'))).toMatchObject({
      weight: 5,
      serviceVersion: '2.1.0',
      capabilities: ['send', 'list'],
    });
    expect(byNode.get(net.id('a'))).toMatchObject({ weight: 0, endpoints: [{ host: 'a.nodes.example', port: 25 }] });
    expect(answer['unknownHosts']).toEqual(['elsewhere.example']);
    const found = await rig.field(alice, discover, { query: { networkId: net.networkId, name: 'mail' } });
    expect(found).toHaveLength(2);
  });

  test('only where the operator permits it, and only for who operates the network', async () => {
    const before = server.asked.length;
    const foreign = await addressed('elsewhere.example');
    expect(codes(await ask(alice, foreign))).toEqual(['DISCOVERY_REFUSED']);
    const own = await addressed('nodes.example');
    await expect(ask(bob, own)).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    for (const name of ['a.b', '', 'under_score', '-', 'x'.repeat(64), 'é'])
      expect(codes(await ask(alice, own, {}, { name }))).toEqual(['VALIDATION_FAILED']);
    expect(codes(await ask(alice, own, {}, {}))).toEqual(['VALIDATION_FAILED']);
    expect(server.asked.length).toBe(before);
    expect(codes(await ask(alice, own, {}, { name: 'news' }))).toEqual(['NOT_FOUND']);
    const bad = await rig.create({ topologyType: 'OTHER', nodes: [{ name: 'a' }], config: { discovery: 'DNS' } });
    expect(codes(bad)).toEqual(['VALIDATION_FAILED']);
  });

  test('domains are permitted with all that lies in them, never with what only ends alike', () => {
    expect(isPermitted('Nodes.example', ['nodes.example'])).toBe(true);
    expect(isPermitted('x.nodes.example', ['nodes.example'])).toBe(true);
    expect(isPermitted('mynodes.example', ['nodes.example'])).toBe(false);
    expect(isPermitted('example', ['nodes.example'])).toBe(false);
    expect(isPermitted('nodes.example', [])).toBe(false);
    expect(() => readConfig({ NODE_ENV: 'test', NETWORK_DISCOVERY_DOMAINS: 'a..b' })).toThrow('expected domains');
    expect(() => readConfig({ NODE_ENV: 'test', NETWORK_NAME_SERVERS: 'ns.example' })).toThrow('expected addresses');
  });
});

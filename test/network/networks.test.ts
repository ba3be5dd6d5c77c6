import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newId } from '#shared/ids.ts';
import { networkFiles, readNetworkFile } from '../support/networkData.ts';
import {
  alice,
  bob,
  codes,
  type Json,
  type NetworkRig,
  networkFields,
  openNetworkRig,
  readNetwork,
  setNodeStatus,
  stranger,
} from './rig.ts';

let rig: NetworkRig;
beforeAll(async () => {
  rig = await openNetworkRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const nodes = (count: number) => Array.from({ length: count }, (_, at) => ({ id: newId(), name: `n${at}` }));
const errors = 'userErrors { code message path }';
const importNetwork = `mutation ($input: ImportNetworkInput!) { importNetwork(input: $input) { network { ${networkFields} } stats { nodeCount linkCount components } nodeIds { key nodeId } demands { source target mbps } skippedLoops ${errors} } }`;
const importFile = (input: Readonly<Record<string, unknown>>) =>
  rig.field(alice, importNetwork, { input: { contextId: rig.contextId, format: 'GML', ...input } });

describe('creation', () => {
  test.each([
    ['HUB_SPOKE', 12, {}, { layout: 'STAR', linkCount: 11, diameter: 2, vertexConnectivity: 1 }],
    ['MESH', 6, {}, { layout: 'FULL_MESH', linkCount: 15, diameter: 1, vertexConnectivity: 4 }],
    ['MESH', 60, { redundancyK: 3 }, { layout: 'HARARY', linkCount: 90, vertexConnectivity: 3 }],
    ['HIERARCHICAL', 13, { fanOut: 3 }, { layout: 'TREE', linkCount: 12, diameter: 4, vertexConnectivity: 1 }],
    ['HYBRID', 20, {}, { layout: 'MESH_CORE_WITH_TREES', linkCount: 55, diameter: 3 }],
    ['SINGLE_NODE', 1, {}, { layout: 'SINGLE', linkCount: 0, diameter: 0 }],
    ['OTHER', 5, { redundancyK: 2 }, { layout: 'RING', linkCount: 5, diameter: 2, vertexConnectivity: 2 }],
  ])('%s of %i nodes is generated and described as it is', async (topologyType, count, options, expected) => {
    const payload = await rig.create({ topologyType, nodes: nodes(count), ...options });
    expect(codes(payload)).toEqual([]);
    const { layout, ...stats } = expected as Record<string, unknown>;
    const routingTableSize = count * (count - 1);
    expect(payload['network']).toMatchObject({ layout, status: 'DRAFT' });
    expect(payload['network']!['stats']).toMatchObject({ nodeCount: count, components: 1, routingTableSize, ...stats });
    expect(payload['network']!['links']!.length).toBe(stats['linkCount']);
  });

  test('bad input is told by its code and place', async () => {
    const [a, b, c] = nodes(3) as unknown as [Json, Json, Json];
    const link = (one: Json, other: Json) => ({ sourceId: one['id'], targetId: other['id'] });
    const create = (input: Readonly<Record<string, unknown>>) => rig.create({ topologyType: 'OTHER', ...input });
    const cases: readonly (readonly [string, Readonly<Record<string, unknown>>])[] = [
      ['DUPLICATE_NODE', { nodes: [a, b, a] }],
      ['DANGLING_LINK', { nodes: [a, b], links: [link(a, c)] }],
      ['SHAPE_MISMATCH', { nodes: [a, b], links: [link(a, a)] }],
      ['DISCONNECTED', { nodes: [a, b, c], links: [link(a, b)] }],
      ['SHAPE_MISMATCH', { topologyType: 'SINGLE_NODE', nodes: [a, b] }],
      ['SHAPE_MISMATCH', { topologyType: 'HUB_SPOKE', nodes: [a, b, c], links: [link(a, b), link(b, c), link(c, a)] }],
      [
        'SHAPE_MISMATCH',
        { topologyType: 'HIERARCHICAL', nodes: [a, b, c], links: [link(a, b), link(b, c), link(c, a)] },
      ],
      ['REDUNDANCY_UNSATISFIABLE', { topologyType: 'HUB_SPOKE', nodes: [a, b, c], redundancyK: 2 }],
      ['VALIDATION_FAILED', { nodes: [] }],
      ['VALIDATION_FAILED', { nodes: [{ ...a, location: { lat: 91, lon: 0 } }] }],
      ['VALIDATION_FAILED', { nodes: [{ ...a, failover: { heartbeatIntervalMs: 900, timeoutMs: 900 } }] }],
      ['VALIDATION_FAILED', { nodes: [a, b], links: [{ ...link(a, b), lossRate: 1.5 }] }],
      [
        'VALIDATION_FAILED',
        { nodes: [a, b], config: { classShares: { realTime: 0.9, interactive: 0.2, bulk: 0, management: 0 } } },
      ],
      ['NOT_FOUND', { nodes: [a], contextId: newId() }],
    ];
    for (const [code, input] of cases) expect([code, codes(await create(input))]).toEqual([code, [code]]);
  });

  test('latency follows the places where nothing else is said', async () => {
    const payload = await rig.create({
      topologyType: 'OTHER',
      nodes: [
        { name: 'Berlin', location: { lat: 52.52, lon: 13.405 } },
        { name: 'New York', location: { lat: 40.7128, lon: -74.006 } },
      ],
    });
    expect(Number(payload['network']!['links']![0 as never]!['latencyMs'])).toBeCloseTo(31.93, 1);
  });

  test('files of others come in whole or not at all', async () => {
    const text =
      'graph [ Network "Small" node [ id 7 ] node [ id 8 ] edge [ source 7 target 8 ] edge [ source 8 target 8 ] ]';
    const imported = await importFile({ text });
    expect(imported).toMatchObject({ network: { layout: 'IMPORTED' }, stats: { linkCount: 1 }, skippedLoops: 1 });
    expect(imported['nodeIds']!.map(({ key }) => key)).toEqual(['7', '8']);
    const dry = await importFile({ text, dryRun: true });
    expect(dry).toMatchObject({ network: null, stats: { nodeCount: 2 } });
    const bad = async (wrong: string, options = {}) => codes(await importFile({ text: wrong, ...options }));
    expect(await bad('graph [')).toEqual(['MALFORMED_TOPOLOGY']);
    expect(await bad('graph [ node [ id 1 ] node [ id 1 ] ]')).toEqual(['DUPLICATE_NODE']);
    expect(await bad('graph [ node [ id 1 ] edge [ source 1 target 2 ] ]')).toEqual(['DANGLING_LINK']);
    expect(await bad('graph [ node [ id 1 ] node [ id 2 ] ]', { name: 'x' })).toEqual(['DISCONNECTED']);
    expect(await bad('graph [ node [ id 1 ] ]')).toEqual(['VALIDATION_FAILED']);
    expect(await bad('graph [ node [ id 1 label "a\0b" ] ]', { name: 'x' })).toEqual(['MALFORMED_TOPOLOGY']);
    expect(await bad('{}', { format: 'SNDLIB_JSON' })).toEqual(['MALFORMED_TOPOLOGY']);
  });

  const hasData = networkFiles('topology-zoo') !== null;
  test.skipIf(!hasData)(
    'Kdl with its 754 nodes is imported and analysed',
    async () => {
      const { network } = await importFile({
        text: readNetworkFile('topology-zoo', 'Kdl.gml'),
        allowDisconnected: true,
      });
      expect(network!['stats']).toMatchObject({ nodeCount: 754 });
      const analysis = await rig.field(
        alice,
        'query ($id: ID!) { networkAnalysis(networkId: $id) { nodes links components approximate bridges { pairsLost } cutNodes { parts } central { betweenness } minimumCut { weight linkIds } healthScore survivableShare recommendations { kind gain } } }',
        { id: network!['id'] },
      );
      expect(analysis).toMatchObject({ nodes: 754, components: 1, approximate: false, minimumCut: { weight: 1 } });
      expect(analysis['bridges']!.length).toBeGreaterThan(10);
      expect(analysis['recommendations']!.map(({ kind }) => kind)).toContain('ADD_LINK');
    },
    60_000,
  );
});

describe('life', () => {
  test('draft, in service, maintenance, retired; nothing comes back from there', async () => {
    const net = await rig.open('abc', [['ab'], ['bc']], { provision: false });
    const call = async (field: string, args = '') =>
      codes(
        await rig.field(
          alice,
          `mutation ($id: ID!) { ${field}(networkId: $id${args}) { network { status } ${errors} } }`,
          {
            id: net.networkId,
          },
        ),
      );
    expect(await call('retireNetwork')).toEqual(['INVALID_STATE_TRANSITION']);
    expect(await call('provisionNetwork', ', expectedVersion: 9')).toEqual(['VERSION_CONFLICT']);
    expect(await call('provisionNetwork')).toEqual([]);
    expect(codes(await rig.connect(net.networkId, net.id('a'), net.id('c')))).toEqual([]);
    expect(await call('setNetworkMaintenance', ', on: true')).toEqual([]);
    expect(codes(await rig.connect(net.networkId, net.id('a'), net.id('c')))).toEqual(['NETWORK_NOT_ACTIVE']);
    expect(await call('setNetworkMaintenance', ', on: false')).toEqual([]);
    const deleted = await rig.field(
      alice,
      `mutation ($id: ID!) { deleteNetwork(networkId: $id) { deleted ${errors} } }`,
      { id: net.networkId },
    );
    expect(codes(deleted)).toEqual(['INVALID_STATE']);
    expect(await call('retireNetwork')).toEqual([]);
    const open =
      await rig.sql`SELECT 1 FROM network.connection WHERE network_id = ${net.networkId} AND closed_at IS NULL`;
    expect(open.length).toBe(0);
    expect(Object.values(await rig.reserved(net.networkId))).toEqual([0, 0]);
    for (const again of ['provisionNetwork', 'retireNetwork'])
      expect(await call(again)).toEqual(['INVALID_STATE_TRANSITION']);
  });

  test('its status follows from what is up', async () => {
    const net = await rig.open('abc', [['ab'], ['bc']]);
    const set = async (name: string, status: string) =>
      (await rig.field(alice, setNodeStatus, { networkId: net.networkId, nodeId: net.id(name), status }))['network']![
        'status'
      ];
    // Without b the others no longer reach each other; without c the others do.
    expect(await set('b', 'UNREACHABLE')).toBe('DEGRADED');
    expect(await set('b', 'ACTIVE')).toBe('ACTIVE');
    expect(await set('c', 'INACTIVE')).toBe('ACTIVE');
    expect(await set('c', 'RETIRED')).toBe('ACTIVE');
    const back = await rig.field(alice, setNodeStatus, {
      networkId: net.networkId,
      nodeId: net.id('c'),
      status: 'ACTIVE',
    });
    expect(codes(back)).toEqual(['INVALID_STATE_TRANSITION']);
  });

  test('nodes and links come and go, connections with them', async () => {
    const net = await rig.open('abc', [['ab'], ['bc']]);
    const { connection } = await rig.connect(net.networkId, net.id('a'), net.id('c'), {
      requirements: { bandwidthMbps: 8 },
    });
    const d = newId();
    const added = await rig.field(
      alice,
      `mutation ($id: ID!, $node: NetworkNodeInput!, $links: [NetworkLinkInput!]) { addNetworkNode(networkId: $id, node: $node, links: $links) { network { ${networkFields} } ${errors} } }`,
      {
        id: net.networkId,
        node: { id: d, name: 'd' },
        links: [
          { sourceId: net.id('a'), targetId: d },
          { sourceId: d, targetId: net.id('c') },
        ],
      },
    );
    expect(added['network']!['stats']).toMatchObject({ nodeCount: 4, linkCount: 4, vertexConnectivity: 2 });
    const removed = await rig.field(
      alice,
      `mutation ($id: ID!, $node: ID!) { removeNetworkNode(networkId: $id, nodeId: $node) { network { stats { nodeCount linkCount } } rerouted lost ${errors} } }`,
      { id: net.networkId, node: net.id('b') },
    );
    expect(removed).toMatchObject({
      network: { stats: { nodeCount: 3, linkCount: 2 } },
      rerouted: [connection!['id']],
      lost: [],
    });
    expect(await rig.reserved(net.networkId)).toEqual(await rig.held(net.networkId));
    expect(Object.values(await rig.reserved(net.networkId))).toEqual([8_000, 8_000]);
    const narrow = await rig.field(
      alice,
      `mutation ($id: ID!, $link: ID!) { updateNetworkLink(networkId: $id, linkId: $link, patch: { capacityMbps: 9 }) { ${errors} } }`,
      { id: net.networkId, link: Object.keys(await rig.reserved(net.networkId))[0] },
    );
    expect(codes(narrow)).toEqual(['CONFLICT']);
  });

  test('agents join by themselves and leave with what ends at them', async () => {
    const net = await rig.open('ab', [['ab']]);
    const join = (input = {}) =>
      rig.field(bob, `mutation ($input: JoinNetworkInput!) { joinNetwork(input: $input) { nodeId ${errors} } }`, {
        input: { networkId: net.networkId, ...input },
      });
    const { nodeId } = await join({ attachTo: [net.id('a')] });
    expect(codes(await join())).toEqual(['CONFLICT']);
    await expect(join({ agentId: 'another' })).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    const { connection } = await rig.connect(net.networkId, String(nodeId), net.id('b'));
    const left = await rig.field(
      bob,
      `mutation ($id: ID!, $node: ID!) { leaveNetwork(networkId: $id, nodeId: $node) { lost ${errors} } }`,
      { id: net.networkId, node: nodeId },
    );
    expect(left['lost']).toEqual([connection!['id']]);
  });

  test('nothing of it is seen or changed from another tenant', async () => {
    const net = await rig.open('ab', [['ab']]);
    expect(await rig.field(stranger, readNetwork, { id: net.networkId })).toBe(null);
    const foreign = await rig.field(stranger, setNodeStatus, {
      networkId: net.networkId,
      nodeId: net.id('a'),
      status: 'RETIRED',
    });
    expect(codes(foreign)).toEqual(['NOT_FOUND']);
    await expect(
      rig.field(bob, setNodeStatus, { networkId: net.networkId, nodeId: net.id('a'), status: 'RETIRED' }),
    ).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
  });

  test('the frozen form comes back as it went in', async () => {
    const { networkCodec } = await import('../../subgraphs/network/codec.ts');
    const { sampleObjects } = await import('../conformance/sample/objects.ts');
    const document = { ...sampleObjects.network, network_id: newId(), context_id: rig.contextId };
    await rig.sql.begin((tx) => networkCodec.write(tx, alice, [document]));
    const id = String(document.network_id);
    expect((await networkCodec.read(rig.sql, 'one', [id])).get(id)).toEqual(document);
    expect(await networkCodec.idsOfContext(rig.sql, 'one', rig.contextId)).toContain(id);
    await expect(rig.sql.begin((tx) => networkCodec.write(tx, alice, [document]))).rejects.toThrow('another import');
  });
});

import { describe, expect, test } from 'vitest';
import { readGml } from '../../../subgraphs/network/readers/gml.ts';
import { readSndlib } from '../../../subgraphs/network/readers/sndlib.ts';
import { networkFiles, readNetworkFile } from '../../support/networkData.ts';

const gml = (inside: string) => `graph [\n${inside}\n]`;
const nodes = 'node [ id 0 label "A" Latitude 52.5 Longitude 13.4 ] node [ id 1 label "K&#246;ln" ]';
const sndlib = (changes: object) =>
  JSON.stringify({
    nodes: [{ id: 'a', longitude: 7, latitude: 50 }, { id: 'b' }],
    links: [
      {
        id: 'l',
        source: 'a',
        target: 'b',
        pre_installed_capacity: 0,
        modules: [
          { module_capacity: 40, module_cost: 1 },
          { module_capacity: 10, module_cost: 1 },
        ],
      },
    ],
    demands: [{ id: 'd', source: 'a', target: 'b', routing_unit: 2, demand_value: 3 }],
    ...changes,
  });
const failure = (read: () => unknown) => {
  try {
    read();
  } catch (error) {
    return error as { code: string; message: string };
  }
  return null;
};

describe('GML', () => {
  test('nodes, places, texts with entities, speeds and directions', () => {
    const text = gml(`# a comment\n directed 0 Network "Net" ${nodes} edge [ source 0 target 1 LinkSpeedRaw 1e9 ]`);
    expect(readGml(text)).toEqual({
      name: 'Net',
      nodes: [
        { key: '0', label: 'A', place: { lat: 52.5, lon: 13.4 } },
        { key: '1', label: 'Köln', place: null },
      ],
      links: [{ source: 0, target: 1, isTwoWay: true, capacityMbps: 1_000, costPerGb: null }],
      demands: [],
      loops: 0,
    });
    expect(readGml(gml(`directed 1 ${nodes} edge [ source 1 target 0 ]`)).links[0]).toMatchObject({
      source: 1,
      isTwoWay: false,
    });
  });

  test('a link from a node to itself is counted and left out', () => {
    expect(readGml(gml(`${nodes} edge [ source 1 target 1 ]`))).toMatchObject({ links: [], loops: 1 });
  });

  test.each([
    ['', 'MALFORMED_TOPOLOGY', 'expected one graph, got 0'],
    ['graph 5', 'MALFORMED_TOPOLOGY', 'expected one graph'],
    [gml(''), 'MALFORMED_TOPOLOGY', 'at least one node'],
    [`${gml(nodes)} ${gml(nodes)}`, 'MALFORMED_TOPOLOGY', 'got 2'],
    [gml('node [ id 0'), 'MALFORMED_TOPOLOGY', 'ends in the middle'],
    [gml('node [ id 0 ] ]'), 'MALFORMED_TOPOLOGY', 'line 3: unexpected ]'],
    [gml('node [ id "x" ]'), 'MALFORMED_TOPOLOGY', 'whole number'],
    [gml('node [ id 1.5 ]'), 'MALFORMED_TOPOLOGY', 'whole number'],
    [gml('node [ id 0 Latitude 91 Longitude 0 ]'), 'MALFORMED_TOPOLOGY', 'latitude within 90'],
    [gml('node [ id ; ]'), 'MALFORMED_TOPOLOGY', 'line 2: unexpected'],
    [gml('node [ 7 ]'), 'MALFORMED_TOPOLOGY', 'a value without a key'],
    [`${'a [ '.repeat(40)}${']'.repeat(40)}`, 'MALFORMED_TOPOLOGY', 'lists in each other'],
    [gml(`${nodes} node [ id 1 ]`), 'DUPLICATE_NODE', 'two nodes have the id "1"'],
    [gml(`${nodes} edge [ source 0 target 7 ]`), 'DANGLING_LINK', 'edge 1 names a node "7"'],
    [gml(`${nodes} edge [ source 0 ]`), 'MALFORMED_TOPOLOGY', 'its target'],
    [
      gml('node [ id 0 ] '.repeat(1) + Array.from({ length: 10_000 }, (_, at) => `node [ id ${at + 1} ]`).join(' ')),
      'LIMIT_EXCEEDED',
      '10000 nodes',
    ],
    [gml(`${nodes} label "${'x'.repeat(8_388_608)}"`), 'LIMIT_EXCEEDED', 'bytes'],
  ])('%#: what is wrong is told', (text, code, message) => {
    const error = failure(() => readGml(text));
    expect(error).toMatchObject({ code });
    expect(error?.message).toContain(message);
  });

  const zoo = networkFiles('topology-zoo');
  test.skipIf(zoo === null)('every network of the Topology Zoo that lies beside the project is read whole', () => {
    for (const file of zoo!) {
      const text = readNetworkFile('topology-zoo', file);
      const read = readGml(text);
      expect(read.nodes.length, file).toBe(text.match(/^ {2}node \[/gm)!.length);
      expect(read.links.length + read.loops, file).toBe(text.match(/^ {2}edge \[/gm)!.length);
    }
    const kdl = readGml(readNetworkFile('topology-zoo', 'Kdl.gml'));
    expect([kdl.nodes.length, kdl.links.length]).toEqual([754, 899]);
  });
});

describe('SNDlib', () => {
  test('capacities, demands in routing units, places', () => {
    expect(readSndlib(sndlib({}))).toEqual({
      name: null,
      loops: 0,
      nodes: [
        { key: 'a', label: 'a', place: { lat: 50, lon: 7 } },
        { key: 'b', label: 'b', place: null },
      ],
      links: [{ source: 0, target: 1, isTwoWay: true, capacityMbps: 10, costPerGb: null }],
      demands: [{ source: 0, target: 1, mbps: 6 }],
    });
    expect(readSndlib(sndlib({ nodes: [{ id: 'a', longitude: 500, latitude: 7 }, { id: 'b' }] })).nodes[0]?.place).toBe(
      null,
    );
  });

  test.each([
    ['{', 'MALFORMED_TOPOLOGY', 'expected JSON'],
    ['[]', 'MALFORMED_TOPOLOGY', 'expected object'],
    [sndlib({ nodes: [] }), 'MALFORMED_TOPOLOGY', 'nodes'],
    [sndlib({ nodes: [{ id: 'a' }, { id: 'a' }, { id: 'b' }] }), 'DUPLICATE_NODE', '"a"'],
    [sndlib({ links: [{ id: 'l', source: 'a', target: 'x' }] }), 'DANGLING_LINK', 'link l names a node "x"'],
    [sndlib({ links: [{ id: 'l', source: 'a', target: 'a' }] }), 'SHAPE_MISMATCH', 'to itself'],
    [
      sndlib({
        links: [
          { id: 'l', source: 'a', target: 'b' },
          { id: 'l', source: 'b', target: 'a' },
        ],
      }),
      'MALFORMED_TOPOLOGY',
      'two links',
    ],
    [sndlib({ demands: [{ id: 'd', source: 'a', target: 'z', demand_value: 1 }] }), 'DANGLING_LINK', 'demand d'],
    [
      sndlib({ demands: [{ id: 'd', source: 'a', target: 'b', demand_value: -1 }] }),
      'MALFORMED_TOPOLOGY',
      'demands.0.demand_value',
    ],
    [
      sndlib({ demands: [{ id: 'd', source: 'a', target: 'b', demand_value: '5' }] }),
      'MALFORMED_TOPOLOGY',
      'demand_value',
    ],
  ])('%#: what is wrong is told', (text, code, message) => {
    const error = failure(() => readSndlib(text));
    expect(error).toMatchObject({ code });
    expect(error?.message).toContain(message);
  });

  const files = networkFiles('sndlib');
  test.skipIf(files === null)('every instance of SNDlib that lies beside the project is read whole', () => {
    for (const file of files!) {
      const text = readNetworkFile('sndlib', file);
      const given = JSON.parse(text) as Record<'nodes' | 'links' | 'demands', unknown[]>;
      const read = readSndlib(text);
      expect([read.nodes.length, read.links.length, read.demands.length], file).toEqual([
        given.nodes.length,
        given.links.length,
        given.demands.length,
      ]);
    }
  });
});

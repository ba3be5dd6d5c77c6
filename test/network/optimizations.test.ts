import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { alice, codes, type NetworkRig, openNetworkRig, optimize, readConnection, setNodeStatus } from './rig.ts';

let rig: NetworkRig;
beforeAll(async () => {
  rig = await openNetworkRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const run = (input: Readonly<Record<string, unknown>>) => rig.field(alice, optimize, { input });
const square = () =>
  rig.open('abcd', [
    ['ab', { capacityMbps: 10, latencyMs: 1 }],
    ['bd', { capacityMbps: 10, latencyMs: 1 }],
    ['ac', { capacityMbps: 10, latencyMs: 2 }],
    ['cd', { capacityMbps: 10, latencyMs: 2 }],
  ]);

describe('route optimisation', () => {
  test('spreads a matrix, reaches the bound, and keeps what it found', async () => {
    const net = await square();
    const demands = Array.from({ length: 4 }, () => ({ source: net.id('a'), target: net.id('d'), mbps: 3 }));
    const { optimization, userErrors } = await run({ networkId: net.networkId, demands, goals: { latency: 0 } });
    expect(userErrors).toEqual([]);
    expect(optimization).toMatchObject({
      before: { maxUtilization: 1.2, unroutedMbps: 0 },
      after: { maxUtilization: 0.6, unroutedMbps: 0 },
      boundIsTight: true,
      optimal: true,
      infeasibility: null,
      appliedAt: null,
    });
    expect(Number(optimization!['lowerBound'])).toBeCloseTo(0.6, 6);
    expect(optimization!['changes']!.length).toBe(2);
    const kept = await rig.field(
      alice,
      'query ($id: ID!) { networkOptimization(runId: $id) { after { maxUtilization } inputsHash } }',
      { id: optimization!['runId'] },
    );
    expect(kept).toMatchObject({ after: { maxUtilization: 0.6 } });
    const again = await run({ networkId: net.networkId, demands, goals: { latency: 0 } });
    const { runId: _one, ...rest } = optimization as unknown as Record<string, unknown>;
    expect(again['optimization']).toMatchObject(rest);
  });

  test('demands that do not fit are answered with the cut that proves it', async () => {
    const net = await square();
    const { optimization, userErrors } = await run({
      networkId: net.networkId,
      demands: [{ source: net.id('a'), target: net.id('d'), mbps: 25 }],
    });
    expect(userErrors!.map(({ code, message }) => [code, message])).toEqual([
      ['INFEASIBLE_DEMANDS', 'demands of 25 Mbps have to cross a cut of 20'],
    ]);
    const infeasibility = optimization!['infeasibility']!;
    expect(infeasibility).toMatchObject({ kind: 'CUT', prices: [], capacityMbps: 20, demandedMbps: 25, demands: [0] });
    expect(infeasibility['linkIds']!.length).toBe(2);
    expect(optimization!['feasibility']).toBe('INFEASIBLE');
  });

  test('a demand that no way is quick enough for is answered with the quickest', async () => {
    const net = await rig.open('abc', [
      ['ab', { capacityMbps: 10, latencyMs: 4 }],
      ['bc', { capacityMbps: 10, latencyMs: 4 }],
    ]);
    const demands = [{ source: net.id('a'), target: net.id('c'), mbps: 1, maxLatencyMs: 7 }];
    const { optimization, userErrors } = await run({ networkId: net.networkId, demands });
    expect(userErrors!.map(({ code, message }) => [code, message])).toEqual([
      ['INFEASIBLE_DEMANDS', 'the quickest way of a demand takes 8 ms, it may take 7'],
    ]);
    expect(optimization).toMatchObject({
      feasibility: 'INFEASIBLE',
      infeasibility: {
        ...{ kind: 'LATENCY', latencyMs: 8, maxLatencyMs: 7, capacityMbps: 10, demandedMbps: 1, demands: [0] },
        nodeIds: ['a', 'b', 'c'].map((name) => net.id(name)),
      },
    });
  });

  test('demands that exceed no cut and still do not fit come with the prices of links that prove it', async () => {
    // Two nodes joined to each of three others (Okamura and Seymour 1981): four demands take two links each, eight of six.
    const net = await rig.open(
      'xyabc',
      ['xa', 'xb', 'xc', 'ya', 'yb', 'yc'].map((ends) => [ends, { capacityMbps: 10 }]),
    );
    const demands = ['xy', 'ab', 'bc', 'ac'].map((ends) => ({
      ...{ source: net.id(ends[0]!), target: net.id(ends[1]!), mbps: 10 },
    }));
    const { optimization, userErrors } = await run({ networkId: net.networkId, demands });
    const infeasibility = optimization!['infeasibility']!;
    expect(infeasibility).toMatchObject({ kind: 'PRICES', nodeIds: [], demands: [0, 1, 2, 3] });
    expect([infeasibility['linkIds']!.length, infeasibility['prices']!.length]).toEqual([6, 6]);
    // Anybody can check it: each demand pays for two links.
    const prices = infeasibility['prices']!.map(Number);
    expect(10 * prices.reduce((sum, price) => sum + price, 0)).toBeCloseTo(Number(infeasibility['capacityMbps']), 6);
    expect(Number(infeasibility['demandedMbps'])).toBeCloseTo(10 * 4 * 2 * Math.min(...prices), 6);
    expect(Number(infeasibility['demandedMbps'])).toBeGreaterThan(Number(infeasibility['capacityMbps']));
    expect(userErrors!.map(({ code, message }) => [code, String(message).replace(/[\d.]+/g, '#')])).toEqual([
      ['INFEASIBLE_DEMANDS', 'by the prices of links demands take # Mbps at least, all links together have #'],
    ]);
    expect(optimization).toMatchObject({ feasibility: 'INFEASIBLE', boundKind: 'LINEAR_PROGRAM', boundIsTight: true });
  });

  test('demands that nothing joins, and those that fit on no single path, are proved too', async () => {
    const net = await rig.open('abcd', [
      ['ab', { capacityMbps: 10 }],
      ['bd', { capacityMbps: 10 }],
      ['ac', { capacityMbps: 10 }],
      ['cd', { capacityMbps: 10 }],
    ]);
    const demand = (mbps: number) => ({ source: net.id('a'), target: net.id('d'), mbps });
    const wide = await run({ networkId: net.networkId, demands: [demand(15)] });
    expect(wide['optimization']).toMatchObject({
      ...{ feasibility: 'INFEASIBLE', boundKind: 'ONE_PATH', lowerBound: 1.5 },
      infeasibility: { kind: 'ONE_PATH', capacityMbps: 10, demandedMbps: 15 },
    });
    expect(codes(wide)).toEqual(['INFEASIBLE_DEMANDS']);
    await rig.field(alice, setNodeStatus, { networkId: net.networkId, nodeId: net.id('b'), status: 'INACTIVE' });
    await rig.field(alice, setNodeStatus, { networkId: net.networkId, nodeId: net.id('c'), status: 'INACTIVE' });
    const parted = await run({ networkId: net.networkId, demands: [demand(1)] });
    expect(parted['optimization']).toMatchObject({
      feasibility: 'INFEASIBLE',
      infeasibility: { kind: 'CUT', capacityMbps: 0, demandedMbps: 1, demands: [0] },
      unrouted: [{ demand: 0, mbps: 1 }],
    });
    expect(codes(parted)).toEqual(['INFEASIBLE_DEMANDS']);
  });

  test('what fits is told apart from what fits only if it is split', async () => {
    const net = await square();
    const demands = (mbps: number) =>
      Array.from({ length: 3 }, () => ({ source: net.id('a'), target: net.id('d'), mbps }));
    const of = async (mbps: number) =>
      (await run({ networkId: net.networkId, demands: demands(mbps) }))['optimization']!['feasibility'];
    expect([await of(5), await of(6)]).toEqual(['FEASIBLE', 'SPLIT_ONLY']);
  });

  test('moves open connections where it is asked to, within what the links have', async () => {
    const net = await square();
    // Interactive holds 3.6 of 10 on each link.
    const ids: string[] = [];
    for (const bandwidthMbps of [1.2, 1.2, 1.2])
      ids.push(
        String(
          (await rig.connect(net.networkId, net.id('a'), net.id('d'), { requirements: { bandwidthMbps } }))[
            'connection'
          ]!['id'],
        ),
      );
    const dry = await run({ networkId: net.networkId, goals: { latency: 0 } });
    expect(dry['optimization']!['changes']!.map(({ connectionId }) => ids.includes(String(connectionId)))).toEqual([
      true,
    ]);
    const applied = await run({ networkId: net.networkId, goals: { latency: 0 }, apply: true });
    expect(codes(applied)).toEqual([]);
    expect(applied['optimization']!['appliedAt']).not.toBe(null);
    const moved = String(applied['optimization']!['changes']!.map(({ connectionId }) => connectionId)[0 as never]);
    const ways = await Promise.all(
      ids.map(async (id) => net.wayOf((await rig.field(alice, readConnection, { id }))['path']!)),
    );
    expect(ways[ids.indexOf(moved)]).toBe('acd');
    expect(ways.filter((way) => way === 'abd').length).toBe(2);
    expect(await rig.reserved(net.networkId)).toEqual(await rig.held(net.networkId));
    expect(rig.events.some(({ type, data }) => type === 'connection.rerouted' && data['optimized'] === true)).toBe(
      true,
    );
  });

  test('what makes no sense is refused', async () => {
    const net = await square();
    const demand = { source: net.id('a'), target: net.id('d'), mbps: 1 };
    const refused = async (input: Readonly<Record<string, unknown>>) =>
      codes(await run({ networkId: net.networkId, ...input }));
    expect(await refused({ demands: [demand], apply: true })).toEqual(['VALIDATION_FAILED']);
    expect(await refused({ demands: [{ ...demand, target: net.id('a') }] })).toEqual(['VALIDATION_FAILED']);
    expect(await refused({ demands: [{ ...demand, target: net.networkId }] })).toEqual(['NOT_FOUND']);
    expect(await refused({ demands: [{ ...demand, mbps: 0 }] })).toEqual(['VALIDATION_FAILED']);
    expect(await refused({ timeBudgetMs: 1 })).toEqual(['VALIDATION_FAILED']);
    expect(await refused({ goals: { latency: 0, throughput: 0, balance: 0, cost: 0 } })).toEqual(['VALIDATION_FAILED']);
  });

  test('the k shortest ways, and the way of a connection to be', async () => {
    const net = await square();
    const args = { id: net.networkId, source: net.id('a'), target: net.id('d') };
    const ways = await rig.field(
      alice,
      'query ($id: ID!, $source: ID!, $target: ID!) { kShortestPaths(networkId: $id, source: $source, target: $target, k: 5) { hops { nodeId nextHop } metrics { latencyMs } } }',
      args,
    );
    expect(ways.map((way) => [net.wayOf(way['hops']!), way['metrics']!['latencyMs']])).toEqual([
      ['abd', 2],
      ['acd', 4],
    ]);
    const route = await rig.field(
      alice,
      'query ($id: ID!, $source: ID!, $target: ID!) { networkRoute(networkId: $id, source: $source, target: $target, requirements: { bandwidthMbps: 3.6 }) { residualMbps hops { nodeId nextHop } backup { nodeId nextHop } } }',
      args,
    );
    expect([net.wayOf(route['hops']!), net.wayOf(route['backup']!), route['residualMbps']]).toEqual([
      'abd',
      'acd',
      3.6,
    ]);
  });

  test('an analysis tells what would be, and changes nothing', async () => {
    const net = await rig.open('abcd', [['ab'], ['bc'], ['cd']]);
    const analyse = (whatIf: unknown) =>
      rig.field(
        alice,
        'query ($id: ID!, $whatIf: NetworkChangeInput) { networkAnalysis(networkId: $id, whatIf: $whatIf) { components bridges { linkId pairsLost } cutNodes { nodeId pairsLost } minimumCut { weight } singleFailures { kind id pairsLost } survivableShare healthScore recommendations { kind nodeIds gain } } }',
        { id: net.networkId, whatIf },
      );
    const line = await analyse(null);
    expect(line).toMatchObject({ components: 1, minimumCut: { weight: 1 } });
    expect(line['bridges']!.map(({ linkId, pairsLost }) => [linkId, pairsLost])).toEqual([
      [net.link('bc'), 4],
      [net.link('ab'), 3],
      [net.link('cd'), 3],
    ]);
    expect(
      line['cutNodes']!.map(({ nodeId }) => nodeId)
        .map(String)
        .sort(),
    ).toEqual([net.id('b'), net.id('c')].sort());
    // The best single link closes the ring: no failure parts anybody any more.
    expect(line['recommendations']![0 as never]).toMatchObject({ kind: 'ADD_LINK', gain: 14 });
    const ring = await analyse({ addLinks: [{ sourceId: net.id('d'), targetId: net.id('a') }] });
    expect(ring).toMatchObject({ bridges: [], cutNodes: [], minimumCut: { weight: 2 }, survivableShare: 1 });
    const parted = await analyse({ removeLinks: [net.link('bc')] });
    expect(parted).toMatchObject({ components: 2 });
    await expect(analyse({ removeNodes: [net.networkId] })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(await analyse(null)).toEqual(line);
  });
});

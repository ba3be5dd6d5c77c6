import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { alice, codes, type NetworkRig, openNetworkRig, optimize, readConnection, terminate } from './rig.ts';

let rig: NetworkRig;
beforeAll(async () => {
  rig = await openNetworkRig();
  await rig.start();
});
afterAll(() => rig[Symbol.asyncDispose]());

const close = (id: string) => rig.field(alice, terminate, { id });

describe('the disruption that a caller bears', () => {
  /** Six connections on one way of a square, of which three had better be on the other. */
  async function crowded(input: Readonly<Record<string, unknown>> = {}) {
    const net = await rig.open(
      'abcd',
      [
        ['ab', { capacityMbps: 10, latencyMs: 1 }],
        ['bd', { capacityMbps: 10, latencyMs: 1 }],
        ['ac', { capacityMbps: 10, latencyMs: 2 }],
        ['cd', { capacityMbps: 10, latencyMs: 2 }],
      ],
      input,
    );
    const ids: string[] = [];
    for (let at = 0; at < 6; at += 1) {
      const { connection } = await rig.connect(net.networkId, net.id('a'), net.id('d'), {
        requirements: { bandwidthMbps: 0.6 },
      });
      ids.push(String(connection!['id']));
    }
    const input6 = { networkId: net.networkId, goals: { latency: 0 } };
    const waysOf = async () =>
      (await Promise.all(ids.map(async (id) => net.wayOf((await rig.field(alice, readConnection, { id }))['path']!))))
        .sort()
        .join(' ');
    return {
      ...net,
      ids,
      waysOf,
      ask: (more: object) => rig.field(alice, optimize, { input: { ...input6, ...more } }),
    };
  }

  test('bounds the search: as many move as its share of the demands is, and those as well as so many can', async () => {
    const net = await crowded();
    const maxOf = async (more: object) => {
      const { optimization, userErrors } = await net.ask(more);
      expect(userErrors).toEqual([]);
      return [optimization!['changes']!.length, Number(optimization!['after']!['maxUtilization'])] as const;
    };
    const utilization = [6, 5, 4, 3].map((left) => (left * 0.6) / 8);
    for (const [disruptionTolerance, moved] of [
      [0, 0],
      [0.16, 0],
      [0.17, 1],
      [0.34, 2],
      [0.5, 3],
      [1, 3],
    ] as const) {
      const [count, max] = await maxOf({ disruptionTolerance });
      expect([disruptionTolerance, count]).toEqual([disruptionTolerance, moved]);
      expect(max).toBeCloseTo(utilization[moved!]!, 9);
    }
    // The smaller of two bounds counts.
    expect((await maxOf({ disruptionTolerance: 0.5, maxMoves: 1 }))[0]).toBe(1);
    expect((await maxOf({ disruptionTolerance: 0.17, maxMoves: 3 }))[0]).toBe(1);
    // A third of three demands is one of them.
    const demands = Array.from({ length: 3 }, () => ({ source: net.id('a'), target: net.id('d'), mbps: 3 }));
    expect((await maxOf({ demands, disruptionTolerance: 1 / 3 }))[0]).toBe(1);
    const { optimization } = await net.ask({ disruptionTolerance: 0.34, apply: true });
    expect(optimization).toMatchObject({ state: 'APPLIED', movesMade: 2, movesDropped: 0 });
    expect(await net.waysOf()).toBe('abd abd abd abd acd acd');
  });

  test('counts for those that are open when they are moved', async () => {
    const net = await crowded();
    const dry = await net.ask({ disruptionTolerance: 0.5 });
    const movers = dry['optimization']!['changes']!.map(({ connectionId }) => String(connectionId));
    expect(movers.length).toBe(3);
    // Half of six may move; of the two that are left, both of which were to, one.
    const { optimization } = await rig.inBetween(
      async () => {
        for (const id of net.ids.filter((one) => one === movers[0] || !movers.includes(one))) await close(id);
      },
      () => net.ask({ disruptionTolerance: 0.5, apply: true }),
    );
    expect(optimization).toMatchObject({ state: 'APPLIED', movesMade: 1, movesDropped: 2 });
  });

  test('keeps a run under what the network bears without anybody being asked', async () => {
    const net = await crowded({ approval: { approvers: ['olga'], disruptionTolerance: 0.34 } });
    const small = await net.ask({ disruptionTolerance: 0.34, apply: true });
    expect(small['optimization']).toMatchObject({ state: 'APPLIED', movesMade: 2 });
    const other = await crowded({ approval: { approvers: ['olga'], disruptionTolerance: 0.34 } });
    const large = await other.ask({ apply: true });
    expect(large['optimization']).toMatchObject({ state: 'WAITING', movesMade: 0, changes: [{}, {}, {}] });
  });

  test('is a share', async () => {
    const net = await crowded();
    for (const disruptionTolerance of [-0.1, 1.1])
      expect(codes(await net.ask({ disruptionTolerance }))).toEqual(['VALIDATION_FAILED']);
    const runs = await rig.sql`SELECT id FROM network.run WHERE network_id = ${net.networkId}`;
    expect(runs.length).toBe(0);
  });
});

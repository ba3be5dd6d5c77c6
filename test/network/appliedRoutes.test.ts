import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newId } from '#shared/ids.ts';
import { alice, codes, type Json, type NetworkRig, openNetworkRig, optimize, setNodeStatus, terminate } from './rig.ts';

let rig: NetworkRig;
beforeAll(async () => {
  rig = await openNetworkRig();
  await rig.start();
});
afterAll(() => rig[Symbol.asyncDispose]());

const trafficClasses = ['REAL_TIME', 'INTERACTIVE', 'BULK', 'MANAGEMENT'] as const;
type TrafficClass = (typeof trafficClasses)[number];

interface Opening {
  readonly from: number;
  readonly shift: number;
  readonly mbps: number;
  readonly trafficClass: TrafficClass;
  readonly failover?: boolean;
}

interface Goals {
  readonly latency: number;
  readonly balance: number;
  readonly throughput: number;
  readonly cost: number;
}

interface Standing {
  readonly maxUtilization: number;
  readonly meanLatencyMs: number;
  readonly cost: number;
  readonly connections: number;
}

/** The figures that goals are about, of all open connections, out of the stored rows alone. */
async function standing(networkId: string): Promise<Standing> {
  const [row] = await rig.sql<Standing[]>`
    WITH usable AS (SELECT l.id, l.capacity_kbps * (1 - (n.config->>'reserveShare')::float8) AS kbps, l.latency_ms, l.cost_per_gb
      FROM network.link l JOIN network.network n ON n.tenant_id = l.tenant_id AND n.id = l.network_id WHERE l.network_id = ${networkId}),
    held AS (SELECT c.id, c.bandwidth_kbps, u.* FROM network.connection c CROSS JOIN LATERAL unnest(c.link_ids) AS way(link_id)
      JOIN usable u (link_id, kbps, latency_ms, cost_per_gb) ON u.link_id = way.link_id
      WHERE c.network_id = ${networkId} AND c.closed_at IS NULL AND c.bandwidth_kbps > 0)
    SELECT coalesce((SELECT max(load / kbps) FROM (SELECT sum(bandwidth_kbps)::float8 AS load, floor(kbps + 1e-6) AS kbps FROM held GROUP BY link_id, kbps) AS l), 0)::float8 AS "maxUtilization",
      coalesce(sum(bandwidth_kbps * latency_ms) / nullif((SELECT sum(bandwidth_kbps) FROM network.connection WHERE network_id = ${networkId} AND closed_at IS NULL), 0), 0)::float8 AS "meanLatencyMs",
      coalesce(sum(bandwidth_kbps / 1000.0 * cost_per_gb), 0)::float8 AS cost, count(DISTINCT id)::int AS connections FROM held`;
  return row!;
}

/** As `NetworkGoalsInput` says: each figure relative to what it was, weighted; all of these connections have a way. */
function scoreOf(goals: Goals, now: Standing, before: Standing): number {
  const relative = (value: number, was: number) => (was > 0 ? value / was : value);
  return (
    goals.balance * relative(now.maxUtilization, before.maxUtilization) +
    goals.latency * relative(now.meanLatencyMs, before.meanLatencyMs) +
    goals.cost * relative(now.cost, before.cost)
  );
}

/** Nothing is reserved but what open connections hold, and nothing past what a link leaves its classes. */
async function expectWithinLimits(networkId: string) {
  expect(await rig.reserved(networkId)).toEqual(await rig.held(networkId));
  const over = await rig.sql`
    SELECT l.id FROM network.link l JOIN network.network n ON n.tenant_id = l.tenant_id AND n.id = l.network_id
    CROSS JOIN LATERAL (SELECT floor(l.capacity_kbps * (1 - (n.config->>'reserveShare')::float8) + 1e-6) AS usable, (n.config->>'burst')::float8 AS burst, n.config->'classShares' AS shares) AS u
    WHERE l.network_id = ${networkId} AND (
      l.reserved_real_time + l.reserved_interactive + l.reserved_bulk + l.reserved_management > usable
      OR l.reserved_real_time > least(usable, floor(usable * (shares->>'realTime')::float8 * burst + 1e-6))
      OR l.reserved_interactive > least(usable, floor(usable * (shares->>'interactive')::float8 * burst + 1e-6))
      OR l.reserved_bulk > least(usable, floor(usable * (shares->>'bulk')::float8 * burst + 1e-6))
      OR l.reserved_management > least(usable, floor(usable * (shares->>'management')::float8 * burst + 1e-6)))`;
  expect(over).toEqual([]);
}

const names = 'abcdef';
/** A ring with chords: always joined, with several ways between any two, each link of its own small capacity. */
const figures = fc.record({
  capacityMbps: fc.integer({ min: 4, max: 14 }),
  latencyMs: fc.integer({ min: 1, max: 9 }),
  costPerGb: fc.integer({ min: 0, max: 3 }),
});
const networks = fc.record({
  ring: fc.array(figures, { minLength: names.length, maxLength: names.length }),
  chords: fc.uniqueArray(fc.tuple(fc.constantFrom('ac', 'bd', 'ce', 'df', 'ad', 'be'), figures), {
    selector: ([ends]) => ends,
    minLength: 2,
    maxLength: 5,
  }),
});
const openings = (bounds: { readonly minLength: number; readonly maxLength: number }) =>
  fc.array(
    fc.record({
      from: fc.nat(names.length - 1),
      shift: fc.integer({ min: 1, max: names.length - 1 }),
      mbps: fc.integer({ min: 2, max: 30 }).map((tenths) => tenths / 10),
      trafficClass: fc.constantFrom(...trafficClasses),
      failover: fc.boolean(),
    }),
    bounds,
  );
const goalsOf = fc.constantFrom<Goals>(
  { latency: 0, balance: 1, throughput: 1, cost: 0 },
  { latency: 0.2, balance: 1, throughput: 1, cost: 0 },
  { latency: 1, balance: 0.2, throughput: 1, cost: 0.5 },
);

const openNetwork = (
  { ring, chords }: Parameters<Parameters<typeof networks.map>[0]>[0],
  input: Readonly<Record<string, unknown>> = {},
) =>
  rig.open(
    names,
    [
      ...ring.map((one, at) => [names[at]! + names[(at + 1) % names.length]!, one] as const),
      ...chords.map(([ends, one]) => [ends, one] as const),
    ],
    { ...input },
  );
type Net = Awaited<ReturnType<typeof openNetwork>>;

/** Opens what still fits. */
async function connect(
  net: Net,
  { from, shift, mbps, trafficClass, failover = false }: Opening,
): Promise<string | null> {
  const { connection } = await rig.connect(
    net.networkId,
    net.id(names[from]!),
    net.id(names[(from + shift) % names.length]!),
    { requirements: { bandwidthMbps: mbps, failoverSupport: failover }, trafficClass },
  );
  return connection === null ? null : String(connection!['id']);
}
const close = (id: string) => rig.field(alice, terminate, { id });
async function fill(net: Net, list: readonly Opening[]): Promise<string[]> {
  const ids: (string | null)[] = [];
  for (const one of list) ids.push(await connect(net, one));
  return ids.filter((id) => id !== null);
}

const readRun = `query ($id: ID!) { networkOptimization(runId: $id) { state refusal movesMade movesDropped changes { connectionId }
  before { maxUtilization meanLatencyMs transportCost } after { maxUtilization meanLatencyMs transportCost } } }`;
const shownRun = (id: unknown): Promise<Json> => rig.field(alice, readRun, { id });

/** That the answer tells what was really done, and that it is never worse than what stood before. */
async function expectSettled(
  run: Json,
  { networkId, goals, before }: { readonly networkId: string; readonly goals: Goals; readonly before: Standing },
) {
  const after = await standing(networkId);
  expect(after.connections).toBe(before.connections);
  const isMade = Number(run['movesMade']) > 0;
  expect([String(run['state']), isMade]).toEqual([isMade ? 'APPLIED' : 'REFUSED', isMade]);
  if (isMade) expect(scoreOf(goals, after, before)).toBeLessThan(scoreOf(goals, before, before));
  else expect(after).toEqual(before);
  expect(run['changes']!.length).toBe(Number(run['movesMade']));
  for (const [told, is] of [
    [run['before']!, before],
    [run['after']!, after],
  ] as const) {
    expect(Number(told['maxUtilization'])).toBeCloseTo(is.maxUtilization, 6);
    expect(Number(told['meanLatencyMs'])).toBeCloseTo(is.meanLatencyMs, 6);
    expect(Number(told['transportCost'])).toBeCloseTo(is.cost, 6);
  }
  await expectWithinLimits(networkId);
}

/** Of all runs of a property: it says nothing where every run went one way. */
const seen = () => ({ made: 0, dropped: 0, partly: 0, refused: 0 });
function count(totals: ReturnType<typeof seen>, run: Json) {
  const [made, dropped] = [Number(run['movesMade']), Number(run['movesDropped'])];
  totals.made += Number(made > 0);
  totals.dropped += Number(dropped > 0);
  totals.partly += Number(made > 0 && dropped > 0);
  totals.refused += Number(made === 0);
}

describe('moves that are really made', () => {
  test('property: whatever takes bandwidth between computing and applying, the network is never worse than just before', async () => {
    const totals = seen();
    await fc.assert(
      fc.asyncProperty(
        networks,
        openings({ minLength: 6, maxLength: 16 }),
        openings({ minLength: 0, maxLength: 6 }),
        fc.array(fc.nat(15), { maxLength: 2 }),
        goalsOf,
        async (drawn, first, later, closing, goals) => {
          const net = await openNetwork(drawn);
          const ids = await fill(net, first);
          let before: Standing | null = null;
          const payload = await rig.inBetween(
            async () => {
              for (const at of closing) if (ids[at] !== undefined) await close(ids[at]);
              await fill(net, later);
              before = await standing(net.networkId);
            },
            () =>
              rig.field(alice, optimize, {
                input: { networkId: net.networkId, goals, apply: true, timeBudgetMs: 2_000 },
              }),
          );
          expect(codes(payload).filter((code) => code !== 'INFEASIBLE_DEMANDS')).toEqual([]);
          const run = await shownRun(payload['optimization']!['runId']);
          // Where nothing better was found there is nothing to apply.
          if ((run['state'] as unknown) === 'COMPUTED') return;
          count(totals, run);
          await expectSettled(run, { networkId: net.networkId, goals, before: before! });
        },
      ),
      { numRuns: 20, seed: 11 },
    );
    expect(Object.entries(totals).filter(([, runs]) => runs === 0)).toEqual([]);
  });

  test('property: nor where people are asked, and the network goes on until they have answered', async () => {
    const totals = seen();
    await fc.assert(
      fc.asyncProperty(
        networks,
        openings({ minLength: 6, maxLength: 16 }),
        openings({ minLength: 0, maxLength: 8 }),
        fc.array(fc.nat(15), { maxLength: 3 }),
        goalsOf,
        async (drawn, first, later, closing, goals) => {
          const net = await openNetwork(drawn, { approval: { approvers: ['olga'] } });
          const { networkId } = net;
          const ids = await fill(net, first);
          const input = { networkId, goals, apply: true, timeBudgetMs: 2_000 };
          const { optimization } = await rig.field(alice, optimize, { input });
          const runId = optimization!['runId'];
          const asked = await shownRun(runId);
          if ((asked['state'] as unknown) !== 'WAITING') return;
          expect(asked['movesMade']).toBe(0);
          for (const at of closing) if (ids[at] !== undefined) await close(ids[at]);
          await fill(net, later);
          const before = await standing(networkId);
          const request = rig.events.findLast(
            ({ type, streamId }) => type === 'approval.requested' && streamId === networkId,
          )!.data['approval'] as Record<string, unknown>;
          const { reference, targetId, targetType } = request;
          expect(request['subject']).toMatchObject({ moves: asked['changes']!.length });
          const confirm = { id: newId(), requestEventId: newId(), status: 'approved', targetType, targetId, reference };
          await rig.tell('confirm', 'confirm.resolved', { confirm });
          const run = await shownRun(runId);
          count(totals, run);
          await expectSettled(run, { networkId, goals, before });
        },
      ),
      { numRuns: 20, seed: 12 },
    );
    expect(Object.entries(totals).filter(([, runs]) => runs === 0)).toEqual([]);
  });

  test('property: with connections that come and go while it is applied, no link is past its limits and the answer is no worse', async () => {
    await fc.assert(
      fc.asyncProperty(
        networks,
        openings({ minLength: 6, maxLength: 14 }),
        openings({ minLength: 2, maxLength: 8 }),
        fc.array(fc.nat(13), { maxLength: 3 }),
        async (drawn, first, later, closing) => {
          const net = await openNetwork(drawn);
          const ids = await fill(net, first);
          let going: Promise<unknown> = Promise.resolve();
          const { optimization } = await rig.inBetween(
            async () => {
              going = Promise.all([
                ...later.map((one) => connect(net, one)),
                ...[...new Set(closing)].flatMap((at) => (ids[at] === undefined ? [] : [close(ids[at])])),
              ]);
            },
            () =>
              rig.field(alice, optimize, {
                input: { networkId: net.networkId, goals: { latency: 0 }, apply: true, timeBudgetMs: 2_000 },
              }),
          );
          await going;
          const { before, after } = optimization!;
          expect(Number(after!['maxUtilization'])).toBeLessThanOrEqual(Number(before!['maxUtilization']) + 1e-9);
          await expectWithinLimits(net.networkId);
        },
      ),
      { numRuns: 15 },
    );
  });

  test('what has no room when it comes to it is left out, and told', async () => {
    const net = await rig.open('abcd', [
      ['ab', { capacityMbps: 10, latencyMs: 1 }],
      ['bd', { capacityMbps: 10, latencyMs: 1 }],
      ['ac', { capacityMbps: 10, latencyMs: 2 }],
      ['cd', { capacityMbps: 10, latencyMs: 2 }],
    ]);
    const open = (requirements: object, ends = 'ad') =>
      rig.connect(net.networkId, net.id(ends[0]!), net.id(ends[1]!), { requirements });
    for (const bandwidthMbps of [1.2, 1.2, 1.2]) await open({ bandwidthMbps });
    const asked = { networkId: net.networkId, goals: { latency: 0 }, apply: true };
    // Interactive may hold 3.6 of 10: what takes 3 of the other way meanwhile leaves none of the three its 1.2.
    const { optimization } = await rig.inBetween(
      async () => expect(codes(await open({ bandwidthMbps: 3 }, 'ac'))).toEqual([]),
      () => rig.field(alice, optimize, { input: asked }),
    );
    expect(optimization).toMatchObject({
      ...{ state: 'REFUSED', appliedAt: null, movesMade: 0, movesDropped: 1, changes: [] },
      refusal: 'the network has changed since its routes were computed: the moves that are left make it no better',
      before: { maxUtilization: expect.closeTo(0.45, 9) },
      after: { maxUtilization: expect.closeTo(0.45, 9) },
    });
    await expectWithinLimits(net.networkId);
  });

  test('what a network has become meanwhile decides: ways over what is down are not taken, others are', async () => {
    const run = async (act: (net: Net) => Promise<unknown>) => {
      const net = await rig.open('abcde', [
        ['ab', { capacityMbps: 10, latencyMs: 1 }],
        ['bd', { capacityMbps: 10, latencyMs: 1 }],
        ['ac', { capacityMbps: 10, latencyMs: 2 }],
        ['cd', { capacityMbps: 10, latencyMs: 2 }],
        ['de', { capacityMbps: 10, latencyMs: 1 }],
      ]);
      for (let at = 0; at < 2; at += 1)
        await rig.connect(net.networkId, net.id('a'), net.id('d'), { requirements: { bandwidthMbps: 1.2 } });
      const { optimization, userErrors } = await rig.inBetween(
        async () => void (await act(net)),
        () => rig.field(alice, optimize, { input: { networkId: net.networkId, goals: { latency: 0 }, apply: true } }),
      );
      expect(userErrors).toEqual([]);
      await expectWithinLimits(net.networkId);
      return optimization!;
    };
    const down = (name: string) => (net: Net) =>
      rig.field(alice, setNodeStatus, { networkId: net.networkId, nodeId: net.id(name), status: 'UNREACHABLE' });
    expect(await run(down('c'))).toMatchObject({
      ...{ state: 'REFUSED', movesMade: 0, movesDropped: 1, changes: [] },
      refusal: 'the network has changed since its routes were computed: none of the moves can be made any more',
    });
    expect(await run(down('e'))).toMatchObject({ state: 'APPLIED', movesMade: 1, movesDropped: 0 });
  });
});

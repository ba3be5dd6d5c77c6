import { expect, test } from 'vitest';
import { describeMachine } from '../../perf/machine.ts';
import { summariseDatabase } from '../../perf/peers/database/databaseReport.ts';
import type { Window } from '../../perf/peers/measure.ts';
import { median, summarise } from '../../perf/peers/ratios.ts';
import { renderPeers } from '../../perf/peers/report.ts';

const windowOf = (peer: string, round: number, requestsPerSecond: number, peerCpuUs: number): Window => ({
  ...{ peer, round, requestsPerSecond, peerCpuUs },
  operation: 'light',
  p50Ms: 1_000 / requestsPerSecond,
  p99Ms: 5,
  subgraphCpuUs: 100,
});

// The machine is twice as slow in the second round, for both.
const windows = [
  windowOf('ours-http', 0, 1_000, 300),
  windowOf('apollo', 0, 400, 700),
  windowOf('apollo', 1, 200, 1_500),
  windowOf('ours-http', 1, 500, 700),
  windowOf('apollo', 2, 380, 900),
  windowOf('ours-http', 2, 1_000, 300),
];

test('the median of an even number of values lies between two', () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 3, 2])).toBe(2.5);
  expect(() => median([])).toThrow('expected at least one value');
});

test('ratios are those of one round, whatever the machine did in others', () => {
  const [ours, apollo] = summarise(windows, ['ours-http']);
  expect(ours).toMatchObject({ peer: 'ours-http', requestsPerSecond: 1_000, rateRatio: { 'ours-http': 1 } });
  // 0.4, 0.4 and 0.38 of the rate; 800/400, 1600/800 and 1000/400 of the CPU.
  expect(apollo).toMatchObject({ requestsPerSecond: 380, wholeCpuUs: 1_000, cpuRatio: { 'ours-http': 2 } });
  expect(apollo!.rateRatio['ours-http']).toBeCloseTo(0.4, 10);
});

test('a baseline that was not measured has no ratio', () => {
  const [apollo] = summarise(
    windows.filter(({ peer }) => peer === 'apollo'),
    ['ours-http'],
  );
  expect(apollo!.rateRatio).toEqual({});
});

test('the report says what ran, and whose keys came in another order', () => {
  const text = renderPeers({
    at: '2026-01-01T00:00:00.000Z',
    commit: 'abc1234',
    machine: describeMachine(),
    settings: { rounds: 3, concurrency: 16, warmupSeconds: 1, durationSeconds: 4 },
    versions: { '@apollo/gateway': '2.14.4' },
    database: null,
    fanOut: [
      {
        load: { sockets: 200, burst: 10, everyMs: 100, bursts: 60, rounds: 2 },
        windows: [
          { kind: 'ours', round: 0, cpuUsPerDelivery: 2, p50Ms: 1, p99Ms: 3, clientCpuUsPerDelivery: 4 },
          { kind: 'graphql-ws', round: 0, cpuUsPerDelivery: 40, p50Ms: 5, p99Ms: 9, clientCpuUsPerDelivery: 4 },
          { kind: 'graphql-ws', round: 1, cpuUsPerDelivery: 80, p50Ms: 5, p99Ms: 9, clientCpuUsPerDelivery: 4 },
          { kind: 'ours', round: 1, cpuUsPerDelivery: 4, p50Ms: 1, p99Ms: 3, clientCpuUsPerDelivery: 4 },
        ],
      },
    ],
    tables: [
      { authentication: 'opaque', windows, equality: { 'ours-http': { light: 'bytes' }, apollo: { light: 'order' } } },
    ],
  });
  expect(text).toContain('| Apollo Gateway, stock | 380 | 2.63 | 5 | 900 | 1,000 | 0.40 | 2.00 |  |  |');
  expect(text).toContain('| Apollo Gateway, stock | 0.40, 2.00 |  |  |');
  expect(text).toContain('but for the order of keys in those of Apollo Gateway, stock (light)');
  expect(text).toContain('- ours, subgraphs over HTTP: Fastify, the plans of ApolloGateway’s planner');
  expect(text).toContain('10 messages at one moment every 100 ms, 60 times, to 200 sockets');
  expect(text).not.toContain('pgbench');
  expect(text).toContain('| graphql-ws, stock | 60 | 5 | 9 | 20.00 |');
  expect(text).not.toContain('Mercurius');
});

test('rows of the database stand beside those of pgbench in the same round', () => {
  const rows = summariseDatabase([
    { way: 'read-pgbench', round: 0, rowsPerSecond: 20_000, databaseCpuUs: 40 },
    { way: 'read-loader', round: 0, rowsPerSecond: 60_000, databaseCpuUs: 10 },
    { way: 'write-pgbench', round: 0, rowsPerSecond: 2_000, databaseCpuUs: 90 },
    { way: 'write-group', round: 0, rowsPerSecond: 1_000, databaseCpuUs: 50 },
    { way: 'read-loader', round: 1, rowsPerSecond: 40_000, databaseCpuUs: 10 },
    { way: 'read-pgbench', round: 1, rowsPerSecond: 40_000, databaseCpuUs: 40 },
  ]);
  expect(rows.map(({ way, rateRatio }) => [way, rateRatio])).toEqual([
    ['read-pgbench', 1],
    ['read-loader', 2],
    ['write-pgbench', 1],
    ['write-group', 0.5],
  ]);
});

import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { describeMachine, readCommit } from '../machine.ts';
import { comparePeers } from './compare.ts';
import { compareDatabase, findPgbench } from './database/compareDatabase.ts';
import type { FanOutTable } from './fanOut/fanOutReport.ts';
import { type FanOutLoad, fanOutKinds, measureFanOut } from './fanOut/measureFanOut.ts';
import { installPeers, readVersions } from './install.ts';
import { peers } from './peers.ts';
import { type PeerTable, renderPeers, writePeers } from './report.ts';

const usage = `node perf/peers/run.ts               gateways side by side; report in perf/report/peers.{json,md}
  --smoke                           everything for a second: answers must be equal, nothing is written
  --peer NAME                       only this one (repeatable): ${peers.map((peer) => peer.name).join(', ')}
  --only gateways|fan-out|database  one part of it
  --rounds N --duration S           3 rounds of 4 s for each operation of each peer
  --concurrency N                   16 requests at once
  --output FOLDER                   report elsewhere`;

const { values } = parseArgs({
  options: {
    smoke: { type: 'boolean', default: false },
    peer: { type: 'string', multiple: true },
    only: { type: 'string' },
    rounds: { type: 'string', default: '3' },
    duration: { type: 'string', default: '4' },
    concurrency: { type: 'string', default: '16' },
    output: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

const parts: readonly string[] = ['gateways', 'fan-out', 'database'];

/** @throws {Error} when it is not above zero, or not whole where it must be. */
function readNumber(name: 'rounds' | 'duration' | 'concurrency'): number {
  const value = Number(values[name]);
  if (!(value > 0) || (name !== 'duration' && !Number.isInteger(value)))
    throw new Error(`expected --${name} above zero, got ${values[name]}`);
  return value;
}

/** The same messages a second, one by one and in bursts that may share a write. */
function fanOutLoads(smoke: boolean, rounds: number): readonly FanOutLoad[] {
  if (smoke) return [{ sockets: 20, burst: 5, everyMs: 20, bursts: 8, rounds: 1 }];
  return [
    { sockets: 200, burst: 1, everyMs: 10, bursts: 600, rounds },
    { sockets: 200, burst: 10, everyMs: 100, bursts: 60, rounds },
  ];
}

async function main(): Promise<void> {
  if (values.help) {
    console.log(usage);
    return;
  }
  const names = values.peer ?? peers.map((peer) => peer.name);
  const unknown = names.find((name) => !peers.some((peer) => peer.name === name));
  if (unknown !== undefined) throw new Error(`--peer: expected one of those that --help lists, got ${unknown}`);
  const { only } = values;
  if (only !== undefined && !parts.includes(only))
    throw new Error(`--only: expected one of ${parts.join(', ')}, got ${only}`);
  const isWanted = (part: string): boolean => only === undefined || only === part;
  const chosen = isWanted('gateways') ? peers.filter((peer) => names.includes(peer.name)) : [];
  const { smoke } = values;
  const settings = smoke
    ? { rounds: 1, durationSeconds: 0.5, warmupSeconds: 0.25, concurrency: 4 }
    : {
        rounds: readNumber('rounds'),
        durationSeconds: readNumber('duration'),
        warmupSeconds: 1,
        concurrency: readNumber('concurrency'),
      };
  const machine = describeMachine();
  if (chosen.some((peer) => peer.foreign)) await installPeers();
  const tables: PeerTable[] = [];
  for (const authentication of chosen.length === 0 ? [] : (['opaque', 'verified'] as const)) {
    console.log(`${authentication} tokens`);
    tables.push(await comparePeers({ ...settings, peers: chosen, authentication, log: console.log }));
  }
  const fanOut: FanOutTable[] = [];
  for (const load of isWanted('fan-out') ? fanOutLoads(smoke, settings.rounds) : [])
    fanOut.push({ load, windows: await measureFanOut(fanOutKinds, load, console.log) });
  const { rounds, durationSeconds } = settings;
  const concurrency = { read: 16, write: 64 };
  const database =
    isWanted('database') && (await findPgbench())
      ? await compareDatabase({ rounds, durationSeconds, concurrency }, console.log)
      : null;
  if (smoke) {
    const reordered = tables.flatMap(({ equality }) =>
      Object.entries(equality).flatMap(([peer, found]) => (Object.values(found).includes('order') ? [peer] : [])),
    );
    const how = reordered.length === 0 ? '' : `, but for the order of keys of ${[...new Set(reordered)].join(', ')}`;
    console.log(`smoke: every answer and every message was right, to the byte${how}`);
    return;
  }
  const report = {
    at: new Date().toISOString(),
    commit: readCommit(),
    machine,
    settings,
    versions: readVersions(),
    tables,
    fanOut,
    database,
  };
  console.log(renderPeers(report));
  // A part alone is a look at it, not the report.
  if (values.output === undefined && (only !== undefined || values.peer !== undefined)) return;
  writePeers(values.output ?? fileURLToPath(new URL('../report', import.meta.url)), report);
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});

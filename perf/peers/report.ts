import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Machine } from '../machine.ts';
import { formatNumber } from '../reporting/format.ts';
import type { Equality } from './answers.ts';
import type { AuthenticationSetup } from './authentication.ts';
import type { DatabaseTable } from './database/compareDatabase.ts';
import { renderDatabase, summariseDatabase } from './database/databaseReport.ts';
import { type FanOutTable, renderFanOut, summariseFanOut } from './fanOut/fanOutReport.ts';
import { operationNames, peerOperations } from './graph/operations.ts';
import { firstWarmup, type Window } from './measure.ts';
import { type Peer, peers } from './peers.ts';
import { type PeerRow, summarise } from './ratios.ts';

/** What ours is held against, and what the others are. */
export const baselines = ['ours-http', 'ours-in-process'] as const;

export interface PeerTable {
  readonly authentication: AuthenticationSetup['kind'];
  readonly windows: readonly Window[];
  /** By peer and operation: whether the answers were those of the reference to the byte. */
  readonly equality: Readonly<Record<string, Readonly<Record<string, Equality>>>>;
}

export interface PeersReport {
  readonly at: string;
  readonly commit: string | null;
  readonly machine: Machine;
  readonly settings: {
    readonly rounds: number;
    readonly concurrency: number;
    readonly warmupSeconds: number;
    readonly durationSeconds: number;
  };
  readonly versions: Readonly<Record<string, string>>;
  readonly tables: readonly PeerTable[];
  /** One for each way the messages came. */
  readonly fanOut: readonly FanOutTable[];
  /** Null when it was not measured, or there is no pgbench. */
  readonly database: DatabaseTable | null;
}

const titles: Readonly<Record<PeerTable['authentication'], string>> = {
  opaque: 'Opaque tokens: forwarded, not looked into',
  verified: 'Verified tokens: every peer verifies an Ed25519 JWT with the same code, none of them twice',
};

const ratio = (value: number | undefined): string => (value === undefined ? '' : value.toFixed(2));

function rowLine(row: PeerRow, titleOf: (name: string) => string): string {
  const [overHttp, inProcess] = baselines;
  return `| ${[
    titleOf(row.peer),
    formatNumber(row.requestsPerSecond),
    formatNumber(row.p50Ms),
    formatNumber(row.p99Ms),
    formatNumber(row.peerCpuUs),
    formatNumber(row.wholeCpuUs),
    ratio(row.rateRatio[overHttp]),
    ratio(row.cpuRatio[overHttp]),
    ratio(row.rateRatio[inProcess]),
    ratio(row.cpuRatio[inProcess]),
  ].join(' | ')} |`;
}

function tableText(table: PeerTable, titleOf: (name: string) => string): string {
  const rows = summarise(table.windows, baselines);
  return operationNames
    .map((operation) => {
      const lines = rows.filter((row) => row.operation === operation).map((row) => rowLine(row, titleOf));
      return `#### ${operation}: ${peerOperations[operation].title}

| | requests/s | p50 ms | p99 ms | CPU us | CPU us with subgraphs | rate : ours HTTP | CPU : ours HTTP | rate : ours in process | CPU : ours in process |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
${lines.join('\n')}`;
    })
    .join('\n\n');
}

/** The ratios of one table without the rest: peers by operations, rate and CPU of ours over HTTP. */
function shortText(table: PeerTable, titleOf: (name: string) => string): string {
  const [overHttp] = baselines;
  const byPeer = Map.groupBy(summarise(table.windows, baselines), ({ peer }) => peer);
  const lines = [...byPeer].map(([peer, rows]) => {
    const cells = operationNames.map((operation) => {
      const row = rows.find((each) => each.operation === operation);
      return row ? `${ratio(row.rateRatio[overHttp])}, ${ratio(row.cpuRatio[overHttp])}` : '';
    });
    return `| ${[titleOf(peer), ...cells].join(' | ')} |`;
  });
  return `Requests a second and CPU a request (subgraphs included) of ours over HTTP, ${table.authentication} tokens:

| | ${operationNames.join(' | ')} |
| --- | ${operationNames.map(() => '---:').join(' | ')} |
${lines.join('\n')}`;
}

function equalityText(tables: readonly PeerTable[], titleOf: (name: string) => string): string {
  const reordered = new Set(
    tables.flatMap((table) =>
      Object.entries(table.equality).flatMap(([peer, byOperation]) =>
        Object.entries(byOperation).flatMap(([operation, equality]) =>
          equality === 'order' ? [`${titleOf(peer)} (${operation})`] : [],
        ),
      ),
    ),
  );
  return reordered.size === 0
    ? 'Every answer of every peer was that of the reference (graphql-js over one schema) to the byte.'
    : `Every answer was that of the reference (graphql-js over one schema): to the byte, but for the order of keys in those of ${[...reordered].join(', ')}.`;
}

function gatewaysText({ tables, settings }: PeersReport, known: readonly Peer[]): string {
  const titleOf = (name: string): string => known.find((peer) => peer.name === name)?.title ?? name;
  const measured = new Set(tables.flatMap((table) => table.windows.map((window) => window.peer)));
  const [first] = tables;
  if (!first) return '';
  return `## Gateways

One supergraph of four subgraphs, rows in memory, the same three operations; each peer in a process of its own, the subgraphs in one that all of them ask, the clients in another, on one machine. ${settings.concurrency} requests at once in closed loops, ${settings.rounds} rounds of ${settings.durationSeconds} s after ${settings.warmupSeconds} s each (${settings.warmupSeconds * firstWarmup} s in the first), every second round in the other order; medians. Each request has another Authorization, without which the subgraphs answer nothing, so that nobody shares answers or fetches. Caches of answers are off everywhere; plans and parsed documents are kept by all. ${equalityText(tables, titleOf)} During the load every answer was compared again; one other answer ends the run.

Ratios are taken within a round. *rate* above 1: more requests a second than ours. *CPU* above 1: more CPU a request than ours, that of the peer and of the subgraphs together; where subgraphs run in process, they are in the first column of CPU too.

${shortText(first, titleOf)}

${tables.map((table) => `### ${titles[table.authentication]}\n\n${tableText(table, titleOf)}`).join('\n\n')}

### What runs

${known
  .filter((peer) => measured.has(peer.name))
  .map((peer) => `- ${peer.title}: ${peer.runs}`)
  .join('\n')}`;
}

/** The comparison as a page of Markdown. */
export function renderPeers(report: PeersReport, known: readonly Peer[] = peers): string {
  const { machine, fanOut, database } = report;
  const sections = [
    gatewaysText(report, known),
    fanOut.length === 0 ? '' : renderFanOut(fanOut),
    database === null ? '' : renderDatabase(database),
  ].filter((section) => section !== '');
  return `# Peers side by side

${report.at}, commit ${report.commit ?? 'unknown'}. ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGb} GB, Node ${machine.node}; load average before ${machine.loadBefore}.

${sections.join('\n\n')}

Versions: ${Object.entries(report.versions)
    .map(([name, version]) => `${name} ${version}`)
    .join(', ')}.
`;
}

/** Writes peers.json, every window included, and peers.md. */
export function writePeers(folder: string, report: PeersReport): void {
  mkdirSync(folder, { recursive: true });
  const tables = report.tables.map((table) => ({ ...table, rows: summarise(table.windows, baselines) }));
  const fanOut = report.fanOut.map((table) => ({ ...table, rows: summariseFanOut(table.windows) }));
  const database = report.database && { ...report.database, rows: summariseDatabase(report.database.windows) };
  writeFileSync(join(folder, 'peers.json'), `${JSON.stringify({ ...report, tables, fanOut, database }, null, 1)}\n`);
  writeFileSync(join(folder, 'peers.md'), renderPeers(report));
}
